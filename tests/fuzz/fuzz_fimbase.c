/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_fimbase.c - the baseline's reader: a checkpoint, then changes, of any bytes
 *
 * What is taken is written again and read again: it must be the same number of files.
 */
#include <stdint.h>
#include <stdlib.h>

#include "fileagent/fimbase.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fa_fimbase a, b;
	struct gi_buf out;

	fa_fimbase_init(&a);
	fa_fimbase_init(&b);
	gi_buf_init(&out, 64u << 20);
	if (fa_fimbase_decode(&a, data, len) < 0 && len > 0)
		(void)!fa_fimbase_apply(&a, data, len);
	fa_fimbase_encode(&a, &out);
	if (gi_buf_error(&out) < 0 || fa_fimbase_decode(&b, out.data, out.len) < 0 ||
		fa_fimbase_count(&a) != fa_fimbase_count(&b))
		abort();
	gi_buf_fini(&out);
	fa_fimbase_fini(&a);
	fa_fimbase_fini(&b);
	return 0;
}
