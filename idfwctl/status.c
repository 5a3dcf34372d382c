/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.c - is all well: svm-idfw, its muxes and svm-scans, its VMs, what is isolated
 */
#include "idfwctl/show.h"

#include <inttypes.h>
#include <string.h>

static const char *const mux_heads[] = { "MUX", "PEER", "SINCE", "#GUESTS", "#QUEUED" };
static const char *const scan_heads[] = { "SVM-SCAN", "PEER", "SINCE", "#RECORDS", "#QUEUED" };
static const char *const isolated_heads[] = { "ISOLATED", "VM", "#SESSION", "SINCE", "BY", "WHY" };
static const char *const vm_heads[] = { "VM", "STATE", "MUX", "#SESSIONS", "RULES", "ADDRESSES",
	"LIMITS", "ERROR" };

void ctl_status_init(struct ctl_status *s)
{
	s->svm = NULL;
	ctl_table_init(&s->muxes, mux_heads, GI_ARRAY_SIZE(mux_heads));
	ctl_table_init(&s->scans, scan_heads, GI_ARRAY_SIZE(scan_heads));
	ctl_table_init(&s->vms, vm_heads, GI_ARRAY_SIZE(vm_heads));
	ctl_table_init(&s->isolated, isolated_heads, GI_ARRAY_SIZE(isolated_heads));
}

void ctl_status_fini(struct ctl_status *s)
{
	json_decref(s->svm);
	s->svm = NULL;
	ctl_table_fini(&s->muxes);
	ctl_table_fini(&s->scans);
	ctl_table_fini(&s->vms);
	ctl_table_fini(&s->isolated);
}

/* a mux or an svm-scan; @count: its own number */
static void add_link(struct ctl_table *t, const json_t *row, const char *count)
{
	char when[CTL_TIME_STRLEN];

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "name"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "peer"));
	ctl_table_add(t, CTL_PLAIN, ctl_time_format(ctl_row_number(row, "connected_ms"), when));
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, count));
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 " B", ctl_row_number(row, "queued_bytes"));
}

/* generation.version of the rules; "have -> want" while they differ */
static void add_rules(struct ctl_table *t, const json_t *row)
{
	uint64_t want_g = ctl_row_number(row, "want_generation");
	uint64_t want_v = ctl_row_number(row, "want_version");
	uint64_t have_g = ctl_row_number(row, "have_generation");
	uint64_t have_v = ctl_row_number(row, "have_version");

	if (!ctl_row_true(row, "connected") && have_v)
		ctl_table_addf(
			t, CTL_DIM, "%" PRIu64 ".%" PRIu64 " when last heard", have_g, have_v);
	else if (!ctl_row_true(row, "connected"))
		ctl_table_add(t, CTL_DIM, "not known");
	else if (want_g == have_g && want_v == have_v)
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 ".%" PRIu64, want_g, want_v);
	else
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 ".%" PRIu64 " -> %" PRIu64 ".%" PRIu64,
			have_g, have_v, want_g, want_v);
}

/* why not all is well there: the last push's error, then what stands as an alarm */
static void add_trouble(struct ctl_table *t, const json_t *row)
{
	const json_t *alarms = json_object_get(row, "alarms"), *a;
	struct gi_buf text;
	size_t i;

	gi_buf_init(&text, 16384);
	gi_buf_printf(&text, "%s", ctl_row_text(row, "error"));
	json_array_foreach(alarms, i, a)
		gi_buf_printf(&text, "%s%s%s%s", text.len ? "; " : "", ctl_row_text(a, "alarm"),
			*ctl_row_text(a, "text") ? ": " : "", ctl_row_text(a, "text"));
	ctl_table_add(t, CTL_BAD, gi_buf_str(&text));
	gi_buf_fini(&text);
}

/* the VM's own, and the one that keeps the next login out */
static void add_limits(struct ctl_table *t, const json_t *row)
{
	const json_t *l = json_object_get(row, "limits");
	bool own_sessions = ctl_row_true(l, "own_sessions"),
	     own_events = ctl_row_true(l, "own_events");
	uint64_t sessions = ctl_row_number(l, "sessions");
	bool full = sessions && ctl_row_number(row, "sessions") >= sessions;
	struct gi_buf text;

	gi_buf_init(&text, 256);
	if (full || own_sessions)
		gi_buf_printf(&text, "%s%ssessions-max %" PRIu64, full ? "full: " : "",
			own_sessions ? "own " : "", sessions);
	if (own_events)
		gi_buf_printf(&text, "%sown events-max %" PRIu64, text.len ? ", " : "",
			ctl_row_number(l, "events"));
	ctl_table_add(t, full ? CTL_BAD : CTL_PLAIN, gi_buf_str(&text));
	gi_buf_fini(&text);
}

