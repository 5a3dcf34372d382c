/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_fa_rec.c - records of a worker that was taken over, and descriptions in the quarantine
 *
 * The first byte says which: 0..4 a record of the worker's with that many descriptors, 5..9 one of
 * the supervisor's, else a description. What is accepted must be safe to use, and a description
 * must come back the same when it is written and read again.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fileagent/rec.h"
#include "fileagent/vaultmeta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one_rec(uint8_t how, const uint8_t *data, size_t size)
{
	static struct fa_rec r;

	memset(&r, 0xff, sizeof(r));
	if (size > sizeof(r))
		size = sizeof(r);
	memcpy(&r, data, size);
	if (fa_rec_check(&r, size, how % 5, how < 5 ? FA_WORKER : FA_SUPERVISOR) < 0)
		return;
	assert(r.op > 0 && r.op < FA_OP_COUNT);
	assert(r.path_len <= FA_REC_PATH_MAX);
	assert(memchr(r.path, '\0', r.path_len) == NULL);
	assert(strlen(r.text) < sizeof(r.text));
	assert(strlen(r.meta.signature) < sizeof(r.meta.signature));
}

static void one_meta(const uint8_t *data, size_t size)
{
	static char path[FA_REC_PATH_MAX + 1], again[FA_REC_PATH_MAX + 1];
	struct fa_meta m, back;
	struct gi_buf text;

	memset(&m, 0, sizeof(m));
	memset(&back, 0, sizeof(back));
	if (fa_meta_decode((const char *)data, size, &m, path) < 0)
		return;
	gi_buf_init(&text, FA_META_TEXT_MAX);
	fa_meta_encode(&m, path, strlen(path), &text);
	assert(gi_buf_error(&text) == 0);
	assert(fa_meta_decode(gi_buf_str(&text), text.len, &back, again) == 0);
	assert(strcmp(path, again) == 0 && strcmp(m.signature, back.signature) == 0);
	assert(m.size == back.size && m.mode == back.mode && m.uid == back.uid);
	gi_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] < 10)
		one_rec(data[0], data + 1, size - 1);
	else
		one_meta(data + 1, size - 1);
	return 0;
}
