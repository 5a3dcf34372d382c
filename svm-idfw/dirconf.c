/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirconf.c - the `directory NAME { ... }` block of svm-idfw's configuration
 *
 * One table row an item; parent, child and test driver read the same. Pure.
 */
#include "svm-idfw/dir.h"

#include <string.h>

#include "svm-idfw/dirname.h"
#include "svm-idfw/dirserver.h"

#define DIR_URI_MAX 255
#define DIR_ITEM(field) offsetof(struct idfw_dir_conf, field)

const struct conf_item idfw_dir_conf_items[IDFW_DIR_CONF_ITEMS] = {
	{ "type", CONF_T_STRING, DIR_ITEM(type), "ad", 1, 16, "ad or openldap" },
	{ "uri", CONF_T_LIST, DIR_ITEM(uris), NULL, 1, DIR_SERVERS_MAX,
		"servers, the preferred one first: ldaps://HOST[:PORT], or ldap://HOST[:PORT], "
		"which means StartTLS" },
	{ "base", CONF_T_STRING, DIR_ITEM(base), NULL, 1, 1024, "DN below which the accounts are" },
	{ "bind-user", CONF_T_STRING, DIR_ITEM(bind_user), NULL, 1, 1024,
		"account that reads the directory: UPN, DOM\\user or DN" },
	{ "password-file", CONF_T_PATH, DIR_ITEM(password_file), NULL, 1, 4095,
		"its password, first line; mode 0400, owned by the user that svm-idfw runs as" },
	{ "ca", CONF_T_PATH, DIR_ITEM(ca_file), NULL, 1, 4095,
		"PEM file with the CA of the server's certificate" },
	{ "poll", CONF_T_NUMBER, DIR_ITEM(poll_ms), "500ms", 50, 60000,
		"how often changes are looked for" },
	{ "deadline", CONF_T_NUMBER, DIR_ITEM(deadline_ms), "5s", 200, 120000,
		"for one answer; then the directory child is killed and started again" },
};

int idfw_dir_conf_check(const struct idfw_dir_conf *conf, const char **ret_why)
{
	size_t i, k;

	if (strcmp(conf->type, "ad") != 0 && strcmp(conf->type, "openldap") != 0) {
		*ret_why = "type is neither ad nor openldap";
		return -EINVAL;
	}
	for (i = 0; i < conf->uris.n; i++) {
		const char *uri = conf->uris.items[i];

		if (strncmp(uri, "ldaps://", 8) != 0 && strncmp(uri, "ldap://", 7) != 0) {
			*ret_why = "uri must begin with ldaps:// or ldap:// (StartTLS)";
			return -EINVAL;
		}
		if (strlen(uri) > DIR_URI_MAX) {
			*ret_why = "uri is longer than 255 bytes";
			return -EINVAL;
		}
		for (k = 0; k < i; k++) {
			if (strcmp(uri, conf->uris.items[k]) == 0) {
				*ret_why = "uri names a server twice";
				return -EINVAL;
			}
		}
	}
	if (!strchr(conf->base, '=')) {
		*ret_why = "base is no DN; write DC=corp,DC=example";
		return -EINVAL;
	}
	return 0;
}
