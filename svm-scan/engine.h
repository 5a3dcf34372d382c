/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.h - what a scan engine is to the worker, and the two that there are
 *
 * An engine is opened before the sandbox is shut and scans one content after the other behind it.
 * It prints nothing; what it finds wrong with its signatures comes back as words.
 */
#ifndef SVM_SCAN_ENGINE_H
#define SVM_SCAN_ENGINE_H

#include "lib/io/sha256.h"
#include "svm-scan/content.h"
#include "svm-scan/pool.h"

#define SCAN_SIGFILES_MAX 4096

struct scan_engine {
	const char *name; /* static: "clamav" */
	void *self;	  /* owned by the engine; close() frees */
	/*
	 * @c: filled up to its cap; @ms: what is left, not 0
	 * @ret: outcome, signature and text are set; zeroed before
	 */
	void (*scan)(void *self, struct scan_content *c, uint32_t ms, struct scan_finding *ret);
	void (*close)(void *self);
	char label[128];  /* "clamav 1.4.6 (44 signatures)" */
	uint64_t version; /* libraries' numbers: part of the epoch, with label */
};

/*
 * scan_clamav_open - libclamav with the signatures of conf->clamav
 * @tmp_dir: where it unpacks
 * @ret: filled; close() when done; untouched on error
 * Errors: -GI_ESTATE (@why says what libclamav said), -ENOMEM
 */
GI_MUST_CHECK int scan_clamav_open(const struct scan_engines_conf *conf, const char *tmp_dir,
	char why[SCAN_WHY_MAX], struct scan_engine *ret);
/* the same of YARA's rules, conf->yara; "include" is not followed: name a directory */
GI_MUST_CHECK int scan_yara_open(
	const struct scan_engines_conf *conf, char why[SCAN_WHY_MAX], struct scan_engine *ret);

/*
 * sigfiles.c - the files that an engine loads, in the order of their names
 * @path: one file, or a directory: then its regular files with one of @suffixes (NULL ended)
 */
struct scan_sigfiles {
	char *dir;    /* owned; "" when @path is one file */
	char **names; /* owned; below dir */
	size_t n;
};
/* Errors: errno of the path; -ENOENT: none; -GI_ELIMIT: more than SCAN_SIGFILES_MAX; -ENOMEM */
GI_MUST_CHECK int scan_sigfiles_list(
	const char *path, const char *const suffixes[], struct scan_sigfiles *ret);
void scan_sigfiles_fini(struct scan_sigfiles *s);
/* a descriptor to read from; errno */
int scan_sigfiles_open(const struct scan_sigfiles *s, size_t i);
/*
 * adds names and contents to @h; @ret_stamp changes when a file is replaced or written: take it
 * before and after loading
 */
GI_MUST_CHECK int scan_sigfiles_digest(
	const struct scan_sigfiles *s, struct io_sha256 *h, uint64_t *ret_stamp);
GI_MUST_CHECK int scan_sigfiles_stamp(const struct scan_sigfiles *s, uint64_t *ret_stamp);
extern const char *const scan_clamav_suffixes[];
extern const char *const scan_yara_suffixes[];

#endif
