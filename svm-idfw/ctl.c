/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.c - the control socket: idfwctl's requests, answered from the engine and the store
 *
 * Runs in svm-idfw's loop. Clients, data and back pressure are lib/ctl's; what a verb answers is
 * query.c's; this binds them. Who may connect is the socket file's mode and group; who asked goes
 * into the audit trail. Source: docs/control.md, docs/wire.md.
 */
#include "config.h"
#include "svm-idfw/ctl.h"

#include <stdlib.h>

#include "lib/base/log.h"
#include "lib/ctl/ctl.h"
#include "svm-idfw/dirquery.h"
#include "svm-idfw/query.h"

struct idfw_ctl {
	struct gi_ctl *ctl;
	struct query_env env;
	struct dir_queries dir_queries;
};

static void ctl_wake(void *cl)
{
	gi_ctl_wake(cl);
}

static int ctl_begin(void *arg, struct gi_ctl_client *cl, const Idfw__CtlRequest *r,
	const char *data, size_t len, const char *by, void **ret_query)
{
	struct idfw_ctl *c = arg;
	struct query *q = NULL;
	int err = query_new(&c->env, r, data, len, by, &q);

	if (err < 0)
		return err;
	query_on_wake(q, ctl_wake, cl);
	*ret_query = q;
	return 0;
}

static enum gi_ctl_step ctl_step(void *query, const struct gi_ctl_out *out)
{
	const struct query_out o = { .row = out->row, .text = out->text, .arg = out->arg };

	if (query_step(query, &o))
		return GI_CTL_DONE;
	return query_waits(query) ? GI_CTL_WAIT : GI_CTL_MORE;
}

static uint32_t ctl_end(void *query, const char **ret_why)
{
	*ret_why = query_why(query);
	return query_status(query);
}

static void ctl_query_free(void *query)
{
	query_free(query);
}

static void ctl_log(void *arg, enum gi_log_level level, const char *text)
{
	(void)arg;
	gi_log(level, "%s", text);
}

static const struct gi_ctl_ops ctl_ops = {
	.begin = ctl_begin, .step = ctl_step, .end = ctl_end, .free = ctl_query_free, .log = ctl_log
};

int idfw_ctl_new(struct io_loop *l, const char *endpoint, struct idfw_engine *e,
	struct idfw_store *s, const struct idfw_ctl_ops *ops, void *arg, struct idfw_ctl **ret)
{
	const struct gi_ctl_conf conf = { .endpoint = endpoint,
		.software = "svm-idfw " PACKAGE_VERSION,
		.max_data = CTL_POLICY_MAX };
	struct idfw_ctl *c = calloc(1, sizeof(*c));
	int err;

	if (!c)
		return -ENOMEM;
	c->env = (struct query_env){ .engine = e,
		.store = s,
		.ops = ops,
		.arg = arg,
		.started_ms = io_clock_real_ms(),
		.loop = l,
		.dir_queries = &c->dir_queries };
	dir_queries_init(&c->dir_queries, l);
	err = gi_ctl_new(l, &conf, &ctl_ops, c, &c->ctl);
	if (err < 0) {
		free(c);
		return err;
	}
	*ret = c;
	return 0;
}

void idfw_ctl_free(struct idfw_ctl *c)
{
	if (!c)
		return;
	gi_ctl_free(c->ctl);
	dir_queries_fini(&c->dir_queries);
	free(c);
}
