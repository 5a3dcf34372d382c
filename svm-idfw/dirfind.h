/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirfind.h - finding a directory's servers by DNS: a child that asks, and the last good list
 *
 * dirfind.c is svm-idfw's side: it starts `svm-idfw --directory-discover LABEL -c CONF` when the
 * time has come, kills it at a deadline, and checks what it says. dirdisc.c is that child: the
 * resolver, nothing else; it sends one DirServers, keeps the list in a file and ends. A dead name
 * server thus costs a child some seconds, and svm-idfw nothing.
 * Source: docs/directory.md "Servers by DNS", ADR 19.
 */
#ifndef SVM_IDFW_DIRFIND_H
#define SVM_IDFW_DIRFIND_H

#include "lib/io/loop.h"
#include "svm-idfw/dirsrv.h"
#include "svm-idfw/dirwhy.h"

struct dir_find;

struct dir_find_ops {
	/* a list in the order in which servers are to be asked; never empty. Borrowed */
	void (*servers)(void *arg, const struct dir_srv_list *l);
	/* DNS says nothing now, and nothing is known from before */
	void (*nobody)(void *arg, const char *why);
	/* dir_find_text() may say something else now */
	void (*news)(void *arg);
};

/*
 * dir_find_new - reads the list that is known from before; DNS is asked from the loop
 * @conf_file, @conf: as idfw_dir_new()
 * @ops, @arg: borrowed until dir_find_free()
 */
GI_MUST_CHECK int dir_find_new(struct io_loop *l, const char *conf_file,
	const struct idfw_dir_conf *conf, const struct dir_find_ops *ops, void *arg,
	struct dir_find **ret);
void dir_find_free(struct dir_find *f);
const struct dir_srv_list *dir_find_list(const struct dir_find *f); /* may be empty */
/* all servers fail: DNS is asked at once, if that was not just done */
void dir_find_now(struct dir_find *f);
/* "" , or since when the list is what it is and why nothing newer is known */
void dir_find_text(const struct dir_find *f, char out[DIR_WHY_MAX]);

/* dirdisc.c: the child's main; descriptor 3 is the parent. @seed: of the order. Its exit code */
int idfw_dir_discover_main(const struct idfw_dir_conf *conf, const char *seed);

#endif
