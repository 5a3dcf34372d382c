/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroups.h - groups that changed: whom a change concerns
 *
 * The directory child's picture of all memberships (dirmember.h) and the work on it, on the watch
 * connection: a first pass over all groups that fills it, reading changed groups again, full
 * comparisons, asking whether accounts are still there. All of it in slices of one request, so
 * that the look at the changes and the heartbeat come between. What is found is added to a
 * struct dir_changes. The two back ends differ in how a group is read: dirgroupread.c.
 */
#ifndef SVM_IDFW_DIRGROUPS_H
#define SVM_IDFW_DIRGROUPS_H

#include "svm-idfw/dirback.h"
#include "svm-idfw/dirmember.h"
#include "svm-idfw/dirseen.h"

#define DIR_GROUPS_PAGE 50  /* groups with their members */
#define DIR_GROUPS_LIST 500 /* groups without */
#define DIR_ADDED_MAX 100   /* members whose ids must be asked for; more at once: all */
#define DIR_SEEN_ASK 100    /* accounts in one filter */
#define DIR_COMPARE_GAP 10  /* after a comparison for a write that is hidden: so often its time */
#define DIR_TODO_MAX 200000 /* groups that wait to be read again; more: all */
#define DIR_PLACES_MAX 100000
#define DIR_TURN_MS 50	/* on groups that changed, before others have their turn */
#define DIR_TRIES_MAX 3 /* of one request; it may be what breaks the connection */

struct dir_todo {
	uint8_t id[16];
	char *dn;	  /* owned; NULL: it is read by its id (AD) */
	bool quiet;	  /* of the first pass: nobody is told */
	bool doubt;	  /* written more than once, or it may be: what was between is not known */
	uint64_t since;	  /* what was written after that was not looked at before */
	uint64_t seen_ms; /* who was looked up before that has seen what was told until then */
	unsigned int tries; /* that broke the connection, or were too slow for it */
	UT_hash_handle hh;
};

struct dir_place { /* an entry that others are below */
	uint8_t id[16];
	uint64_t dn; /* hash */
	UT_hash_handle hh;
};

struct dir_groups {
	struct dir_members m;
	struct dir_place *places; /* owned */
	struct dir_todo *todo;	  /* owned; in order */
	struct dldap_cursor cursor;
	bool whole;	   /* the first pass has come to its end */
	bool passing;	   /* a pass runs: the first one, or a comparison */
	bool again;	   /* another one is due behind it */
	bool checking;	   /* accounts are asked for */
	bool failed;	   /* said so */
	bool blind;	   /* somebody went before the first pass was whole: nobody can say who */
	uint64_t blind_ms; /* monotonic: not before */
	uint64_t round;
	unsigned int tries; /* of this pass in vain: each asks for less at once */
	uint64_t since;	    /* groups written after were not looked at yet: uSNChanged, entryCSN */
	bool catching_up;   /* what is told happened before this connection: any number of writes */
	uint64_t
		looked_ms; /* monotonic: all that was written before is told, or on its way to be */
	uint64_t doubt_ms; /* to be told: whose lookup ended since then; 0 nobody */
	uint64_t next_ms;  /* no comparison for a hidden write before, monotonic */
	uint64_t began_ms;
	size_t done, total;	  /* of this pass */
	uint64_t compared_ms;	  /* real time: the last pass was whole; 0 none */
	uint64_t took_ms;	  /* that one */
	size_t found, found_last; /* groups that differ: of this pass, of the last whole one */
	uint64_t begun, ended;	  /* passes */
};

GI_MUST_CHECK int dir_groups_new(struct dir_groups **ret);
void dir_groups_free(struct dir_groups *g); /* NULL is fine */
/* NULL is fine. The connection is new: a pass that ran begins again, or the first one begins.
 * @since: what was written later was not looked at yet, as a number that ascends */
