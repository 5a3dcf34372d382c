/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * service.h - svm-scan's main thread: what it owns, and what its parts ask it for
 *
 * main.c makes and ends everything; callbacks.c is what libepsec calls; reload.c brings new
 * signatures, list and rules in; control.c answers idfwctl. What has no remark is constant while
 * other threads run, or looked at by the main thread only.
 */
#ifndef SVM_SCAN_SERVICE_H
#define SVM_SCAN_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include "lib/io/loop.h"
#include "lib/io/tls.h"
#include "svm-scan/control.h"
#include "svm-scan/judge.h"
#include "svm-scan/pool.h"
#include "svm-scan/report.h"
#include "svm-scan/scanconf.h"
#include "svm-scan/vms.h"

#define SCAN_LIST_MAX (512u << 20) /* bytes of a hash list */
#define SCAN_LOAD_TEXT_MAX (64u << 10)

struct scan_reload { /* reload.c: one at a time, in a thread of its own */
	pthread_t thread;
	bool running;
	bool again; /* asked for while one was under way */
	struct io_wake done, wanted;
	/* the thread's, until it is joined */
	char *list_path; /* owned: what to load, or NULL */
	int err;
	struct gi_buf text; /* diagnostics, words */
	uint8_t epoch[EPS_EPOCH_MAX];
};

struct scan_service {
	int argc;
	char **argv;
	struct scan_conf *conf; /* owned: as it was at the start; constant */
	struct scan_conf *live; /* owned: rules and hash-list of the last reload; or NULL */
	unsigned int workers;
	char software[WIRE_SOFTWARE_MAX + 1];
	uint64_t started_ms;
	struct io_loop *loop;
	struct io_signal term, intr, hup, usr1;
	struct io_timer sums;	/* of findings that have no record of their own */
	struct io_tls_ctx *tls; /* NULL: no svm-idfw */
	struct scan_vms *vms;
	struct scan_pool *pool;
	struct scan_report *report;
	struct scan_judge *judge;
	struct eps *_Atomic eps; /* callbacks come before eps_open() has returned it */
	atomic_bool ready;	 /* pool and judge are there; until then nothing is scanned */
	struct scan_control *control;
	struct scan_reload reload;
	atomic_ullong worker_ends; /* that were not told yet */
	atomic_ullong worker_end_told_ms;
	uint8_t epoch[EPS_EPOCH_MAX]; /* of the last load that went well */
	uint64_t loaded_ms;
	uint64_t load_ms;		    /* when the last load ended, well or not */
	char load_error[WIRE_TEXT_MAX + 1]; /* its first words; "" it went well */
};

extern const struct eps_ops scan_eps_ops; /* callbacks.c; arg: the service */

/* limits of all VMs that are known, and what of their reports is done, to libepsec */
void scan_guests_settle(struct scan_service *s);

/*
 * scan_list_load - the hash list, as it is on disk
 * @path: NULL: no list, *ret is NULL
 * @out: appended: diagnostics for people
 * Errors: -GI_ESYNTAX, -errno of reading, -ENOMEM
 */
GI_MUST_CHECK int scan_list_load(const char *path, struct gi_buf *out, struct scan_hashlist **ret);
/*
 * scan_reload_start - configuration, hash list and signatures, as they are on disk
 * What can be changed while running is; the rest is named in the log. Ends with
 * scan_control_reloaded().
 * Errors: -GI_ESYNTAX and errno of the configuration, errno of pthread_create, -ENOMEM: in the log,
 * and what the status shows
 */
GI_MUST_CHECK int scan_reload_start(struct scan_service *s);
/* at the start, in the caller's thread; the pool is new. Errors: as of a list, -ENOMEM */
GI_MUST_CHECK int scan_reload_first(struct scan_service *s);
void scan_reload_init(struct scan_service *s);
void scan_reload_fini(struct scan_service *s); /* blocks while one is under way */
/* from any thread: the pool has found other signatures on disk */
void scan_reload_want(struct scan_service *s);

#endif
