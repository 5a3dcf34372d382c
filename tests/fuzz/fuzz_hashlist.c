/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_hashlist.c - any bytes as svm-scan's hash list: diagnostics or a list, never both; each
 * entry of the list is found, and the diagnostics can be shown
 */
#include <stdint.h>
#include <stdlib.h>

#include "lib/conf/diag.h"
#include "svm-scan/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scan_hashlist *l = NULL;
	struct conf_diags d;
	struct gi_buf out;
	uint8_t sha[32] = { 0 };
	const char *name = "";
	int err;

	gi_buf_init(&out, 1u << 20);
	conf_diags_init(&d, "list", (const char *)data, size);
	err = scan_hashlist_parse((const char *)data, size, &d, &l);
	if ((err == 0) != (d.n_errors == 0) || (err == 0) != (l != NULL))
		abort();
	conf_diags_render(&d, &out);
	(void)scan_hashlist_find(l, sha, &name);
	if (scan_hashlist_count(l) > size / 68 + 1 || scan_hashlist_digest(l, sha) < 0)
		abort();
	conf_diags_fini(&d);
	gi_buf_fini(&out);
	scan_hashlist_free(l);
	return 0;
}
