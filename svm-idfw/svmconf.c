/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svmconf.c - the items of svm-idfw.conf, one row each
 *
 * Read by the main process and, for its own block, by the directory child.
 */
#include "svm-idfw/svmconf.h"

#include <stdio.h>
#include <string.h>

#define ITEM(field) offsetof(struct svm_conf, field)
#define SVM_VMS_MAX 4096 /* with limits of their own */

static const struct conf_item top_items[] = {
	{ "listen", CONF_T_ENDPOINT, ITEM(listen), NULL, 1, 159,
		"where muxes connect: tcp:ADDRESS:PORT" },
	{ "ca", CONF_T_PATH, ITEM(ca), NULL, 1, 4095,
		"PEM file with the CA of the muxes' certificates" },
	{ "cert", CONF_T_PATH, ITEM(cert), NULL, 1, 4095,
		"PEM file with our certificate and its chain" },
	{ "key", CONF_T_PATH, ITEM(key), NULL, 1, 4095, "its key; mode 0400" },
	{ "mux-names", CONF_T_LIST, ITEM(mux_names), NULL, 1, 1024,
		"muxes that may connect, by their certificates' CN" },
	{ "scan-names", CONF_T_LIST, ITEM(scan_names), "", 0, 64,
		"svm-scans that may connect, by their certificates' CN" },
	{ "never-isolate", CONF_T_LIST, ITEM(never_isolate), "", 0, 1024,
		"VMs that keep their network whatever is found on them" },
	{ "isolate-max", CONF_T_NUMBER, ITEM(isolate_max), "20", 0, IDFW_ISOLATE_HOUR_MAX,
		"verdicts take the network from so many an hour; the rest is only recorded" },
	{ "sessions-max", CONF_T_NUMBER, ITEM(sessions_max), "4096", 1, IDFW_SESSIONS_VM_MAX,
		"sessions of one VM at a time; more are refused and recorded" },
	{ "events-max", CONF_T_NUMBER, ITEM(events_max), "500", 1, 1000000,
		"events a second of one VM; beyond four times that at once it is held back" },
	{ "push-deadline", CONF_T_NUMBER, ITEM(push_deadline_ms), "10s", 1000, 3600000,
		"a VM that applies nothing that it was sent for so long raises an alarm" },
	{ "state-dir", CONF_T_PATH, ITEM(state_dir), IDFW_STATEDIR "/svm", 1, 4000,
		"where the database is" },
	{ "policy", CONF_T_PATH, ITEM(policy), IDFW_SYSCONFDIR "/policy.idfw", 1, 4095,
		"the first policy; used while none has been committed" },
	{ "control-socket", CONF_T_PATH, ITEM(control_socket), IDFW_RUNDIR "/svm.sock", 1, 100,
		"where idfwctl asks" },
	{ "control-group", CONF_T_STRING, ITEM(control_group), "", 0, 64,
		"group that may use it, besides root" },
	{ "user", CONF_T_STRING, ITEM(user), "_idfw", 1, 64,
		"whom to become when started by root" },
	{ "min-uid", CONF_T_NUMBER, ITEM(min_uid), "1000", 0, UINT32_MAX,
		"sessions of lower uids are recorded, the directory is not asked" },
	{ "map-names", CONF_T_LIST, ITEM(name_maps), "", 0, DIR_MAPS_MAX,
		"what directories are asked for instead of a login's name: "
		"\"*@old.example -> *@corp.example\"; the first that fits" },
	{ "vm-directory", CONF_T_LIST, ITEM(vm_rules), "", 0, DIR_VM_RULES_MAX,
		"directory of names without a domain, by the VM's name: \"lab-* -> lab\"; the "
		"first "
		"that fits; what a vm block says counts before" },
	{ "ready-timeout", CONF_T_NUMBER, ITEM(ready_timeout_ms), "2s", 50, 60000,
		"a login that is not enforced by then is reported as degraded" },
};

#define VM_ITEM(field) offsetof(struct svm_vm_conf, field)

