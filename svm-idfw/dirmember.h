/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmember.h - who is in which group: a compact picture, to tell what a change of a group was
 *
 * Pure; lives in the directory child. Of each group, by its unique id: a keyed hash of 64 bits of
 * each member value, sorted, and hashes of what else there is about it. 20,000 groups with 3.6
 * million memberships are 30 MB. Two values that look alike (one pair in 10^12 of such a directory)
 * hide one change until the next full comparison, which looks all live accounts up again.
 * The upper 40 bits of a hash say who it is, however the letters are written, so that an account or
 * a group is found by the hash of a value that is gone; DIR_MEMBER_PLAIN says that there is no
 * other way to write it.
 */
#ifndef SVM_IDFW_DIRMEMBER_H
#define SVM_IDFW_DIRMEMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "lib/base/err.h"
#include "svm-idfw/dirindex.h"

#define DIR_MEMBER_GROUPS_MAX 1000000
#define DIR_MEMBERS_MAX 16000000 /* values, in all groups */

#define DIR_MEMBER_WHO (~UINT64_C(0xffffff)) /* of a hash */
#define DIR_MEMBER_PLAIN UINT64_C(1)

enum dir_member_kind { DIR_MEMBER_ID = 1, DIR_MEMBER_DN, DIR_MEMBER_UID, DIR_MEMBER_GID };

struct dir_member_group;

/* of one group, while it is read: what it had before is marked, what is new is listed */
struct dir_member_list {
	const struct dir_member_group *old; /* borrowed; to compare with; NULL: all is listed */
	uint8_t *still;			    /* owned; by number in @old */
	size_t n_still;
	uint64_t *hash; /* owned */
	size_t n, cap;
};

struct dir_member_group {
	uint8_t id[16];
	uint64_t self;		      /* its names */
	uint64_t kind;		      /* another one: its members count in another way */
	uint64_t stamp;		      /* of its last write: uSNChanged, entryCSN */
	uint64_t pass;		      /* that last saw it */
	uint64_t as_member;	      /* as others have it that it is a member of; 0 not known */
	struct dir_index_node called; /* so */
	bool quiet;		      /* what it says was never compared with anything before */
	size_t n;
	UT_hash_handle hh;
	uint64_t hash[]; /* ascending, each once */
};

struct dir_members {
	uint64_t key[2];
	struct dir_member_group *groups; /* owned */
	struct dir_index called;	 /* of them */
	size_t n_odd;			 /* of them: not DIR_MEMBER_PLAIN */
	size_t n_values;
	uint64_t pass;
};

/* @key: random */
void dir_members_init(struct dir_members *m, const uint64_t key[2]);
void dir_members_fini(struct dir_members *m);

/* of anything else that is to be compared */
uint64_t dir_member_hash(const struct dir_members *m, const void *value, size_t len);
/* values that no owner is found by */
uint64_t dir_member_text(
	const struct dir_members *m, enum dir_member_kind kind, const void *value, size_t len);
/* @key: of the struct dir_members; @ours: accounts and groups of this directory have such ids */
uint64_t dir_member_id(const uint64_t key[2], const uint8_t id[16], bool ours);
/* plain: attributes that everybody calls the same, ASCII without anything to be escaped */
uint64_t dir_member_dn(const uint64_t key[2], const char *dn, size_t len);

/* begins anew; @old: NULL, or the group as it was, which stays as it is until the list is put */
GI_MUST_CHECK int dir_member_list_begin(
	struct dir_member_list *l, const struct dir_member_group *old);
/* @ret_new: may be NULL; the group had it not; -ENOMEM, -GI_ELIMIT */
GI_MUST_CHECK int dir_member_list_add(struct dir_member_list *l, uint64_t hash, bool *ret_new);
void dir_member_list_fini(struct dir_member_list *l);

struct dir_member_group *dir_members_find(const struct dir_members *m, const uint8_t id[16]);
bool dir_member_has(const struct dir_member_group *g, uint64_t hash); /* @g NULL: no */
/*
 * dir_member_list_gone - how many values @l->old has and the list has not
 * @ret: the first @max of them
 */
size_t dir_member_list_gone(const struct dir_member_list *l, uint64_t *ret, size_t max);
/*
 * dir_members_put - the group is like this now; seen in this pass
 * @list: is sorted, each value once; the group's own copy is made; @list->old is gone
 * Errors: -ENOMEM, -GI_ELIMIT: the group is not known any more
 */
GI_MUST_CHECK int dir_members_put(
	struct dir_members *m, const struct dir_member_group *head, struct dir_member_list *list);
/* the next group that @hash is, after @at (NULL: the first) */
const struct dir_member_group *dir_members_called(
	const struct dir_members *m, uint64_t hash, const struct dir_member_group *at);
void dir_members_drop(struct dir_members *m, const uint8_t id[16]);

/* a pass over all groups: begin, then each that is seen is put or marked; end: the others are gone
 */
void dir_members_pass(struct dir_members *m);
void dir_members_mark(struct dir_members *m, struct dir_member_group *g);
/* forgets those, telling of each first */
void dir_members_sweep(
	struct dir_members *m, void (*gone)(void *arg, const uint8_t id[16]), void *arg);

#endif
