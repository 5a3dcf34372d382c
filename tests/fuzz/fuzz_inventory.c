/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_inventory.c - any bytes as gi-mux.conf, and on into the inventory
 *
 * An identity rests on it: no two VMs may share a name, a listener or a CID, and no VM a listener
 * for both of its agents, whatever the file says; the lookups must find each of them and nobody
 * else; the same text gives the same inventory.
 */
#include <stdlib.h>
#include <string.h>
#include "mux/inventory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *listen_of(const struct mux_inventory *inv, size_t i)
{
	return inv->vms[i / MUX_LANES].listen[i % MUX_LANES];
}

static void check_listens(const struct mux_inventory *inv)
{
	for (size_t i = 0; i < inv->n * MUX_LANES; i++)
		for (size_t j = 0; j < i; j++)
			if (listen_of(inv, i)[0] &&
				strcmp(listen_of(inv, i), listen_of(inv, j)) == 0)
				abort();
}

static void check(const struct mux_inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++) {
		const struct mux_vm *vm = &inv->vms[i];

		if (!gi_text_is_name(vm->name, GI_NAME_MAX) ||
			mux_inventory_find(inv, vm->name) != vm)
			abort();
		if (!vm->cid && !vm->listen[0][0] && !vm->listen[1][0])
			abort();
		if (vm->cid && mux_inventory_by_cid(inv, vm->cid) != vm)
			abort();
	}
	check_listens(inv);
	if (mux_inventory_find(inv, "") || mux_inventory_by_cid(inv, 0))
		abort();
}

static void build(const struct mux_conf *conf)
{
	struct mux_inventory inv, again;
	char why[256];

	if (mux_inventory_build(conf, &inv, why) < 0) {
		if (!why[0] || strlen(why) >= sizeof(why))
			abort();
		return;
	}
	check(&inv);
	if (mux_inventory_build(conf, &again, why) < 0 || again.n != inv.n)
		abort();
	for (size_t i = 0; i < inv.n; i++) {
		if (!mux_vm_equal(&inv.vms[i], &again.vms[i], MUX_LANE_IDENTITY) ||
			!mux_vm_equal(&inv.vms[i], &again.vms[i], MUX_LANE_FILE))
			abort();
	}
	mux_inventory_free(&again);
	mux_inventory_free(&inv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mux_conf conf = { 0 };
	struct conf_diags diags;

	conf_diags_init(&diags, "fuzz", (const char *)data, size);
	if (conf_parse(&mux_conf_table, (const char *)data, size, &diags, &conf) == 0) {
		build(&conf);
		conf_free(&mux_conf_table, &conf);
	} else if (diags.n_errors == 0) {
		abort();
	}
	conf_diags_fini(&diags);
	return 0;
}
