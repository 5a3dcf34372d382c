/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proc.h - one worker process, and the thread that starts them
 *
 * A process dies with the thread that forked it (PDEATHSIG), and reloads come from threads that
 * end soon: so all are forked by one thread that lives as long as the pool.
 */
#ifndef SVM_SCAN_PROC_H
#define SVM_SCAN_PROC_H

#include <sys/types.h>
#include "lib/io/child.h"
#include "svm-scan/msg.h"
#include "svm-scan/pool.h"

#define SCAN_TMP_SUBDIR "workers"

struct scan_spawner;

struct scan_proc {
	struct io_child_proc child;
	struct scan_msgs msgs;
	bool ready;
	struct scan_epoch epoch;
	char engines[SCAN_WHY_MAX + 1];
	uint64_t start_end_ms; /* when it has to be ready */
	uint32_t jobs;
	uint64_t load_us; /* processor time that it had taken when it was ready */
	int tmp_root;	  /* borrowed from the spawner */
	char tmp[32];	  /* name of its directory in there */
};

/*
 * scan_spawner_new - make and empty tmp_dir/workers, start the thread
 * @conf: complete (no defaults any more); borrowed as long as the spawner lives
 * Errors: errno of the directory and the thread, -GI_ENOTFOUND (user); words in @why
 */
GI_MUST_CHECK int scan_spawner_new(
	const struct scan_pool_conf *conf, char why[SCAN_WHY_MAX], struct scan_spawner **ret);
void scan_spawner_free(struct scan_spawner *s); /* processes have ended before; NULL is fine */

/*
 * scan_proc_start - fork a worker; it is ready later
 * @stop_fd: borrowed: readable ends every wait for it
 * @ret: returned owned, scan_proc_end()
 * Errors: errno of fork and of its directory, -ENOMEM
 */
GI_MUST_CHECK int scan_proc_start(
	struct scan_spawner *s, int stop_fd, uint32_t start_ms, struct scan_proc **ret);
/*
 * scan_proc_ready - wait for its ScanReady until @deadline_ms or the end of its start time
 * Errors: -EAGAIN (@deadline_ms came first: it still loads); all others mean that it is of no use,
 *	with words in @why: -ETIMEDOUT, -ECANCELED, -GI_ESTATE, -GI_ECLOSED, -GI_EPROTO
 */
GI_MUST_CHECK int scan_proc_ready(
	struct scan_proc *p, uint64_t deadline_ms, char why[SCAN_WHY_MAX]);
/* it said something, or ended, unasked: not to be used */
bool scan_proc_is_lost(struct scan_proc *p);
/*
 * at least @jobs, and what it took to load is a twentieth of what it took for them: signatures that
 * load in seconds are not loaded again for each thousand small files
 */
bool scan_proc_is_old(const struct scan_proc *p, uint32_t jobs);
/*
 * scan_proc_end - kill, reap, remove its files, free; NULL is fine
 * @why: NULL, or gets how it had ended before: "killed by signal 11", "" when it had not
 */
void scan_proc_end(struct scan_proc *p, char *why);

#endif
