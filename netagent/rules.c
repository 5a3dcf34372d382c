/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rules.c - rulesets and deltas of the SVM on their way to the pusher, answers on their way back
 *
 * Runs in gi-netagent's parsing process, which decodes and checks; the pusher checks again what it
 * gets. Each commit or delta is answered by one Applied. Without a pusher everything is STALE: the
 * SVM then sends a whole ruleset, which the next pusher takes. Nothing is ever opened here: no
 * ruleset in the kernel means that the kernel's last one stands. A Lease goes on as it comes and at
 * no other time: who renews is the SVM, and nobody in its place (ADR 15).
 */
#include "netagent/agent.h"

#include <inttypes.h>
#include <stdio.h>

#include "lib/base/log.h"

#define MARKS_WAIT_MS 3000 /* for a pusher, before the SVM is told that nothing is known */

static void send_applied(struct na_agent *a, uint64_t generation, uint64_t version,
	Idfw__Applied__Result result, const char *text)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Applied ap = IDFW__APPLIED__INIT;
	char clean[WIRE_TEXT_MAX];
	size_t n = 0;

	for (; text[n] && n < sizeof(clean) - 1; n++)
		clean[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
	clean[n] = '\0';
	ap.generation = generation;
	ap.version = version;
	ap.result = result;
	ap.text = clean;
	env.body_case = IDFW__ENVELOPE__BODY_APPLIED;
	env.applied = &ap;
	/* not open: the next connection begins with Marks, which say more */
	(void)!na_link_send(a->link, &env);
}

static void done_cb(void *arg, uint64_t generation, uint64_t version, int err, const char *why)
{
	struct na_agent *a = arg;

	if (err == 0) {
		gi_debug("version %" PRIu64 " of generation %" PRIu64 " is enforced", version,
			generation);
		send_applied(a, generation, version, IDFW__APPLIED__RESULT__OK, "");
	} else if (err == -GI_ESTATE) {
		gi_info("version %" PRIu64 " needs a whole ruleset: %s", version, why);
		send_applied(a, generation, version, IDFW__APPLIED__RESULT__STALE, why);
	} else {
		gi_err("version %" PRIu64 " of generation %" PRIu64 " failed: %s", version,
			generation, why);
		send_applied(a, generation, version, IDFW__APPLIED__RESULT__FAILED, why);
	}
}

/* ---- marks: what the kernel holds, told once a connection ---- */

static int marks_emit(void *arg, const uint8_t *buf, size_t len)
{
	struct na_agent *a = arg;

	return na_link_send_frame(a->link, buf, len);
}

static void send_marks(struct na_agent *a, uint64_t generation, uint64_t version,
	const struct fw_elem *elems, size_t n)
{
	int err;

	a->marks_due = false;
	io_timer_stop(a->loop, &a->marks_timer);
	if (!na_link_is_open(a->link))
		return;
	err = fw_wire_write_marks(generation, version, elems, n, marks_emit, a);
	if (err < 0) {
		gi_err("the kernel's marks cannot be reported: %s", gi_strerror(err));
		na_link_fail(a->link, "Marks could not be sent");
	}
}

static void marks_cb(
	void *arg, uint64_t generation, uint64_t version, const struct fw_elem *elems, size_t n)
{
	send_marks(arg, generation, version, elems, n);
}

static void marks_timeout_cb(struct io_timer *t)
{
	gi_warn("no pusher: the SVM is told that nothing is known of the kernel's rules");
	send_marks(t->arg, 0, 0, NULL, 0);
}

static void ask_marks(struct na_agent *a)
{
	if (na_push_marks(a->push) < 0)
		io_timer_start(a->loop, &a->marks_timer, MARKS_WAIT_MS, 0, marks_timeout_cb, a);
}

void na_rules_opened(struct na_agent *a)
{
	a->marks_due = true;
	ask_marks(a);
}

/* ---- the pusher comes and goes ---- */

static void lost_cb(void *arg, const char *why)
{
	(void)arg;
	gi_warn("%s: the kernel keeps its rules, changes wait", why);
}

static void alarm_cb(void *arg, unsigned int kind, bool over, const char *text)
{
	struct na_agent *a = arg;

	if (kind == 0 || kind >= NA_ALARM_KINDS)
		return;
	if (over)
		na_alarm_over(a, (Idfw__Alarm__Kind)kind);
	else
		na_alarm_begin(a, (Idfw__Alarm__Kind)kind, text);
}

void na_rules_pusher(struct na_agent *a, int fd)
{
	na_push_attach(a->push, fd);
	if (a->marks_due) {
		ask_marks(a);
		return;
	}
	/* it knows nothing of what its predecessor did: a whole ruleset, please */
	if (na_link_is_open(a->link))
		send_applied(a, 0, 0, IDFW__APPLIED__RESULT__STALE, "the pusher was started again");
}

const struct na_push_ops na_rules_push_ops = {
	.done = done_cb,
	.marks = marks_cb,
	.alarm = alarm_cb,
	.lost = lost_cb,
};

/* ---- from the SVM ---- */

static void take_ruleset(struct na_agent *a, const Idfw__Envelope *e)
{
	struct fw_state *s = NULL;
	const char *why = "";

	if (fw_wire_reader_feed(a->reader, e, &s, &why) < 0) {
		gi_err("ruleset from the SVM is not used: %s", why);
		na_link_fail(a->link, why);
		return;
	}
	if (!s)
		return;
	gi_info("ruleset of generation %" PRIu64 ", version %" PRIu64 ", %zu elements",
		fw_state_ruleset(s)->generation, fw_state_version(s), fw_state_count(s));
	if (na_push_state(a->push, s) < 0)
		done_cb(a, fw_state_ruleset(s)->generation, fw_state_version(s), -GI_ESTATE,
			"there is no pusher now");
	fw_state_free(s);
}

static void take_delta(struct na_agent *a, const Idfw__Delta *m)
{
	struct fw_delta *d = NULL;
	const char *why = "";

	if (fw_wire_read_delta(m, &d, &why) < 0) {
		gi_err("delta from the SVM is not used: %s", why);
		na_link_fail(a->link, why);
		return;
	}
	if (na_push_delta(a->push, d) < 0)
		done_cb(a, d->generation, d->version, -GI_ESTATE, "there is no pusher now");
	fw_delta_free(d);
}

void na_rules_message(struct na_agent *a, const Idfw__Envelope *e)
{
	if (e->body_case == IDFW__ENVELOPE__BODY_DELTA)
		take_delta(a, e->delta);
	else if (e->body_case == IDFW__ENVELOPE__BODY_LEASE)
		/* for what runs, whichever version that is: the one it names may be on its way */
		na_push_renew(a->push);
	else
		take_ruleset(a, e);
}
