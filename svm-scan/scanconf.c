/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * scanconf.c - the items of svm-scan.conf, one row each, and the rules that follow from them
 *
 * The same items say what holds for all VMs (top level) and for one (block vm); what a block does
 * not say is as for all.
 */
#include "svm-scan/scanconf.h"

#include <stdio.h>
#include <string.h>

#include "lib/wire/wire.h"

#define ITEM(field) offsetof(struct scan_conf, field)
#define VM_ITEM(field) offsetof(struct scan_conf_vm, rules.field)

static const struct conf_item top_items[] = {
	{ "listen", CONF_T_ENDPOINT, ITEM(listen), NULL, 1, 159,
		"where muxes connect: tcp:ADDRESS:PORT" },
	{ "ca", CONF_T_PATH, ITEM(ca), NULL, 1, 4095,
		"PEM file with the CA of the muxes' and svm-idfw's certificates" },
	{ "cert", CONF_T_PATH, ITEM(cert), NULL, 1, 4095,
		"PEM file with our certificate and its chain" },
	{ "key", CONF_T_PATH, ITEM(key), NULL, 1, 4095, "its key; mode 0400" },
	{ "mux-names", CONF_T_LIST, ITEM(mux_names), NULL, 1, 1024,
		"muxes that may connect, by their certificates' CN" },
	{ "audit", CONF_T_ENDPOINT, ITEM(audit), "", 0, 159,
		"svm-idfw's scan listener: tcp:ADDRESS:PORT; none: findings are only logged" },
	{ "audit-name", CONF_T_STRING, ITEM(audit_name), "", 0, 255,
		"name that svm-idfw's certificate must carry" },
	{ "user", CONF_T_STRING, ITEM(user), "_idfw", 1, 64,
		"whom to become when started by root" },
	{ "state-dir", CONF_T_PATH, ITEM(state_dir), IDFW_STATEDIR "/scan", 1, 4000,
		"where the outbox for svm-idfw is" },
	{ "tmp-dir", CONF_T_PATH, ITEM(tmp_dir), IDFW_RUNDIR "/scan", 1, 4000,
		"where engines unpack archives; emptied at the start" },
	{ "control-socket", CONF_T_PATH, ITEM(control_socket), IDFW_RUNDIR "/scan.sock", 1, 100,
		"where idfwctl asks" },
	{ "control-group", CONF_T_STRING, ITEM(control_group), "", 0, 64,
		"group that may use it, besides root" },
	{ "workers", CONF_T_NUMBER, ITEM(workers), "0", 0, 256,
		"processes that scan; 0: one a CPU" },
	{ "clamav-db", CONF_T_PATH, ITEM(clamav_db), "", 0, 4095,
		"ClamAV's signatures, a file or a directory; none: no ClamAV" },
	{ "yara-rules", CONF_T_PATH, ITEM(yara_rules), "", 0, 4095,
		"YARA's rules, a file or a directory; none: no YARA" },
	{ "hash-list", CONF_T_PATH, ITEM(hash_list), "", 0, 4095,
		"file of \"allow|deny SHA256 [name]\" lines" },
	{ "cache-entries", CONF_T_NUMBER, ITEM(cache_entries), "1000000", 0, 100000000,
		"contents whose verdict is remembered for all VMs; about 150 bytes each" },
	{ "budget", CONF_T_NUMBER, ITEM(budget_ms), "30s", 100, 3600000,
		"time that one scan may take" },
	{ "memory-limit", CONF_T_NUMBER, ITEM(memory_limit), "1GiB", 0, 1ull << 40,
		"memory of one worker on top of its signatures; 0: no limit" },
	{ "sandbox", CONF_T_STRING, ITEM(sandbox), "strict", 1, 16,
		"relaxed: workers start also where the kernel has no landlock" },
	{ "max-memory", CONF_T_NUMBER, ITEM(max_memory), "256MiB", 1 << 20, 1ull << 40,
		"content of files that this process holds" },
	{ "head-bytes", CONF_T_NUMBER, ITEM(head_bytes), "32KiB", 0, WIRE_DATA_MAX,
		"how much of a file comes with its event" },
	{ "outbox-max", CONF_T_NUMBER, ITEM(outbox_max), "256MiB", 4 << 20, 1ull << 40,
		"bytes of records that may wait for svm-idfw" },
	{ "idle", CONF_T_NUMBER, ITEM(idle_ms), "10s", 50, 3600000,
		"silence of svm-idfw after which it is asked for a sign of life" },
	{ "deadline", CONF_T_NUMBER, ITEM(deadline_ms), "10s", 50, 3600000,
		"time that it has to answer, and to connect in" },
	{ "retry", CONF_T_NUMBER, ITEM(retry_ms), "1300ms", 10, 60000,
		"longest mean wait between two attempts to connect, +-50 %" },
	{ "on-open", CONF_T_STRING, ITEM(rules.on_open), "quarantine", 1, 16,
		"what is done with a file found at open or exec: deny, quarantine, delete" },
	{ "on-write", CONF_T_STRING, ITEM(rules.on_write), "quarantine", 1, 16,
		"the same, of one found after it was written, or in a later scan" },
	{ "isolate", CONF_T_STRING, ITEM(rules.isolate), "none", 1, 16,
		"what loses its network with a finding: none, session, vm" },
	{ "isolate-unknown", CONF_T_STRING, ITEM(rules.isolate_unknown), "none", 1, 16,
		"instead of the session, when the guest cannot say which: none, vm" },
	{ "max-file", CONF_T_NUMBER, ITEM(rules.max_file), "1GiB", 1, 1ull << 50,
		"larger files are not scanned: the agent's fail policy decides" },
	{ "credits", CONF_T_NUMBER, ITEM(rules.credits), "256", 1, WIRE_CREDITS_MAX,
		"files of a VM that may wait for their verdicts at once" },
	{ "events-per-second", CONF_T_NUMBER, ITEM(rules.events_per_s), "0", 0, 1u << 30,
		"files a second that a VM may ask about; 0: any number" },
	{ "bytes-per-second", CONF_T_NUMBER, ITEM(rules.bytes_per_s), "0", 0, 1ull << 40,
		"content a second that a VM may have scanned; 0: any" },
	{ "findings-per-hour", CONF_T_NUMBER, ITEM(rules.findings_per_h), "3600", 0, 1u << 30,
		"findings of a VM that are recorded one by one, others as a sum; 0: all" },
	{ "reports-per-hour", CONF_T_NUMBER, ITEM(rules.reports_per_h), "20000", 0, 1u << 30,
		"the same of watched files, and of files passed without a verdict; 0: all" },
};

