/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * buf.c - growing byte buffer with a ceiling and a sticky error
 *
 * Used wherever text or bytes are put together (renderers, diagnostics, encoders). Invariant:
 * when data is not NULL, len < cap and data[len] is NUL. Memory that held content is wiped
 * before it goes back, because some buffers hold keys or user names.
 */
#include "lib/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 256

static bool buf_reserve(struct gi_buf *b, size_t more);

void gi_buf_init(struct gi_buf *b, size_t max)
{
	*b = (struct gi_buf){ .max = max };
}

void gi_buf_fini(struct gi_buf *b)
{
	size_t max = b->max;

	if (b->data)
		explicit_bzero(b->data, b->cap);
	free(b->data);
	gi_buf_init(b, max);
}

uint8_t *gi_buf_extend(struct gi_buf *b, size_t len)
{
	if (!buf_reserve(b, len))
		return NULL;
	b->len += len;
	b->data[b->len] = '\0';
	return b->data + b->len - len;
}

void gi_buf_append(struct gi_buf *b, const void *data, size_t len)
{
	uint8_t *at = len > 0 ? gi_buf_extend(b, len) : NULL;

	if (at)
		memcpy(at, data, len);
}

void gi_buf_printf(struct gi_buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (b->err)
		return;
	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->err = -GI_ELIMIT; /* longer than INT_MAX, or not representable */
		return;
	}
	if (n == 0 || !buf_reserve(b, (size_t)n))
		return;
	va_start(ap, fmt);
	(void)vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void gi_buf_consume(struct gi_buf *b, size_t len)
{
	assert(len <= b->len);
	if (len == 0)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
	b->data[b->len] = '\0';
}

void gi_buf_reset(struct gi_buf *b)
{
	b->len = 0;
	b->err = 0;
	if (b->data)
		b->data[0] = '\0';
}

int gi_buf_error(const struct gi_buf *b)
{
	return b->err;
}

const char *gi_buf_str(const struct gi_buf *b)
{
	return b->data ? (const char *)b->data : "";
}

/* room for @more bytes and the NUL; doubles, moves by copy so that the old memory is wiped */
static bool buf_reserve(struct gi_buf *b, size_t more)
{
	size_t need, cap;
	uint8_t *data;

	if (b->err)
		return false;
	if (more > b->max - b->len || b->max == SIZE_MAX) {
		b->err = -GI_ELIMIT;
		return false;
	}
	need = b->len + more + 1;
	if (need <= b->cap)
		return true;
	cap = b->cap ? b->cap : BUF_FIRST_BYTES;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (cap > b->max + 1)
		cap = b->max + 1;
	data = malloc(cap);
	if (!data) {
		b->err = -ENOMEM;
		return false;
	}
	if (b->data) {
		memcpy(data, b->data, b->len);
		explicit_bzero(b->data, b->cap);
		free(b->data);
	}
	data[b->len] = '\0';
	b->data = data;
	b->cap = cap;
	return true;
}
