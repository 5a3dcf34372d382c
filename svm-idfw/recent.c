/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * recent.c - sessions that are over, still known by the number that the guest gave them
 *
 * Runs in svm-idfw's engine. A verdict may come after its session ended: svm-scan's outbox was
 * cut off, or malware logged out. The last IDFW_RECENT_MAX ended sessions are kept; after a restart
 * the database gives them back (store_load.c). Older ones are audited as claimed.
 */
#include "svm-idfw/recent.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_KEY_LEN (offsetof(struct idfw_recent, boot_id) + 16)

_Static_assert(offsetof(struct idfw_recent, boot_id) == sizeof(void *) + sizeof(uint64_t),
	"key has no padding");

static unsigned int key_fill(struct idfw_engine *e, struct idfw_recent *key, struct idfw_vm *vm,
	uint64_t id, const uint8_t boot_id[16])
{
	key->vm = vm;
	key->id = id;
	memcpy(key->boot_id, boot_id, sizeof(key->boot_id));
	return idfw_hashv(e->conf.seed, key, RECENT_KEY_LEN);
}

const struct idfw_recent *idfw_recent_find(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t id, const uint8_t boot_id[16])
{
	struct idfw_recent key, *r;
	unsigned int h = key_fill(e, &key, vm, id, boot_id);

	HASH_FIND_BYHASHVALUE(hh, e->recents, &key, RECENT_KEY_LEN, h, r);
	return r;
}

static void oldest_drop(struct idfw_engine *e)
{
	struct idfw_recent *r = e->recent_head;

	e->recent_head = r->next;
	if (!e->recent_head)
		e->recent_tail = NULL;
	HASH_DEL(e->recents, r);
	idfw_str_put(&e->strings, r->user);
	free(r);
}

void idfw_recent_add(struct idfw_engine *e, const struct idfw_recent *of)
{
	struct idfw_recent *r;
	unsigned int h;

	if (idfw_recent_find(e, of->vm, of->id, of->boot_id))
		return;
	if (HASH_COUNT(e->recents) >= IDFW_RECENT_MAX)
		oldest_drop(e);
	r = calloc(1, sizeof(*r));
	if (!r)
		return;
	h = key_fill(e, r, of->vm, of->id, of->boot_id);
	r->user = idfw_str_get(&e->strings, of->user);
	if (!r->user) {
		free(r);
		return;
	}
	r->db_id = of->db_id;
	r->cgroup = of->cgroup;
	r->uid = of->uid;
	r->left = of->left;
	HASH_ADD_BYHASHVALUE(hh, e->recents, vm, RECENT_KEY_LEN, h, r);
	if (e->recent_tail)
		e->recent_tail->next = r;
	else
		e->recent_head = r;
	e->recent_tail = r;
}

void idfw_session_over(struct idfw_engine *e, struct idfw_session *s, Idfw__EndReason reason)
{
	struct idfw_recent of = { .vm = s->vm,
		.id = s->id,
		.db_id = s->db_id,
		.cgroup = s->cgroup,
		.uid = s->uid,
		.left = !s->parent && !s->is_unit && reason != IDFW__END_REASON__END_CGROUP &&
			reason != IDFW__END_REASON__END_REBOOT,
		.user = s->user };

	memcpy(of.boot_id, s->boot_id, sizeof(of.boot_id));
	idfw_recent_add(e, &of);
	idfw_remains_begin(e, s, of.left);
	idfw_session_free(e, s);
}

void idfw_recents_free(struct idfw_engine *e)
{
	while (e->recent_head)
		oldest_drop(e);
}

int idfw_engine_restore_recent(
	struct idfw_engine *e, const char *vm_name, const struct idfw_store_recent *from)
{
	struct idfw_recent of = { .id = from->id,
		.db_id = from->db_id,
		.cgroup = from->cgroup,
		.uid = from->uid,
		.left = from->left,
		.user = from->user };
	int r = idfw_vm_get(e, vm_name, &of.vm);

	if (r < 0)
		return r;
	memcpy(of.boot_id, from->boot_id, sizeof(of.boot_id));
	idfw_recent_add(e, &of);
	return 0;
}
