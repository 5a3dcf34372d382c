/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroups_world.h - a small directory in memory, of either kind, and one that looks at it
 */
#ifndef TEST_DIRGROUPS_WORLD_H
#define TEST_DIRGROUPS_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "lib/base/log.h"
#include "svm-idfw/dirgroups.h"
#include "tests/unit/svm-idfw/fakeldap.h"

#define PEOPLE "ou=people,dc=corp"
#define GROUPS "ou=groups,dc=corp"
#define CSN(n) "20260101000000.00000" #n "Z#000000#000#000000"
#define COOKIE(n) "rid=000,csn=" CSN(n)

enum { ROOT = 1, CONTEXT, OU = 5, ALICE = 10, BOB, CARL, ENG = 20, OPS };

struct t {
	struct idfw_dir_conf conf;
	struct dir_back b;
	struct dir_changes ch;
	char told[512], why[DIR_WHY_MAX];
};

#define AD_PEOPLE "OU=People,DC=corp,DC=example"
#define AD_ALICE "member: <GUID=0a000000000000000000000000000000>;CN=alice," AD_PEOPLE
#define AD_BOB "member: <GUID=0b000000000000000000000000000000>;CN=bob," AD_PEOPLE

void server(const char *csn);
void person(unsigned int id, const char *name);
/* members are names, "" none */
void group(unsigned int id, const char *name, const char *csn, const char *a, const char *b);
void back_new(struct t *t, const struct dir_back_ops *ops, const char *base);
int teardown(void **state);
/* what was found is told: "all", or "a10 g20 " */
const char *told(struct t *t);
/* all that is left to do */
int work(struct t *t);
void begin(struct t *t);
void look(struct t *t);
/* a lookup has found it, just now */
void looked_up(struct t *t, unsigned int id);
/* OpenLDAP: alice is in eng and ops; all groups are known, the search is at the present */
int setup(void **state);
/* which domain controller answers */
void ad_server_of(const char *name, unsigned int usn);
void ad_server(unsigned int usn);
void ad_person(const char *dn, unsigned int usn);
void ad_group(unsigned int usn, const char *a, const char *b);
void ad_ou(const char *name, unsigned int created, unsigned int usn);
/* AD: alice is in eng */
int setup_ad(void **state);
/* and what is told of it */
const char *ad_look(struct t *t);

#endif
