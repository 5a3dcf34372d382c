/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fakeldap.h - a directory in memory in place of svm-idfw/dirldap.c and dirsync.c, for
 * test_dirgroups, test_dirlook, test_dirlisting, test_dirad
 *
 * Entries have a DN, the number of an id (objectGUID and entryUUID: its bytes, the rest 0) and
 * values as "attr: value" texts, SIDs too. Filters: & | (attr=value) (attr=*) >= <= as svm-idfw
 * makes them. The clock is the test's, too (--wrap). What syncrepl sends is a list of messages that
 * the test puts.
 */
#ifndef TESTS_FAKELDAP_H
#define TESTS_FAKELDAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "svm-idfw/dirldap.h"

struct fake {
	uint64_t now_ms;	 /* of io_clock_mono_ms() */
	unsigned int searches;	 /* up to now */
	char log[2048];		 /* "SCOPE BASE FILTER\n" of each */
	const char *fail_filter; /* a search with that in its filter or base fails; NULL: none */
	int fail_err;
	size_t groups; /* values of memberOf in one answer; 0: all */
	bool stuck;    /* the rest of memberOf, member begins where the part before did */
	void (*before)(void *arg); /* each search: the world goes on meanwhile; NULL */
	void *arg;
};

extern struct fake fake;

void fake_reset(void);
/* "objectClass: group", ...; ended by NULL. Replaces who has that id */
void fake_entry(unsigned int id, const char *dn, ...) __attribute__((sentinel));
void fake_value(unsigned int id, const char *value); /* one more */
/* so many more members of an AD group, in front of its others; until the next fake_entry() */
void fake_crowd(unsigned int id, unsigned int n);
void fake_gone(unsigned int id);
void fake_id(unsigned int id, uint8_t ret[16]);

/* FAKE_LOST: the server has lost count; FAKE_FAILS: we have no memory for it */
enum fake_sync {
	FAKE_NEW,
	FAKE_CHANGED,
	FAKE_DELETED,
	FAKE_UNSURE,
	FAKE_CURRENT,
	FAKE_LOST,
	FAKE_FAILS
};
/* a message; @cookie: behind it, or NULL. What is told of an entry is what it is now */
void fake_tell(enum fake_sync what, unsigned int id, const char *cookie);

#endif
