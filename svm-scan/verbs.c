/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verbs.c - what idfwctl can ask svm-scan: a row of the table each
 *
 * Main thread. A verb's begin() either ends, or sends commands to agents, or waits for a tick.
 * Who changes something on a guest is audited before the agent is told. Source: docs/control.md.
 */
#include "svm-scan/control_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/sha256.h"

/* ---- scan-status ---- */

static void status_begin(struct scan_query *q)
{
	struct scan_vm_info vm;
	bool ok = false;

	if (q->n_args && !scan_vms_info(q->svc->vms, q->args[0], &vm)) {
		control_end(q, 4, "%.60s has not been connected to the scan service", q->args[0]);
		return;
	}
	if (q->n_args)
		free(vm.counters);
	control_row(q, control_row_service(q->svc, &ok));
	q->stage = ok ? 0 : 1;
}

static void status_more(struct scan_query *q)
{
	struct scan_vm_info vm;
	bool one = q->n_args > 0;

	if (one && *q->cursor) {
		control_end(q, (uint32_t)q->stage, "the scan service is not well");
	} else if (one) {
		(void)snprintf(q->cursor, sizeof(q->cursor), "%s", q->args[0]);
	} else if (!scan_vms_next(q->svc->vms, q->cursor, q->cursor)) {
		control_end(q, (uint32_t)q->stage, "the scan service is not well");
	}
	if (q->done || !scan_vms_info(q->svc->vms, q->cursor, &vm))
		return;
	control_row(q, control_row_vm(&vm));
	free(vm.counters);
}

/* ---- scan-test ---- */

enum test_stage { TEST_AGENT, TEST_VERDICT, TEST_DONE, TEST_RECORD };

/* false: that was the last */
static bool test_step(struct scan_query *q, const char *step, bool ok, const char *text)
{
	control_row(q, control_row_step(step, ok, text));
	if (!ok)
		control_end(q, 1, "%s: %s", step, text);
	return ok;
}

static uint64_t vm_count(struct scan_query *q, enum scan_vm_count what)
{
	struct scan_vm_info vm;
	uint64_t n;

	if (!scan_vms_info(q->svc->vms, q->args[0], &vm))
		return 0;
	n = vm.counts[what];
	free(vm.counters);
	return n;
}

/* EICAR is EICAR: the VM would be cut off by its own test, which nobody's session did */
static bool test_would_isolate(const struct scan_rules *r)
{
	return scan_rules_isolate(r, 0) == IDFW__FILE_ISOLATE__FILE_ISOLATE_VM;
}

static void test_begin(struct scan_query *q)
{
	Idfw__FileCommand cmd = IDFW__FILE_COMMAND__INIT;
	char engines[SCAN_WHY_MAX + 1];
	struct scan_pool_stats pool;
	struct scan_vm_info vm;
	uint64_t id;
	bool known = scan_vms_info(q->svc->vms, q->args[0], &vm);

	if (known)
		free(vm.counters);
	if (!test_step(q, "guest", known && vm.connected,
		    known && vm.connected ? vm.mux : "it is not connected to the scan service"))
		return;
	if (test_would_isolate(&vm.rules)) {
		(void)test_step(q, "rules", false,
			"the finding would isolate the VM: set isolate or isolate-unknown to none "
			"first");
		return;
	}
	scan_pool_stats(q->svc->pool, &pool);
	scan_pool_engines(q->svc->pool, engines);
	if (!test_step(q, "engines", pool.workers > 0,
		    pool.workers > 0 ? engines : "no worker is ready"))
		return;
	q->before = vm_count(q, SCAN_VM_FOUND);
	q->target = vm_count(q, SCAN_VM_RECORDS);
	q->summed = vm_count(q, SCAN_VM_SUMMED);
	control_audit(q, q->args[0], "", "scan test");
	cmd.verb = IDFW__FILE_COMMAND__VERB__TEST;
	(void)control_command(q, q->args[0], &cmd, &id);
}

