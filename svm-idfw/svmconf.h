/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svmconf.h - svm-idfw.conf as a struct; the table is in svmconf.c
 */
#ifndef SVM_IDFW_SVMCONF_H
#define SVM_IDFW_SVMCONF_H

#include "lib/conf/conf.h"
#include "svm-idfw/dirroute.h"

struct svm_vm_conf { /* 0: as for all */
	char *label;
	uint64_t sessions_max, events_max;
	char *directory; /* label: of names without a domain; NULL: as for all */
};

struct svm_conf {
	char *listen, *ca, *cert, *key;
	struct conf_list mux_names, scan_names, never_isolate;
	uint64_t isolate_max, sessions_max, events_max, push_deadline_ms;
	char *state_dir, *policy, *control_socket, *control_group, *user;
	uint64_t min_uid, ready_timeout_ms;
	struct conf_list name_maps;    /* rules of dirroute.h */
	struct conf_list vm_rules;     /* the same */
	struct conf_array directories; /* struct idfw_dir_conf */
	struct conf_array vms;	       /* struct svm_vm_conf */
};

extern const struct conf_table svm_conf_table;

/* the directories that @vms' blocks and rules name are blocks of @c; else words, and -EINVAL */
GI_MUST_CHECK int svm_vms_check(
	const struct svm_conf *vms, const struct svm_conf *c, char ret_why[CONF_WHY_MAX]);
/* block with this label, or NULL */
struct idfw_dir_conf *svm_conf_directory(const struct svm_conf *c, const char *label);

#endif
