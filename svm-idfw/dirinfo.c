/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirinfo.c - how a directory is, for people: servers, lookups, changes
 *
 * Runs in svm-idfw's loop; reads what dir.c and dirask.c keep, changes nothing. Times inside are
 * monotonic, what is said to people is real time.
 */
#include "svm-idfw/dir_int.h"

#include <string.h>

_Static_assert(GI_ARRAY_SIZE(((struct idfw_dir_info *)NULL)->servers) == DIR_SERVERS_MAX,
	"a place for each server");

void idfw_dir_place(const struct idfw_dir *d, struct idfw_dir_place *ret)
{
	int server = d->main->ready ? (int)d->main->server
				    : dir_servers_pick(&d->servers, io_clock_mono_ms());

	*ret = (struct idfw_dir_place){ .label = d->conf->label,
		.conf_file = d->argv[DIR_ARGV - 1],
		.uri = d->servers.n ? d->servers.list[server < 0 ? 0 : server].uri : NULL,
		.deadline_ms = d->conf->deadline_ms,
		.revokes = idfw_dir_conf_revokes(d->conf) };
}

/* real time of a monotonic one; 0 stays */
static uint64_t info_real(uint64_t mono_ms, uint64_t now, uint64_t real)
{
	return mono_ms ? real + mono_ms - now : 0;
}

static void info_server(const struct idfw_dir *d, size_t i, struct idfw_dir_server *ret)
{
	const struct dir_server *s = &d->servers.list[i];
	bool answers = d->servers.current == (int)i && d->main->ready;
	uint64_t now = io_clock_mono_ms(), real = io_clock_real_ms();
	/* another one answers: it is gone back to later than it could be tried */
	uint64_t retry = d->servers.current >= 0 ? s->probe_ms : s->retry_ms;

	*ret = (struct idfw_dir_server){ .uri = s->uri,
		.answers = answers,
		.out = s->out,
		.since_ms = info_real(answers  ? s->up_ms
				      : s->out ? s->out_ms
					       : 0,
			now, real),
		.retry_ms = info_real(s->out ? retry : 0, now, real),
		.why = s->out ? s->why : "" };
}

void idfw_dir_info(const struct idfw_dir *d, struct idfw_dir_info *ret)
{
	uint64_t now = io_clock_mono_ms();

	*ret = (struct idfw_dir_info){ .label = d->conf->label,
		.type = d->conf->type,
		.domain = d->domain,
		.known = d->state != DIR_UNKNOWN,
		.up = d->state == DIR_UP,
		.why = d->why,
		.since_ms = info_real(d->state_ms, now, io_clock_real_ms()),
		.so_for_ms = now - d->state_ms,
		.running = d->queue.n_running,
		.waiting = d->queue.n_waiting,
		.lookups = d->took.count,
		.failed = d->failed,
		.p50_us = dir_hist_quantile(&d->took, 500),
		.p99_us = dir_hist_quantile(&d->took, 990),
		.changed_ms = d->changed_ms,
		.changes = d->changes,
		.picture = d->picture,
		.poll_ms = d->conf->poll_ms,
		.n_servers = d->servers.n };
	for (size_t i = 0; i < d->servers.n; i++)
		info_server(d, i, &ret->servers[i]);
}
