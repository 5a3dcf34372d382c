/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * show.c - sessions and the audit trail as tables
 */
#include "idfwctl/show.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MAX (64u << 10)

const char *ctl_row_text(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text ? text : "";
}

uint64_t ctl_row_number(const json_t *row, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(row, key));

	return n > 0 ? (uint64_t)n : 0;
}

bool ctl_row_true(const json_t *row, const char *key)
{
	return json_is_true(json_object_get(row, key));
}

void ctl_row_list(const json_t *row, const char *key, struct gi_buf *out)
{
	const json_t *list = json_object_get(row, key);
	const json_t *it;
	size_t i;

	json_array_foreach(list, i, it) gi_buf_printf(
		out, "%s%s", i ? ", " : "", json_is_string(it) ? json_string_value(it) : "?");
}

static void add_list(struct ctl_table *t, const json_t *row, const char *key)
{
	struct gi_buf text;

	gi_buf_init(&text, LIST_MAX);
	ctl_row_list(row, key, &text);
	ctl_table_add(t, CTL_PLAIN, gi_buf_str(&text));
	gi_buf_fini(&text);
}

static void add_number(struct ctl_table *t, const json_t *row, const char *key)
{
	if (json_is_integer(json_object_get(row, key)))
		ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(row, key));
	else
		ctl_table_add(t, CTL_PLAIN, "");
}

static void add_time(struct ctl_table *t, const json_t *row, const char *key)
{
	char when[CTL_TIME_STRLEN];

	ctl_table_add(t, CTL_PLAIN, ctl_time_format(ctl_row_number(row, key), when));
}

/* where the login came from: the address if it is known, else what PAM was told */
static const char *origin(const json_t *row)
{
	const char *peer = ctl_row_text(row, "peer");

	return peer[0] ? peer : ctl_row_text(row, "rhost");
}

/* ---- who ---- */

#define NESTED_MAX 32
#define AGE_SHOWN_S 60 /* groups that nobody has confirmed for so long */

/* "disabled" of "disabled,must-change": the first decides */
static const char *who_account(const json_t *row, char buf[NESTED_MAX])
{
	const char *words = ctl_row_text(row, "account");

	snprintf(buf, NESTED_MAX, "%.*s", (int)strcspn(words, ","), words);
	return buf;
}

static const char *who_state(const json_t *row, enum ctl_tone *tone, char nested[NESTED_MAX])
{
	const char *directory = ctl_row_text(row, "directory");

	*tone = CTL_BAD;
	if (ctl_row_true(row, "kicked"))
		return "kicked";
	if (strcmp(ctl_row_text(row, "isolated"), "vm") == 0)
		return "VM isolated";
	if (ctl_row_text(row, "isolated")[0])
		return "isolated";
	if (strcmp(directory, "nested") == 0) {
		*tone = CTL_DIM; /* for the network it is the session that it was opened in */
		snprintf(nested, NESTED_MAX, "in %llu",
			(unsigned long long)ctl_row_number(row, "parent"));
		return ctl_row_number(row, "parent") ? nested : "nested";
	}
	if (ctl_row_true(row, "refused"))
		return "refused";
	if (ctl_row_true(row, "account_revoked"))
		return who_account(row, nested);
	if (ctl_row_true(row, "lost"))
		return "lost";
	if ((strcmp(directory, "found") == 0 || strcmp(directory, "service") == 0) &&
		ctl_row_number(row, "enforced_ms")) {
		uint64_t age_s = ctl_row_number(row, "age_s");
		char span[CTL_TIME_STRLEN];

		*tone = CTL_GOOD;
		if (age_s < AGE_SHOWN_S)
			return "enforced";
		snprintf(
			nested, NESTED_MAX, "as of %.20s ago", ctl_span_format(age_s * 1000, span));
		return nested;
	}
	*tone = CTL_DIM;
	if (strcmp(directory, "found") == 0)
		return "pending";
	return directory;
}

static void who_add(struct ctl_table *t, const json_t *row)
{
	char nested[NESTED_MAX];
	enum ctl_tone tone;
	const char *state = who_state(row, &tone, nested);

	add_number(t, row, "session");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "user"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	add_time(t, row, "opened_ms");
	ctl_table_add(t, CTL_PLAIN, origin(row));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "service"));
	ctl_table_add(t, tone, state);
	add_list(t, row, "groups");
}

static const char *const who_heads[] = { "#SESSION", "USER", "VM", "SINCE", "FROM", "SERVICE",
	"STATE", "GROUPS" };
const struct ctl_view ctl_view_who = { who_heads, GI_ARRAY_SIZE(who_heads), who_add };

/* ---- last ---- */

