/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_account.c - svm-idfw/account.c and age.c against a model: many accounts, random answers,
 * outages, restarts and time
 *
 * After each step every account with a session has exactly the groups that it should have by the
 * model, which knows when each was confirmed and computes everything anew. The heap of what comes
 * by time is right if nothing is late by a millisecond.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/svm-idfw/world.h"

#define USERS 60
#define STEPS 2000
#define POLICY                                                                              \
	"default in drop; default out drop; on-stale hold 40m;\n"                           \
	"group g0 { directory \"g0\"; } group g1 { directory \"g1\"; on-stale hold 5m; }\n" \
	"group g2 { directory \"g2\"; on-stale hold; }\n"                                   \
	"section application { rule r allow from g0, g1, g2 to 10.9.9.9; }\n"

static const uint64_t hold_ms[] = { 40 * 60000, 5 * 60000, UINT64_MAX };

struct user {
	char name[16];
	bool found; /* ever */
	uint32_t groups, state, revokes;
	uint64_t expires_ms, session, confirmed_ms; /* by the world's monotonic clock */
	bool stale;
};

struct model {
	struct world w;
	struct user users[USERS];
	uint64_t seq, dice;
	bool up;
};

static uint32_t roll(struct model *m, uint32_t n)
{
	m->dice ^= m->dice << 13;
	m->dice ^= m->dice >> 7;
	m->dice ^= m->dice << 17;
	return (uint32_t)(m->dice >> 11) % n;
}

static void say(struct model *m, Idfw__Event *ev)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;

	ev->seq = ++m->seq;
	env.body_case = IDFW__ENVELOPE__BODY_EVENT;
	env.event = ev;
	assert_int_equal(world_say(&m->w, "vm", &env), 0);
}

static void log_in(struct model *m, struct user *u)
{
	Idfw__Session s = IDFW__SESSION__INIT;
	Idfw__SessionOpen open = IDFW__SESSION_OPEN__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;

	s.id = u->session = m->seq + 1;
	s.user = u->name;
	s.uid = 5000 + (uint32_t)(u - m->users);
	s.service = (char *)(uintptr_t) "sshd";
	open.session = &s;
	ev.body_case = IDFW__EVENT__BODY_OPEN;
	ev.open = &open;
	say(m, &ev);
}

static void log_out(struct model *m, struct user *u)
{
	Idfw__SessionClose close = IDFW__SESSION_CLOSE__INIT;
	Idfw__Event ev = IDFW__EVENT__INIT;

	close.id = u->session;
	close.reason = IDFW__END_REASON__END_CLOSE;
	ev.body_case = IDFW__EVENT__BODY_CLOSE;
	ev.close = &close;
	u->session = 0;
	say(m, &ev);
}

static void answer(struct model *m, struct user *u)
{
	static char names[3][4] = { "g0", "g1", "g2" }, empty[] = "";
	struct idfw_group groups[3];
	struct idfw_principal p = { .presence = IDFW_P_FOUND,
		.name = u->name,
		.upn = empty,
		.dn = empty,
		.sid = empty,
		.groups = groups };

	u->found = true;
	u->stale = false;
	u->groups = roll(m, 8);
	u->state = roll(m, 3) ? 0 : roll(m, 16) & ~(uint32_t)IDFW_ACCT_EXPIRED;
	u->revokes = roll(m, 16);
	u->expires_ms = roll(m, 2) ? 0 : m->w.real_ms + roll(m, 1800000) - 300000;
	u->confirmed_ms = m->w.mono_ms;
	for (size_t g = 0; g < 3; g++)
		if (u->groups >> g & 1)
			groups[p.n_groups++] =
				(struct idfw_group){ .name = names[g], .dn = empty, .sid = empty };
	p.account = (struct idfw_account){
		.state = u->state, .revokes = u->revokes, .expires_ms = u->expires_ms
	};
	idfw_engine_principal(m->w.e, u->name, &p);
}

/* everybody is confirmed as of now, unless somebody may have changed */
static void confirm(struct model *m)
{
	for (struct user *u = m->users; m->up && u < m->users + USERS; u++)
		if (u->found && !u->stale)
			u->confirmed_ms = m->w.mono_ms;
}

static void set_up(struct model *m, bool up)
{
	confirm(m);
	for (struct user *u = m->users; up && !m->up && u < m->users + USERS; u++)
		u->stale = true;
	m->up = up;
	idfw_engine_directory_state(m->w.e, "", up, "test");
}

