/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirask.c - lookups of the directory: what is sent to the child, answered, asked again
 *
 * Runs in svm-idfw's loop, beside dir.c, which owns the children. Lookups wait in a bounded queue
 * (dirqueue.h), some a connection of them at the child. While the directory is down
 * each is answered UNAVAILABLE from here; before the first state they wait. Invariant: one
 * principal() for each lookup taken, never from within idfw_dir_lookup(). Source:
 * docs/directory.md.
 */
#include "svm-idfw/dir_int.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/io/sock.h"
#include "svm-idfw/sid.h"

static void dir_pump_cb(struct io_idle *w);
static int dir_ask_send(struct idfw_dir *d, const struct dir_ask *a);
static void dir_answer_rest(struct idfw_dir *d, size_t n);
static void dir_ask_unavailable(struct idfw_dir *d, struct dir_ask *a);

int idfw_dir_lookup(
	struct idfw_dir *d, const char *key, const char *name, const char *sid, bool first)
{
	int err = dir_queue_put(&d->queue, key, name, sid, first);

	if (err == 0)
		dir_pump(d);
	return err;
}

int idfw_dir_foreign(struct idfw_dir *d, const char *key, const char *name, const char *sid,
	const char *members, bool first)
{
	int err = dir_queue_put_members(&d->queue, key, name, sid, members, first);

	if (err == 0)
		dir_pump(d);
	return err;
}

void idfw_dir_hurry(struct idfw_dir *d, const char *key)
{
	dir_queue_hurry(&d->queue, key);
}

/* at the child at one time */
static size_t dir_inflight_max(const struct idfw_dir *d)
{
	size_t n = d->conf->connections, each = DIR_INFLIGHT_EACH;

	if (strcmp(d->conf->type, "ad") != 0) {
		each = 2 * DIR_BATCH_MAX;
		return n * each > DIR_INFLIGHT_MAX ? DIR_INFLIGHT_MAX : n * each;
	}
	return n * each;
}

void dir_pump(struct idfw_dir *d)
{
	io_idle_once(d->loop, &d->pump, dir_pump_cb, d);
}

void dir_ask_again(struct idfw_dir *d, bool lost)
{
	size_t n = d->queue.n_running;
	struct dir_ask *a;

	if (lost && d->servers.n < 2) {
		dir_answer_rest(d, n);
		return;
	}
	while (n-- && d->queue.running) {
		a = d->queue.running->prev; /* the last: each goes to the front */
		if (lost && a->tried) {
			a->again = false;
			(void)!dir_queue_finish(&d->queue, a);
			dir_ask_unavailable(d, a);
			continue;
		}
		a->tried |= lost;
		dir_queue_again(&d->queue, a);
	}
}

bool dir_ask_late(struct idfw_dir *d, uint64_t now)
{
	uint64_t oldest = d->queue.running ? d->queue.running->id : 0;

	if (oldest != d->oldest_id) {
		d->oldest_id = oldest;
		d->oldest_ms = now;
	}
	return oldest && now - d->oldest_ms > d->conf->deadline_ms;
}

void dir_on_result(struct idfw_dir *d, const Idfw__DirResult *r)
{
	struct dir_ask *a = dir_queue_running(&d->queue, r->id);
	int err;

	if (!a)
		return; /* answered UNAVAILABLE meanwhile */
	err = dir_ask_part(a, r);
	if (err == 0 && !r->last)
		return;
	dir_hist_add(&d->took, io_clock_mono_us() - a->sent_us);
	d->failed += err < 0 || r->status == IDFW__DIR_RESULT__STATUS__UNAVAILABLE;
	if (err < 0) {
		gi_err("directory %s: answer for \"%s\" is refused: %s", d->conf->label, a->name,
			gi_strerror(err));
		a->found.presence = IDFW_P_UNAVAILABLE;
	} else if (r->status == IDFW__DIR_RESULT__STATUS__AMBIGUOUS) {
		gi_warn("directory %s: %s: treated as unknown", d->conf->label, r->text);
	} else if (r->status == IDFW__DIR_RESULT__STATUS__UNAVAILABLE) {
		gi_warn("directory %s: lookup of \"%s\": %s", d->conf->label, a->name, r->text);
	}
	a->found.account.revokes = idfw_dir_conf_revokes(d->conf);
	err = dir_queue_finish(&d->queue, a);
	if (err < 0)
		gi_err("directory %s: \"%s\" is not looked up again: %s", d->conf->label, a->name,
			gi_strerror(err));
	d->ops.principal(d->arg, a->key, &a->found);
	dir_ask_free(a);
	dir_pump(d);
}

