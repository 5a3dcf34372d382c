/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * collide.h - names that are more than one: the same login name or UPN, groups that a policy names
 *
 * Part of svm-idfw's engine. A report for people: nothing is decided by it. Bounded, and forgotten
 * when it was not seen for a day.
 */
#ifndef SVM_IDFW_COLLIDE_H
#define SVM_IDFW_COLLIDE_H

#include "svm-idfw/engine.h"

#define IDFW_COLLISIONS_MAX 1024
#define IDFW_COLLIDE_PLACES 4 /* of one name */
#define IDFW_COLLIDE_UPNS_MAX 65536
#define IDFW_COLLIDE_KEEP_MS 86400000

enum idfw_collision_kind {
	IDFW_COLLIDE_NAME, /* a login name in several directories: the first one has it */
	IDFW_COLLIDE_UPN,  /* two accounts with one principal name: a policy names both */
	IDFW_COLLIDE_GROUP /* two groups with the name that the policy has: it means both */
};

struct idfw_place {
	char *directory, *id; /* owned; label; SID, or DN */
};

struct idfw_collision {
	enum idfw_collision_kind kind;
	char *name; /* owned, in small letters; behind the kind it is the key */
	struct idfw_place at[IDFW_COLLIDE_PLACES];
	size_t n;
	uint64_t first_ms, seen_ms; /* real time */
	UT_hash_handle hh;
};

struct idfw_upn;

struct idfw_collide {		    /* the engine's */
	struct idfw_collision *all; /* owned; oldest first */
	struct idfw_upn *upns;	    /* owned */
};

/* the answer of the directory for @p was taken: is its UPN somebody else's? */
void idfw_collide_upn(struct idfw_engine *e, const struct idfw_principal *p);
void idfw_collide_free(struct idfw_engine *e);
const char *idfw_collision_word(enum idfw_collision_kind kind);
/* dirset.c, and here: @name is both of @at; recorded when that is new */
void idfw_engine_collision(struct idfw_engine *e, enum idfw_collision_kind kind, const char *name,
	const struct idfw_place at[2]);
size_t idfw_collisions_count(const struct idfw_engine *e); /* but of groups */
/* also those of groups, which are looked for now; @c: borrowed for the call */
void idfw_engine_collisions(
	struct idfw_engine *e, void (*cb)(void *arg, const struct idfw_collision *c), void *arg);

#endif