static const struct conf_item vm_items[] = {
	{ "sessions-max", CONF_T_NUMBER, VM_ITEM(sessions_max), "", 1, IDFW_SESSIONS_VM_MAX,
		"its sessions at a time, instead of what holds for all" },
	{ "events-max", CONF_T_NUMBER, VM_ITEM(events_max), "", 1, 1000000,
		"its events a second, instead of what holds for all" },
	{ "directory", CONF_T_STRING, VM_ITEM(directory), "", 1, GI_NAME_MAX,
		"directory block that names without a domain are looked up in, for its logins" },
};

static const struct conf_section sections[] = {
	{ NULL, top_items, GI_ARRAY_SIZE(top_items), 0, 0, 1 },
	{ "directory", idfw_dir_conf_items, IDFW_DIR_CONF_ITEMS, sizeof(struct idfw_dir_conf),
		ITEM(directories), DIR_SET_MAX },
	{ "vm", vm_items, GI_ARRAY_SIZE(vm_items), sizeof(struct svm_vm_conf), ITEM(vms),
		SVM_VMS_MAX },
};

static int vm_check(const char *what, const char *name, const char *label, const struct svm_conf *c,
	char ret_why[CONF_WHY_MAX])
{
	if (!label || svm_conf_directory(c, label))
		return 0;
	(void)snprintf(ret_why, CONF_WHY_MAX, "%s%.80s: there is no directory \"%.48s\"", what,
		name, label);
	return -EINVAL;
}

int svm_vms_check(const struct svm_conf *vms, const struct svm_conf *c, char ret_why[CONF_WHY_MAX])
{
	const struct svm_vm_conf *vm = vms->vms.elems;
	int err = 0;

	for (size_t i = 0; err == 0 && i < vms->vms.n; i++)
		err = vm_check("vm ", vm[i].label, vm[i].directory, c, ret_why);
	for (size_t i = 0; err == 0 && i < vms->vm_rules.n; i++) {
		const char *rule = vms->vm_rules.items[i];

		err = vm_check("vm-directory: ", rule, strrchr(rule, ' ') + 1, c, ret_why);
	}
	return err;
}

/* what the table cannot say */
static int conf_check(const void *conf, char ret_why[256])
{
	const struct svm_conf *c = conf;
	const struct idfw_dir_conf *d = c->directories.elems;
	const char *why = NULL;

	for (size_t i = 0; i < c->scan_names.n; i++)
		for (size_t k = 0; k < c->mux_names.n; k++)
			if (!strcmp(c->scan_names.items[i], c->mux_names.items[k])) {
				snprintf(ret_why, 256, "%.100s is in mux-names and in scan-names",
					c->scan_names.items[i]);
				return -EINVAL;
			}
	for (size_t i = 0; i < c->never_isolate.n; i++)
		if (!gi_text_is_name(c->never_isolate.items[i], GI_NAME_MAX)) {
			snprintf(ret_why, 256, "never-isolate: %.100s is not the name of a VM",
				c->never_isolate.items[i]);
			return -EINVAL;
		}
	if (svm_vms_check(c, c, ret_why) < 0)
		return -EINVAL;
	if (dir_route_check(d, c->directories.n, ret_why) < 0)
		return -EINVAL;
	for (size_t i = 0; i < c->directories.n; i++) {
		if (idfw_dir_conf_check(&d[i], &why) < 0) {
			snprintf(ret_why, 256, "directory %s: %s", d[i].label, why);
			return -EINVAL;
		}
	}
	return 0;
}

static const struct conf_check checks[] = { { "map-names", dir_map_check },
	{ "vm-directory", dir_vm_check } };

const struct conf_table svm_conf_table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections),
	.checks = checks,
	.n_checks = GI_ARRAY_SIZE(checks),
	.block_checks = idfw_dir_conf_checks,
	.n_block_checks = IDFW_DIR_CONF_CHECKS,
	.check = conf_check };

struct idfw_dir_conf *svm_conf_directory(const struct svm_conf *c, const char *label)
{
	struct idfw_dir_conf *d = c->directories.elems;

	for (size_t i = 0; i < c->directories.n; i++)
		if (!strcmp(d[i].label, label))
			return &d[i];
	return NULL;
}
