/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirchanged.c - a directory child's reports of changes, for the engine
 *
 * Runs in svm-idfw's loop, from dir.c; pure. Bytes of the child become ids and SIDs as the engine
 * knows them. Invariant: a report that says nothing is not handed on.
 */
#include "svm-idfw/dir_int.h"

#include <string.h>

#include "svm-idfw/sid.h"

static size_t changed_ids(
	const ProtobufCBinaryData *from, size_t n, uint8_t to[WIRE_DIR_SIDS_MAX][16])
{
	size_t i, k = 0;

	for (i = 0; i < n && k < WIRE_DIR_SIDS_MAX; i++)
		if (from[i].len == 16)
			memcpy(to[k++], from[i].data, 16);
	return k;
}

void dir_on_changed(struct idfw_dir *d, const Idfw__DirChanged *c)
{
	char text[WIRE_DIR_SIDS_MAX][SID_TEXT_MAX]; /* 96 KiB of stack */
	uint8_t accounts[WIRE_DIR_SIDS_MAX][16], groups[WIRE_DIR_SIDS_MAX][16];
	const char *sids[WIRE_DIR_SIDS_MAX];
	struct idfw_changes out = {
		.all = c->all, .sids = sids, .accounts = accounts, .groups = groups
	};
	size_t i;

	for (i = 0; i < c->n_sid && out.n_sids < WIRE_DIR_SIDS_MAX; i++) {
		if (sid_to_text(c->sid[i].data, c->sid[i].len, text[out.n_sids]) < 0)
			continue;
		sids[out.n_sids] = text[out.n_sids];
		out.n_sids++;
	}
	out.n_accounts = changed_ids(c->account, c->n_account, accounts);
	out.n_groups = changed_ids(c->group, c->n_group, groups);
	d->changes++;
	d->changed_ms = io_clock_real_ms();
	if (out.all || out.n_sids || out.n_accounts || out.n_groups)
		d->ops.changed(d->arg, &out);
}
