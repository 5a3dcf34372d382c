/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircalm.c - a server that takes connections and then fails: when the next one is made
 *
 * In the directory child. Two counts, since a server may do the one and not the other: connections
 * and what is looked at on them, and lookups. Invariant: a pause is begun anew by work that was
 * done, never by a connection that was made.
 */
#include "svm-idfw/dircalm.h"

#include <errno.h>

#include "svm-idfw/dirserver.h"

void dir_calm_init(struct dir_calm *c)
{
	*c = (struct dir_calm){ .shorts = 0 };
	io_backoff_init(&c->connects, DIR_CALM_MAX_MS);
	io_backoff_init(&c->lookups, DIR_CALM_MAX_MS);
}

void dir_calm_up(struct dir_calm *c, uint64_t answers)
{
	c->shorts++;
	c->answers = answers;
	c->doubt = false;
}

void dir_calm_looked(struct dir_calm *c)
{
	c->shorts = 0;
	io_backoff_init(&c->connects, DIR_CALM_MAX_MS);
}

uint64_t dir_calm_refused(struct dir_calm *c)
{
	return io_backoff_next(&c->connects);
}

uint64_t dir_calm_broken(struct dir_calm *c)
{
	return c->shorts ? io_backoff_next(&c->connects) : 0;
}

uint64_t dir_calm_lost(struct dir_calm *c, uint64_t answers)
{
	c->doubt = true;
	if (answers == c->answers)
		return io_backoff_next(&c->lookups);
	io_backoff_init(&c->lookups, DIR_CALM_MAX_MS);
	return 0;
}

unsigned int dir_calm_request_ms(uint64_t deadline_ms, bool several)
{
	uint64_t ms = deadline_ms * 2 / 5;

	return (unsigned int)(several && ms > DIR_CONNECT_MS ? DIR_CONNECT_MS : ms);
}

static uint64_t left_of(uint64_t all, uint64_t spent, uint64_t least)
{
	return spent + least < all ? all - spent : least;
}

uint64_t dir_calm_lookup_ms(uint64_t deadline_ms, uint64_t spent_ms)
{
	return left_of(deadline_ms * 4 / 5, spent_ms, deadline_ms / 5);
}

uint64_t dir_calm_try_ms(uint64_t deadline_ms, uint64_t spent_ms)
{
	return left_of(deadline_ms * 9 / 10, spent_ms, deadline_ms / 10);
}

enum dir_calm_blame dir_calm_blame(const struct dir_calm_failed *f)
{
	if (f->answered)
		return DIR_CALM_LOOKUP;
	if (f->err == -ETIMEDOUT && !f->heard && (f->several || !f->silent))
		return DIR_CALM_SERVER;
	return DIR_CALM_ASK;
}

bool dir_calm_leaves(int err, bool several, bool answered)
{
	return err == -ETIMEDOUT && several && !answered;
}

bool dir_calm_gives_up(const struct dir_calm *c)
{
	return c->shorts > DIR_CALM_SHORT_MAX;
}
