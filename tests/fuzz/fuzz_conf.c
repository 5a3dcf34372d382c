/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_conf.c - any bytes through the parser of daemon configuration
 *
 * The table has every type, limits, defaults and a section. Holds conf.h's promises: the struct
 * is filled whole and within its limits, or left zeroed with at least one diagnostic.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/conf/conf.h"

struct fuzz_vm {
	char *label;
	char *socket;
	uint64_t limit;
	struct conf_list tags;
};

struct fuzz_conf {
	char *name;
	char *listen;
	char *state;
	uint64_t timeout_ms;
	bool enforce;
	struct conf_list allow;
	struct conf_array vms;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct conf_item top_items[] = {
	{ "name", CONF_T_STRING, offsetof(struct fuzz_conf, name), "", 0, 20, "a name" },
	{ "listen", CONF_T_ENDPOINT, offsetof(struct fuzz_conf, listen), NULL, 0, 100, "where" },
	{ "state", CONF_T_PATH, offsetof(struct fuzz_conf, state), "/var/lib/idfw", 0, 0, "state" },
	{ "timeout", CONF_T_NUMBER, offsetof(struct fuzz_conf, timeout_ms), "300ms", 10, 60000,
		"how long" },
	{ "enforce", CONF_T_BOOL, offsetof(struct fuzz_conf, enforce), "yes", 0, 0, "really" },
	{ "allow", CONF_T_LIST, offsetof(struct fuzz_conf, allow), "a, b", 1, 4, "who" },
};

static const struct conf_item vm_items[] = {
	{ "socket", CONF_T_ENDPOINT, offsetof(struct fuzz_vm, socket), NULL, 0, 0, "its socket" },
	{ "limit", CONF_T_NUMBER, offsetof(struct fuzz_vm, limit), "", 0, 1 << 30, "bytes" },
	{ "tags", CONF_T_LIST, offsetof(struct fuzz_vm, tags), "", 0, 3, "tags" },
};

static const struct conf_section sections[] = {
	{ NULL, top_items, GI_ARRAY_SIZE(top_items), 0, 0, 0 },
	{ "vm", vm_items, GI_ARRAY_SIZE(vm_items), sizeof(struct fuzz_vm),
		offsetof(struct fuzz_conf, vms), 3 },
};

static const struct conf_table table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections) };

static void check_filled(const struct fuzz_conf *c)
{
	const struct fuzz_vm *vm = c->vms.elems;

	if (!c->listen || !c->state || c->state[0] != '/')
		abort();
	if (c->timeout_ms < 10 || c->timeout_ms > 60000 || c->allow.n < 1 || c->allow.n > 4)
		abort();
	if (c->vms.n > 3)
		abort();
	for (size_t i = 0; i < c->vms.n; i++) {
		if (!vm[i].label || !vm[i].label[0] || !vm[i].socket || vm[i].tags.n > 3)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct fuzz_conf zero;
	struct fuzz_conf c = { 0 };
	struct conf_diags diags;
	struct gi_buf out;
	int err;

	conf_diags_init(&diags, "fuzz", (const char *)data, size);
	err = conf_parse(&table, (const char *)data, size, &diags, &c);
	if (err == 0) {
		if (diags.n_errors)
			abort();
		check_filled(&c);
	} else if (err != -GI_ESYNTAX || diags.n_errors == 0 || memcmp(&c, &zero, sizeof(c)) != 0) {
		abort();
	}
	gi_buf_init(&out, 1 << 20);
	conf_diags_render(&diags, &out);
	gi_buf_fini(&out);
	conf_free(&table, &c);
	conf_diags_fini(&diags);
	return 0;
}