void dir_groups_connected(struct dir_groups *g, uint64_t since);
/*
 * dir_groups_forget - the picture says nothing any more: it is another server's, or changes were
 * not looked at. A group that is as it was in the picture was another one in between, and whoever
 * was looked up then would not be told. @read: the first pass begins anew, else at the next
 * connection
 */
void dir_groups_forget(struct dir_groups *g, bool read);
/* @id changed: it will be read again; @dn as in struct dir_todo, copied */
void dir_groups_changed(
	struct dir_groups *g, const uint8_t id[16], const char *dn, struct dir_changes *ch);
/* the same, and nobody knows how often */
void dir_groups_changed_often(
	struct dir_groups *g, const uint8_t id[16], const char *dn, struct dir_changes *ch);
/* there were more writes than changes: each group that is to be read may have had several */
void dir_groups_doubt(struct dir_groups *g);
/* it is gone */
void dir_groups_gone(struct dir_groups *g, const uint8_t id[16], struct dir_changes *ch);
/*
 * dir_groups_moved - an entry that others are below changed: has it another DN, so that they have?
 * Who was not known before has, for all we know. Then it is known, up to DIR_PLACES_MAX of them.
 */
bool dir_groups_moved(struct dir_groups *g, const uint8_t id[16], const char *dn);
/* it is new, and nothing is below it */
void dir_groups_place(struct dir_groups *g, const uint8_t id[16], const char *dn);
/* its members are still to be read; nobody is told */
void dir_groups_later(struct dir_groups *g, const uint8_t id[16], const char *dn);
bool dir_groups_has(const struct dir_groups *g, const uint8_t id[16]);
/* compare everything; @hidden: because of a write that could not be seen: not too often */
void dir_groups_compare(struct dir_groups *g, bool hidden);
/*
 * dir_groups_sync - somebody waits for it: what was put off is done now
 * @full: and everything is compared
 * @ret_pass: for dir_groups_synced(), changed with @full only
 */
void dir_groups_sync(struct dir_groups *g, bool full, uint64_t *ret_pass);
/* nothing is left to be looked at, and the pass was; also when the server refuses to list groups */
bool dir_groups_synced(const struct dir_groups *g, uint64_t pass);
/*
 * dir_groups_work - a slice: one request or the like
 * @ret_more: there is more to do
 * Errors: the connection is of no more use
 */
GI_MUST_CHECK int dir_groups_work(
	struct dir_back *b, struct dir_changes *ch, bool *ret_more, char why[DIR_WHY_MAX]);
/*
 * dir_groups_turn - what one round of the loop does: all groups that changed, for DIR_TURN_MS; when
 * there are none, one slice of what runs over everything
 * So what changed is told, and what else changed is heard, before the next page is asked for.
 */
GI_MUST_CHECK int dir_groups_turn(
	struct dir_back *b, struct dir_changes *ch, bool *ret_more, char why[DIR_WHY_MAX]);
/*
 * dir_groups_between - a group may have changed back and forth: who was looked up meanwhile is told
 * Before what was found is sent. Those whose lookup is still running are told when it has ended.
 */
void dir_groups_between(struct dir_back *b, struct dir_changes *ch);

/* how much is asked for at once, of @n: an eighth after each try in vain, at least 1 */
size_t dir_groups_less(const struct dir_groups *g, size_t n);

/* ---- dirgroupread.c ---- */

/* a page of the pass that runs */
GI_MUST_CHECK int dir_groups_page(
	struct dir_back *b, struct dir_changes *ch, char why[DIR_WHY_MAX]);
/* one group, all of its members; -GI_ENOTFOUND: it is not there */
GI_MUST_CHECK int dir_groups_read(struct dir_back *b, const struct dir_todo *t,
	struct dir_changes *ch, char why[DIR_WHY_MAX]);
/* which of these accounts are there: clears their ids */
GI_MUST_CHECK int dir_groups_ask(
	struct dir_back *b, uint8_t (*ids)[16], size_t n, char why[DIR_WHY_MAX]);

#endif