static const struct conf_item vm_items[] = {
	{ "on-open", CONF_T_STRING, VM_ITEM(on_open), "", 0, 16, "as above, for this VM" },
	{ "on-write", CONF_T_STRING, VM_ITEM(on_write), "", 0, 16, "as above" },
	{ "isolate", CONF_T_STRING, VM_ITEM(isolate), "", 0, 16, "as above" },
	{ "isolate-unknown", CONF_T_STRING, VM_ITEM(isolate_unknown), "", 0, 16, "as above" },
	{ "max-file", CONF_T_NUMBER, VM_ITEM(max_file), "0", 0, 1ull << 50, "0: as above" },
	{ "credits", CONF_T_NUMBER, VM_ITEM(credits), "0", 0, WIRE_CREDITS_MAX, "0: as above" },
	{ "events-per-second", CONF_T_NUMBER, VM_ITEM(events_per_s), "0", 0, 1u << 30,
		"0: as above" },
	{ "bytes-per-second", CONF_T_NUMBER, VM_ITEM(bytes_per_s), "0", 0, 1ull << 40,
		"0: as above" },
	{ "findings-per-hour", CONF_T_NUMBER, VM_ITEM(findings_per_h), "0", 0, 1u << 30,
		"0: as above" },
	{ "reports-per-hour", CONF_T_NUMBER, VM_ITEM(reports_per_h), "0", 0, 1u << 30,
		"0: as above" },
};

static const struct conf_section sections[] = {
	{ NULL, top_items, GI_ARRAY_SIZE(top_items), 0, 0, 0 },
	{ "vm", vm_items, GI_ARRAY_SIZE(vm_items), sizeof(struct scan_conf_vm), ITEM(vms),
		SCAN_VMS_MAX },
};

