/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstep.h - a directory is tried step by step, for `idfwctl dir test`
 *
 *   svm-idfw --test-directory (dirtest.c) --spawns--> svm-idfw --test-server: dir_step_main()
 *        <---- one SOCK_SEQPACKET record a word: "B tls", then "K tls\ttext" or "F tls\twhy" ----
 *
 * The child is as the directory child is (same user, no capability, same seccomp list), one for
 * each server, and the parent kills it when a step takes too long: libldap and the name service
 * have no limits of their own everywhere. What it says may be an attacker's words: texts for people
 * only.
 */
#ifndef SVM_IDFW_DIRSTEP_H
#define SVM_IDFW_DIRSTEP_H

#include "svm-idfw/dirback.h"

#define DIR_STEP_RECORD_MAX (DIR_WHY_MAX + 32)

struct dir_step { /* one run in the child */
	int fd;
	const struct idfw_dir_conf *conf; /* uri is the server's */
	char now[16];			  /* the step that goes on; "" none */
	struct dir_back back;
	bool dirsync, notifies, paging, extended_dn, syncrepl, ad; /* says its root DSE */
};

/* the step before ends well, this one begins */
void dir_step_begin(struct dir_step *s, const char *name);
void dir_step_ok(struct dir_step *s, const char *fmt, ...) GI_PRINTF(2, 3);
void dir_step_failed(struct dir_step *s, const char *why);
/* dirstepsrv.c: what the server says about itself, base, an account, changes; 0 or it has failed */
GI_MUST_CHECK int dir_step_server(
	struct dir_step *s, const struct dldap_conf *ldap, const char *account);

/*
 * dir_step_main - the child: descriptor 3 is the parent
 * @uri: the server; "": say which ones DNS names ("U uri" each)
 * @account: whose groups are looked up; "": anybody's
 * Returns its exit code
 */
int dir_step_main(const struct idfw_dir_conf *conf, const char *uri, const char *account);

#endif
