/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * querydirstat.c - control request dir-status: servers, lookups, changes, the picture, the cache
 *
 * Runs in svm-idfw's loop; asks nobody. Source: docs/control.md.
 */
#include "svm-idfw/querydir.h"

static json_t *time_or_null(uint64_t ms)
{
	return ms ? json_integer((json_int_t)ms) : json_null();
}

static json_t *status_picture(const struct idfw_dir_info *in)
{
	static const char *const seen[] = { [IDFW__DIR_STATE__SEEN__NOT_YET] = "",
		[IDFW__DIR_STATE__SEEN__USN] = "usn",
		[IDFW__DIR_STATE__SEEN__SYNCREPL] = "syncrepl",
		[IDFW__DIR_STATE__SEEN__CSN] = "csn",
		[IDFW__DIR_STATE__SEEN__BLIND] = "blind" };
	static const char *const words[] = { [IDFW__DIR_STATE__PICTURE__READING] = "reading",
		[IDFW__DIR_STATE__PICTURE__WHOLE] = "whole",
		[IDFW__DIR_STATE__PICTURE__REFUSED] = "refused" };
	const struct idfw_dir_picture *p = &in->picture;

	return json_pack("{s:s,s:I,s:s,s:I,s:I,s:o,s:I,s:I,s:b,s:I,s:I}", "seen", seen[p->seen],
		"poll_ms", (json_int_t)in->poll_ms, "picture",
		p->seen == IDFW__DIR_STATE__SEEN__NOT_YET ? "" : words[p->picture], "groups",
		(json_int_t)p->groups, "memberships", (json_int_t)p->memberships, "compared_ms",
		time_or_null(p->compared_ms), "compare_took_ms", (json_int_t)p->took_ms,
		"compare_changed", (json_int_t)p->changed, "comparing", (int)p->comparing,
		"compare_done", (json_int_t)p->done, "compare_total", (json_int_t)p->total);
}

static void status_directory(struct query_dir *d, const struct idfw_dir_info *in)
{
	json_t *row = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:I,s:I,s:I,s:I,s:I,s:o,s:o,s:o,s:I}",
		"type", "directory", "directory", in->label, "kind", in->type, "domain", in->domain,
		"state",
		in->up	    ? "up"
		: in->known ? "down"
			    : "starting",
		"why", in->why, "since_ms", time_or_null(in->since_ms), "since_age_ms",
		(json_int_t)in->so_for_ms, "lookups", (json_int_t)in->lookups, "failed",
		(json_int_t)in->failed, "running", (json_int_t)in->running, "waiting",
		(json_int_t)in->waiting, "p50_ms", json_real((double)in->p50_us / 1000), "p99_ms",
		json_real((double)in->p99_us / 1000), "changed_ms", time_or_null(in->changed_ms),
		"changes", (json_int_t)in->changes);

	if (row)
		(void)json_object_update_new(row, status_picture(in));
	query_dir_row(d, row);
	for (size_t i = 0; i < in->n_servers; i++) {
		const struct idfw_dir_server *s = &in->servers[i];

		query_dir_row(d, json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:s}", "type", "server",
					 "directory", in->label, "uri", s->uri, "state",
					 s->answers ? "answers"
					 : s->out   ? "left-out"
						    : "standby",
					 "since_ms", time_or_null(s->since_ms), "retry_ms",
					 time_or_null(s->retry_ms), "why", s->why));
	}
}

/* what would serve if no directory answered */
static void status_cache(struct query_dir *d)
{
	struct idfw_principal *p, *next, *head = idfw_engine_principals(d->q->env.engine);
	json_int_t found = 0, unknown = 0, live = 0, stale = 0;
	uint64_t oldest = 0, now = io_clock_real_ms();

	HASH_ITER (hh, head, p, next) {
		live += p->sessions != NULL;
		if (!p->resolved_ms)
			continue;
		found += p->presence == IDFW_P_FOUND;
		unknown += p->presence == IDFW_P_NOT_FOUND;
		stale += p->stale;
		if (!oldest || p->resolved_ms < oldest)
			oldest = p->resolved_ms;
	}
	query_dir_row(d, json_pack("{s:s,s:I,s:I,s:I,s:I,s:o,s:I}", "type", "cache", "found", found,
				 "not_found", unknown, "with_sessions", live, "stale", stale,
				 "oldest_ms", time_or_null(oldest), "oldest_age_ms",
				 (json_int_t)(oldest && now > oldest ? now - oldest : 0)));
}

void query_dir_status_begin(struct query *q)
{
	struct query_dir *d = query_dir_of(q);
	struct idfw_dir_info info;
	struct idfw_dir *dir;
	size_t i;

	if (!d)
		return;
	for (i = 0; q->env.ops->directory && (dir = q->env.ops->directory(q->env.arg, i)); i++) {
		idfw_dir_info(dir, &info);
		status_directory(d, &info);
		if (!info.up && !q->status)
			query_fail(q, 1, "directory %.60s is %s%s%.150s", info.label,
				info.known ? "down" : "starting", info.why[0] ? ": " : "",
				info.why);
	}
	if (i == 0)
		query_fail(q, 1, "no directory is configured");
	status_cache(d);
}
