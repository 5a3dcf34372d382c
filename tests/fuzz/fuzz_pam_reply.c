/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_pam_reply.c - any answer on the PAM socket, read inside sshd
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pam_gi/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pam_gi_reply r;
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (pam_gi_reply_parse(copy, size, &r) == 0) {
		assert(pam_gi_status_name(r.status));
		for (const char *p = r.text; *p; p++)
			assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	}
	free(copy);
	return 0;
}
