/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirpicture.c - the child's picture of memberships, and being told to look now
 *
 * Runs in svm-idfw's loop, beside dir.c. DirSync has a number, ascending as long as svm-idfw runs;
 * the child tells which are done, behind the changes that it found. A new child knows of none: what
 * is not done is asked of it again. Nothing here waits: querysync.c looks from time to time.
 */
#include "svm-idfw/dir_int.h"

static int sync_send(struct idfw_dir *d, uint64_t id, bool full)
{
	Idfw__DirSync m = IDFW__DIR_SYNC__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct gi_buf out;
	int err;

	m.id = id;
	m.full = full;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_SYNC;
	e.dir_sync = &m;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(&e, &out);
	if (err == 0)
		err = io_chan_send(d->main->chan, out.data, out.len);
	gi_buf_fini(&out);
	return err;
}

int idfw_dir_sync(struct idfw_dir *d, bool full, uint64_t *ret_id, bool *ret_joined)
{
	int err;

	if (d->state != DIR_UP || !d->main->ready || !d->main->chan)
		return -ENOTCONN;
	*ret_joined = full && d->full > d->synced_full;
	if (*ret_joined) {
		*ret_id = d->full;
		return 0;
	}
	err = sync_send(d, d->sync_last + 1, full);
	if (err < 0)
		return err;
	*ret_id = ++d->sync_last;
	if (full)
		d->full = *ret_id;
	else
		d->look = *ret_id;
	return 0;
}

bool idfw_dir_synced(const struct idfw_dir *d, bool full, uint64_t id)
{
	return (full ? d->synced_full : d->synced) >= id;
}

void dir_sync_again(struct idfw_dir *d)
{
	if (d->full > d->synced_full)
		(void)!sync_send(d, d->full, true); /* else the next child */
	if (d->look > d->synced)
		(void)!sync_send(d, d->look, false);
}

void dir_picture_state(struct idfw_dir *d, const Idfw__DirState *s)
{
	if (s->seen == IDFW__DIR_STATE__SEEN__NOT_YET)
		return;
	d->picture = (struct idfw_dir_picture){ .seen = s->seen,
		.picture = s->picture,
		.comparing = s->comparing,
		.done = s->compare_done,
		.total = s->compare_total,
		.compared_ms = s->compared_ms,
		.took_ms = s->compare_took_ms,
		.changed = s->compare_changed,
		.groups = s->groups,
		.memberships = s->memberships };
	/* not what was never asked for */
	if (s->synced > d->synced && s->synced <= d->look)
		d->synced = s->synced;
	if (s->synced_full > d->synced_full && s->synced_full <= d->full)
		d->synced_full = s->synced_full;
}