/* what the table cannot say */
static int conf_check(const void *conf, char ret_why[256])
{
	const struct scan_conf *c = conf;
	const struct scan_conf_vm *vm = c->vms.elems;
	struct scan_rules rules;
	int err = scan_conf_rules(c, NULL, &rules, ret_why);

	for (size_t i = 0; err == 0 && i < c->vms.n; i++)
		err = scan_conf_rules(c, vm[i].label, &rules, ret_why);
	if (err == 0 && strcmp(c->sandbox, "strict") != 0 && strcmp(c->sandbox, "relaxed") != 0) {
		(void)snprintf(
			ret_why, 256, "sandbox \"%s\": there are strict, relaxed", c->sandbox);
		err = -EINVAL;
	}
	if (err == 0 && c->audit && !c->audit_name) {
		(void)snprintf(ret_why, 256, "audit needs audit-name: whom the certificate names");
		err = -EINVAL;
	}
	if (err == 0 && !c->clamav_db && !c->yara_rules && !c->hash_list) {
		(void)snprintf(ret_why, 256,
			"nothing to find anything with: give clamav-db, yara-rules or hash-list");
		err = -EINVAL;
	}
	return err;
}

const struct conf_table scan_conf_table = {
	.sections = sections, .n_sections = GI_ARRAY_SIZE(sections), .check = conf_check
};

struct word {
	const char *name;
	int value;
};

static int word_find(const struct word *words, size_t n, const char *item, const char *text,
	const char *vm, int *ret, char ret_why[256])
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(words[i].name, text) == 0) {
			*ret = words[i].value;
			return 0;
		}
	}
	(void)snprintf(ret_why, 256, "%s%s%s \"%s\": there are %s, %s%s%s", vm ? vm : "",
		vm ? ": " : "", item, text, words[0].name, words[1].name, n > 2 ? ", " : "",
		n > 2 ? words[2].name : "");
	return -EINVAL;
}

static const struct scan_conf_rules *vm_rules(const struct scan_conf *c, const char *vm)
{
	static const struct scan_conf_rules none = { 0 };
	const struct scan_conf_vm *v = c->vms.elems;

	for (size_t i = 0; vm && i < c->vms.n; i++)
		if (strcmp(v[i].label, vm) == 0)
			return &v[i].rules;
	return &none;
}

int scan_conf_rules(
	const struct scan_conf *c, const char *vm, struct scan_rules *ret, char ret_why[256])
{
	static const struct word kinds[] = { { "deny", EPS_DENY }, { "quarantine", EPS_QUARANTINE },
		{ "delete", EPS_DELETE } };
	static const struct word isolates[] = { { "none", IDFW__FILE_ISOLATE__FILE_ISOLATE_NONE },
		{ "session", IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION },
		{ "vm", IDFW__FILE_ISOLATE__FILE_ISOLATE_VM } };
	static const struct word unknowns[] = { { "none", IDFW__FILE_ISOLATE__FILE_ISOLATE_NONE },
		{ "vm", IDFW__FILE_ISOLATE__FILE_ISOLATE_VM } };
	const struct scan_conf_rules *a = &c->rules, *v = vm_rules(c, vm);
	struct scan_rules r = { 0 };
	int open = 0, write = 0, isolate = 0, unknown = 0, err;

#define WORD(list, field, name, into)                                                        \
	word_find(list, GI_ARRAY_SIZE(list), name, v->field ? v->field : a->field, vm, into, \
		ret_why)
	err = WORD(kinds, on_open, "on-open", &open);
	if (err == 0)
		err = WORD(kinds, on_write, "on-write", &write);
	if (err == 0)
		err = WORD(isolates, isolate, "isolate", &isolate);
	if (err == 0)
		err = WORD(unknowns, isolate_unknown, "isolate-unknown", &unknown);
#undef WORD
	if (err < 0)
		return err;
	r.on_open = (enum eps_kind)open;
	r.on_write = (enum eps_kind)write;
	r.isolate = (Idfw__FileIsolate)isolate;
	r.isolate_unknown = (Idfw__FileIsolate)unknown;
	r.max_file_bytes = v->max_file ? v->max_file : a->max_file;
	r.credits = (uint32_t)(v->credits ? v->credits : a->credits);
	r.events_per_s = v->events_per_s ? v->events_per_s : a->events_per_s;
	r.bytes_per_s = v->bytes_per_s ? v->bytes_per_s : a->bytes_per_s;
	r.findings_per_h = v->findings_per_h ? v->findings_per_h : a->findings_per_h;
	r.reports_per_h = v->reports_per_h ? v->reports_per_h : a->reports_per_h;
	*ret = r;
	return 0;
}
