/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * naconf.h - netagent.conf: what may stand in it
 */
#ifndef NETAGENT_NACONF_H
#define NETAGENT_NACONF_H

#include <stdint.h>
#include "lib/conf/conf.h"
#include "lib/wire/wire.h"

struct na_conf {
	char *mux; /* endpoint */
	char *pam_socket;
	char *spool_dir;
	uint64_t spool_max_bytes;
	char *user;
	char *sessions_dir;
	char *boot_id_file;
	char *cgroup_root;     /* NULL, "": where cgroup v2 is mounted */
	char *session_cgroups; /* "auto", "off" */
	char *table_owner;     /* "auto", "off" */
	struct conf_list interfaces_exclude;
	char *base; /* "closed", "open" */
	struct conf_list base_allow;
};

bool na_conf_cgroups(const struct na_conf *c);
bool na_conf_owner(const struct na_conf *c);		  /* the table is to have an owner */
const char *na_conf_cgroup_root(const struct na_conf *c); /* "": none given */

extern const struct conf_table na_conf_table;

/* 16 bytes from the text of a boot_id file (a UUID); -errno of reading, -EINVAL */
GI_MUST_CHECK int na_boot_id_read(const char *path, uint8_t ret[WIRE_BOOT_ID_LEN]);

#endif
