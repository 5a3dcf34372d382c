/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.c - check, show, commit
 *
 * A policy is compiled here first, with the compiler that svm-idfw has: the answer comes at once,
 * with the file's own name in it, and works where no svm-idfw is. svm-idfw checks again what it
 * is handed, since it may be of another version.
 */
#include "idfwctl/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "idfwctl/show.h"
#include "lib/conf/conf.h"
#include "lib/conf/lex.h"
#include "policy/policy.h"

#define DIAG_TEXT_MAX (1u << 20)
#define JSON_MAX (64u << 20)
#define READ_STEP 65536

struct source {
	const char *name; /* as in diagnostics */
	char *text;	  /* owned */
	size_t len;
};

static int read_stdin(struct source *s)
{
	struct gi_buf all;
	char part[READ_STEP];
	ssize_t n;
	int err;

	gi_buf_init(&all, CONF_SOURCE_MAX);
	while ((n = read(STDIN_FILENO, part, sizeof(part))) > 0)
		gi_buf_append(&all, part, (size_t)n);
	err = n < 0 ? -errno : gi_buf_error(&all);
	if (err == 0) {
		s->text = malloc(all.len + 1);
		err = s->text ? 0 : -ENOMEM;
	}
	if (err == 0) {
		memcpy(s->text, gi_buf_str(&all), all.len + 1);
		s->len = all.len;
	}
	gi_buf_fini(&all);
	return err;
}

/* false: said why */
static bool source_read(struct source *s, const char *name)
{
	bool from_stdin = strcmp(name, "-") == 0;
	int err;

	*s = (struct source){ .name = from_stdin ? "standard input" : name };
	err = from_stdin ? read_stdin(s) : conf_read_file(name, CONF_SOURCE_MAX, &s->text, &s->len);
	if (err == -GI_ELIMIT)
		fprintf(stderr, "idfwctl: %s is larger than a policy may be (%u MiB)\n", s->name,
			CONF_SOURCE_MAX >> 20);
	else if (err)
		fprintf(stderr, "idfwctl: cannot read %s: %s\n", s->name, gi_strerror(err));
	return err == 0;
}

/* ---- check ---- */

static int put_diags_json(const struct conf_diags *d)
{
	static const char *const words[] = {
		[CONF_ERROR] = "error", [CONF_WARNING] = "warning", [CONF_NOTE] = "note"
	};
	size_t n_warnings = 0;
	int err = 0;

	for (size_t i = 0; err == 0 && i < d->n; i++) {
		const struct conf_diag *it = &d->list[i];

		n_warnings += it->severity == CONF_WARNING;
		err = ctl_put_json(json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "severity",
			words[it->severity], "line", it->pos.line, "col", it->pos.col, "end_line",
			it->pos.end_line, "end_col", it->pos.end_col, "text", it->text));
	}
	if (err)
		return err;
	return ctl_put_json(json_pack("{s:I, s:I}", "errors", (json_int_t)d->n_errors, "warnings",
		(json_int_t)n_warnings));
}

static void put_diags(const struct conf_diags *d)
{
	struct gi_buf text;

	gi_buf_init(&text, DIAG_TEXT_MAX);
	conf_diags_render(d, &text);
	fputs(gi_buf_str(&text), stderr);
	gi_buf_fini(&text);
}

static void put_verdict(const struct source *s, const struct conf_diags *d)
{
	size_t n_warnings = 0;

	for (size_t i = 0; i < d->n; i++)
		n_warnings += d->list[i].severity == CONF_WARNING;
	printf("%s: %s", s->name, d->n_errors ? "not valid" : "valid");
	if (d->n_errors)
		printf(", %zu error%s", d->n_errors, d->n_errors == 1 ? "" : "s");
	if (n_warnings)
		printf(", %zu warning%s", n_warnings, n_warnings == 1 ? "" : "s");
	putchar('\n');
}

/* parses and shows; CTL_EXIT_OK, CTL_EXIT_NO. @verdict: also a last word on stdout */
static int check_here(const struct ctl_cli *cli, const struct source *s, bool verdict)
{
	struct pol_policy *p = NULL;
	struct conf_diags d;
	int err, rc = CTL_EXIT_OK;

	conf_diags_init(&d, s->name, s->text, s->len);
	err = pol_parse(s->text, s->len, &d, &p);
	pol_free(p);
	if (err)
		rc = CTL_EXIT_NO;
	if (err && err != -GI_ESYNTAX)
		ctl_complain(gi_strerror(err));
	else if (cli->json && (verdict || err)) /* a commit's only row is its generation */
		rc = put_diags_json(&d) ? CTL_EXIT_NO : rc;
	else
		put_diags(&d);
	if (verdict && !cli->json && (err == 0 || err == -GI_ESYNTAX))
		put_verdict(s, &d);
	conf_diags_fini(&d);
	return rc;
}

