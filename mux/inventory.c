/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inventory.c - gi-mux's configuration table, and the guests that it names
 *
 * conf_main() fills struct mux_conf by the table; mux_inventory_build(), which is the table's
 * check, then looks at what one item alone cannot show: that no two VMs share a listener or a CID,
 * that names are names and addresses are addresses. A file that fails either never replaces the
 * running inventory.
 */
#include "mux/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/io/sock.h"
#include "lib/wire/wire.h"

#define ITEM(field) offsetof(struct mux_conf, field)
#define VM_ITEM(field) offsetof(struct mux_conf_vm, field)

static const struct conf_item top_items[] = {
	{ "svm", CONF_T_ENDPOINT, ITEM(svm), NULL, 1, 159, "the service VM: tcp:ADDRESS:PORT" },
	{ "svm-name", CONF_T_STRING, ITEM(svm_name), NULL, 1, 255,
		"name that the service VM's certificate must carry" },
	{ "host-name", CONF_T_STRING, ITEM(host_name), NULL, 1, 48,
		"this host's name, for logs on both sides" },
	{ "ca", CONF_T_PATH, ITEM(ca), NULL, 1, 4095, "certificates that are trusted, PEM" },
	{ "cert", CONF_T_PATH, ITEM(cert), NULL, 1, 4095, "this host's certificate, PEM" },
	{ "key", CONF_T_PATH, ITEM(key), NULL, 1, 4095,
		"its key, PEM, readable by its owner alone" },
	{ "user", CONF_T_STRING, ITEM(user), "_idfw", 1, 64,
		"account to become when started as root" },
	{ "socket-mode", CONF_T_STRING, ITEM(socket_mode), "0660", 4, 4,
		"mode of the VMs' unix sockets, octal; whoever may write to one is that VM" },
	{ "vsock-port", CONF_T_NUMBER, ITEM(vsock_port), "5005", 1, 4294967294,
		"AF_VSOCK port; used when a VM has a cid" },
	{ "vsock-any-port", CONF_T_BOOL, ITEM(vsock_any_port), "no", 0, 0,
		"take agents from vsock ports that any user of the guest can have" },
	{ "max-queue", CONF_T_NUMBER, ITEM(max_queue), "32MiB", 131072, 1073741824,
		"bytes that may wait for one guest; it is dropped beyond that" },
	{ "max-queue-up", CONF_T_NUMBER, ITEM(max_queue_up), "1MiB", 262144, 67108864,
		"bytes of one guest that may wait for the service VM; it is paused at half of "
		"that" },
	{ "idle", CONF_T_NUMBER, ITEM(idle_ms), "10s", 50, 3600000,
		"silence of the service VM after which it is asked for a sign of life" },
	{ "deadline", CONF_T_NUMBER, ITEM(deadline_ms), "10s", 50, 3600000,
		"time that it has to answer, and to connect in" },
	{ "retry", CONF_T_NUMBER, ITEM(retry_ms), "1300ms", 10, 60000,
		"longest mean wait between two attempts to connect, +-50 %" },
};

static const struct conf_item vm_items[] = {
	{ "listen", CONF_T_ENDPOINT, VM_ITEM(listen), "", 0, MUX_LISTEN_MAX - 1,
		"unix:PATH_5005 where the guest's vsock connections arrive" },
	{ "cid", CONF_T_NUMBER, VM_ITEM(cid), "0", 0, 4294967294,
		"the guest's vsock context identifier, from 3 on" },
	{ "addresses", CONF_T_LIST, VM_ITEM(addresses), "", 0, WIRE_ADDRS_MAX,
		"addresses and prefixes that the guest may claim; none: any" },
};

static const struct conf_section sections[] = {
	{ NULL, top_items, GI_ARRAY_SIZE(top_items), 0, 0, 0 },
	{ "vm", vm_items, GI_ARRAY_SIZE(vm_items), sizeof(struct mux_conf_vm), ITEM(vms),
		MUX_VMS_MAX },
};

static int conf_check(const void *conf, char ret_why[256])
{
	struct mux_inventory inv;
	int err = mux_inventory_build(conf, &inv, ret_why);

	if (!err)
		mux_inventory_free(&inv);
	return err;
}

const struct conf_table mux_conf_table = {
	.sections = sections, .n_sections = 2, .check = conf_check
};

static int vm_fail(const struct mux_conf_vm *c, const char *words, char why[256])
{
	/* a cut text is still the right text */
	(void)snprintf(why, 256, "vm %.48s: %.180s", c->label, words);
	return -EINVAL;
}

static int vm_addresses(const struct mux_conf_vm *c, struct mux_vm *vm, char why[256])
{
	char words[128];

	if (c->addresses.n == 0)
		return 0;
	vm->allowed = calloc(c->addresses.n, sizeof(*vm->allowed));
	if (!vm->allowed)
		return -ENOMEM;
	for (size_t i = 0; i < c->addresses.n; i++) {
		const char *text = c->addresses.items[i];

		if (gi_prefix_parse(text, false, &vm->allowed[i]) < 0) {
			(void)snprintf(words, sizeof(words),
				"\"%.64s\" is no address or prefix (host bits must be 0)", text);
			return vm_fail(c, words, why);
		}
		vm->n_allowed++;
	}
	return 0;
}

