/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svm.h - the parts of a running svm-idfw; main.c starts them, glue.c joins them
 */
#ifndef SVM_IDFW_SVM_H
#define SVM_IDFW_SVM_H

#include "lib/base/log.h"
#include "svm-idfw/ctl.h"
#include "svm-idfw/dirs.h"
#include "svm-idfw/guests.h"
#include "svm-idfw/store.h"
#include "svm-idfw/svmconf.h"

struct svm {
	struct svm_conf conf;
	const char *conf_file; /* borrows argv or the default */
	int argc;
	char **argv;		    /* for SIGHUP: the same options name the same file */
	struct idfw_limits *limits; /* owned; conf.vms, as the engine has them */
	struct io_loop *loop;
	struct io_idle flush;
	struct io_timer tick;
	struct io_timer hold; /* runs while the muxes are not read, see glue.c */
	bool holding;
	uint64_t holds;
	struct io_signal term, intr, hup;
	struct io_tls_ctx *tls;
	struct idfw_engine *engine;
	struct idfw_store *store;
	struct idfw_guests *guests;
	struct idfw_dirs *dirs; /* NULL: none is configured */
	struct idfw_ctl *ctl;
	struct pol_domains domains;	   /* of the directories, for names in a policy */
	uint64_t tick_at_ms;		   /* monotonic; 0 none */
	uint64_t as_of_ms[IDFW_AS_OF_MAX]; /* in the database */
	bool store_full;		   /* said already */
};

/* the engine's clock is now; its flush comes at the end of this round */
void svm_round(void *arg);
GI_MUST_CHECK int svm_engine_start(struct svm *s, const uint64_t seed[2]);
/* reload.c: the engine is given the limits in s->conf */
GI_MUST_CHECK int svm_limits_apply(struct svm *s);
/* SIGHUP: limits are taken over from the configuration, if all of it is good; words into the log */
void svm_reload(struct svm *s);
/* the newest policy of the store, or the file for the first time; words into the log */
GI_MUST_CHECK int svm_policy_start(struct svm *s);
extern const struct idfw_store_ops svm_store_ops;
extern const struct idfw_dirs_ops svm_dirs_ops;
extern const struct idfw_ctl_ops svm_ctl_ops;

#endif