static void add_vm(struct ctl_table *t, const json_t *row)
{
	struct gi_buf addrs;

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	if (!ctl_row_true(row, "connected"))
		ctl_table_add(t, CTL_BAD, "offline");
	else if (ctl_row_true(row, "in_sync") && ctl_row_true(row, "isolated"))
		ctl_table_add(t, CTL_BAD, "isolated");
	else if (ctl_row_true(row, "in_sync"))
		ctl_table_add(t, CTL_GOOD, "in sync");
	else
		ctl_table_add(t, CTL_BAD, "behind");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "mux"));
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, "sessions"));
	add_rules(t, row);
	gi_buf_init(&addrs, 16384);
	ctl_row_list(row, "addresses", &addrs);
	ctl_table_add(t, CTL_PLAIN, gi_buf_str(&addrs));
	gi_buf_fini(&addrs);
	add_limits(t, row);
	add_trouble(t, row);
}

static void add_isolation(struct ctl_table *t, const json_t *row)
{
	bool vm = strcmp(ctl_row_text(row, "what"), "vm") == 0;
	char when[CTL_TIME_STRLEN];

	if (vm)
		ctl_table_add(t, CTL_BAD, "VM");
	else
		ctl_table_addf(t, CTL_BAD, "%s, uid %" PRIu64, ctl_row_text(row, "user"),
			ctl_row_number(row, "uid"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	if (ctl_row_number(row, "session"))
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, "session"));
	else
		ctl_table_add(t, CTL_PLAIN, "");
	ctl_table_add(t, CTL_PLAIN, ctl_time_format(ctl_row_number(row, "since_ms"), when));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "by"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "why"));
}

void ctl_status_add(struct ctl_status *s, json_t *row)
{
	const char *type = ctl_row_text(row, "type");

	if (strcmp(type, "svm") == 0) {
		json_decref(s->svm);
		s->svm = json_incref(row);
	} else if (strcmp(type, "mux") == 0) {
		add_link(&s->muxes, row, "guests");
	} else if (strcmp(type, "scan") == 0) {
		add_link(&s->scans, row, "records");
	} else if (strcmp(type, "isolation") == 0) {
		add_isolation(&s->isolated, row);
	} else if (strcmp(type, "vm") == 0) {
		add_vm(&s->vms, row);
	}
}

/* texts of the row, cleaned */
static void put_text(const json_t *row, const char *key, FILE *to)
{
	struct gi_buf clean;
	const char *text = ctl_row_text(row, key);

	gi_buf_init(&clean, 65536);
	ctl_clean(&clean, text, strlen(text), false);
	fprintf(to, "%s", gi_buf_str(&clean));
	gi_buf_fini(&clean);
}

static void put_state(const json_t *row, const char *key, const char *good, bool color, FILE *to)
{
	enum ctl_tone tone = strcmp(ctl_row_text(row, key), good) == 0 ? CTL_GOOD : CTL_BAD;

	fprintf(to, "%s", ctl_tone_on(tone, color));
	put_text(row, key, to);
	fprintf(to, "%s", ctl_tone_off(tone, color));
}

/* the file path, once it has something to say */
static void print_files(const json_t *r, bool color, FILE *to)
{
	uint64_t capped = ctl_row_number(r, "isolations_capped");
	uint64_t sessions = ctl_row_number(r, "isolated_sessions");
	uint64_t vms = ctl_row_number(r, "isolated_vms");

	if (ctl_row_number(r, "scan_records") || sessions || vms)
		fprintf(to,
			"  files      %" PRIu64 " records of svm-scan; isolated: %" PRIu64
			" sessions, %" PRIu64 " VMs\n",
			ctl_row_number(r, "scan_records"), sessions, vms);
	if (capped)
		fprintf(to,
			"  %sNOT isolated: %" PRIu64
			", over isolate-max; is a signature wrong?%s\n",
			ctl_tone_on(CTL_BAD, color), capped, ctl_tone_off(CTL_BAD, color));
	if (ctl_row_number(r, "isolations_spared"))
		fprintf(to, "  %snot isolated: %" PRIu64 ", VM in never-isolate%s\n",
			ctl_tone_on(CTL_BAD, color), ctl_row_number(r, "isolations_spared"),
			ctl_tone_off(CTL_BAD, color));
}

