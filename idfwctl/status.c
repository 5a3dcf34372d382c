/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * status.c - is all well: svm-idfw, its muxes, its VMs
 */
#include "idfwctl/show.h"

#include <inttypes.h>
#include <string.h>

static const char *const mux_heads[] = { "MUX", "PEER", "SINCE", "#GUESTS", "#QUEUED" };
static const char *const vm_heads[] = { "VM", "STATE", "MUX", "#SESSIONS", "RULES", "ADDRESSES",
	"ERROR" };

void ctl_status_init(struct ctl_status *s)
{
	s->svm = NULL;
	ctl_table_init(&s->muxes, mux_heads, GI_ARRAY_SIZE(mux_heads));
	ctl_table_init(&s->vms, vm_heads, GI_ARRAY_SIZE(vm_heads));
}

void ctl_status_fini(struct ctl_status *s)
{
	json_decref(s->svm);
	s->svm = NULL;
	ctl_table_fini(&s->muxes);
	ctl_table_fini(&s->vms);
}

static void add_mux(struct ctl_table *t, const json_t *row)
{
	char when[CTL_TIME_STRLEN];

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "name"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "peer"));
	ctl_table_add(t, CTL_PLAIN, ctl_time_format(ctl_row_number(row, "connected_ms"), when));
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, "guests"));
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 " B", ctl_row_number(row, "queued_bytes"));
}

/* generation.version of the rules; "have -> want" while they differ */
static void add_rules(struct ctl_table *t, const json_t *row)
{
	uint64_t want_g = ctl_row_number(row, "want_generation");
	uint64_t want_v = ctl_row_number(row, "want_version");
	uint64_t have_g = ctl_row_number(row, "have_generation");
	uint64_t have_v = ctl_row_number(row, "have_version");

	if (want_g == have_g && want_v == have_v)
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 ".%" PRIu64, want_g, want_v);
	else
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64 ".%" PRIu64 " -> %" PRIu64 ".%" PRIu64,
			have_g, have_v, want_g, want_v);
}

static void add_vm(struct ctl_table *t, const json_t *row)
{
	struct gi_buf addrs;

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	if (!ctl_row_true(row, "connected"))
		ctl_table_add(t, CTL_BAD, "offline");
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
	ctl_table_add(t, CTL_BAD, ctl_row_text(row, "error"));
}

void ctl_status_add(struct ctl_status *s, json_t *row)
{
	const char *type = ctl_row_text(row, "type");

	if (strcmp(type, "svm") == 0) {
		json_decref(s->svm);
		s->svm = json_incref(row);
	} else if (strcmp(type, "mux") == 0) {
		add_mux(&s->muxes, row);
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
	put_state(r, "directory", "up", color, to);
	fprintf(to, "%s", ctl_row_text(r, "directory_why")[0] ? ": " : "");
	put_text(r, "directory_why", to);
	fprintf(to, "\n  store      ");
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
}

int ctl_status_print(const struct ctl_status *s, bool color, FILE *to)
{
	int err;

	if (s->svm)
		print_svm(s->svm, color, to);
	if (s->muxes.n_cells)
		fputc('\n', to);
	err = ctl_table_print(&s->muxes, color, to);
	if (s->vms.n_cells)
		fputc('\n', to);
	return err ? err : ctl_table_print(&s->vms, color, to);
}
