/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the words behind pam_gi.so in a PAM configuration line
 *
 * A wrong word must not change who can log in: it is reported, the default stands.
 */
#ifndef PAM_GI_OPTIONS_H
#define PAM_GI_OPTIONS_H

#include <stdbool.h>

#define PAM_GI_SOCKET_DEFAULT "/run/idfw/pam.sock"
#define PAM_GI_TIMEOUT_DEFAULT_MS 300
#define PAM_GI_TIMEOUT_MAX_MS 60000

struct pam_gi_options {
	const char *socket; /* borrows from argv or static */
	unsigned int timeout_ms;
	bool wait;
	bool required;
	bool debug;
};

/*
 * pam_gi_options_parse - defaults, then argv over them
 * @ret: always filled
 * Returns: the first word that is wrong (borrowed from argv), or NULL
 */
const char *pam_gi_options_parse(int argc, const char **argv, struct pam_gi_options *ret);

#endif
