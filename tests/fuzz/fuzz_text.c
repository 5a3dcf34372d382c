/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_text.c - the small readers of lib/: addresses, prefixes, endpoints, numbers, UTF-8
 *
 * They read configuration, policy, messages and command lines. What is accepted is formatted and
 * must read back as the same value; what is called clean text has no control character in it.
 */
#include <stdlib.h>
#include <string.h>
#include "lib/base/addr.h"
#include "lib/base/text.h"
#include "lib/io/sock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void addresses(const char *text)
{
	struct gi_prefix p, again;
	struct gi_addr a, back;
	char buf[GI_ADDR_STRLEN];

	if (gi_addr_parse(text, &a) == 0) {
		gi_addr_format(&a, buf);
		if (gi_addr_parse(buf, &back) < 0 || gi_addr_cmp(&a, &back) != 0)
			abort();
		if (gi_addr_from_bytes(a.bytes, gi_addr_len(&a), &back) < 0)
			abort();
	}
	for (int lax = 0; lax < 2; lax++) {
		if (gi_prefix_parse(text, lax, &p) < 0)
			continue;
		gi_prefix_format(&p, buf);
		if (gi_prefix_parse(buf, false, &again) < 0 || gi_prefix_cmp(&p, &again) != 0)
			abort();
		if (!gi_prefix_contains(&p, &p.addr))
			abort();
	}
}

static void endpoint(const char *text)
{
	struct io_endpoint e;

	if (io_endpoint_parse(text, &e) < 0)
		return;
	if (strcmp(e.text, text) != 0 || e.len > sizeof(e.u) || e.len == 0)
		abort();
	if (e.u.sa.sa_family == AF_UNIX && !memchr(e.u.un.sun_path, '\0', sizeof(e.u.un.sun_path)))
		abort();
}

static void words(const char *text, size_t size)
{
	uint64_t v;
	uint32_t cp;
	size_t n;

	if (gi_text_u64(text, 5, 70000, &v) == 0 && (v < 5 || v > 70000))
		abort();
	if (gi_text_is_name(text, GI_NAME_MAX) && strlen(text) > GI_NAME_MAX)
		abort();
	if (!gi_text_is_clean(text, 100))
		return;
	if (strlen(text) > 100)
		abort();
	for (; *text; text += n, size -= n) {
		n = gi_text_utf8(text, size, &cp);
		if (n == 0 || gi_text_is_control(cp))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	addresses(text);
	endpoint(text);
	words(text, size);
	free(text);
	return 0;
}
