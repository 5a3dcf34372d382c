/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * run.c - the verbs that svm-idfw answers with rows, and the calls that all verbs share
 */
#include "idfwctl/run.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "idfwctl/show.h"
#include "lib/base/text.h"

#define ARG_MAX 256
#define TEXT_MAX (64u << 20)

void ctl_complain(const char *text)
{
	struct gi_buf clean;

	if (text[0] == '\0')
		return;
	(void)fflush(stdout); /* what was answered comes first, also on a terminal */
	gi_buf_init(&clean, 8192);
	ctl_clean(&clean, text, strlen(text), true);
	fprintf(stderr, "idfwctl: %s\n", gi_buf_str(&clean));
	gi_buf_fini(&clean);
}

static int exit_of(int err)
{
	switch (err) {
	case -EACCES:
	case -EPERM:
		return CTL_EXIT_DENIED;
	case -EINVAL:
	case -GI_ELIMIT:
		return CTL_EXIT_USAGE;
	default:
		return CTL_EXIT_SILENT;
	}
}

int ctl_ask(const struct ctl_cli *cli, const struct ctl_request *rq, const struct ctl_sink *sink,
	char ret_why[CTL_WHY_MAX])
{
	unsigned int status = CTL_EXIT_SILENT;
	struct ctl_client *c;
	int err;

	ret_why[0] = '\0';
	err = ctl_client_open(cli->verb->scan ? "svm-scan" : "svm-idfw",
		cli->verb->scan ? cli->scan_socket : cli->socket, CTL_WAIT_MS, &c, ret_why);
	if (err == 0) {
		err = ctl_client_call(c, rq, sink, &status, ret_why);
		ctl_client_close(c);
	}
	return err ? exit_of(err) : (int)status;
}

int ctl_call(const struct ctl_cli *cli, const struct ctl_request *rq, const struct ctl_sink *sink)
{
	char why[CTL_WHY_MAX];
	int rc = ctl_ask(cli, rq, sink, why);

	ctl_complain(why);
	return rc;
}

int ctl_sink_row_raw(void *arg, const char *json)
{
	(void)arg;
	return puts(json) < 0 ? -EIO : 0;
}

int ctl_sink_text_collect(void *arg, const void *data, size_t len)
{
	gi_buf_append(arg, data, len);
	return gi_buf_error(arg);
}

int ctl_put_json(json_t *o)
{
	int err = o ? json_dumpf(o, stdout, JSON_COMPACT | JSON_ENCODE_ANY) : -1;

	json_decref(o);
	if (err == 0)
		putchar('\n');
	return err ? -ENOMEM : 0;
}

int ctl_put_text(const struct gi_buf *text, bool json)
{
	struct gi_buf clean;
	int err;

	if (text->len == 0)
		return 0;
	gi_buf_init(&clean, TEXT_MAX);
	ctl_clean(&clean, gi_buf_str(text), text->len, true);
	err = gi_buf_error(&clean);
	if (err == 0 && json)
		err = ctl_put_json(json_pack("{s:s%}", "text", gi_buf_str(&clean), clean.len));
	else if (err == 0)
		(void)fwrite(gi_buf_str(&clean), 1, clean.len, stdout);
	gi_buf_fini(&clean);
	return err;
}

static int incomplete(void)
{
	ctl_complain("not all of the answer can be shown: out of memory");
	return CTL_EXIT_SILENT;
}

/* ---- verbs whose rows are one table ---- */

struct rows {
	const struct ctl_view *view;
	struct ctl_table table;
	struct ctl_status *status; /* instead of the table */
};

static int row_shown(void *arg, const char *json)
{
	struct rows *r = arg;
	json_t *row = json_loads(json, JSON_DECODE_ANY, NULL);

	if (!json_is_object(row)) {
		json_decref(row);
		return -GI_EPROTO;
	}
	if (r->status)
		ctl_status_add(r->status, row);
	else
		r->view->add(&r->table, row);
	json_decref(row);
	return 0;
}

