/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scan.c - the scan service: status, test, explain, reload (scannow.c: now)
 *
 * Rows are svm-scan's and, passed on by it, gi-fileagent's (docs/control.md).
 */
#include "idfwctl/run.h"

#include <inttypes.h>
#include <string.h>
#include "idfwctl/show.h"

/* ---- status ---- */

struct status {
	bool color;
	struct ctl_table vms, passed;
};

static const char *const vm_heads[] = { "VM", "STATE", "#ALLOW", "#DENY", "#DELETE", "#QUARANTINE",
	"#FAILED", "#FOUND", "#CACHED", "#HELD", "MUX" };
static const char *const passed_heads[] = { "VM", "NOT SCANNED", "#LET THROUGH", "#REFUSED" };

static void put_service(const json_t *r, bool color)
{
	bool ok = ctl_row_true(r, "ok");
	enum ctl_tone tone = ok ? CTL_GOOD : CTL_BAD;
	char when[CTL_TIME_STRLEN], span[CTL_TIME_STRLEN];

	ctl_putf("%s: ", ctl_row_text(r, "software"));
	printf("%s%s%s\n", ctl_tone_on(tone, color), ok ? "all is well" : "not well",
		ctl_tone_off(tone, color));
	ctl_putf("  engines    %s; %" PRIu64 " hashes listed\n", ctl_row_text(r, "engines"),
		ctl_row_number(r, "list_entries"));
	ctl_putf("  loaded     %s, epoch %.16s\n",
		ctl_time_format(ctl_row_number(r, "loaded_ms"), when), ctl_row_text(r, "epoch"));
	if (ctl_row_text(r, "load_error")[0])
		ctl_putf("  reload     %s: FAILED, the above goes on: %s\n",
			ctl_time_format(ctl_row_number(r, "load_ms"), when),
			ctl_row_text(r, "load_error"));
	printf("  running    since %s (%s)\n",
		ctl_time_format(ctl_row_number(r, "started_ms"), when),
		ctl_span_format(ctl_row_number(r, "uptime_ms"), span));
	printf("  workers    %" PRIu64 ", %" PRIu64 " busy, %" PRIu64 " ended early; %" PRIu64
	       " files wait\n",
		ctl_row_number(r, "workers"), ctl_row_number(r, "workers_busy"),
		ctl_row_number(r, "workers_ended"), ctl_row_number(r, "waiting"));
	printf("  files      %" PRIu64 " events, %" PRIu64 " scanned, %" PRIu64 " failed, %" PRIu64
	       " guests went away\n",
		ctl_row_number(r, "events"), ctl_row_number(r, "scanned"),
		ctl_row_number(r, "failed"), ctl_row_number(r, "gone"));
	printf("  cache      %" PRIu64 " contents, %" PRIu64 " hits, %" PRIu64 " misses\n",
		ctl_row_number(r, "cache_entries"), ctl_row_number(r, "cache_hits"),
		ctl_row_number(r, "cache_misses"));
	ctl_putf("  svm-idfw   %s%s%s; %" PRIu64 " records wait, %" PRIu64 " lost\n",
		ctl_row_text(r, "svm_idfw"), ctl_row_text(r, "svm_idfw_why")[0] ? ": " : "",
		ctl_row_text(r, "svm_idfw_why"), ctl_row_number(r, "outbox_waiting"),
		ctl_row_number(r, "outbox_lost"));
}

static void add_passed(
	struct ctl_table *t, const char *vm, const char *why, uint64_t let, uint64_t refused)
{
	if (!let && !refused)
		return;
	ctl_table_add(t, CTL_PLAIN, vm);
	ctl_table_add(t, CTL_PLAIN, why);
	ctl_table_addf(t, let ? CTL_BAD : CTL_PLAIN, "%" PRIu64, let);
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, refused);
}

/* passed_service_down and denied_service_down: one line */
static void add_reasons(struct ctl_table *t, const json_t *row)
{
	const char *vm = ctl_row_text(row, "vm"), *key;
	json_t *counters = json_object_get(row, "counters"), *value;

	json_object_foreach(counters, key, value)
	{
		bool passed = strncmp(key, "passed_", 7) == 0;
		char other[80], why[80];
		size_t n;

		if (!passed && strncmp(key, "denied_", 7) != 0)
			continue;
		(void)snprintf(
			other, sizeof(other), "%s_%.64s", passed ? "denied" : "passed", key + 7);
		if (!passed && json_object_get(counters, other))
			continue; /* with its passed_ */
		(void)snprintf(why, sizeof(why), "%.64s", key + 7);
		for (n = 0; why[n]; n++)
			if (why[n] == '_')
				why[n] = ' ';
		add_passed(t, vm, why, passed ? ctl_row_number(counters, key) : 0,
			ctl_row_number(counters, passed ? other : key));
	}
	add_passed(t, vm, "excluded", ctl_row_number(counters, "excluded"), 0);
	add_passed(
		t, vm, "events lost by the kernel", ctl_row_number(counters, "events_overflow"), 0);
}

