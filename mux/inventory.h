/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * inventory.h - gi-mux's configuration, and the guests that it names
 *
 * The inventory is what identity rests on: a guest is who its listener or CID says, and nothing
 * that it sends can change that. Pure values; guest.c acts on the difference of two inventories.
 */
#ifndef MUX_INVENTORY_H
#define MUX_INVENTORY_H

#include <sys/types.h>
#include "lib/base/addr.h"
#include "lib/base/text.h"
#include "lib/conf/conf.h"

/*
 * Each guest has two connections, one a lane, which share nothing but the process: identity
 * (gi-netagent, to svm-idfw) and files (gi-fileagent, to svm-scan).
 */
enum mux_lane_id { MUX_LANE_IDENTITY, MUX_LANE_FILE };
#define MUX_LANES 2

#define MUX_VMS_MAX 4096
#define MUX_LISTEN_MAX 160

struct mux_conf_vm { /* vm NAME { ... } */
	char *label; /* first, as conf.h wants it */
	char *listen, *file_listen;
	uint64_t cid;
	struct conf_list addresses;
};

struct mux_conf {
	char *svm, *svm_name, *host_name, *ca, *cert, *key, *user, *socket_mode;
	char *scan, *scan_name; /* NULL: no lane for files */
	uint64_t vsock_port, vsock_file_port, max_queue, max_queue_up;
	uint64_t connects_max, messages_max;
	uint64_t idle_ms, deadline_ms, retry_ms;
	bool vsock_any_port;
	struct conf_array vms; /* of struct mux_conf_vm */
};

extern const struct conf_table mux_conf_table; /* its check is mux_inventory_build() */

struct mux_vm {
	char name[GI_NAME_MAX + 1];
	char listen[MUX_LANES][MUX_LISTEN_MAX]; /* endpoint text, "" none */
	uint32_t cid;				/* 0 none */
	struct gi_prefix *allowed;		/* owned; n 0: any address */
	size_t n_allowed;
};

struct mux_inventory {
	struct mux_vm *vms; /* owned, sorted by name */
	size_t n;
	uint32_t vsock_port[MUX_LANES]; /* 0: no VM has a CID, or there is no such lane */
	mode_t socket_mode;
};

/*
 * mux_inventory_build - from the parsed configuration, checked as a whole
 * @ret_why: says which VM and what is wrong
 * Errors: -EINVAL, -ENOMEM
 */
GI_MUST_CHECK int mux_inventory_build(
	const struct mux_conf *conf, struct mux_inventory *ret, char ret_why[256]);
void mux_inventory_free(struct mux_inventory *inv);
const struct mux_vm *mux_inventory_find(const struct mux_inventory *inv, const char *name);
/* whose guest speaks from this CID; NULL: nobody's */
const struct mux_vm *mux_inventory_by_cid(const struct mux_inventory *inv, uint32_t cid);
/* same listener, CID and (identity) addresses: a guest running on that lane need not notice */
bool mux_vm_equal(const struct mux_vm *a, const struct mux_vm *b, enum mux_lane_id lane);

#endif
