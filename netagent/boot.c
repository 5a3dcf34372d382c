/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * boot.c - what an earlier boot left in the spool: sent first, under that boot's id, then deleted
 *
 * Runs in gi-netagent's parsing process, once after each start. Sessions of an earlier boot are
 * over anyway (the SVM ends them when it sees our boot id); what is saved here is their history.
 * Source: ADR 0007 "Events of an earlier boot".
 */
#include "netagent/agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

void na_boot_dir(
	const struct na_agent *a, const uint8_t id[WIRE_BOOT_ID_LEN], char *buf, size_t size)
{
	int n = snprintf(buf, size, "%.230s/", a->conf->spool_dir);

	for (size_t i = 0; i < WIRE_BOOT_ID_LEN && (size_t)n < size; i++)
		n += snprintf(buf + n, size - (size_t)n, "%02x", id[i]);
}

static bool parse_name(const char *name, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(name) != 2 * WIRE_BOOT_ID_LEN)
		return false;
	for (size_t i = 0; i < WIRE_BOOT_ID_LEN; i++) {
		const char *hi = strchr(digits, name[2 * i]), *lo = strchr(digits, name[2 * i + 1]);

		if (!hi || !lo)
			return false;
		ret[i] = (uint8_t)((hi - digits) << 4 | (lo - digits));
	}
	return true;
}

static bool find_earlier(const struct na_agent *a, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	DIR *d = opendir(a->conf->spool_dir);
	struct dirent *e;
	bool found = false;

	if (!d)
		return false;
	while (!found && (e = readdir(d)))
		found = parse_name(e->d_name, ret) &&
			memcmp(ret, a->boot_id, WIRE_BOOT_ID_LEN) != 0;
	closedir(d);
	return found;
}

/* false: it is still there, and would be found again for ever */
static bool delete_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	if (!d)
		return errno == ENOENT;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
			unlinkat(dirfd(d), e->d_name, 0) < 0)
			gi_warn("%s/%s cannot be deleted", path, e->d_name);
	}
	closedir(d);
	return rmdir(path) == 0;
}

/* of an earlier boot only the events matter; its state is over */
static void no_checkpoint(void *arg, struct gi_buf *out)
{
	(void)arg;
	(void)out;
}

static void no_restore(
	void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	(void)arg;
	(void)type;
	(void)seq;
	(void)buf;
	(void)len;
}

static int no_snapshot(void *arg, struct gi_buf *frames, uint64_t seq)
{
	(void)arg;
	(void)frames;
	(void)seq;
	return -EINVAL;
}

static void no_opened(void *arg)
{
	(void)arg;
}

static void no_message(void *arg, const Idfw__Envelope *e)
{
	(void)arg;
	gi_debug("%s for an earlier boot is not used", wire_body_name((int)e->body_case));
}

static void old_down(void *arg, const char *why)
{
	struct na_agent *a = arg;

	if (!a->link_bad)
		gi_warn("no connection to %s: %s; trying again, events are kept", a->conf->mux,
			why);
	a->link_bad = true;
}

static void forget(struct na_agent *a)
{
	na_link_free(a->old_link);
	io_spool_free(a->old_spool);
	a->old_link = NULL;
	a->old_spool = NULL;
}

static void done_cb(struct io_idle *w)
{
	struct na_agent *a = w->arg;

	forget(a);
	if (delete_dir(a->old_dir)) {
		na_boot_begin(a);
		return;
	}
	gi_err("%s cannot be deleted: earlier boots are left alone", a->old_dir);
	if (na_agent_connect(a) < 0) {
		gi_err("out of memory");
		io_loop_stop(a->loop);
	}
}

/* called from inside the link: it is freed after this round */
static void drained_cb(void *arg, bool all)
{
	struct na_agent *a = arg;
	struct io_spool_stats st;

	io_spool_stats(a->old_spool, &st);
	if (all)
		gi_info("an earlier boot's events are all acknowledged");
	else
		gi_err("an earlier boot's events are not acknowledged: %" PRIu64 " are given up",
			st.last_seq - st.acked_seq);
	io_idle_once(a->loop, &a->old_done, done_cb, a);
}

static int drain(struct na_agent *a, const uint8_t id[WIRE_BOOT_ID_LEN])
{
	static const struct io_spool_ops spool_ops = { .checkpoint = no_checkpoint,
		.restore = no_restore };
	static const struct na_link_ops link_ops = { .snapshot = no_snapshot,
		.opened = no_opened,
		.message = no_message,
		.drained = drained_cb,
		.down = old_down };
	struct na_link_conf lc = { .software = NA_AGENT_SOFTWARE, .drain = true };
	int err = io_endpoint_parse(a->conf->mux, &lc.mux);

	memcpy(lc.boot_id, id, sizeof(lc.boot_id));
	if (err == 0)
		err = io_spool_open(
			a->old_dir, a->conf->spool_max_bytes, &spool_ops, NULL, &a->old_spool);
	if (err == 0)
		err = na_link_new(a->loop, &lc, a->old_spool, &link_ops, a, &a->old_link);
	if (err < 0)
		forget(a);
	return err;
}

void na_boot_begin(struct na_agent *a)
{
	uint8_t id[WIRE_BOOT_ID_LEN];
	int err;

	while (find_earlier(a, id)) {
		na_boot_dir(a, id, a->old_dir, sizeof(a->old_dir));
		err = drain(a, id);
		if (err == 0) {
			gi_notice("events of an earlier boot are sent first");
			return;
		}
		gi_err("%s cannot be read: %s", a->old_dir, gi_strerror(err));
		if (!delete_dir(a->old_dir))
			break;
	}
	if (na_agent_connect(a) < 0) {
		gi_err("out of memory");
		io_loop_stop(a->loop);
	}
}

void na_boot_stop(struct na_agent *a)
{
	io_idle_stop(a->loop, &a->old_done);
	forget(a);
}
