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
	{ "scan", CONF_T_ENDPOINT, ITEM(scan), "", 0, 159,
		"the scan service: tcp:ADDRESS:PORT; none: no file agents are served" },
	{ "scan-name", CONF_T_STRING, ITEM(scan_name), "", 0, 255,
		"name that the scan service's certificate must carry" },
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
	{ "vsock-file-port", CONF_T_NUMBER, ITEM(vsock_file_port), "5006", 1, 4294967294,
		"the same, of the file agents" },
	{ "vsock-any-port", CONF_T_BOOL, ITEM(vsock_any_port), "no", 0, 0,
		"take agents from vsock ports that any user of the guest can have" },
	{ "max-queue", CONF_T_NUMBER, ITEM(max_queue), "32MiB", 131072, 1073741824,
		"bytes that may wait for one agent of a guest; it is dropped beyond that" },
	{ "max-queue-up", CONF_T_NUMBER, ITEM(max_queue_up), "1MiB", 262144, 67108864,
		"bytes of one agent that may wait for its service; it is paused at half of that" },
	{ "connects-max", CONF_T_NUMBER, ITEM(connects_max), "20", 1, 1000,
		"connections that one agent of a guest may make at once; then one a second" },
	{ "messages-max", CONF_T_NUMBER, ITEM(messages_max), "5000", 100, 10000000,
		"messages a second of one identity agent, four seconds of them at once; then it "
		"waits" },
	{ "idle", CONF_T_NUMBER, ITEM(idle_ms), "10s", 50, 3600000,
		"silence of a service after which it is asked for a sign of life" },
	{ "deadline", CONF_T_NUMBER, ITEM(deadline_ms), "10s", 50, 3600000,
		"time that it has to answer, and to connect in" },
	{ "retry", CONF_T_NUMBER, ITEM(retry_ms), "1300ms", 10, 60000,
		"longest mean wait between two attempts to connect, +-50 %" },
};

static const struct conf_item vm_items[] = {
	{ "listen", CONF_T_ENDPOINT, VM_ITEM(listen), "", 0, MUX_LISTEN_MAX - 1,
		"unix:PATH_5005 where the guest's vsock connections arrive" },
	{ "file-listen", CONF_T_ENDPOINT, VM_ITEM(file_listen), "", 0, MUX_LISTEN_MAX - 1,
		"unix:PATH_5006 where those of its file agent do" },
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

/* lib/conf: "" by default is NULL */
static int vm_listen(const struct mux_conf_vm *c, const char *text, char *ret, char why[256])
{
	struct io_endpoint e;

	if (!text || !text[0])
		return 0;
	if (io_endpoint_parse(text, &e) < 0 || e.u.sa.sa_family != AF_UNIX)
		return vm_fail(c,
			"listen and file-listen must be unix:/absolute/path of at most 107 bytes",
			why);
	if (gi_text_copy(ret, MUX_LISTEN_MAX, text) < 0)
		return vm_fail(c, "listen or file-listen is too long", why);
	return 0;
}

static int vm_build(const struct mux_conf_vm *c, struct mux_vm *vm, char why[256])
{
	int err;

	if (!gi_text_is_name(c->label, GI_NAME_MAX))
		return vm_fail(
			c, "the name may have letters, digits, _ and - alone, 47 at most", why);
	if (gi_text_copy(vm->name, sizeof(vm->name), c->label) < 0)
		return vm_fail(c, "the name is too long", why);
	err = vm_listen(c, c->listen, vm->listen[MUX_LANE_IDENTITY], why);
	if (!err)
		err = vm_listen(c, c->file_listen, vm->listen[MUX_LANE_FILE], why);
	if (err)
		return err;
	if (!vm->listen[MUX_LANE_IDENTITY][0] && !vm->listen[MUX_LANE_FILE][0] && c->cid == 0)
		return vm_fail(c, "needs a listen or a cid", why);
	if (c->cid != 0 && c->cid < 3)
		return vm_fail(c, "CIDs 1 and 2 are the host's own; guests begin with 3", why);
	vm->cid = (uint32_t)c->cid;
	return vm_addresses(c, vm, why);
}

static int cmp_name(const void *a, const void *b)
{
	return strcmp(((const struct mux_vm *)a)->name, ((const struct mux_vm *)b)->name);
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int cmp_cid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* of all lanes together: a socket that is two agents' is nobody's */
static int unique_listens(const struct mux_inventory *inv)
{
	const char **order = calloc(inv->n * MUX_LANES, sizeof(*order));
	size_t n = 0;
	int err = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < inv->n; i++)
		for (size_t k = 0; k < MUX_LANES; k++)
			if (inv->vms[i].listen[k][0])
				order[n++] = inv->vms[i].listen[k];
	qsort(order, n, sizeof(*order), cmp_text);
	for (size_t i = 1; !err && i < n; i++)
		if (strcmp(order[i - 1], order[i]) == 0)
			err = -EINVAL;
	free(order);
	return err;
}

static int unique_cids(const struct mux_inventory *inv)
{
	uint32_t *order = calloc(inv->n, sizeof(*order));
	size_t n = 0;
	int err = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < inv->n; i++)
		if (inv->vms[i].cid)
			order[n++] = inv->vms[i].cid;
	qsort(order, n, sizeof(*order), cmp_cid);
	for (size_t i = 1; !err && i < n; i++)
		if (order[i - 1] == order[i])
			err = -EINVAL;
	free(order);
	return err;
}

static int check_unique(const struct mux_inventory *inv, char why[256])
{
	int err;

	if (inv->n == 0)
		return 0;
	err = unique_listens(inv);
	if (!err)
		err = unique_cids(inv);
	if (err == -EINVAL)
		(void)snprintf(why, 256,
			"two VMs share a listen, a file-listen or a cid: "
			"identity would be a matter of luck");
	return err;
}

/* the lane of the files is there as a whole or not at all */
static int check_scan(const struct mux_conf *conf, char why[256])
{
	bool scan = conf->scan && conf->scan[0], name = conf->scan_name && conf->scan_name[0];

	if (scan != name) {
		(void)snprintf(why, 256, "scan and scan-name belong together: give both or none");
		return -EINVAL;
	}
	if (conf->vsock_port == conf->vsock_file_port) {
		(void)snprintf(why, 256, "vsock-port and vsock-file-port must not be the same");
		return -EINVAL;
	}
	return 0;
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
		if (!src[i].cid)
			continue;
		inv.vsock_port[MUX_LANE_IDENTITY] = (uint32_t)conf->vsock_port;
		if (conf->scan && conf->scan[0])
			inv.vsock_port[MUX_LANE_FILE] = (uint32_t)conf->vsock_file_port;
	}
	if (!err)
		err = check_scan(conf, ret_why);
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

bool mux_vm_equal(const struct mux_vm *a, const struct mux_vm *b, enum mux_lane_id lane)
{
	if (strcmp(a->listen[lane], b->listen[lane]) != 0 || a->cid != b->cid)
		return false;
	if (lane != MUX_LANE_IDENTITY)
		return true;
	if (a->n_allowed != b->n_allowed)
		return false;
	for (size_t i = 0; i < a->n_allowed; i++)
		if (gi_prefix_cmp(&a->allowed[i], &b->allowed[i]) != 0)
			return false;
	return true;
}
