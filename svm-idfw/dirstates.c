/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstates.c - the directories that have the accounts: which are up, and what follows for whom
 *
 * Runs in svm-idfw's engine. A directory that is down concerns its own accounts: those that it was
 * found in before. Of an account that no directory was found for yet only the answer of a lookup
 * tells (dirset.c); it is not asked for while all are down. A directory that comes back may know
 * better about its own accounts and about all that were not found.
 */
#include "svm-idfw/core.h"

#include <stdio.h>
#include <string.h>

static struct idfw_directory *dir_find(struct idfw_engine *e, const char *label)
{
	for (size_t i = 0; i < e->n_dirs; i++)
		if (strcmp(e->dirs[i].label, label) == 0)
			return &e->dirs[i];
	return NULL;
}

int idfw_engine_directory_add(struct idfw_engine *e, const char *label)
{
	if (dir_find(e, label))
		return 0;
	if (e->n_dirs == IDFW_DIRS_MAX ||
		gi_text_copy(e->dirs[e->n_dirs].label, sizeof(e->dirs[0].label), label) < 0)
		return -GI_ELIMIT;
	e->n_dirs++;
	return 0;
}

const struct idfw_directory *idfw_engine_directories(const struct idfw_engine *e, size_t *ret_n)
{
	*ret_n = e->n_dirs;
	return e->dirs;
}

static size_t dir_count(const struct idfw_engine *e, enum idfw_dir_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < e->n_dirs; i++)
		n += e->dirs[i].state == state;
	return n;
}

/* who has it, or is the only one that is asked; "": anybody */
static const char *dir_label(const struct idfw_principal *p)
{
	return *p->directory ? p->directory : p->names_in;
}

enum idfw_dir_state idfw_dir_of(const struct idfw_engine *e, const struct idfw_principal *p)
{
	const char *label = dir_label(p);

	for (size_t i = 0; *label && i < e->n_dirs; i++)
		if (strcmp(e->dirs[i].label, label) == 0)
			return e->dirs[i].state;
	if (e->n_dirs && dir_count(e, IDFW_DIR_DOWN) == e->n_dirs)
		return IDFW_DIR_DOWN;
	return dir_count(e, IDFW_DIR_UP) ? IDFW_DIR_UP : IDFW_DIR_UNKNOWN;
}

void idfw_dir_stats(const struct idfw_engine *e, struct idfw_stats *ret)
{
	size_t at = 0, size = sizeof(ret->directory_why);

	ret->directory_some = dir_count(e, IDFW_DIR_UP) != 0;
	ret->directory_up = e->n_dirs && dir_count(e, IDFW_DIR_UP) == e->n_dirs;
	ret->directory_why[0] = '\0';
	for (size_t i = 0; i < e->n_dirs && at < size; i++) {
		const struct idfw_directory *d = &e->dirs[i];
		int n = 0;

		if (e->n_dirs == 1)
			n = snprintf(ret->directory_why, size, "%s", d->why);
		else if (d->state != IDFW_DIR_UP)
			n = snprintf(ret->directory_why + at, size - at, "%s%s is down: %s",
				at ? "; " : "", d->label, d->why);
		at += (size_t)n;
	}
}

static bool dir_concerns(const char *label, const struct idfw_principal *p)
{
	return !*label || !*dir_label(p) || strcmp(label, dir_label(p)) == 0;
}

static void dir_down(struct idfw_engine *e, const char *label)
{
	struct idfw_principal *p, *next;
	bool all = dir_count(e, IDFW_DIR_DOWN) == e->n_dirs;

	HASH_ITER (hh, e->principals, p, next) {
		idfw_account_schedule(e, p);
		if (!p->sessions || !(p->held || p->presence == IDFW_P_PENDING) ||
			!dir_concerns(label, p) || (!*dir_label(p) && !all))
			continue;
		p->held = false;
		if (p->presence == IDFW_P_PENDING)
			p->presence = IDFW_P_UNAVAILABLE;
		idfw_cause(e, "directory down, cached %s", p->user);
		idfw_principal_served(e, p);
	}
}

static void dir_back(struct idfw_engine *e, const char *label)
{
	struct idfw_principal *p, *next;

	HASH_ITER (hh, e->principals, p, next) {
		/* groups of others may be from here, as known before it was down */
		if (!dir_concerns(label, p) && !p->stale)
			continue;
		p->stale = true;
		if (idfw_principal_wanting(p))
			idfw_principal_lookup(e, p);
	}
}

static const char *dir_record(
	struct idfw_engine *e, const struct idfw_directory *d, const char *why)
{
	struct gi_buf *b = &e->json;

	if (!*d->label)
		return idfw_json_why(e, why, "state", d->state == IDFW_DIR_UP ? "up" : "down");
	gi_buf_reset(b);
	gi_buf_printf(b, "{\"directory\":");
	idfw_json(b, d->label);
	gi_buf_printf(b, ",\"state\":\"%s\",\"why\":", d->state == IDFW_DIR_UP ? "up" : "down");
	idfw_json(b, why);
	gi_buf_printf(b, "}");
	return gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b);
}

void idfw_engine_directory_sync(struct idfw_engine *e, const char *label, const char *by)
{
	struct gi_buf *b = &e->json;

	gi_buf_reset(b);
	gi_buf_printf(b, "{\"directory\":");
	idfw_json(b, label);
	gi_buf_printf(b, ",\"sync\":\"full\",\"by\":");
	idfw_json(b, by);
	gi_buf_printf(b, "}");
	idfw_note(e, IDFW_REC_DIRECTORY, NULL, NULL,
		gi_buf_error(b) ? "{\"error\":\"too long\"}" : gi_buf_str(b));
}

void idfw_engine_directory_state(struct idfw_engine *e, const char *label, bool up, const char *why)
{
	enum idfw_dir_state now = up ? IDFW_DIR_UP : IDFW_DIR_DOWN;
	struct idfw_directory *d;

	why = why ? why : "";
	d = idfw_engine_directory_add(e, label) == 0 ? dir_find(e, label) : NULL;
	if (!d)
		return;
	(void)snprintf(d->why, sizeof(d->why), "%s", why);
	if (d->state == now)
		return;
	age_directory(e, d, up);
	d->state = now;
	d->since_ms = e->real_ms;
	gi_notice("directory %s%sis %s%s%s", label, *label ? " " : "", up ? "up" : "down",
		*why ? ": " : "", why);
	idfw_note(e, IDFW_REC_DIRECTORY, NULL, NULL, dir_record(e, d, why));
	if (up)
		dir_back(e, label);
	else
		dir_down(e, label);
	plan_event_end(e);
}
