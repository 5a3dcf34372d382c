/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * remains.c - what isolated sessions leave behind when they end stays isolated (ADR 13)
 *
 * Runs in svm-idfw's engine. A logout ends a session, not its processes: nohup, tmux and the like
 * go on in its cgroup. Of a session that a standing isolation hits, whenever it ended, the cgroup
 * (where it had none: its uid) stays a subject with a mark that is not live, until the isolation is
 * released or the guest boots again. An id of a cgroup is not used again in one boot, so a cgroup
 * that is empty by now costs an element and no more. There are IDFW_REMAINS_VM_MAX of them on a VM;
 * after that the user's whole uid stands for what he leaves behind.
 * Invariant: su->remains: su->isolation; plan->n_remains of a VM's subjects have it.
 */
#include "svm-idfw/recent.h"

#include <string.h>

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

void idfw_remains_forget(struct idfw_vm *vm, struct plan_subject *su)
{
	vm->plan->n_remains -= su->remains != 0;
	su->remains = 0;
}

/* a session that is over, by its row */
static void remain(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t row, uint32_t uid, uint64_t cgroup)
{
	const struct idfw_isolation *i = uid < e->conf.min_uid ? NULL : isolation_of(vm, uid, row);
	bool full = vm->plan->n_remains >= IDFW_REMAINS_VM_MAX;
	struct plan_subject *su;
	struct fw_elem el;

	if (!i)
		return;
	el = fw_elem_cgroup(cgroup, 0);
	su = cgroup ? plan_find(e, vm, &el.key) : NULL;
	if (!cgroup || (full && !(su && su->remains))) {
		if (cgroup)
			row = UINT64_MAX; /* every isolation of this uid hits it */
		el = fw_elem_uid(uid, 0);
	}
	su = plan_user(e, vm, &el.key);
	if (!su) {
		gi_err("%s: what uid %u left behind is not isolated: out of memory", vm->name, uid);
		return;
	}
	vm->plan->n_remains += !su->remains;
	/* one that nothing hits any more says nothing: another user's, of the same cgroup */
	if (su->remains < row || !idfw_remains_isolation(vm, su)) {
		su->remains = row;
		su->remains_uid = uid;
	}
	idfw_isolate_subject(e, vm, su, i);
}

void idfw_remains_begin(struct idfw_engine *e, const struct idfw_session *s, bool left)
{
	if (left && s->subject)
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
		if (!su->remains)
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
	plan_event_end(e);
	return 0;
}
