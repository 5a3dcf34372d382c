/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * callbacks.c - what libepsec calls, in its thread: look, outcome, guests, reports, replies
 *
 * Nothing here blocks for longer than a write to the outbox. While eps_open() has not returned,
 * .eps is NULL: main.c makes up for it with scan_guests_settle(). Until .ready
 * there is no judge: the fail policies decide. What an agent reports is acknowledged
 * to it when svm-idfw has it; a report that is not taken stays with the agent.
 */
#include "svm-scan/service.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "svm-scan/agentmsg.h"

static bool on_look(void *arg, struct eps_event *ev)
{
	struct scan_service *s = arg;
	const struct eps_verdict v = {
		.size = sizeof(v), .kind = EPS_FAILED, .reason = "the scan service is starting"
	};

	if (atomic_load(&s->ready))
		return scan_judge_look(s->judge, ev);
	(void)!eps_answer(ev, &v);
	return true;
}

/* only what the judge has answered has an outcome: it is there */
static void on_done(void *arg, const char *vm, const struct eps_done *d)
{
	scan_judge_done(((struct scan_service *)arg)->judge, vm, d);
}

/* its limits; and what it may forget: it may have sent that when we were not there to tell */
static void guest_settle(
	struct scan_service *s, struct eps *e, const char *vm, const uint8_t boot_id[16])
{
	uint64_t done = scan_report_reported(s->report, vm, boot_id);
	struct scan_rules rules;

	scan_vms_rules(s->vms, vm, &rules);
	(void)!eps_guest_limits_set(e, vm, rules.credits, rules.max_file_bytes);
	if (done)
		(void)!eps_report_ack(e, vm, boot_id, done);
}

void scan_guests_settle(struct scan_service *s)
{
	char vm[EPS_VM_MAX + 1] = "";
	struct scan_vm_info info;

	while (scan_vms_next(s->vms, vm, vm)) {
		if (!scan_vms_info(s->vms, vm, &info))
			continue;
		free(info.counters);
		guest_settle(s, atomic_load(&s->eps), vm, info.boot);
	}
}

static void on_up(void *arg, const char *vm, const char *mux, const uint8_t boot_id[16])
{
	struct scan_service *s = arg;
	struct eps *e = atomic_load(&s->eps);

	gi_info("%s: connected, through %s", vm, mux);
	scan_vms_up(s->vms, vm, mux, boot_id);
	if (e)
		guest_settle(s, e, vm, boot_id);
}

static void on_down(void *arg, const char *vm, const char *why)
{
	struct scan_service *s = arg;

	gi_info("%s: gone: %s", vm, why);
	scan_vms_down(s->vms, vm);
	scan_control_guest_down(s->control, vm);
}

/* a VM's reports are bounded: beyond that they are a sum. False: it is to have its record */
static bool sum_up(struct scan_service *s, const char *vm, const uint8_t boot_id[16], uint64_t seq,
	const Idfw__FileReport *rep, bool *ret_done)
{
	enum scan_vm_sum what = rep->body_case == IDFW__FILE_REPORT__BODY_PASSED
					? SCAN_VM_SUM_PASSED
					: SCAN_VM_SUM_FIM;
	int err;

	if (scan_vms_report_room(s->vms, vm, what))
		return false;
	err = scan_report_skip(s->report, vm, boot_id, seq, ret_done);
	if (err == 0)
		scan_vms_report_summed(s->vms, vm, what);
	return err == 0 || err == -EALREADY;
}

static void on_report(void *arg, const char *vm, const uint8_t boot_id[16], uint64_t seq,
	const uint8_t *buf, size_t len)
{
	struct scan_service *s = arg;
	Idfw__Envelope *e = NULL;
	Idfw__ScanRecord rec;
	bool done = false;
	struct eps *eps = atomic_load(&s->eps);
	int err = scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_REPORT, buf, len, &e);

	if (err < 0) {
		gi_warn("%s: report %llu is not readable: %s", vm, (unsigned long long)seq,
			gi_strerror(err));
		return;
	}
	if (sum_up(s, vm, boot_id, seq, e->file_report, &done))
		goto out;
	scan_agentmsg_record(e->file_report, vm, boot_id, &rec);
	err = scan_report_agent(s->report, vm, boot_id, seq, &rec, &done);
	if (err == 0)
		scan_vms_count(s->vms, vm, SCAN_VM_REPORTS);
	else if (err != -EALREADY)
		scan_vms_count(s->vms, vm, SCAN_VM_REPORTS_REFUSED);
out:
	if (done && eps)
		(void)!eps_report_ack(eps, vm, boot_id, seq);
	wire_envelope_free(e);
}

static void on_counters(void *arg, const char *vm, const uint8_t *buf, size_t len)
{
	scan_vms_counters(((struct scan_service *)arg)->vms, vm, buf, len);
}

static void on_reply(void *arg, const char *vm, uint64_t id, const uint8_t *buf, size_t len)
{
	scan_control_reply(((struct scan_service *)arg)->control, vm, id, buf, len);
}

static void on_log(void *arg, enum eps_log_level level, const char *text)
{
	(void)arg;
	gi_log((enum gi_log_level)level, "%s", text);
}

const struct eps_ops scan_eps_ops = { .size = sizeof(struct eps_ops),
	.look = on_look,
	.done = on_done,
	.guest_up = on_up,
	.guest_down = on_down,
	.report = on_report,
	.counters = on_counters,
	.reply = on_reply,
	.log = on_log };
