/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.c - whose a session is, and what the kernel knows it by
 *
 * Runs in svm-idfw's engine. A name without a domain is one of the directory that its VM has in the
 * configuration (`vm NAME { directory ...; }`), if it has one: then alice there and alice elsewhere
 * are two principals. The VM's name comes from the transport, so no guest chooses its directory.
 * Invariant: a session is in its principal's and its subject's list, or has neither.
 */
#include "svm-idfw/limits.h"

#include <stdlib.h>
#include <string.h>

/* the directory that its user's name is one of; "": the configuration's order decides */
static const char *names_in(const struct idfw_session *s)
{
	return strpbrk(s->user, "\\@") || !s->vm->directory ? "" : s->vm->directory;
}

/* the session joins its subject: its cgroup's, or its uid's; -ENOMEM */
static int subject_link(struct idfw_engine *e, struct idfw_session *s)
{
	struct fw_elem el = s->cgroup ? fw_elem_cgroup(s->cgroup, 0) : fw_elem_uid(s->uid, 0);
	struct plan_subject *su = plan_user(e, s->vm, &el.key);

	if (!su)
		return -ENOMEM;
	s->subject = su;
	s->s_prev = NULL;
	s->s_next = su->sessions;
	if (s->s_next)
		s->s_next->s_prev = s;
	su->sessions = s;
	if (!su->isolation)
		idfw_isolate_subject(e, s->vm, su, idfw_isolation_for(s));
	return 0;
}

static void account_link(struct idfw_engine *e, struct idfw_session *s, struct idfw_principal *p)
{
	s->principal = p;
	s->p_prev = NULL;
	s->p_next = p->sessions;
	if (s->p_next)
		s->p_next->p_prev = s;
	p->sessions = s;
	p->n_sessions++;
	if (!p->is_unit)
		idfw_account_joins(e, s);
}

static void account_unlink(struct idfw_session *s)
{
	IDFW_UNLINK(s, s->principal->sessions, p_prev, p_next);
	s->principal->n_sessions--;
	s->principal = NULL;
}

/* whose it is and what the kernel knows it by; nested and system users' sessions have neither */
int idfw_identity_link(struct idfw_engine *e, struct idfw_session *s)
{
	struct idfw_principal *p = NULL;
	int r;

	if (s->parent || (s->uid < e->conf.min_uid && !s->is_unit))
		return 0;
	r = s->is_unit ? idfw_unit_get(e, s->user, &p)
		       : idfw_principal_get(e, s->user, names_in(s), &p);
	if (r == 0)
		r = subject_link(e, s);
	if (r < 0)
		return r;
	account_link(e, s, p);
	return 0;
}

void idfw_identity_unlink(struct idfw_engine *e, struct idfw_session *s)
{
	if (!s->principal)
		return;
	IDFW_UNLINK(s, s->subject->sessions, s_prev, s_next);
	if (!s->subject->sessions && !s->subject->remains)
		plan_user_drop(e, s->vm, s->subject);
	else if (s->subject->isolation)
		idfw_isolate_again(e, s->vm, s->subject);
	account_unlink(s);
	s->subject = NULL;
}

/* somebody else's from here on: what runs by the account before is cut, as after a logout */
static void account_again(struct idfw_engine *e, struct idfw_session *s)
{
	bool kicked = s->kicked;
	struct idfw_principal *p = NULL;
	int r = idfw_principal_get(e, s->user, names_in(s), &p);

	if (p == s->principal)
		return;
	gi_notice("%s@%s: session %llu is of directory \"%s\" now", s->user, s->vm->name,
		(unsigned long long)s->db_id, names_in(s));
	idfw_cause(e, "names on %s are of another directory", s->vm->name);
	s->kicked = true;
	idfw_session_sync(e, s, &s->principal->member_of);
	if (r < 0) {
		gi_err("%s@%s: session %llu gives nothing: %s", s->user, s->vm->name,
			(unsigned long long)s->db_id, gi_strerror(r));
		return;
	}
	s->kicked = kicked;
	account_unlink(s);
	account_link(e, s, p);
	idfw_session_resolve(e, s, "names");
}

void idfw_identity_vm(struct idfw_engine *e, struct idfw_vm *vm, const char *directory)
{
	const char *before = vm->directory;
	struct idfw_session *s, *next;

	if (before && strcmp(before, directory ? directory : "") == 0)
		return;
	vm->directory = idfw_str_get(&e->strings, directory ? directory : "");
	if (!vm->directory) {
		gi_err("vm %s: its directory is as it was: out of memory", vm->name);
		vm->directory = before;
	}
	if (!before || vm->directory == before)
		return;
	idfw_str_put(&e->strings, before);
	for (s = vm->sessions; s; s = next) {
		next = s->v_next;
		if (s->principal && !s->is_unit)
			account_again(e, s);
	}
	plan_event_end(e);
}
