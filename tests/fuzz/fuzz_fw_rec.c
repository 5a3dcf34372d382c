/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_fw_rec.c - records from a hostile parser into the pusher's reader, and on into the renderer
 *
 * The input is cut into records of their full size, the rest is fed as a short one. Whatever the
 * reader lets through must pass the model's own checks and render, into the few characters that our
 * nft text is made of.
 */
#include <stdlib.h>
#include <string.h>

#include "fw/rec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX (1u << 20)

static void check_state(struct fw_state *s)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		" \t\n_-/.,:;{}()=!&|@>\"#"; /* #: elements that text cannot say */
	struct gi_buf prepare, commit;
	const char *why;

	if (fw_ruleset_check(fw_state_ruleset(s), &why) < 0)
		abort();
	gi_buf_init(&prepare, TEXT_MAX);
	gi_buf_init(&commit, TEXT_MAX);
	if (fw_render(s, &prepare, &commit) == 0 &&
		(gi_buf_str(&commit)[strspn(gi_buf_str(&commit), allowed)] != '\0' ||
			gi_buf_str(&prepare)[strspn(gi_buf_str(&prepare), allowed)] != '\0'))
		abort();
	gi_buf_fini(&prepare);
	gi_buf_fini(&commit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fw_rec_reader *r = NULL;
	int rc = 0;

	if (fw_rec_reader_new(&r) < 0)
		return 0;
	for (size_t at = 0; at < size && rc == 0; at += sizeof(struct fw_rec)) {
		size_t n = size - at < sizeof(struct fw_rec) ? size - at : sizeof(struct fw_rec);
		enum fw_rec_out out = FW_REC_MORE;
		struct fw_state *s = NULL;
		struct fw_delta *d = NULL;

		rc = fw_rec_reader_feed(r, data + at, n, &out, &s, &d);
		if (rc < 0 && (s || d))
			abort();
		if (s)
			check_state(s);
		if (d && d->n_ops > FW_DELTA_MAX)
			abort();
		if (d)
			fw_delta_sort(d);
		fw_state_free(s);
		fw_delta_free(d);
	}
	fw_rec_reader_free(r);
	return 0;
}