static void add_vm(struct status *s, const json_t *row)
{
	static const char *const verdicts[] = { "allow", "deny", "delete", "quarantine", "failed" };
	const json_t *v = json_object_get(row, "verdicts");
	bool up = ctl_row_true(row, "connected");

	ctl_table_add(&s->vms, CTL_PLAIN, ctl_row_text(row, "vm"));
	ctl_table_add(&s->vms, up ? CTL_GOOD : CTL_BAD, up ? "connected" : "offline");
	for (size_t i = 0; i < GI_ARRAY_SIZE(verdicts); i++)
		ctl_table_addf(&s->vms, CTL_PLAIN, "%" PRIu64, ctl_row_number(v, verdicts[i]));
	ctl_table_addf(&s->vms, ctl_row_number(row, "found") ? CTL_BAD : CTL_PLAIN, "%" PRIu64,
		ctl_row_number(row, "found"));
	ctl_table_addf(&s->vms, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, "from_cache"));
	ctl_table_addf(&s->vms, CTL_PLAIN, "%" PRIu64,
		ctl_row_number(json_object_get(row, "counters"), "held"));
	ctl_table_add(&s->vms, CTL_PLAIN, ctl_row_text(row, "mux"));
	add_reasons(&s->passed, row);
}

static int status_row(void *arg, json_t *row)
{
	struct status *s = arg;

	if (strcmp(ctl_row_text(row, "type"), "scan") == 0)
		put_service(row, s->color);
	else if (strcmp(ctl_row_text(row, "type"), "vm") == 0)
		add_vm(s, row);
	return 0;
}

int ctl_run_scan_status(struct ctl_cli *cli)
{
	struct status s = { .color = cli->color };
	char why[CTL_WHY_MAX];
	int rc, err;

	ctl_table_init(&s.vms, vm_heads, GI_ARRAY_SIZE(vm_heads));
	ctl_table_init(&s.passed, passed_heads, GI_ARRAY_SIZE(passed_heads));
	rc = ctl_ask_rows(cli, "scan-status", cli->pos, cli->n_pos, status_row, &s, NULL, why);
	if (s.vms.n_cells)
		putchar('\n');
	err = ctl_table_print(&s.vms, cli->color, stdout);
	if (s.passed.n_cells)
		putchar('\n');
	if (err == 0)
		err = ctl_table_print(&s.passed, cli->color, stdout);
	if (err) {
		ctl_complain("not all of the answer can be shown: out of memory");
		rc = CTL_EXIT_SILENT;
	}
	ctl_complain(why);
	ctl_table_fini(&s.vms);
	ctl_table_fini(&s.passed);
	return rc;
}

/* ---- test ---- */

static int test_row(void *arg, json_t *row)
{
	const struct ctl_cli *cli = arg;
	bool ok = ctl_row_true(row, "ok");
	enum ctl_tone tone = ok ? CTL_GOOD : CTL_BAD;

	printf("%s%-4s%s ", ctl_tone_on(tone, cli->color), ok ? "ok" : "FAIL",
		ctl_tone_off(tone, cli->color));
	ctl_putf("%-8s %s\n", ctl_row_text(row, "step"), ctl_row_text(row, "text"));
	(void)fflush(stdout); /* each step when it is done */
	return 0;
}

int ctl_run_scan_test(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	int rc = ctl_ask_rows(cli, "scan-test", cli->pos, cli->n_pos, test_row, cli, NULL, why);

	ctl_complain(why);
	if (rc == CTL_EXIT_OK && !cli->json)
		ctl_putf("%s: the file path works, end to end\n", cli->pos[0]);
	return rc;
}

/* ---- explain ---- */

static void put_fact(const char *key, const json_t *value)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s", key);
	for (char *c = name; *c; c++)
		*c = *c == '_' ? ' ' : *c;
	if (json_is_string(value))
		ctl_putf("  %-17s %s\n", name, json_string_value(value));
	else if (json_is_integer(value))
		ctl_putf("  %-17s %lld\n", name, (long long)json_integer_value(value));
	else if (json_is_boolean(value))
		ctl_putf("  %-17s %s\n", name, json_is_true(value) ? "yes" : "no");
}

static int explain_row(void *arg, json_t *row)
{
	bool service = strcmp(ctl_row_text(row, "type"), "service") == 0;
	const char *vm = arg, *key;
	json_t *value;

	if (service)
		ctl_putf("svm-scan, for %s\n", vm);
	else
		ctl_putf("%s on %s\n", ctl_row_text(row, "path"), vm);
	json_object_foreach(row, key, value)
	{
		if (strcmp(key, "type") != 0 && strcmp(key, "path") != 0 && strcmp(key, "vm") != 0)
			put_fact(key, value);
	}
	return 0;
}

int ctl_run_scan_explain(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	int rc = ctl_ask_rows(cli, "scan-explain", cli->pos, cli->n_pos, explain_row,
		(void *)(uintptr_t)cli->pos[0], NULL, why);

	ctl_complain(why);
	return rc;
}

/* ---- reload ---- */

static int reload_row(void *arg, json_t *row)
{
	(void)arg;
	ctl_putf("loaded: %s; %" PRIu64 " hashes listed; epoch %.16s\n",
		ctl_row_text(row, "engines"), ctl_row_number(row, "list_entries"),
		ctl_row_text(row, "epoch"));
	return 0;
}

int ctl_run_scan_reload(struct ctl_cli *cli)
{
	char why[CTL_WHY_MAX];
	struct gi_buf text;
	int rc;

	gi_buf_init(&text, 4u << 20);
	rc = ctl_ask_rows(cli, "scan-reload", NULL, 0, reload_row, NULL, &text, why);
	if (ctl_put_text(&text, cli->json) != 0)
		rc = CTL_EXIT_SILENT;
	ctl_complain(why);
	gi_buf_fini(&text);
	return rc;
}