static int vm_build(const struct mux_conf_vm *c, struct mux_vm *vm, char why[256])
{
	const char *listen = c->listen ? c->listen : ""; /* lib/conf: "" by default is NULL */
	struct io_endpoint e;

	if (!gi_text_is_name(c->label, GI_NAME_MAX))
		return vm_fail(
			c, "the name may have letters, digits, _ and - alone, 47 at most", why);
	if (gi_text_copy(vm->name, sizeof(vm->name), c->label) < 0)
		return vm_fail(c, "the name is too long", why);
	if (!listen[0] && c->cid == 0)
		return vm_fail(c, "needs a listen or a cid", why);
	if (c->cid != 0 && c->cid < 3)
		return vm_fail(c, "CIDs 1 and 2 are the host's own; guests begin with 3", why);
	if (listen[0] && (io_endpoint_parse(listen, &e) < 0 || e.u.sa.sa_family != AF_UNIX))
		return vm_fail(c, "listen must be unix:/absolute/path of at most 107 bytes", why);
	if (gi_text_copy(vm->listen, sizeof(vm->listen), listen) < 0)
		return vm_fail(c, "listen is too long", why);
	vm->cid = (uint32_t)c->cid;
	return vm_addresses(c, vm, why);
}

static int cmp_name(const void *a, const void *b)
{
	return strcmp(((const struct mux_vm *)a)->name, ((const struct mux_vm *)b)->name);
}

static int cmp_listen(const void *a, const void *b)
{
	return strcmp((*(const struct mux_vm *const *)a)->listen,
		(*(const struct mux_vm *const *)b)->listen);
}

static int cmp_cid(const void *a, const void *b)
{
	uint32_t x = (*(const struct mux_vm *const *)a)->cid;
	uint32_t y = (*(const struct mux_vm *const *)b)->cid;

	return x < y ? -1 : x > y;
}

static int check_unique(const struct mux_inventory *inv, char why[256])
{
	const struct mux_vm **order;
	int err = 0;

	if (inv->n < 2)
		return 0;
	order = calloc(inv->n, sizeof(const struct mux_vm *));
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < inv->n; i++)
		order[i] = &inv->vms[i];
	qsort(order, inv->n, sizeof(*order), cmp_listen);
	for (size_t i = 1; !err && i < inv->n; i++)
		if (order[i]->listen[0] && cmp_listen(&order[i - 1], &order[i]) == 0)
			err = -EINVAL;
	qsort(order, inv->n, sizeof(*order), cmp_cid);
	for (size_t i = 1; !err && i < inv->n; i++)
		if (order[i]->cid && order[i - 1]->cid == order[i]->cid)
			err = -EINVAL;
	free(order);
	if (err)
		(void)snprintf(why, 256,
			"two VMs share a listen or a cid: "
			"identity would be a matter of luck");
	return err;
}

/* 0600 to 0666: the owner always, nobody has a use for the other bits */
static int parse_mode(const char *text, mode_t *ret, char why[256])
{
	mode_t mode = 0;

	for (const char *p = text; *p; p++) {
		if (*p != '0' && *p != '2' && *p != '4' && *p != '6')
			goto bad;
		mode = mode << 3 | (mode_t)(*p - '0');
	}
	if (strlen(text) != 4 || (mode & ~(mode_t)0066) != 0600)
		goto bad;
	*ret = mode;
	return 0;
bad:
	(void)snprintf(why, 256, "socket-mode must be 0600, 0660 or 0666, or between these");
	return -EINVAL;
}

int mux_inventory_build(const struct mux_conf *conf, struct mux_inventory *ret, char ret_why[256])
{
	const struct mux_conf_vm *src = conf->vms.elems;
	struct mux_inventory inv = { 0 };
	int err = 0;

	(void)snprintf(ret_why, 256, "out of memory");
	inv.vms = calloc(conf->vms.n + 1, sizeof(*inv.vms));
	if (!inv.vms)
		return -ENOMEM;
	for (size_t i = 0; !err && i < conf->vms.n; i++) {
		err = vm_build(&src[i], &inv.vms[inv.n++], ret_why);
		if (src[i].cid)
			inv.vsock_port = (uint32_t)conf->vsock_port;
	}
	if (!err)
		err = check_unique(&inv, ret_why);
	if (!err)
		err = parse_mode(conf->socket_mode, &inv.socket_mode, ret_why);
	if (err) {
		mux_inventory_free(&inv);
		return err;
	}
	qsort(inv.vms, inv.n, sizeof(*inv.vms), cmp_name);
	ret_why[0] = '\0';
	*ret = inv;
	return 0;
}

void mux_inventory_free(struct mux_inventory *inv)
{
	for (size_t i = 0; i < inv->n; i++)
		free(inv->vms[i].allowed);
	free(inv->vms);
	*inv = (struct mux_inventory){ 0 };
}

const struct mux_vm *mux_inventory_find(const struct mux_inventory *inv, const char *name)
{
	struct mux_vm key = { 0 };

	if (inv->n == 0 || gi_text_copy(key.name, sizeof(key.name), name) < 0)
		return NULL;
	return bsearch(&key, inv->vms, inv->n, sizeof(*inv->vms), cmp_name);
}

const struct mux_vm *mux_inventory_by_cid(const struct mux_inventory *inv, uint32_t cid)
{
	/* once a connection, a few thousand VMs at most: a walk is fine */
	for (size_t i = 0; cid != 0 && i < inv->n; i++)
		if (inv->vms[i].cid == cid)
			return &inv->vms[i];
	return NULL;
}

bool mux_vm_equal(const struct mux_vm *a, const struct mux_vm *b)
{
	if (strcmp(a->listen, b->listen) != 0 || a->cid != b->cid || a->n_allowed != b->n_allowed)
		return false;
	for (size_t i = 0; i < a->n_allowed; i++)
		if (gi_prefix_cmp(&a->allowed[i], &b->allowed[i]) != 0)
			return false;
	return true;
}