static int text_ignored(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

int ctl_run_rows(struct ctl_cli *cli, const char *verb, const char *const *args, size_t n_args,
	const struct ctl_view *view)
{
	struct ctl_request rq = { .verb = verb, .args = args, .n_args = n_args };
	struct rows r = { .view = view };
	struct ctl_sink sink = { cli->json ? ctl_sink_row_raw : row_shown, text_ignored, &r };
	char why[CTL_WHY_MAX];
	int rc;

	ctl_table_init(&r.table, view->heads, view->n_heads);
	rc = ctl_ask(cli, &rq, &sink, why);
	if (ctl_table_print(&r.table, cli->color, stdout) != 0)
		rc = incomplete();
	ctl_complain(why);
	ctl_table_fini(&r.table);
	return rc;
}

struct each {
	int (*row)(void *arg, json_t *row);
	void *arg;
	struct gi_buf *text;
};

static int each_row(void *arg, const char *json)
{
	const struct each *e = arg;
	json_t *row = json_loads(json, JSON_DECODE_ANY, NULL);
	int err = json_is_object(row) ? e->row(e->arg, row) : -GI_EPROTO;

	json_decref(row);
	return err;
}

static int each_text(void *arg, const void *data, size_t len)
{
	const struct each *e = arg;

	return e->text ? ctl_sink_text_collect(e->text, data, len) : 0;
}

int ctl_ask_rows(struct ctl_cli *cli, const char *verb, const char *const *args, size_t n_args,
	int (*row)(void *arg, json_t *row), void *arg, struct gi_buf *text,
	char ret_why[CTL_WHY_MAX])
{
	struct ctl_request rq = { .verb = verb, .args = args, .n_args = n_args };
	struct each e = { row, arg, text };
	struct ctl_sink sink = { cli->json ? ctl_sink_row_raw : each_row, each_text, &e };

	return ctl_ask(cli, &rq, &sink, ret_why);
}

void ctl_putf(const char *fmt, ...)
{
	struct gi_buf clean;
	char *line = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	gi_buf_init(&clean, TEXT_MAX);
	ctl_clean(&clean, line, (size_t)n, true);
	(void)fputs(gi_buf_str(&clean), stdout);
	gi_buf_fini(&clean);
	free(line);
}

int ctl_run_status(struct ctl_cli *cli)
{
	struct ctl_request rq = { .verb = "status" };
	struct ctl_status status;
	struct rows r = { .status = &status };
	struct ctl_sink sink = { cli->json ? ctl_sink_row_raw : row_shown, text_ignored, &r };
	char why[CTL_WHY_MAX];
	int rc;

	ctl_status_init(&status);
	rc = ctl_ask(cli, &rq, &sink, why);
	if (ctl_status_print(&status, cli->color, stdout) != 0)
		rc = incomplete();
	ctl_complain(why);
	ctl_status_fini(&status);
	return rc;
}

int ctl_run_who(struct ctl_cli *cli)
{
	return ctl_run_rows(cli, "who", cli->pos, cli->n_pos, &ctl_view_who);
}

bool ctl_time_option(const struct ctl_cli *cli, const char *name, uint64_t *ret_ms)
{
	const char *text = ctl_args_option(cli, name);
	unsigned long long ms = 0;
	struct timespec now;

	if (!text)
		return true;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ctl_time_parse(text,
		    (unsigned long long)now.tv_sec * 1000 +
			    (unsigned long long)now.tv_nsec / 1000000,
		    &ms) == 0) {
		*ret_ms = ms;
		return true;
	}
	fprintf(stderr,
		"idfwctl: --%s \"%s\" is no time: 90s, 15m, 2h, 7d (ago), "
		"2026-01-31 or \"2026-01-31 08:00\"\n",
		name, text);
	return false;
}

bool ctl_limit_option(const struct ctl_cli *cli, uint64_t *ret_n)
{
	const char *text = ctl_args_option(cli, "limit");

	if (!text || gi_text_u64(text, 1, 1000000, ret_n) == 0)
		return true;
	fprintf(stderr, "idfwctl: --limit \"%s\" is no number from 1 to 1000000\n", text);
	return false;
}