static void test_tick(struct scan_query *q)
{
	struct scan_report_stats st;
	bool late = io_clock_mono_ms() - q->heard_ms > CONTROL_STEP_MS;

	if (q->stage == TEST_VERDICT) {
		bool found = vm_count(q, SCAN_VM_FOUND) > q->before;

		if (!found && !late)
			return;
		if (!test_step(q, "verdict", found,
			    found ? "the service found it"
				  : "the service was not asked, or found nothing"))
			return;
		q->stage = TEST_DONE;
	}
	scan_report_stats(q->svc->report, &st);
	if (q->stage == TEST_DONE) {
		bool said = vm_count(q, SCAN_VM_RECORDS) > q->target;

		if (!said && !late)
			return;
		if (!said) {
			(void)test_step(q, "record", false,
				vm_count(q, SCAN_VM_SUMMED) > q->summed
					? "the VM is over findings-per-hour: it is in a sum"
					: "the guest never said what it did");
			return;
		}
		q->target = st.box.last_seq;
		q->stage = TEST_RECORD;
	}
	if (q->stage != TEST_RECORD)
		return;
	if (!st.configured)
		(void)test_step(q, "record", true, "no svm-idfw is configured: it is in the log");
	else if (st.box.acked_seq >= q->target)
		(void)test_step(q, "record", true, "svm-idfw has it");
	else if (!late)
		return;
	else
		(void)test_step(
			q, "record", false, st.up ? "svm-idfw has not acknowledged it" : st.why);
	control_end(q, 0, "%s", "");
}

