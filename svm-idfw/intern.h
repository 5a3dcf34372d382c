/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * intern.h - each text once, counted; and the keyed hash of the engine's tables
 *
 * Sessions repeat a handful of services, terminals, hosts and user names: a session then costs a
 * pointer a text. What guests choose is hashed with a random key (SipHash-1-3), so that no guest
 * can make a table slow. Engine's thread only.
 */
#ifndef SVM_IDFW_INTERN_H
#define SVM_IDFW_INTERN_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/base/hash.h"

struct idfw_strtab {
	struct idfw_str **slots; /* owned; open addressing */
	size_t cap, n;
	uint64_t key[2];
};

void idfw_strtab_init(struct idfw_strtab *t, const uint64_t key[2]);
void idfw_strtab_fini(struct idfw_strtab *t); /* all references are gone */
/* one reference more; NULL: out of memory. @text NULL is "" */
const char *idfw_str_get(struct idfw_strtab *t, const char *text);
void idfw_str_put(struct idfw_strtab *t, const char *interned); /* NULL is fine */

static inline uint64_t idfw_siphash(const uint64_t key[2], const void *data, size_t len)
{
	return gi_siphash(key, data, len);
}

/* uthash with our hash: HASH_FUNCTION cannot carry a key */
static inline unsigned int idfw_hashv(const uint64_t key[2], const void *data, size_t len)
{
	return (unsigned int)idfw_siphash(key, data, len);
}

#endif
