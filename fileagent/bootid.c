/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bootid.c - which boot of this guest it is
 *
 * Runs in gi-fileagent's worker, once: numbers of reports and sessions mean something in one boot
 * only. Source: random(4), boot_id.
 */
#include "fileagent/worker_int.h"

#include <stdlib.h>
#include <string.h>

int fa_worker_boot_id(const char *path, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	char *text;
	size_t len, n = 0;
	int err = conf_read_file(path, 256, &text, &len);

	if (err < 0)
		return err;
	for (size_t i = 0; i < len && n < 2 * WIRE_BOOT_ID_LEN; i++) {
		const char *digits = "0123456789abcdef", *d = strchr(digits, text[i] | 0x20);

		if (text[i] == '-')
			continue;
		if (!d || !text[i])
			break;
		ret[n / 2] = (uint8_t)(ret[n / 2] << 4 | (d - digits));
		n++;
	}
	free(text);
	return n == 2 * WIRE_BOOT_ID_LEN ? 0 : -EINVAL;
}
