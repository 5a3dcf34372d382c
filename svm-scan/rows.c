/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rows.c - what svm-scan says of itself to idfwctl: one JSON object each
 *
 * Main thread; numbers are copies of that moment. Shapes: docs/control.md.
 */
#include "svm-scan/control_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "svm-scan/agentmsg.h"

static void put_str(json_t *o, const char *key, const char *text)
{
	(void)json_object_set_new(o, key, json_string(text));
}

static void put_num(json_t *o, const char *key, uint64_t n)
{
	(void)json_object_set_new(o, key, json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n));
}

static void put_text_or_null(json_t *o, const char *key, const char *text)
{
	(void)json_object_set_new(o, key, text && *text ? json_string(text) : json_null());
}

static void put_epoch(json_t *o, const uint8_t epoch[EPS_EPOCH_MAX])
{
	char hex[2 * EPS_EPOCH_MAX + 1];

	for (size_t i = 0; i < EPS_EPOCH_MAX; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", epoch[i]);
	put_str(o, "epoch", hex);
}

static void put_pool(json_t *o, struct scan_service *s, struct scan_pool_stats *st)
{
	char engines[SCAN_WHY_MAX + 1];

	scan_pool_engines(s->pool, engines);
	scan_pool_stats(s->pool, st);
	put_str(o, "engines", engines);
	put_num(o, "workers", st->workers);
	put_num(o, "workers_ended", st->crashes + st->killed_budget + st->killed_protocol);
	put_num(o, "scanned", st->jobs);
	put_num(o, "scanned_bytes", st->bytes);
	put_num(o, "reloads", st->reloads);
}

static void put_judge(json_t *o, struct scan_service *s)
{
	struct scan_judge_stats st;

	scan_judge_stats(s->judge, &st);
	put_num(o, "list_entries", st.list_entries);
	put_num(o, "cache_entries", st.cache_entries);
	put_num(o, "cache_hits", st.cache_hits);
	put_num(o, "cache_misses", st.cache_misses);
	put_num(o, "followers", st.followers);
}

static void put_eps(json_t *o, struct scan_service *s)
{
	struct eps_stats st = { .size = sizeof(st) };

	eps_stats(s->eps, &st);
	put_num(o, "events", st.events);
	put_num(o, "looked", st.looked);
	put_num(o, "answered", st.answered);
	put_num(o, "gone", st.gone);
	put_num(o, "failed", st.failed);
	put_num(o, "busy", st.busy);
	put_num(o, "waiting", st.waiting);
	put_num(o, "memory_bytes", st.memory_bytes);
	put_num(o, "read_requests", st.read_requests);
	put_num(o, "read_bytes", st.read_bytes);
	put_num(o, "links", st.links);
	put_num(o, "guests", st.guests);
	put_num(o, "bad_frames", st.bad_frames);
	put_num(o, "refused_links", st.refused_links);
}

/* is the audit well? */
static bool put_report(json_t *o, struct scan_service *s)
{
	struct scan_report_stats st;

	scan_report_stats(s->report, &st);
	put_str(o, "svm_idfw", !st.configured ? "none" : st.up ? "up" : "down");
	put_text_or_null(o, "svm_idfw_why", st.why);
	put_num(o, "outbox_waiting", st.box.waiting);
	put_num(o, "outbox_bytes", st.box.bytes);
	put_num(o, "outbox_lost", st.box.lost);
	return !st.configured || (st.up && st.box.lost == 0);
}

json_t *control_row_service(struct scan_service *s, bool *ret_ok)
{
	uint64_t now = io_clock_real_ms();
	struct scan_pool_stats pool;
	json_t *o = json_object();
	bool audit;

	put_str(o, "type", "scan");
	put_str(o, "software", s->software);
	put_num(o, "started_ms", s->started_ms);
	put_num(o, "uptime_ms", now > s->started_ms ? now - s->started_ms : 0);
	put_epoch(o, s->epoch);
	put_num(o, "loaded_ms", s->loaded_ms);
	put_num(o, "load_ms", s->load_ms);
	put_text_or_null(o, "load_error", s->load_error);
	put_pool(o, s, &pool);
	put_judge(o, s);
	put_eps(o, s);
	audit = put_report(o, s);
	*ret_ok = pool.workers > 0 && !*s->load_error && audit;
	(void)json_object_set_new(o, "ok", json_boolean(*ret_ok));
	return o;
}

static json_t *counters_of(const struct scan_vm_info *vm)
{
	Idfw__Envelope *e = NULL;
	json_t *o = json_object();

	if (!vm->counters || scan_agentmsg_decode(IDFW__ENVELOPE__BODY_FILE_COUNTERS, vm->counters,
				     vm->counters_len, &e) < 0)
		return o;
	for (size_t i = 0; i < e->file_counters->n_counter; i++)
		put_num(o, e->file_counters->counter[i]->name, e->file_counters->counter[i]->value);
	wire_envelope_free(e);
	return o;
}

json_t *control_row_vm(const struct scan_vm_info *vm)
{
	json_t *o = json_object(), *v = json_object();

	put_str(o, "type", "vm");
	put_str(o, "vm", vm->name);
	(void)json_object_set_new(o, "connected", json_boolean(vm->connected));
	put_text_or_null(o, "mux", vm->mux);
	if (vm->connected_ms)
		put_num(o, "connected_ms", vm->connected_ms);
	else
		(void)json_object_set_new(o, "connected_ms", json_null());
	put_num(v, "allow", vm->counts[SCAN_VM_ALLOW]);
	put_num(v, "deny", vm->counts[SCAN_VM_DENY]);
	put_num(v, "delete", vm->counts[SCAN_VM_DELETE]);
	put_num(v, "quarantine", vm->counts[SCAN_VM_QUARANTINE]);
	put_num(v, "failed", vm->counts[SCAN_VM_FAILED]);
	(void)json_object_set_new(o, "verdicts", v);
	put_num(o, "found", vm->counts[SCAN_VM_FOUND]);
	put_num(o, "from_cache", vm->counts[SCAN_VM_FROM_CACHE]);
	put_num(o, "quota_hits", vm->counts[SCAN_VM_QUOTA]);
	put_num(o, "findings_summed", vm->counts[SCAN_VM_SUMMED]);
	put_num(o, "reports", vm->counts[SCAN_VM_REPORTS]);
	put_num(o, "reports_refused", vm->counts[SCAN_VM_REPORTS_REFUSED]);
	put_num(o, "reports_summed", vm->counts[SCAN_VM_REPORTS_SUMMED]);
	put_num(o, "actions_failed", vm->counts[SCAN_VM_ACTIONS_FAILED]);
	(void)json_object_set_new(o, "counters", counters_of(vm));
	return o;
}

static const char *kind_name(enum eps_kind k)
{
	return k == EPS_DENY ? "deny" : k == EPS_DELETE ? "delete" : "quarantine";
}

static const char *isolate_name(Idfw__FileIsolate i)
{
	return i == IDFW__FILE_ISOLATE__FILE_ISOLATE_VM	       ? "vm"
	       : i == IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION ? "session"
							       : "none";
}

json_t *control_row_rules(struct scan_service *s, const char *vm, const uint8_t *sha256)
{
	char signature[EPS_SIGNATURE_MAX + 1] = "";
	enum scan_listed listed = SCAN_NOT_LISTED;
	enum scan_outcome cached = 0;
	struct scan_rules rules;
	json_t *o = json_object();

	scan_vms_rules(s->vms, vm, &rules);
	if (sha256)
		scan_judge_known(s->judge, sha256, &listed, &cached, signature);
	put_str(o, "type", "service");
	put_str(o, "vm", vm);
	put_epoch(o, s->epoch);
	put_str(o, "on_open", kind_name(rules.on_open));
	put_str(o, "on_write", kind_name(rules.on_write));
	put_str(o, "isolate", isolate_name(rules.isolate));
	put_str(o, "isolate_unknown", isolate_name(rules.isolate_unknown));
	put_num(o, "max_file", rules.max_file_bytes);
	put_num(o, "events_per_second", rules.events_per_s);
	put_num(o, "bytes_per_second", rules.bytes_per_s);
	put_num(o, "findings_per_hour", rules.findings_per_h);
	put_num(o, "reports_per_hour", rules.reports_per_h);
	put_text_or_null(o, "listed",
		listed == SCAN_LISTED_ALLOW  ? "allow"
		: listed == SCAN_LISTED_DENY ? "deny"
					     : NULL);
	put_text_or_null(o, "cached",
		cached == SCAN_CLEAN   ? "clean"
		: cached == SCAN_FOUND ? "found"
				       : NULL);
	put_text_or_null(o, "signature", signature);
	return o;
}

json_t *control_row_step(const char *step, bool ok, const char *text)
{
	return json_pack(
		"{s:s, s:s, s:b, s:s}", "type", "step", "step", step, "ok", ok, "text", text);
}
