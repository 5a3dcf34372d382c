/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmember.h - who is in which group: a compact picture, to tell what a change of a group was
 *
 * Pure; lives in the directory child. Of each group, by its unique id: a keyed hash of 64 bits of
 * each member value, sorted, and hashes of what else there is about it. 20,000 groups with 3.6
 * million memberships are 30 MB. Two values that look alike (one pair in 10^12 of such a directory)
 * hide one change until the next full comparison, which looks all live accounts up again.
 */
#ifndef SVM_IDFW_DIRMEMBER_H
#define SVM_IDFW_DIRMEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "lib/base/err.h"

#define DIR_MEMBER_GROUPS_MAX 1000000
#define DIR_MEMBERS_MAX 16000000 /* values, in all groups */

struct dir_member_list { /* of one group, while it is read */
	uint64_t *hash;	 /* owned */
	size_t n, cap;
};

struct dir_member_group {
	uint8_t id[16];
	uint64_t self;	/* its names */
	uint64_t kind;	/* another one: its members count in another way */
	uint64_t stamp; /* of its last write: uSNChanged, entryCSN */
	uint64_t pass;	/* that last saw it */
	bool quiet;	/* what it says was never compared with anything before */
	size_t n;
	UT_hash_handle hh;
	uint64_t hash[]; /* ascending, each once */
};

struct dir_members {
	uint64_t key[2];
	struct dir_member_group *groups; /* owned */
	size_t n_values;
	uint64_t pass;
};

/* @key: random */
void dir_members_init(struct dir_members *m, const uint64_t key[2]);
void dir_members_fini(struct dir_members *m);

/* @kind: what attribute it is of; values of two kinds never are the same */
uint64_t dir_member_hash(const struct dir_members *m, uint8_t kind, const void *value, size_t len);
GI_MUST_CHECK int dir_member_list_add(
	struct dir_member_list *l, uint64_t hash); /* -ENOMEM, -GI_ELIMIT */
void dir_member_list_fini(struct dir_member_list *l);

struct dir_member_group *dir_members_find(const struct dir_members *m, const uint8_t id[16]);
bool dir_member_has(const struct dir_member_group *g, uint64_t hash); /* @g NULL: no */
/* values that the group has and @list has not; @list: is sorted, each value once */
size_t dir_members_removed(
	const struct dir_members *m, const uint8_t id[16], struct dir_member_list *list);
/*
 * dir_members_put - the group is like this now; seen in this pass
 * @list: is sorted, each value once; the group's own copy is made
 * Errors: -ENOMEM, -GI_ELIMIT: the group is not known any more
 */
GI_MUST_CHECK int dir_members_put(
	struct dir_members *m, const struct dir_member_group *head, struct dir_member_list *list);
void dir_members_drop(struct dir_members *m, const uint8_t id[16]);

/* a pass over all groups: begin, then each that is seen is put or marked; end: the others are gone
 */
void dir_members_pass(struct dir_members *m);
void dir_members_mark(struct dir_members *m, struct dir_member_group *g);
/* forgets those, telling of each first */
void dir_members_sweep(
	struct dir_members *m, void (*gone)(void *arg, const uint8_t id[16]), void *arg);

#endif
