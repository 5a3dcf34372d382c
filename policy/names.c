/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * names.c - the language's fixed words, from number to text
 *
 * One table a kind, used by diagnostics and by the JSON form, so that both say what the text says.
 */
#include "policy/tree.h"

const char *pol_section_name(enum pol_section s)
{
	static const char *const names[] = {
		[POL_S_EMERGENCY] = "emergency",
		[POL_S_INFRASTRUCTURE] = "infrastructure",
		[POL_S_ENVIRONMENT] = "environment",
		[POL_S_APPLICATION] = "application",
		[POL_S_UNKNOWN] = "unknown",
	};

	return names[s];
}

const char *pol_kind_name(enum pol_kind k)
{
	static const char *const names[] = {
		[POL_K_GROUP] = "group",
		[POL_K_DIRECTORY] = "directory",
		[POL_K_DIRECTORY_DN] = "directory-dn",
		[POL_K_DIRECTORY_SID] = "directory-sid",
		[POL_K_USER] = "user",
		[POL_K_VM] = "vm",
		[POL_K_UNIT] = "unit",
		[POL_K_UID] = "uid",
		[POL_K_NET] = "address",
	};

	return names[k];
}

const char *pol_action_name(enum fw_action a)
{
	static const char *const names[] = {
		[FW_DROP] = "drop",
		[FW_REJECT] = "reject",
		[FW_ACCEPT] = "allow",
	};

	return names[a];
}
