/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_session_file.c - what gi-fileagent reads to know who did it: session files, /proc texts
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fileagent/kin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	Idfw__Session *s = NULL;
	struct fa_status status;
	struct fa_stat stat;

	if (!text)
		return 0;
	if (len)
		memcpy(text, data, len);
	text[len] = '\0';
	if (wire_session_decode(data, len, &s) == 0) {
		if (s->id == 0 || !s->user[0])
			abort();
		wire_session_free(s);
	}
	if (fa_stat_parse(text, &stat) == 0 && strlen(stat.comm) > WIRE_COMM_MAX)
		abort();
	if (fa_status_parse(text, &status) == 0 && strlen(status.comm) > WIRE_COMM_MAX)
		abort();
	free(text);
	return 0;
}