static void last_add(struct ctl_table *t, const json_t *row)
{
	uint64_t opened = ctl_row_number(row, "opened_ms"),
		 closed = ctl_row_number(row, "closed_ms");
	char text[CTL_TIME_STRLEN];

	add_number(t, row, "session");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "user"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	ctl_table_add(t, CTL_PLAIN, origin(row));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "service"));
	add_time(t, row, "opened_ms");
	if (closed == 0) {
		ctl_table_add(t, CTL_GOOD, "live");
		ctl_table_add(t, CTL_PLAIN, "");
	} else {
		ctl_table_add(t, CTL_PLAIN, ctl_time_format(closed, text));
		ctl_table_add(
			t, CTL_PLAIN, ctl_span_format(closed > opened ? closed - opened : 0, text));
	}
	ctl_table_add(t, CTL_PLAIN, closed ? ctl_row_text(row, "reason") : "");
}

static const char *const last_heads[] = { "#SESSION", "USER", "VM", "FROM", "SERVICE", "LOGIN",
	"LOGOUT", "DURATION", "HOW" };
const struct ctl_view ctl_view_last = { last_heads, GI_ARRAY_SIZE(last_heads), last_add };

/* ---- audit ---- */

static void detail_text(const json_t *value, struct gi_buf *out)
{
	const json_t *it;
	char *dump;
	size_t i;

	if (json_is_string(value)) {
		gi_buf_printf(out, "%s", json_string_value(value));
		return;
	}
	if (json_is_array(value)) {
		json_array_foreach(value, i, it)
		{
			gi_buf_printf(out, "%s", i ? "," : "");
			if (json_is_string(it))
				gi_buf_printf(out, "%s", json_string_value(it));
			else
				detail_text(it, out);
		}
		return;
	}
	dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	gi_buf_printf(out, "%s", dump ? dump : "?");
	free(dump);
}

/* key=value key=value; the JSON form has it exactly */
static void add_detail(struct ctl_table *t, const json_t *row)
{
	const json_t *detail = json_object_get(row, "detail");
	struct gi_buf text;
	const char *key;
	json_t *value;

	gi_buf_init(&text, LIST_MAX);
	json_object_foreach((json_t *)(uintptr_t)detail, key, value)
	{
		gi_buf_printf(&text, "%s%s=", text.len ? " " : "", key);
		detail_text(value, &text);
	}
	ctl_table_add(t, CTL_PLAIN, gi_buf_str(&text));
	gi_buf_fini(&text);
}

static enum ctl_tone kind_tone(const char *kind)
{
	static const char *const bad[] = { "push-failed", "refused", "guest-down", "isolated",
		"passed" };

	for (size_t i = 0; i < GI_ARRAY_SIZE(bad); i++)
		if (strcmp(kind, bad[i]) == 0)
			return CTL_BAD;
	return CTL_PLAIN;
}

static void audit_add(struct ctl_table *t, const json_t *row)
{
	const char *kind = ctl_row_text(row, "kind");

	add_time(t, row, "time_ms");
	ctl_table_add(t, kind_tone(kind), kind);
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	add_number(t, row, "session");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "user"));
	add_detail(t, row);
}

static const char *const audit_heads[] = { "TIME", "KIND", "VM", "#SESSION", "USER", "DETAIL" };
const struct ctl_view ctl_view_audit = { audit_heads, GI_ARRAY_SIZE(audit_heads), audit_add };

/* ---- fim ---- */

/* sha256 a -> b, mode 644 -> 600, owner 0 -> 5001, to /new/path */
static void fim_change(struct ctl_table *t, const json_t *d)
{
	const char *before = ctl_row_text(d, "before"), *after = ctl_row_text(d, "after");
	static const char *const keys[] = { "mode", "owner" };
	struct gi_buf text;

	gi_buf_init(&text, LIST_MAX);
	if (before[0] || after[0])
		gi_buf_printf(&text, "sha256 %.12s -> %.12s", before[0] ? before : "?",
			after[0] ? after : "?");
	for (size_t i = 0; i < GI_ARRAY_SIZE(keys); i++)
		if (ctl_row_text(d, keys[i])[0])
			gi_buf_printf(&text, "%s%s %s", text.len ? ", " : "", keys[i],
				ctl_row_text(d, keys[i]));
	if (ctl_row_text(d, "new_path")[0])
		gi_buf_printf(&text, "%sto %s", text.len ? ", " : "", ctl_row_text(d, "new_path"));
	ctl_table_add(t, CTL_PLAIN, gi_buf_str(&text));
	gi_buf_fini(&text);
}

static void fim_add(struct ctl_table *t, const json_t *row)
{
	const json_t *d = json_object_get(row, "detail");

	add_time(t, row, "time_ms");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "vm"));
	add_number(t, row, "session");
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(row, "user"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(d, "rule"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(d, "op"));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(d, "path"));
	fim_change(t, d);
}

static const char *const fim_heads[] = { "TIME", "VM", "#SESSION", "USER", "RULE", "WHAT", "PATH",
	"CHANGE" };
const struct ctl_view ctl_view_fim = { fim_heads, GI_ARRAY_SIZE(fim_heads), fim_add };
