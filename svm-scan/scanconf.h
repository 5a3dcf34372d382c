/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanconf.h - svm-scan.conf as a struct; the table is in scanconf.c
 *
 * Read in the main thread at start and on SIGHUP; the rules of a VM come out of it as values
 * (struct scan_rules), so nobody else looks into it while it runs.
 */
#ifndef SVM_SCAN_SCANCONF_H
#define SVM_SCAN_SCANCONF_H

#include "lib/conf/conf.h"
#include "svm-scan/scan.h"

#define SCAN_VMS_MAX 4096

struct scan_conf_rules { /* as written; empty or 0 in a vm block: as for all */
	char *on_open, *on_write, *isolate, *isolate_unknown;
	uint64_t max_file, credits, events_per_s, bytes_per_s, findings_per_h, reports_per_h;
};

struct scan_conf_vm {
	char *label; /* first member */
	struct scan_conf_rules rules;
};

struct scan_conf {
	char *listen, *ca, *cert, *key;
	struct conf_list mux_names;
	char *user, *state_dir, *tmp_dir, *control_socket, *control_group;
	uint64_t workers;
	char *clamav_db, *yara_rules, *hash_list, *sandbox;
	uint64_t cache_entries, budget_ms, memory_limit, head_bytes, max_memory, outbox_max;
	char *audit, *audit_name;
	uint64_t idle_ms, deadline_ms, retry_ms;
	struct scan_conf_rules rules;
	struct conf_array vms; /* struct scan_conf_vm */
};

extern const struct conf_table scan_conf_table;

/*
 * scan_conf_rules - what holds for a VM
 * @vm: its name; NULL: what holds for those without a block
 * @ret_why: which word is wrong
 * Errors: -EINVAL; none once the table's check has passed
 */
GI_MUST_CHECK int scan_conf_rules(
	const struct scan_conf *c, const char *vm, struct scan_rules *ret, char ret_why[256]);

#endif
