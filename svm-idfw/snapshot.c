/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * snapshot.c - all live sessions of a guest as of event N: what is not named is over
 *
 * Runs in svm-idfw's engine. A snapshot that is ahead of the events (N above what was taken)
 * waits for them, packed, so that their own records are written and not guessed; when they do not
 * come (IDFW_SNAP_WAIT_MS, or an event behind N) they are lost and the snapshot is what counts.
 */
#include "svm-idfw/limits.h"

#include <stdlib.h>
#include <string.h>

void idfw_vm_snapshot_drop(struct idfw_vm *vm)
{
	struct idfw_plan *p = vm->plan;

	for (size_t i = 0; i < p->n_parts; i++)
		free(p->parts[i]);
	free(p->parts);
	free(p->part_lens);
	p->parts = NULL;
	p->part_lens = NULL;
	p->n_parts = p->parts_bytes = 0;
	p->parts_seq = 0;
	p->parts_last = false;
	p->snap_open = false;
}

static int part_keep(struct idfw_plan *p, const Idfw__Snapshot *s)
{
	size_t len = idfw__snapshot__get_packed_size(s);
	uint8_t **parts, *part;
	size_t *lens;

	if (p->parts_bytes + len > IDFW_SNAP_BYTES_MAX)
		return -GI_ELIMIT;
	parts = realloc(p->parts, (p->n_parts + 1) * sizeof(*parts));
	if (parts)
		p->parts = parts;
	lens = realloc(p->part_lens, (p->n_parts + 1) * sizeof(*lens));
	if (lens)
		p->part_lens = lens;
	part = malloc(len + 1);
	if (!parts || !lens || !part) {
		free(part);
		return -ENOMEM;
	}
	p->parts[p->n_parts] = part;
	p->part_lens[p->n_parts++] = idfw__snapshot__pack(s, part);
	p->parts_bytes += len;
	return 0;
}

static int session_seen(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Session *ws)
{
	struct idfw_session *s = idfw_session_find(e, vm, ws->id, vm->boot_id);
	int r;

	if (s && (s->uid != ws->uid || strcmp(s->user, ws->user ? ws->user : ""))) {
		/* another one under a known number: the one that we knew is gone */
		r = idfw_session_end(e, s, IDFW__END_REASON__END_GONE, e->real_ms, 0);
		if (r < 0)
			return r;
		s = NULL;
	}
	if (s) {
		s->snap = vm->plan->snap;
		s->seen_ms = e->real_ms;
		return idfw_session_move(e, s, ws->cgroup, ws->parent);
	}
	return idfw_session_open(e, vm, ws, 0);
}

static int end_unseen(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct idfw_session *s, *next;
	int r;

	for (s = vm->sessions; s; s = next) {
		next = s->v_next;
		if (s->snap == vm->plan->snap)
			continue;
		r = idfw_session_end(e, s, IDFW__END_REASON__END_GONE, e->real_ms, 0);
		plan_event_end(e);
		if (r < 0)
			return r;
	}
	return 0;
}

static int part_apply(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Snapshot *s)
{
	struct idfw_plan *p = vm->plan;
	int r = 0;

	if (s->first) {
		p->snap++;
		p->snap_refused = 0;
		r = idfw_vm_addresses(e, vm, s->addresses, 0);
		plan_event_end(e);
	}
	for (size_t i = 0; r == 0 && i < s->n_session; i++) {
		r = session_seen(e, vm, s->session[i]);
		plan_event_end(e);
	}
	if (r == 0 && s->last)
		r = end_unseen(e, vm);
	if (r == 0 && s->last) {
		p->snap_done = true;
		idfw_limit_snapshot_end(e, vm);
		gi_info("%s: snapshot at event %llu: %zu sessions", vm->name,
			(unsigned long long)s->seq, vm->n_sessions);
	}
	return r;
}

int idfw_vm_snapshot_late(struct idfw_engine *e, struct idfw_vm *vm, bool now)
{
	struct idfw_plan *p = vm->plan;
	uint64_t seq = p->parts_seq;
	int r = 0;

	if (!p->parts_last || (!now && vm->seq < seq))
		return 0;
	for (size_t i = 0; r == 0 && i < p->n_parts; i++) {
		Idfw__Snapshot *s = idfw__snapshot__unpack(NULL, p->part_lens[i], p->parts[i]);

		r = s ? part_apply(e, vm, s) : -ENOMEM;
		if (s)
			idfw__snapshot__free_unpacked(s, NULL);
	}
	if (r == 0 && vm->seq < seq) {
		e->stats.gaps++;
		gi_warn("%s: events %llu to %llu are lost; its snapshot makes up for them",
			vm->name, (unsigned long long)vm->seq + 1, (unsigned long long)seq);
		vm->seq = seq;
	}
	idfw_vm_snapshot_drop(vm);
	return r;
}

int idfw_vm_snapshot(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Snapshot *s, const char **ret_why)
{
	struct idfw_plan *p = vm->plan;
	int r;

	if (s->first) {
		idfw_vm_snapshot_drop(vm);
		p->snap_open = true;
		p->parts_seq = s->seq;
	}
	if (!p->snap_open || p->parts_last || s->seq != p->parts_seq) {
		*ret_why = "parts of a snapshot do not follow";
		return -GI_EPROTO;
	}
	for (size_t i = 0; i < s->n_session; i++) {
		if (!s->session[i]->id) {
			*ret_why = "session 0 in a snapshot";
			return -GI_EPROTO;
		}
	}
	if (s->last)
		p->snap_open = false;
	if (p->n_parts || s->seq > vm->seq) {
		r = part_keep(p, s);
		if (r < 0) {
			*ret_why = "snapshot is too large";
			return r;
		}
		p->parts_last = s->last;
		p->parts_deadline_ms = e->mono_ms + IDFW_SNAP_WAIT_MS;
		if (s->last)
			idfw_due(e, p->parts_deadline_ms);
		return 0;
	}
	r = part_apply(e, vm, s);
	if (r == -GI_EPROTO || r == -GI_ELIMIT) {
		*ret_why = "bad addresses in a snapshot";
		return r;
	}
	if (r < 0)
		idfw_vm_hold(e, vm, IDFW_HOLD_STORE);
	return 0;
}