/* at the end of a loop round: what can be sent is sent; while down all is answered here */
static void dir_pump_cb(struct io_idle *w)
{
	struct idfw_dir *d = w->arg;
	struct dir_ask *a;

	if (d->state == DIR_DOWN) {
		dir_answer_rest(d, d->queue.n_running + d->queue.n_waiting);
		return;
	}
	while (d->state == DIR_UP && d->main->ready && d->queue.n_running < dir_inflight_max(d)) {
		a = dir_queue_start(&d->queue);
		if (!a)
			break;
		a->sent_us = io_clock_mono_us();
		if (dir_ask_send(d, a) < 0) {
			gi_err("directory %s: cannot ask for \"%s\"", d->conf->label, a->name);
			a->again = false;
			(void)!dir_queue_finish(&d->queue, a);
			a->found.presence = IDFW_P_UNAVAILABLE;
			d->ops.principal(d->arg, a->key, &a->found);
			dir_ask_free(a);
		}
	}
}

struct members { /* of one DirLookup */
	uint8_t bytes[WIRE_DIR_MEMBERS_MAX][SID_BYTES_MAX];
	ProtobufCBinaryData list[WIRE_DIR_MEMBERS_MAX];
	size_t n;
};

/* -GI_ELIMIT: more than one message can carry */
static int members_read(const char *text, struct members *ret)
{
	char one[SID_TEXT_MAX];
	size_t len;

	ret->n = 0;
	for (; *text; text += len + (text[len] == ' ')) {
		len = strcspn(text, " ");
		if (ret->n == WIRE_DIR_MEMBERS_MAX || len >= sizeof(one))
			return -GI_ELIMIT;
		memcpy(one, text, len);
		one[len] = '\0';
		if (sid_from_text(one, ret->bytes[ret->n], &ret->list[ret->n].len) < 0)
			continue;
		ret->list[ret->n].data = ret->bytes[ret->n];
		ret->n++;
	}
	return ret->n ? 0 : -EINVAL;
}

static int dir_ask_send(struct idfw_dir *d, const struct dir_ask *a)
{
	struct members *m = NULL;
	Idfw__DirLookup l = IDFW__DIR_LOOKUP__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	uint8_t sid[SID_BYTES_MAX];
	size_t sid_len = 0;
	struct gi_buf out;
	int err;

	if (a->sid[0] && sid_from_text(a->sid, sid, &sid_len) < 0)
		sid_len = 0;
	l.id = a->id;
	l.name = a->name;
	l.sid = (ProtobufCBinaryData){ .len = sid_len, .data = sid };
	e.body_case = IDFW__ENVELOPE__BODY_DIR_LOOKUP;
	e.dir_lookup = &l;
	if (a->members) {
		m = malloc(sizeof(*m));
		err = m ? members_read(a->members, m) : -ENOMEM;
		if (err < 0)
			goto out;
		l.member_sid = m->list;
		l.n_member_sid = m->n;
	}
	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(&e, &out);
	if (err == 0)
		err = io_chan_send(d->main->chan, out.data, out.len);
	gi_buf_fini(&out);
out:
	free(m);
	return err;
}

/* the next @n are answered UNAVAILABLE; the engine may ask again from within: those wait their turn
 */
static void dir_answer_rest(struct idfw_dir *d, size_t n)
{
	struct dir_ask *a;

	while (n-- && (a = dir_queue_take(&d->queue)) != NULL)
		dir_ask_unavailable(d, a);
}

/* @a: takes */
static void dir_ask_unavailable(struct idfw_dir *d, struct dir_ask *a)
{
	struct idfw_principal none = { .presence = IDFW_P_UNAVAILABLE };

	d->failed++;
	none.key = a->key;
	none.name = none.upn = none.dn = none.sid = (char *)(uintptr_t) "";
	d->ops.principal(d->arg, a->key, &none);
	dir_ask_free(a);
}
