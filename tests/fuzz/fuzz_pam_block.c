/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_pam_block.c - any datagram on the PAM socket, read by the agent; what it took is checked
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "netagent/pamblock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct na_pam_event ev;
	const char *why = NULL;
	uint8_t *copy = malloc(size ? size : 1); /* its end is where the sanitizer looks */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	if (na_pam_block_parse(copy, size, &ev, &why) == 0) {
		assert(ev.user[0] && gi_text_is_clean(ev.user, NA_USER_MAX));
		assert(gi_text_is_clean(ev.service, NA_SERVICE_MAX));
		assert(gi_text_is_clean(ev.tty, NA_SERVICE_MAX));
		assert(gi_text_is_clean(ev.rhost, NA_TEXT_MAX));
		assert(gi_text_is_clean(ev.auth, NA_TEXT_MAX));
		assert(ev.timeout_ms <= NA_PAM_TIMEOUT_MAX_MS);
	} else {
		assert(why);
	}
	free(copy);
	return 0;
}
