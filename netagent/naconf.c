/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * naconf.c - the table of netagent.conf, see naconf.h
 */
#include "netagent/naconf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/spool.h"
#include "netagent/baserules.h"

#define ITEM(field) offsetof(struct na_conf, field)

static const struct conf_item items[] = {
	{ "mux", CONF_T_ENDPOINT, ITEM(mux), "vsock:2:5005", 1, 150,
		"the host's mux: vsock:2:5005, or unix:/run/idfw-host/NAME.sock_5005" },
	{ "pam-socket", CONF_T_PATH, ITEM(pam_socket), IDFW_RUNDIR "/pam.sock", 1, 100,
		"where pam_gi.so reports sessions" },
	{ "spool-dir", CONF_T_PATH, ITEM(spool_dir), IDFW_STATEDIR "/spool", 1, 200,
		"events that the SVM has not acknowledged yet, and the live sessions" },
	{ "spool-max", CONF_T_NUMBER, ITEM(spool_max_bytes), "64MiB", IO_SPOOL_MIN_BYTES, 1u << 30,
		"most bytes in spool-dir" },
	{ "sessions-dir", CONF_T_PATH, ITEM(sessions_dir), IDFW_RUNDIR "/sessions", 1, 200,
		"a file for each live session: gi-fileagent tells by it who changed a file" },
	{ "user", CONF_T_STRING, ITEM(user), "_idfw", 1, 32,
		"whom the parsing process becomes; it keeps no capability" },
	{ "boot-id-file", CONF_T_PATH, ITEM(boot_id_file), "/proc/sys/kernel/random/boot_id", 1,
		200, "a UUID that is another one after each boot" },
	{ "session-cgroups", CONF_T_STRING, ITEM(session_cgroups), "auto", 1, 8,
		"auto: each session gets a cgroup of its own; off: sessions are known by uid" },
	{ "cgroup-root", CONF_T_STRING, ITEM(cgroup_root), "", 0, 200,
		"where these are made, in the directory idfw; none: where cgroup v2 is mounted" },
	{ "table-owner", CONF_T_STRING, ITEM(table_owner), "auto", 1, 8,
		"auto: nobody else can change the table idfw (Linux 6.9); off: root can, we "
		"repair" },
	{ "interfaces-exclude", CONF_T_LIST, ITEM(interfaces_exclude), "lo", 0, 64,
		"interfaces whose addresses are not this guest's" },
	{ "base", CONF_T_STRING, ITEM(base), "closed", 1, 8,
		"until the service VM has spoken: closed: what is needed, and base-allow; open" },
	{ "base-allow", CONF_T_LIST, ITEM(base_allow), "tcp:22", 0, NA_BASE_ALLOW_MAX,
		"what base closed lets in (or \"out SERVICE\"), as udp:53, tcp:80-90, icmp:8, any; "
		"\"... from|to PREFIX\"; or none" },
};

static const struct conf_check checks[] = {
	{ "base", na_base_check_mode },
	{ "base-allow", na_base_check_allow },
};

static const struct conf_section sections[] = {
	{ .name = NULL,
		.items = items,
		.n_items = GI_ARRAY_SIZE(items),
		.size = 0,
		.offset = 0,
		.max = 1 },
};

const char *na_conf_cgroup_root(const struct na_conf *c)
{
	return c->cgroup_root ? c->cgroup_root : "";
}

static int check(const void *conf, char ret_why[256])
{
	const struct na_conf *c = conf;

	if (strcmp(c->session_cgroups, "auto") != 0 && strcmp(c->session_cgroups, "off") != 0) {
		snprintf(ret_why, 256, "session-cgroups is auto or off");
		return -EINVAL;
	}
	if (strcmp(c->table_owner, "auto") != 0 && strcmp(c->table_owner, "off") != 0) {
		snprintf(ret_why, 256, "table-owner is auto or off");
		return -EINVAL;
	}
	if (*na_conf_cgroup_root(c) && *na_conf_cgroup_root(c) != '/') {
		snprintf(ret_why, 256, "cgroup-root is not an absolute path");
		return -EINVAL;
	}
	return 0;
}

const struct conf_table na_conf_table = {
	.sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections),
	.checks = checks,
	.n_checks = GI_ARRAY_SIZE(checks),
	.check = check,
	.more_options =
		"      --base         load the base ruleset if none of ours is there, and exit\n"
		"      --print        with --base: print it, load nothing\n"
		"      --remove-rules delete the table inet idfw, and exit\n",
};

bool na_conf_cgroups(const struct na_conf *c)
{
	return strcmp(c->session_cgroups, "auto") == 0;
}

bool na_conf_owner(const struct na_conf *c)
{
	return strcmp(c->table_owner, "auto") == 0;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *d = c ? strchr(digits, c | 0x20) : NULL;

	return d ? (int)(d - digits) : -1;
}

int na_boot_id_read(const char *path, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	uint8_t id[WIRE_BOOT_ID_LEN] = { 0 };
	size_t len, n = 0;
	char *text;
	int err = conf_read_file(path, 256, &text, &len);

	if (err < 0)
		return err;
	for (size_t i = 0; i < len && n < 2 * sizeof(id); i++) {
		int d = hex_digit(text[i]);

		if (text[i] == '-')
			continue;
		if (d < 0)
			break;
		id[n / 2] = (uint8_t)(id[n / 2] << 4 | d);
		n++;
	}
	free(text);
	if (n != 2 * sizeof(id))
		return -EINVAL;
	memcpy(ret, id, sizeof(id));
	return 0;
}
