/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * err.c - words for error codes
 *
 * Every program prints them; one table row per code of enum gi_err, everything below 1000 is
 * an errno and left to libc. Thread-safe: strerrordesc_np() returns static text.
 */
#include "lib/base/err.h"

#include <stddef.h>
#include <string.h>

static const char *const gi_err_words[] = {
	[GI_ELIMIT - GI_ELIMIT] = "a limit was reached",
	[GI_EPROTO - GI_ELIMIT] = "malformed message",
	[GI_EDENIED - GI_ELIMIT] = "message not allowed from this sender",
	[GI_EVERSION - GI_ELIMIT] = "no common protocol version",
	[GI_EFULL - GI_ELIMIT] = "queue is full",
	[GI_ESYNTAX - GI_ELIMIT] = "syntax error",
	[GI_ESTATE - GI_ELIMIT] = "generation does not follow",
	[GI_ETLS - GI_ELIMIT] = "TLS failed",
	[GI_ECLOSED - GI_ELIMIT] = "peer closed the connection",
	[GI_ENOTFOUND - GI_ELIMIT] = "not found",
};

const char *gi_strerror(int err)
{
	const char *text = NULL;

	if (err == 0)
		return "success";
	if (err > 0)
		return "unknown error";
	if (err <= -GI_ELIMIT) {
		size_t i = (size_t)(-(err + GI_ELIMIT));

		return i < GI_ARRAY_SIZE(gi_err_words) ? gi_err_words[i] : "unknown error";
	}
	text = strerrordesc_np(-err);
	return text ? text : "unknown error";
}