static void changed(struct model *m)
{
	confirm(m);
	for (struct user *u = m->users; u < m->users + USERS; u++)
		u->stale = true;
	idfw_engine_directory_changed(m->w.e, &(struct idfw_changes){ .all = true });
}

static const struct idfw_principal *principal(struct model *m, const struct user *u)
{
	const struct idfw_principal *p = idfw_engine_principals(m->w.e);

	while (p && strcmp(p->key, u->name) != 0)
		p = p->hh.next;
	return p;
}

static uint32_t should(const struct model *m, const struct user *u)
{
	uint32_t state = u->state, groups = 0;

	if (u->expires_ms && u->expires_ms <= m->w.real_ms)
		state |= IDFW_ACCT_EXPIRED;
	for (size_t g = 0; g < 3; g++)
		if (m->w.mono_ms - u->confirmed_ms < hold_ms[g])
			groups |= u->groups & 1u << g;
	return state & u->revokes ? 0 : groups;
}

static void check(struct model *m, uint32_t step)
{
	const struct pol_policy *pol = idfw_engine_policy_now(m->w.e, NULL);

	confirm(m);
	for (struct user *u = m->users; u < m->users + USERS; u++) {
		const struct idfw_principal *p = principal(m, u);
		uint32_t has = 0;

		if (!u->session || !u->found)
			continue;
		for (size_t g = 0; g < p->member_of.n; g++)
			if (pol_set_has(&p->member_of, g) && pol_group_name(pol, g)[0] == 'g')
				has |= 1u << (pol_group_name(pol, g)[1] - '0');
		if (has != should(m, u))
			fail_msg("step %u: %s has %x, should have %x", step, u->name, has,
				should(m, u));
	}
}

static void step(struct model *m)
{
	struct user *u = &m->users[roll(m, USERS)];
	uint32_t what = roll(m, 100);

	if (what < 30 && u->session)
		answer(m, u);
	else if (what < 45 && !u->session)
		log_in(m, u);
	else if (what < 55 && u->session)
		log_out(m, u);
	else if (what < 60)
		set_up(m, roll(m, 2));
	else if (what < 62)
		changed(m);
}

/* to the millisecond at which something comes for an account, or the one before; else anywhere */
static uint64_t span(struct model *m)
{
	static const uint32_t spans[] = { 1, 20, 1000, 60000, 400000, 1500000 };
	uint32_t how = roll(m, 4), first = roll(m, USERS);
	uint64_t hold = hold_ms[roll(m, 2)];

	for (uint32_t i = 0; how < 2 && i < USERS; i++) {
		const struct user *u = &m->users[(first + i) % USERS];

		if (!u->session || !u->found)
			continue;
		if (how == 0 && u->expires_ms > m->w.real_ms)
			return u->expires_ms - m->w.real_ms - roll(m, 2);
		if (how == 1 && !(m->up && !u->stale) && u->confirmed_ms + hold > m->w.mono_ms)
			return u->confirmed_ms + hold - m->w.mono_ms - roll(m, 2);
	}
	return roll(m, spans[roll(m, how < 2 ? 3 : GI_ARRAY_SIZE(spans))]);
}

static void pass(struct model *m)
{
	uint64_t ms = span(m);

	m->w.mono_ms += ms;
	m->w.real_ms += ms;
}

static void test_account_groups_agree_with_the_model(void **state)
{
	static struct model m;
	const char *wrong;

	(void)state;
	m = (struct model){ .dice = 88172645463325252u };
	world_init(&m.w);
	m.w.quiet = true;
	assert_int_equal(world_policy(&m.w, POLICY), 0);
	for (int i = 0; i < USERS; i++)
		(void)snprintf(m.users[i].name, sizeof(m.users[i].name), "user%d", i);
	assert_int_equal(world_up(&m.w, "vm", NULL, 0, NULL), 0);
	assert_int_equal(world_hello(&m.w, "vm", 1, 1), 0);
	set_up(&m, true);
	for (uint32_t i = 0; i < STEPS; i++) {
		idfw_engine_clock(m.w.e, m.w.mono_ms, m.w.real_ms);
		step(&m);
		wrong = world_settle(&m.w);
		if (wrong)
			fail_msg("step %u: %s", i, wrong);
		check(&m, i);
		pass(&m);
		wrong = world_settle(&m.w);
		if (wrong)
			fail_msg("step %u, later: %s", i, wrong);
		check(&m, i);
	}
	world_fini(&m.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account_groups_agree_with_the_model),
	};

	gi_log_init("test", 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
