/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * query_int.h - what query.c (the verbs, listings) and queryact.c (policy, render, kick, isolation)
 * share; nobody else includes it
 */
#ifndef SVM_IDFW_QUERY_INT_H
#define SVM_IDFW_QUERY_INT_H

#include <jansson.h>
#include "svm-idfw/query.h"

#define QUERY_TEXT_MAX (64u << 20) /* rendered ruleset, policy, diagnostics */
#define QUERY_PIECE (48u << 10)
#define QUERY_ROWS_MAX 1000000

enum query_progress { Q_MORE, Q_WAIT, Q_DONE };

struct query_verb {
	const char *name;
	size_t min_args, max_args;
	bool takes_data;
	void (*begin)(
		struct query *q); /* all that happens once; a status other than 0 is the end */
	enum query_progress (*step)(struct query *q, const struct query_out *out);
};

struct query {
	struct query_env env;
	const struct query_verb *verb;
	char **args; /* owned */
	size_t n_args;
	char *by; /* owned */
	uint32_t status;
	char why[256];
	bool ended; /* nothing but the status is to be said */
	uint64_t rows;
	json_t *first; /* owned: a row that comes before text; or NULL */
	struct gi_buf text;
	size_t text_at;
	/* cursor over VMs and their sessions */
	bool head_done;
	char **vms; /* owned names */
	size_t n_vms, vm_at;
	uint64_t last_id;    /* sessions below this one are still to come; 0: all of this VM */
	struct gi_addr addr; /* who IP */
	/* cursor over the database */
	struct idfw_store_filter filter;
	uint64_t left;
	const struct query_out *out; /* during a step */
	bool room;
	/* verbs that wait for others: woken, they are asked for a step */
	bool waits;
	void (*wake)(void *arg);
	void *wake_arg;
	struct query_dir *dir; /* owned: querydir.c's */
};

void query_fail(struct query *q, uint32_t status, const char *fmt, ...) GI_PRINTF(3, 4);

/* queryact.c: all that happens, at once; then q->first and q->text are given */
void query_show_begin(struct query *q);
void query_check_begin(struct query *q);
void query_commit_begin(struct query *q);
void query_render_begin(struct query *q);
void query_kick_begin(struct query *q);
void query_isolate_begin(struct query *q);
void query_explain_begin(struct query *q);
void query_release_begin(struct query *q);

/* querydir.c: directories; rows that are gathered, and come later too */
void query_dir_status_begin(struct query *q);
void query_dir_lookup_begin(struct query *q);
void query_dir_groups_begin(struct query *q);
void query_dir_sync_begin(struct query *q);
enum query_progress query_dir_step(struct query *q, const struct query_out *out);
void query_dir_free(struct query_dir *d); /* NULL is fine */

/* query.c: takes @row, NULL: no memory; false: no room for more */
bool query_emit(struct query *q, const struct query_out *out, json_t *row);

/* querycollide.c */
void query_collisions_begin(struct query *q);
enum query_progress query_collisions_step(struct query *q, const struct query_out *out);

#endif
