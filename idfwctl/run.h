/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * run.h - one call to svm-idfw on behalf of a verb, with its errors said and its exit code
 */
#ifndef IDFWCTL_RUN_H
#define IDFWCTL_RUN_H

#include <jansson.h>
#include <stdint.h>
#include "idfwctl/cli.h"
#include "idfwctl/client.h"
#include "lib/base/buf.h"

/* connects, asks, hands the answer to @sink; says on stderr what went wrong; enum ctl_exit */
int ctl_call(const struct ctl_cli *cli, const struct ctl_request *rq, const struct ctl_sink *sink);
/* the same, but what is to be said on stderr goes to @ret_why, "" nothing */
int ctl_ask(const struct ctl_cli *cli, const struct ctl_request *rq, const struct ctl_sink *sink,
	char ret_why[CTL_WHY_MAX]);
struct ctl_view;
/* a request whose rows are one table (raw with --json) */
int ctl_run_rows(struct ctl_cli *cli, const char *verb, const char *const *args, size_t n_args,
	const struct ctl_view *view);
/*
 * A request whose rows @row shows, parsed, unless --json prints them as they came; @text: what text
 * there is, or NULL. Nothing is said on stderr: ctl_complain(ret_why)
 */
int ctl_ask_rows(struct ctl_cli *cli, const char *verb, const char *const *args, size_t n_args,
	int (*row)(void *arg, json_t *row), void *arg, struct gi_buf *text,
	char ret_why[CTL_WHY_MAX]);
/* printf of texts that others wrote: cleaned of control characters */
void ctl_putf(const char *fmt, ...) GI_PRINTF(1, 2);
/* --since or --until as Unix ms, --limit; without it *ret stays; false: said why it is none */
bool ctl_time_option(const struct ctl_cli *cli, const char *name, uint64_t *ret_ms);
bool ctl_limit_option(const struct ctl_cli *cli, uint64_t *ret_n);
/* a row as it came, for --json */
int ctl_sink_row_raw(void *arg, const char *json);
/* @arg: struct gi_buf that all text is gathered in */
int ctl_sink_text_collect(void *arg, const void *data, size_t len);
/* gathered text on stdout: {"text":...} with @json, else cleaned of control characters; -ENOMEM */
GI_MUST_CHECK int ctl_put_text(const struct gi_buf *text, bool json);
/* one JSON value a line on stdout; takes @o, NULL is -ENOMEM */
GI_MUST_CHECK int ctl_put_json(json_t *o);
/* "idfwctl: " and the cleaned text, on stderr; "" says nothing */
void ctl_complain(const char *text);

#endif
