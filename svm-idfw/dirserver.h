/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirserver.h - which of a directory's servers is asked: in order of preference, a breaker each
 *
 * Pure, no clock and no randomness of its own; dir.c's memory, in svm-idfw's process, so that what
 * is known about a server outlives the child that found it out. A server that fails is left out:
 * for a moment (100 ms, doubling to 5 s) when no other is left to try, for 10 s and more when
 * another one answers and it would only be gone back to. All pauses have jitter: many svm-idfws
 * that lost one server do not come back to it at one time.
 * Source: docs/directory.md "Several servers", ADR 9.
 */
#ifndef SVM_IDFW_DIRSERVER_H
#define SVM_IDFW_DIRSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "svm-idfw/dirwhy.h"

#define DIR_SERVERS_MAX 8
#define DIR_URI_MAX 255
#define DIR_CONNECT_MS 2000 /* from the start of a child to its first word */

struct dir_server {
	char uri[DIR_URI_MAX + 1];
	bool out;
	uint32_t failures;			    /* without 60 s of service between them */
	uint64_t out_ms, retry_ms, probe_ms, up_ms; /* monotonic */
	char why[DIR_WHY_MAX];			    /* while out */
};

struct dir_servers {
	struct dir_server list[DIR_SERVERS_MAX]; /* the preferred one first */
	size_t n;
	int current; /* which answers; -1 none */
};

/* @uris: the first DIR_SERVERS_MAX of them; none: found by DNS later */
void dir_servers_init(struct dir_servers *s, char *const *uris, size_t n);
/*
 * dir_servers_replace - another list, at run time; what is known about a server stays with its URI
 * @uris: the preferred one first, the first DIR_SERVERS_MAX of them
 * @busy: an index that must stay, -1 none. It and the current one go to the end when they are not
 *        in @uris: any other is preferred to them, and once they are not needed they are not kept
 * @ret_moved: for each old index the new one, -1: not there any more
 * Returns whether it is another list, or the same in another order.
 */
bool dir_servers_replace(struct dir_servers *s, const char *const *uris, size_t n, int busy,
	int ret_moved[DIR_SERVERS_MAX]);
/* whom to connect to when none is connected: who is not left out, else whose pause is over; -1 */
int dir_servers_pick(const struct dir_servers *s, uint64_t now);
/* for how long pick() says -1, at least 1 */
uint64_t dir_servers_wait(const struct dir_servers *s, uint64_t now);
/* one that is preferred to the current and may be well again by now; -1 none, or not yet */
int dir_servers_probe(const struct dir_servers *s, uint64_t now);
/* whom to try besides @busy, which has been connecting for long; -1 none, or not yet */
int dir_servers_other(const struct dir_servers *s, size_t busy, uint64_t now);
/* how long connecting to it may take: more after each failure, since it may be us who are slow */
uint64_t dir_servers_limit(const struct dir_servers *s, size_t i, uint64_t deadline_ms);
void dir_servers_up(struct dir_servers *s, size_t i, uint64_t now);
/* @noise: random, makes the jitter */
void dir_servers_failed(
	struct dir_servers *s, size_t i, uint64_t now, uint32_t noise, const char *why);
/*
 * dir_servers_text - who answers, who is left out, since when and why; "" when there is but one
 * @real_ms: Unix time of @now
 */
void dir_servers_text(
	const struct dir_servers *s, uint64_t now, uint64_t real_ms, char out[DIR_WHY_MAX]);

#endif
