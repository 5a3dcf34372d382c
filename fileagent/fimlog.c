/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fimlog.c - the journal of the baseline, <state-dir>/fim
 *
 * A spool (lib/io/spool.h) whose events are acknowledged at once: the checkpoint is the baseline,
 * the events behind it are its changes. A change is written after its report is: a worker that is
 * killed in between reports twice, never not at all. Failure direction: what cannot be written is
 * found again as a difference after the next start; what cannot be read is built anew, and said.
 */
#include "fileagent/fim_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#define CHANGE_MAX (2 * WIRE_PATH_MAX + 256)

static void checkpoint_cb(void *arg, struct gi_buf *out)
{
	struct fa_fim *f = arg;

	fa_fimbase_encode(&f->base, out);
}

static void restore_cb(
	void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len)
{
	struct fa_fim *f = arg;
	int err;

	(void)seq;
	if (type == IO_SPOOL_CHECKPOINT) {
		err = fa_fimbase_decode(&f->base, buf, len);
		f->restored = f->restored || err == 0;
	} else {
		err = fa_fimbase_apply(&f->base, buf, len);
	}
	f->damaged = f->damaged || err < 0;
}

int fa_fim_journal_open(struct fa_fim *f)
{
	static const struct io_spool_ops ops = { .checkpoint = checkpoint_cb,
		.restore = restore_cb };
	struct io_spool_stats st;
	char dir[400];
	int err;

	if (snprintf(dir, sizeof(dir), "%s/fim", f->worker->conf->state_dir) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return -errno;
	err = io_spool_open(dir, FA_FIM_JOURNAL_BYTES, &ops, f, &f->journal);
	if (err < 0)
		return err;
	io_spool_stats(f->journal, &st);
	if (st.bad_bytes)
		fa_err("the baseline: %" PRIu64 " bytes cannot be read", st.bad_bytes);
	/* its end may be torn by a power cut; a walk finds what is missing */
	if (st.bad_bytes && !f->restored)
		f->damaged = true;
	io_spool_ack(f->journal, st.last_seq);
	return 0;
}

static void append(struct fa_fim *f, struct gi_buf *b)
{
	int err = gi_buf_error(b);

	if (err == 0)
		err = io_spool_append(f->journal, b->data, b->len);
	io_spool_ack(f->journal, io_spool_last_seq(f->journal));
	if (err < 0 && !f->journal_bad)
		fa_err("the baseline cannot be kept in %s/fim: %s; changes will be reported again "
		       "after a restart",
			f->worker->conf->state_dir, gi_strerror(err));
	f->journal_bad = err < 0;
	gi_buf_fini(b);
}

void fa_fim_journal_path(struct fa_fim *f, const char *path)
{
	struct gi_buf b;

	gi_buf_init(&b, CHANGE_MAX);
	fa_fimbase_change_path(&f->base, path, &b);
	append(f, &b);
}

void fa_fim_journal_move(struct fa_fim *f, const char *from, const char *to)
{
	struct gi_buf b;

	gi_buf_init(&b, CHANGE_MAX);
	fa_fimbase_change_move(from, to, &b);
	append(f, &b);
}

void fa_fim_journal_rule(struct fa_fim *f, const uint8_t digest[WIRE_SHA256_LEN])
{
	struct gi_buf b;

	gi_buf_init(&b, CHANGE_MAX);
	fa_fimbase_change_rule(digest, fa_fimbase_has_rule(&f->base, digest), &b);
	append(f, &b);
}