/* one as ever; of several each in its line */
static void print_directories(const json_t *r, bool color, FILE *to)
{
	const json_t *list = json_object_get(r, "directories"), *d;
	size_t i;

	if (json_array_size(list) < 2) {
		put_state(r, "directory", "up", color, to);
		fprintf(to, "%s", ctl_row_text(r, "directory_why")[0] ? ": " : "");
		put_text(r, "directory_why", to);
		return;
	}
	json_array_foreach(list, i, d)
	{
		fprintf(to, "%s", i ? "\n             " : "");
		put_text(d, "directory", to);
		fprintf(to, " ");
		put_state(d, "state", "up", color, to);
		fprintf(to, "%s", ctl_row_text(d, "why")[0] ? ": " : "");
		put_text(d, "why", to);
	}
}

/* accounts with sessions whose groups nobody vouches for now, or that have lost them */
static void print_accounts(const json_t *r, bool color, FILE *to)
{
	uint64_t unconfirmed = ctl_row_number(r, "accounts_unconfirmed"),
		 old = ctl_row_number(r, "accounts_old"),
		 revoked = ctl_row_number(r, "accounts_revoked"),
		 as_of = ctl_row_number(r, "directory_as_of_ms");
	char span[CTL_TIME_STRLEN], when[CTL_TIME_STRLEN];

	if (unconfirmed)
		fprintf(to,
			"  accounts   %" PRIu64 " live not confirmed by the directory, the oldest "
			"for %s; as of %s\n",
			unconfirmed, ctl_span_format(ctl_row_number(r, "accounts_oldest_ms"), span),
			as_of ? ctl_time_format(as_of, when) : "never");
	if (old)
		fprintf(to,
			"  %sNOT confirmed for over 24 hours: %" PRIu64
			" live accounts, and no on-stale of the policy ends that%s\n",
			ctl_tone_on(CTL_BAD, color), old, ctl_tone_off(CTL_BAD, color));
	if (revoked)
		fprintf(to,
			"  accounts   %" PRIu64
			" live without groups: disabled, expired or locked\n",
			revoked);
}

static void print_svm(const json_t *r, bool color, FILE *to)
{
	bool ok = ctl_row_true(r, "ok");
	char when[CTL_TIME_STRLEN], span[CTL_TIME_STRLEN];

	put_text(r, "software", to);
	fprintf(to, ": %s%s%s\n", ctl_tone_on(ok ? CTL_GOOD : CTL_BAD, color),
		ok ? "all is well" : "not well", ctl_tone_off(ok ? CTL_GOOD : CTL_BAD, color));
	fprintf(to, "  policy     generation %" PRIu64 "\n", ctl_row_number(r, "generation"));
	fprintf(to, "  running    since %s (%s)\n",
		ctl_time_format(ctl_row_number(r, "started_ms"), when),
		ctl_span_format(ctl_row_number(r, "uptime_ms"), span));
	fprintf(to,
		"  sessions   %" PRIu64 ", of %" PRIu64 " users; %" PRIu64 " VMs, %" PRIu64
		" connected\n",
		ctl_row_number(r, "sessions"), ctl_row_number(r, "principals"),
		ctl_row_number(r, "vms"), ctl_row_number(r, "vms_connected"));
	fprintf(to, "  directory  ");
	print_directories(r, color, to);
	fputc('\n', to);
	if (ctl_row_number(r, "collisions"))
		fprintf(to, "  names      %" PRIu64 " are more than one account: dir collisions\n",
			ctl_row_number(r, "collisions"));
	print_accounts(r, color, to);
	fprintf(to, "  store      ");
	put_state(r, "store", "ok", color, to);
	fprintf(to, ", %" PRIu64 " records queued\n", ctl_row_number(r, "store_queued"));
	fprintf(to,
		"  so far     %" PRIu64 " logins, %" PRIu64 " logouts, %" PRIu64 " deltas, %" PRIu64
		" whole pushes, %" PRIu64 " failed\n",
		ctl_row_number(r, "logins"), ctl_row_number(r, "logouts"),
		ctl_row_number(r, "deltas"), ctl_row_number(r, "pushes"),
		ctl_row_number(r, "push_failures"));
	fprintf(to, "  events     %" PRIu64 " refused, %" PRIu64 " duplicates, %" PRIu64 " gaps\n",
		ctl_row_number(r, "refused"), ctl_row_number(r, "duplicates"),
		ctl_row_number(r, "gaps"));
	print_files(r, color, to);
}

int ctl_status_print(const struct ctl_status *s, bool color, FILE *to)
{
	const struct ctl_table *tables[] = { &s->muxes, &s->scans, &s->vms, &s->isolated };
	int err = 0;

	if (s->svm)
		print_svm(s->svm, color, to);
	for (size_t i = 0; i < GI_ARRAY_SIZE(tables); i++) {
		int one;

		if (tables[i]->n_cells)
			fputc('\n', to);
		one = ctl_table_print(tables[i], color, to);
		err = err ? err : one;
	}
	return err;
}