static void test_reply(struct scan_query *q, const char *vm, const Idfw__FileReply *r)
{
	json_t *row = *r->json ? json_loads(r->json, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *step = "agent", *text = "it failed";
	int ok = 1;

	if (row)
		(void)json_unpack(row, "{s?s, s?b, s?s}", "step", &step, "ok", &ok, "text", &text);
	if (*r->json)
		control_row_pass(q, vm, r->json);
	if (!ok)
		control_end(q, 1, "%.60s: %s", step, text);
	else if (r->last && r->status)
		control_end(q, r->status, "%s", r->text);
	else if (r->last)
		q->stage = TEST_VERDICT;
	json_decref(row);
	if (!q->done && q->stage == TEST_VERDICT)
		test_tick(q);
}

/* ---- scan-explain ---- */

/* true: @path may be sent */
static bool path_good(struct scan_query *q, const char *path)
{
	if (*path == '/' && strlen(path) <= WIRE_PATH_MAX)
		return true;
	control_end(q, 2, "the path must begin with /, and have at most %d bytes", WIRE_PATH_MAX);
	return false;
}

static bool path_command(struct scan_query *q, Idfw__FileCommand__Verb verb, uint64_t *ret_id)
{
	Idfw__FileCommand cmd = IDFW__FILE_COMMAND__INIT;

	cmd.verb = verb;
	cmd.path =
		(ProtobufCBinaryData){ .len = strlen(q->args[1]), .data = (uint8_t *)q->args[1] };
	return control_command(q, q->args[0], &cmd, ret_id);
}

static void explain_begin(struct scan_query *q)
{
	uint64_t id;

	if (path_good(q, q->args[1]))
		(void)path_command(q, IDFW__FILE_COMMAND__VERB__EXPLAIN, &id);
}

static void explain_reply(struct scan_query *q, const char *vm, const Idfw__FileReply *r)
{
	json_t *row = *r->json ? json_loads(r->json, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const char *hex = NULL;

	if (row && json_unpack(row, "{s:s}", "sha256", &hex) == 0 &&
		io_sha256_parse(hex, strlen(hex), q->sha256) == 0)
		q->has_sha256 = true;
	json_decref(row);
	if (*r->json)
		control_row_pass(q, vm, r->json);
	if (!r->last)
		return;
	if (r->status == 0)
		control_row(q, control_row_rules(q->svc, vm, q->has_sha256 ? q->sha256 : NULL));
	control_end(q, r->status, "%s", r->text);
}

/* ---- scan-now ---- */

static void now_begin(struct scan_query *q)
{
	if (!path_good(q, q->args[1]))
		return;
	if (path_command(q, IDFW__FILE_COMMAND__VERB__SCAN, &q->scan_id))
		control_audit(q, q->args[0], q->args[1], "scan now");
}

/* ---- scan-reload ---- */

static void reload_ended(struct scan_query *q, int err, const char *text)
{
	json_t *full, *row;
	bool ok;

	if (err < 0) {
		gi_buf_append(&q->text, text, strlen(text)); /* says why, if anything is known */
		control_end(q, 1, "not loaded, the old signatures and list go on%s%s",
			*text ? "" : ": ", *text ? "" : gi_strerror(err));
		return;
	}
	full = control_row_service(q->svc, &ok);
	row = json_object();
	(void)json_object_set(row, "epoch", json_object_get(full, "epoch"));
	(void)json_object_set(row, "engines", json_object_get(full, "engines"));
	(void)json_object_set(row, "list_entries", json_object_get(full, "list_entries"));
	json_decref(full);
	control_row(q, row);
	control_end(q, 0, "%s", "");
}

static void reload_begin(struct scan_query *q)
{
	int err = scan_reload_start(q->svc);

	if (err < 0)
		reload_ended(q, err, gi_buf_str(&q->svc->reload.text));
}

/* ---- quarantine ---- */

static void list_ask(struct scan_query *q, const char *vm)
{
	Idfw__FileCommand cmd = IDFW__FILE_COMMAND__INIT;
	uint64_t id;

	cmd.verb = IDFW__FILE_COMMAND__VERB__QUARANTINE_LIST;
	(void)control_command(q, vm, &cmd, &id);
}

static void list_begin(struct scan_query *q)
{
	char vm[EPS_VM_MAX + 1] = "";
	struct scan_vm_info info;

	for (size_t i = 0; !q->done && i < q->n_args; i++)
		list_ask(q, q->args[i]);
	while (!q->n_args && !q->done && scan_vms_next(q->svc->vms, vm, vm)) {
		if (!scan_vms_info(q->svc->vms, vm, &info))
			continue;
		free(info.counters);
		if (info.connected)
			list_ask(q, vm);
	}
	if (!q->done && !q->n_commands)
		control_end(q, 1, "no VM is connected to the scan service");
}

static void list_reply(struct scan_query *q, const char *vm, const Idfw__FileReply *r)
{
	if (*r->json)
		control_row_pass(q, vm, r->json);
	if (!r->last)
		return;
	if (r->status) { /* an empty store is no error */
		control_row(q, json_pack("{s:s, s:s}", "vm", vm, "error", r->text));
		q->stage = 1;
	}
	if (q->n_commands)
		return;
	if (q->stage)
		control_end(q, 1, "not all VMs answered");
	else
		control_end(q, q->rows ? 0 : 1, "%s", q->rows ? "" : "nothing is in quarantine");
}

/* 32 hexadecimal digits */
static bool id_parse(const char *hex, uint8_t ret[WIRE_QUARANTINE_ID_LEN])
{
	char twice[65];
	uint8_t all[32];

	if (strlen(hex) != 2 * WIRE_QUARANTINE_ID_LEN)
		return false;
	(void)snprintf(twice, sizeof(twice), "%s%s", hex, hex);
	if (io_sha256_parse(twice, 64, all) < 0)
		return false;
	memcpy(ret, all, WIRE_QUARANTINE_ID_LEN);
	return true;
}

static void id_command(struct scan_query *q, Idfw__FileCommand__Verb verb, const char *what)
{
	Idfw__FileCommand cmd = IDFW__FILE_COMMAND__INIT;
	uint8_t id[WIRE_QUARANTINE_ID_LEN];
	char text[WIRE_TEXT_MAX + 1];
	uint64_t cmd_id;
	bool all = verb == IDFW__FILE_COMMAND__VERB__QUARANTINE_PURGE &&
		   strcmp(q->args[1], "all") == 0;

	if (!all && !id_parse(q->args[1], id)) {
		control_end(q, 2, "\"%.40s\" is no id: 32 hexadecimal digits, see quarantine list",
			q->args[1]);
		return;
	}
	cmd.verb = verb;
	if (!all)
		cmd.quarantine_id = (ProtobufCBinaryData){ .len = sizeof(id), .data = id };
	if (!control_command(q, q->args[0], &cmd, &cmd_id))
		return;
	(void)snprintf(text, sizeof(text), "quarantine %s %.40s", what, q->args[1]);
	control_audit(q, q->args[0], "", text);
}

static void restore_begin(struct scan_query *q)
{
	id_command(q, IDFW__FILE_COMMAND__VERB__QUARANTINE_RESTORE, "restore");
}

static void purge_begin(struct scan_query *q)
{
	id_command(q, IDFW__FILE_COMMAND__VERB__QUARANTINE_PURGE, "purge");
}

const struct control_verb control_verbs[] = {
	{ .name = "scan-status", .max_args = 1, .begin = status_begin, .more = status_more },
	{ .name = "scan-test",
		.min_args = 1,
		.max_args = 1,
		.begin = test_begin,
		.reply = test_reply,
		.tick = test_tick },
	{ .name = "scan-explain",
		.min_args = 2,
		.max_args = 2,
		.begin = explain_begin,
		.reply = explain_reply },
	{ .name = "scan-now", .min_args = 2, .max_args = 2, .begin = now_begin },
	{ .name = "scan-reload", .begin = reload_begin, .reloaded = reload_ended },
	{ .name = "quarantine-list",
		.max_args = CONTROL_ARGS_MAX,
		.begin = list_begin,
		.reply = list_reply,
		.adds_vm = true },
	{ .name = "quarantine-restore", .min_args = 2, .max_args = 2, .begin = restore_begin },
	{ .name = "quarantine-purge", .min_args = 2, .max_args = 2, .begin = purge_begin },
};
const size_t control_n_verbs = GI_ARRAY_SIZE(control_verbs);
