/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reports.c - FileReports: numbered, on disk, sent in order until they are acknowledged
 *
 * Runs in gi-fileagent's worker; worker.h has the contract. A report is in <state-dir>/reports
 * before it is sent; a killed worker loses none, a full or broken disk is held up in memory first,
 * then counted (reports_lost). Numbers go on over reboots. A session's number does not: it means
 * nothing in another boot, so reports that an earlier boot left behind go out without it (the
 * user's name stays). FilePassed are limited by passed.h.
 * Invariants: in order, at most FA_REPORTS_WINDOW unacknowledged; nothing is sent but on a link
 * that is up and has room.
 */
#include "fileagent/reports.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fileagent/faconf.h"
#include "fileagent/passed.h"
#include "lib/io/spool.h"

#define RETRY_MS 2000
#define HIDDEN_MS 1000
#define CHECKPOINT_MAGIC "idfwrep1"
#define MAGIC_LEN 8

struct fa_reports {
	struct fa_worker *worker;
	struct io_spool *spool;
	struct io_spool_cursor cursor;
	uint64_t acked;
	int acked_fd;			      /* the highest number ever acknowledged, 8 bytes */
	uint8_t saved_boot[WIRE_BOOT_ID_LEN]; /* of the newest checkpoint */
	uint64_t boot_first;		      /* number of the first report of that boot */
	uint64_t seen;			      /* while opening: highest number on disk */
	struct gi_buf out;
	struct fa_passed passed;
	struct io_timer retry, hidden;
	bool disk_bad; /* said already */
	bool lost_said;
};

/* ---- the journal ---- */

static void checkpoint_cb(void *arg, struct gi_buf *out)
{
	struct fa_reports *r = arg;

	if (memcmp(r->saved_boot, r->worker->boot_id, WIRE_BOOT_ID_LEN) != 0) {
		memcpy(r->saved_boot, r->worker->boot_id, WIRE_BOOT_ID_LEN);
		r->boot_first = r->seen + 1;
	}
	gi_buf_append(out, CHECKPOINT_MAGIC, MAGIC_LEN);
	gi_buf_append(out, r->worker->boot_id, WIRE_BOOT_ID_LEN);
	gi_buf_append(out, &r->boot_first, sizeof(r->boot_first));
}

static void restore_cb(
	void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	struct fa_reports *r = arg;
	const uint8_t *p = buf;

	if (seq > r->seen)
		r->seen = seq;
	if (type != IO_SPOOL_CHECKPOINT ||
		len != MAGIC_LEN + WIRE_BOOT_ID_LEN + sizeof(r->boot_first) ||
		memcmp(p, CHECKPOINT_MAGIC, MAGIC_LEN) != 0)
		return;
	memcpy(r->saved_boot, p + MAGIC_LEN, WIRE_BOOT_ID_LEN);
	memcpy(&r->boot_first, p + MAGIC_LEN + WIRE_BOOT_ID_LEN, sizeof(r->boot_first));
}

static void retry_cb(struct io_timer *t);

static void disk_check(struct fa_reports *r)
{
	struct io_spool_stats st;

	io_spool_stats(r->spool, &st);
	if (st.disk_err && !r->disk_bad) {
		fa_err("reports cannot be written to %s/reports: %s; they are held in memory",
			r->worker->conf->state_dir,
			st.disk_err == -GI_EFULL ? "its bound is reached"
						 : gi_strerror(st.disk_err));
		io_timer_start(r->worker->loop, &r->retry, RETRY_MS, RETRY_MS, retry_cb, r);
	} else if (!st.disk_err && r->disk_bad) {
		fa_notice("reports are written again");
		io_timer_stop(r->worker->loop, &r->retry);
		r->lost_said = false;
	}
	r->disk_bad = st.disk_err != 0;
}

static void retry_cb(struct io_timer *t)
{
	struct fa_reports *r = t->arg;

	io_spool_flush(r->spool);
	disk_check(r);
}

/*
 * What was acknowledged stays in the youngest file for a while. The service knows that by number
 * and boot; after a reboot only we do.
 */
static int acked_open(struct fa_reports *r, const char *dir)
{
	char path[512];
	uint64_t acked;

	if (snprintf(path, sizeof(path), "%s/acked", dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r->acked_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (r->acked_fd < 0)
		return -errno;
	if (pread(r->acked_fd, &acked, sizeof(acked), 0) == sizeof(acked) &&
		acked <= io_spool_last_seq(r->spool))
		r->acked = acked;
	io_spool_ack(r->spool, r->acked);
	return 0;
}

static int spool_open(struct fa_reports *r)
{
	static const struct io_spool_ops ops = { .checkpoint = checkpoint_cb,
		.restore = restore_cb };
	char dir[400];
	int err;

	if (snprintf(dir, sizeof(dir), "%s/reports", r->worker->conf->state_dir) >=
		(int)sizeof(dir))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	err = io_spool_open(dir, FA_REPORTS_BYTES, &ops, r, &r->spool);
	return err < 0 ? err : acked_open(r, dir);
}

int fa_reports_new(struct fa_worker *w, struct fa_reports **ret)
{
	struct fa_reports *r = calloc(1, sizeof(*r));
	struct io_spool_stats st;
	int err;

	if (!r)
		return -ENOMEM;
	r->worker = w;
	r->acked_fd = -1;
	gi_buf_init(&r->out, WIRE_FRAME_MAX);
	err = spool_open(r);
	if (err < 0) {
		fa_reports_free(r);
		return err;
	}
	io_spool_stats(r->spool, &st);
	if (st.bad_bytes)
		fa_err("reports: %" PRIu64 " bytes cannot be read and are passed over",
			st.bad_bytes);
	disk_check(r);
	*ret = r;
	return 0;
}

void fa_reports_free(struct fa_reports *r)
{
	if (!r)
		return;
	io_timer_stop(r->worker->loop, &r->retry);
	io_timer_stop(r->worker->loop, &r->hidden);
	io_spool_free(r->spool);
	if (r->acked_fd >= 0)
		close(r->acked_fd);
	fa_passed_fini(&r->passed);
	gi_buf_fini(&r->out);
	free(r);
}

/* ---- out ---- */

/* in place of r->out: the report without the session of another boot */
static int forget_session(struct fa_reports *r)
{
	Idfw__Envelope *e;
	const char *why;
	int err =
		wire_envelope_decode(r->out.data, r->out.len, WIRE_FILE_AGENT, WIRE_OPEN, &e, &why);

	if (err < 0)
		return err;
	if (e->body_case == IDFW__ENVELOPE__BODY_FILE_REPORT && e->file_report->actor)
		e->file_report->actor->session = 0;
	gi_buf_reset(&r->out);
	err = wire_envelope_encode(e, &r->out);
	wire_envelope_free(e);
	return err;
}

/* what is on disk may be damaged beyond what its checksum shows: it is passed over */
static bool is_sendable(struct fa_reports *r, uint64_t seq)
{
	if (seq >= r->boot_first || forget_session(r) == 0)
		return true;
	fa_err("report %" PRIu64 " of an earlier boot cannot be read and is passed over", seq);
	return false;
}

void fa_reports_pump(struct fa_reports *r)
{
	struct fa_link *link = r->worker->link;

	if (!link || !fa_link_is_up(link))
		return;
	while (fa_link_has_room(link) && r->cursor.seq < r->acked + FA_REPORTS_WINDOW) {
		struct io_spool_cursor at = r->cursor;
		uint64_t seq;
		int n = io_spool_next(r->spool, &at, &seq, &r->out);

		if (n < 0)
			fa_err("reports cannot be read: %s", gi_strerror(n));
		if (n <= 0)
			return;
		if (is_sendable(r, seq) && fa_link_send_frame(link, r->out.data, r->out.len) < 0)
			return; /* again when there is room, or another connection */
		r->cursor = at;
	}
}

void fa_reports_up(struct fa_reports *r, uint64_t acked)
{
	/* it knows more than our files do: they were lost */
	if (acked > io_spool_last_seq(r->spool))
		io_spool_skip_to(r->spool, acked);
	/* first of all: an acknowledgement makes room, and what is sent then has to be in order */
	r->cursor = (struct io_spool_cursor){ .seq = acked > r->acked ? acked : r->acked };
	fa_reports_ack(r, acked);
	fa_reports_pump(r);
}

void fa_reports_ack(struct fa_reports *r, uint64_t seq)
{
	if (seq < r->acked || seq > io_spool_last_seq(r->spool))
		return;
	if (seq == r->acked) { /* heard before: what is behind it was refused, and is asked for */
		r->cursor = (struct io_spool_cursor){ .seq = seq };
		fa_reports_pump(r);
		return;
	}
	r->acked = seq;
	io_spool_ack(r->spool, seq);
	/* it costs a repeated report when this is lost, no more */
	if (pwrite(r->acked_fd, &seq, sizeof(seq), 0) != sizeof(seq))
		fa_debug("reports: the acknowledgement is not kept");
	fa_reports_pump(r);
}

uint64_t fa_reports_last_seq(const struct fa_reports *r)
{
	return io_spool_last_seq(r->spool);
}

/* ---- in ---- */

static int lost(struct fa_reports *r, int err)
{
	r->worker->counters->reports_lost++;
	if (!r->lost_said)
		fa_err("a report is lost: %s; reports_lost counts", gi_strerror(err));
	r->lost_said = true;
	return err;
}

static int append(struct fa_reports *r, const Idfw__FileReport *rep)
{
	Idfw__FileReport numbered = *rep;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	int err;

	numbered.seq = io_spool_last_seq(r->spool) + 1;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_REPORT;
	env.file_report = &numbered;
	gi_buf_reset(&r->out);
	err = wire_envelope_encode(&env, &r->out);
	if (err == 0)
		err = io_spool_append(r->spool, r->out.data, r->out.len);
	disk_check(r);
	if (err < 0)
		return lost(r, err);
	fa_reports_pump(r);
	return 0;
}

static void hidden_cb(struct io_timer *t)
{
	struct fa_reports *r = t->arg;
	Idfw__FileReport *rep;

	while (fa_passed_due(&r->passed, io_clock_mono_ms(), &rep)) {
		(void)append(r, rep); /* counted there */
		idfw__file_report__free_unpacked(rep, NULL);
	}
	if (!fa_passed_waits(&r->passed))
		io_timer_stop(r->worker->loop, &r->hidden);
}

int fa_reports_add(struct fa_reports *r, const Idfw__FileReport *rep)
{
	Idfw__FileReport timed = *rep;
	Idfw__FilePassed passed;
	uint64_t hidden;

	timed.time_ms = io_clock_real_ms();
	if (rep->body_case != IDFW__FILE_REPORT__BODY_PASSED)
		return append(r, &timed);
	if (!fa_passed_take(&r->passed, &timed, io_clock_mono_ms(), &hidden)) {
		io_timer_start(r->worker->loop, &r->hidden, HIDDEN_MS, HIDDEN_MS, hidden_cb, r);
		return 0;
	}
	passed = *rep->passed;
	passed.hidden += hidden;
	timed.passed = &passed;
	return append(r, &timed);
}