static bool filter_arg(const struct ctl_cli *cli, const char *name, char arg[ARG_MAX])
{
	const char *text = ctl_args_option(cli, name);
	uint64_t n = 0;

	if (strcmp(name, "since") == 0 || strcmp(name, "until") == 0) {
		if (!ctl_time_option(cli, name, &n))
			return false;
		(void)snprintf(arg, ARG_MAX, "%s=%llu", name, (unsigned long long)n);
		return true;
	}
	if (strcmp(name, "limit") == 0 && !ctl_limit_option(cli, &n))
		return false;
	if (snprintf(arg, ARG_MAX, "%s=%s", name, text) >= ARG_MAX) {
		fprintf(stderr, "idfwctl: the value of --%s is too long\n", name);
		return false;
	}
	return true;
}

static int run_filtered(struct ctl_cli *cli, const char *verb, const struct ctl_view *view)
{
	static const char *const names[] = { "user", "vm", "since", "until", "limit", "kind",
		"path", "rule" };
	char text[GI_ARRAY_SIZE(names)][ARG_MAX];
	const char *args[GI_ARRAY_SIZE(names)];
	size_t n = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (!ctl_args_option(cli, names[i]))
			continue;
		if (!filter_arg(cli, names[i], text[n]))
			return CTL_EXIT_USAGE;
		args[n] = text[n];
		n++;
	}
	return ctl_run_rows(cli, verb, args, n, view);
}

int ctl_run_last(struct ctl_cli *cli)
{
	return run_filtered(cli, "last", &ctl_view_last);
}

int ctl_run_audit(struct ctl_cli *cli)
{
	return run_filtered(cli, "audit", &ctl_view_audit);
}

int ctl_run_fim(struct ctl_cli *cli)
{
	return run_filtered(cli, "fim", &ctl_view_fim);
}

/* ---- kick, render ---- */

static int kick_shown(void *arg, const char *json)
{
	json_t *row = json_loads(json, 0, NULL);
	struct gi_buf text;
	int err;

	(void)arg;
	gi_buf_init(&text, 4096);
	gi_buf_printf(&text, "session %llu, %s on %s, is kicked\n",
		(unsigned long long)ctl_row_number(row, "session"), ctl_row_text(row, "user"),
		ctl_row_text(row, "vm"));
	if (ctl_row_number(row, "others"))
		gi_buf_printf(&text,
			"other sessions of that uid there: %llu; what they may reach stays open\n",
			(unsigned long long)ctl_row_number(row, "others"));
	json_decref(row);
	err = ctl_put_text(&text, false);
	gi_buf_fini(&text);
	return err;
}

int ctl_run_kick(struct ctl_cli *cli)
{
	const char *args[2] = { cli->pos[0], ctl_args_option(cli, "reason") };
	struct ctl_request rq = { .verb = "kick", .args = args, .n_args = args[1] ? 2 : 1 };
	struct ctl_sink sink = { cli->json ? ctl_sink_row_raw : kick_shown, text_ignored, NULL };
	uint64_t session;

	if (gi_text_u64(args[0], 1, INT64_MAX, &session) != 0) {
		fprintf(stderr,
			"idfwctl: \"%s\" is no session number; \"idfwctl who\" shows them\n",
			args[0]);
		return CTL_EXIT_USAGE;
	}
	return ctl_call(cli, &rq, &sink);
}

int ctl_run_render(struct ctl_cli *cli)
{
	struct ctl_request rq = { .verb = "render", .args = cli->pos, .n_args = cli->n_pos };
	struct gi_buf text;
	struct ctl_sink sink = { ctl_sink_row_raw, ctl_sink_text_collect, &text };
	char why[CTL_WHY_MAX];
	int rc;

	gi_buf_init(&text, TEXT_MAX);
	rc = ctl_ask(cli, &rq, &sink, why);
	if (ctl_put_text(&text, cli->json) != 0)
		rc = incomplete();
	ctl_complain(why);
	gi_buf_fini(&text);
	return rc;
}
