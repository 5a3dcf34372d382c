/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_dircert.c - a directory server's certificate, any bytes (svm-idfw/dircert.c)
 *
 * It comes from whoever answers at that address, before anything is known of him. Texts end within
 * their arrays; a name that is found alone is among those that are listed, unless the list is full.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "svm-idfw/dircert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char host[] = "dc1.corp.example";
	char names[DIR_CERT_NAMES_MAX];
	struct dir_cert c;
	bool listed = dir_cert_names(data, size, host, names);

	if (strnlen(names, sizeof(names)) == sizeof(names))
		abort();
	if (dir_cert_has_name(data, size, host) && !listed)
		abort();
	if (!dir_cert_read(data, size, host, &c))
		return 0;
	if (strnlen(c.subject, sizeof(c.subject)) == sizeof(c.subject) ||
		strnlen(c.issuer, sizeof(c.issuer)) == sizeof(c.issuer) ||
		strnlen(c.names, sizeof(c.names)) == sizeof(c.names) || c.for_host != listed)
		abort();
	return 0;
}
