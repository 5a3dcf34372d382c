/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remains.c - what an isolated user has on a VM outside of the sessions that go on (ADR 13)
 *
 * Runs in svm-idfw's engine. While an isolation of a session stands, its user's uid is a subject
 * with a mark that is not live: what he begins where no session is known (systemd --user, cron,
 * the first moments of a login). And a logout ends a session, not its processes: nohup, tmux and
 * the like go on in its cgroup, also as another uid (sudo). Of a session that a standing isolation
 * hits, whenever it ended, the cgroup stays such a subject, until the isolation is released or the
 * guest boots again. An id of a cgroup is not used again in one boot, so a cgroup that is empty by
 * now costs an element and no more. There are IDFW_REMAINS_VM_MAX of them on a VM.
 * Invariant: su->remains: su->isolation; plan->n_remains cgroups of a VM have it.
 */
#include "svm-idfw/recent.h"

#include <string.h>

#define WHOLE_UID UINT64_MAX /* every isolation of the uid hits it */

static bool hits(const struct idfw_isolation *i, uint32_t uid, uint64_t row)
{
	return !i->whole_vm && i->uid == uid && (row == i->session || row > i->spares);
}

static const struct idfw_isolation *isolation_of(
	const struct idfw_vm *vm, uint32_t uid, uint64_t row)
{
	const struct idfw_isolation *i = vm->isolations;

	while (i && !hits(i, uid, row))
		i = i->next;
	return i;
}

const struct idfw_isolation *idfw_remains_isolation(
	const struct idfw_vm *vm, const struct plan_subject *su)
{
	return su->remains ? isolation_of(vm, su->remains_uid, su->remains) : NULL;
}

static bool is_cgroup(const struct plan_subject *su)
{
	return su->key.set == FW_CG_MARK;
}

void idfw_remains_forget(struct idfw_vm *vm, struct plan_subject *su)
{
	vm->plan->n_remains -= su->remains && is_cgroup(su);
	su->remains = 0;
}

static void keep(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key, uint64_t row,
	uint32_t uid, const struct idfw_isolation *i)
{
	struct plan_subject *su = plan_user(e, vm, key);

	if (!su) {
		gi_err("%s: what uid %u has outside of sessions is not isolated: out of memory",
			vm->name, uid);
		return;
	}
	vm->plan->n_remains += !su->remains && is_cgroup(su);
	su->remains = row;
	su->remains_uid = uid;
	idfw_isolate_subject(e, vm, su, i);
}

void idfw_remains_uid(struct idfw_engine *e, const struct idfw_isolation *i)
{
	struct fw_elem el = fw_elem_uid(i->uid, 0);

	if (i->uid >= e->conf.min_uid)
		keep(e, i->vm, &el.key, WHOLE_UID, i->uid, i);
}

/* a session that is over, by its row; without a cgroup its uid stands for it anyway */
static void remain(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t row, uint32_t uid, uint64_t cgroup)
{
	const struct idfw_isolation *i = uid < e->conf.min_uid ? NULL : isolation_of(vm, uid, row);
	struct fw_elem el = fw_elem_cgroup(cgroup, 0);

	if (i && cgroup && vm->plan->n_remains < IDFW_REMAINS_VM_MAX)
		keep(e, vm, &el.key, row, uid, i);
}

void idfw_remains_begin(struct idfw_engine *e, const struct idfw_session *s, bool left)
{
	if (left)
		remain(e, s->vm, s->db_id, s->uid, s->cgroup);
}

void idfw_remains_look(struct idfw_engine *e, struct idfw_vm *vm)
{
	for (const struct idfw_recent *r = e->recent_head; r; r = r->next)
		if (r->vm == vm && r->left && !memcmp(r->boot_id, vm->boot_id, sizeof(r->boot_id)))
			remain(e, vm, r->db_id, r->uid, r->cgroup);
}

void idfw_remains_end(struct idfw_engine *e, struct idfw_vm *vm)
{
	struct plan_subject *su, *next;

	for (su = vm->plan->isolated; su; su = next) {
		next = su->next;
		if (!is_cgroup(su))
			continue;
		idfw_remains_forget(vm, su);
		idfw_isolate_again(e, vm, su);
	}
}

int idfw_engine_restore_left(struct idfw_engine *e, const char *vm_name, const uint8_t boot_id[16],
	uint64_t db_id, uint32_t uid, uint64_t cgroup)
{
	struct idfw_vm *vm;
	int r = idfw_vm_get(e, vm_name, &vm);

	if (r < 0)
		return r;
	if (!memcmp(boot_id, vm->boot_id, sizeof(vm->boot_id)))
		remain(e, vm, db_id, uid, cgroup);
	return 0;
}