/* svm-idfw's diagnostics, on stderr for humans */
static int send_source(const struct ctl_cli *cli, const char *verb, const struct source *s,
	int (*row)(void *arg, const char *json))
{
	struct ctl_request rq = { .verb = verb, .data = s->text, .len = s->len };
	struct gi_buf text, clean;
	struct ctl_sink sink = { row, ctl_sink_text_collect, &text };
	char why[CTL_WHY_MAX];
	int rc;

	gi_buf_init(&text, DIAG_TEXT_MAX);
	gi_buf_init(&clean, 2 * DIAG_TEXT_MAX);
	rc = ctl_ask(cli, &rq, &sink, why);
	if (cli->json) {
		if (ctl_put_text(&text, true) != 0)
			rc = CTL_EXIT_SILENT;
	} else if (rc != CTL_EXIT_OK || strcmp(verb, "policy-check") == 0) {
		/* after a local check with the same warnings, only what is new matters */
		ctl_clean(&clean, gi_buf_str(&text), text.len, true);
		fputs(gi_buf_str(&clean), stderr);
	}
	ctl_complain(why);
	gi_buf_fini(&text);
	gi_buf_fini(&clean);
	return rc;
}

int ctl_run_policy_check(struct ctl_cli *cli)
{
	struct source s;
	int rc;

	if (!source_read(&s, cli->pos[0]))
		return CTL_EXIT_NO;
	if (!ctl_args_option(cli, "server")) {
		rc = check_here(cli, &s, true);
	} else {
		rc = send_source(cli, "policy-check", &s, ctl_sink_row_raw);
		if (!cli->json && rc <= CTL_EXIT_NO)
			printf("%s: svm-idfw says it is %svalid\n", s.name, rc ? "not " : "");
	}
	free(s.text);
	return rc;
}

/* ---- commit ---- */

static int commit_shown(void *arg, const char *json)
{
	json_t *row = json_loads(json, 0, NULL);

	(void)arg;
	printf("policy generation %llu is in force\n",
		(unsigned long long)ctl_row_number(row, "generation"));
	json_decref(row);
	return 0;
}

int ctl_run_policy_commit(struct ctl_cli *cli)
{
	struct source s;
	int rc;

	if (!source_read(&s, cli->pos[0]))
		return CTL_EXIT_NO;
	rc = check_here(cli, &s, false);
	if (rc == CTL_EXIT_OK)
		rc = send_source(
			cli, "policy-commit", &s, cli->json ? ctl_sink_row_raw : commit_shown);
	else if (!cli->json)
		fprintf(stderr, "idfwctl: %s is not valid; the running policy stays\n", s.name);
	free(s.text);
	return rc;
}

/* ---- show ---- */

/* a comment in front, so that what is printed is a policy again */
static int show_head(void *arg, const char *json)
{
	json_t *row = json_loads(json, 0, NULL);
	char when[CTL_TIME_STRLEN];
	struct gi_buf text;
	int err;

	(void)arg;
	gi_buf_init(&text, 4096);
	gi_buf_printf(&text, "# generation %llu, committed %s by %s\n",
		(unsigned long long)ctl_row_number(row, "generation"),
		ctl_time_format(ctl_row_number(row, "committed_ms"), when),
		ctl_row_text(row, "by"));
	json_decref(row);
	err = ctl_put_text(&text, false);
	gi_buf_fini(&text);
	return err;
}

/* svm-idfw sends the JSON form as text, over many lines: here it is a row */
static int put_form(const struct gi_buf *text)
{
	if (text->len == 0)
		return 0;
	return ctl_put_json(json_loadb(gi_buf_str(text), text->len, 0, NULL));
}

int ctl_run_policy_show(struct ctl_cli *cli)
{
	static const char *const args[] = { "json" };
	struct ctl_request rq = { .verb = "policy-show", .args = args, .n_args = cli->json };
	struct gi_buf text;
	struct ctl_sink sink = { cli->json ? ctl_sink_row_raw : show_head, ctl_sink_text_collect,
		&text };
	int rc;

	gi_buf_init(&text, JSON_MAX);
	rc = ctl_call(cli, &rq, &sink);
	if ((cli->json ? put_form(&text) : ctl_put_text(&text, false)) != 0) {
		ctl_complain("not all of the policy can be shown");
		rc = CTL_EXIT_SILENT;
	}
	gi_buf_fini(&text);
	return rc;
}
