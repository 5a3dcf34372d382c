/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * buf.h - growing byte buffer with a ceiling and a sticky error
 *
 * N appends, one check: after the first failure (ceiling, memory) all later appends do
 * nothing and gi_buf_error() says why.
 */
#ifndef GI_BUF_H
#define GI_BUF_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

struct gi_buf {
	uint8_t *data; /* owned; NUL behind the last byte whenever data is not NULL */
	size_t len;
	size_t cap;
	size_t max; /* ceiling in bytes */
	int err;
};

void gi_buf_init(struct gi_buf *b, size_t max);
void gi_buf_fini(struct gi_buf *b); /* also wipes the content (explicit_bzero) */
void gi_buf_append(struct gi_buf *b, const void *data, size_t len);
/* @len more bytes, for the caller to fill at once; NULL: the error is set */
uint8_t *gi_buf_extend(struct gi_buf *b, size_t len);
void gi_buf_printf(struct gi_buf *b, const char *fmt, ...) GI_PRINTF(2, 3);
void gi_buf_consume(struct gi_buf *b, size_t len); /* drops the first len bytes (len <= b->len) */
void gi_buf_reset(struct gi_buf *b);		   /* length 0, error 0, memory kept */
int gi_buf_error(const struct gi_buf *b);	   /* 0, -GI_ELIMIT, -ENOMEM */
const char *gi_buf_str(const struct gi_buf *b);	   /* never NULL */

#endif
