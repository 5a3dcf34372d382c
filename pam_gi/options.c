/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.c - parse the module's arguments, see options.h
 */
#include "pam_gi/options.h"

#include <string.h>
#include <sys/un.h>

static bool parse_timeout(const char *text, unsigned int *ret)
{
	unsigned int n = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (unsigned int)(*text - '0');
		if (n > PAM_GI_TIMEOUT_MAX_MS)
			return false;
	}
	*ret = n;
	return true;
}

static bool parse_socket(const char *text, const char **ret)
{
	struct sockaddr_un un;

	if (text[0] != '/' || strlen(text) >= sizeof(un.sun_path))
		return false;
	*ret = text;
	return true;
}

static bool parse_word(const char *word, struct pam_gi_options *o)
{
	if (strncmp(word, "socket=", 7) == 0)
		return parse_socket(word + 7, &o->socket);
	if (strncmp(word, "timeout_ms=", 11) == 0)
		return parse_timeout(word + 11, &o->timeout_ms);
	if (strcmp(word, "wait") == 0)
		return o->wait = true;
	if (strcmp(word, "required") == 0)
		return o->required = true;
	if (strcmp(word, "debug") == 0)
		return o->debug = true;
	return false;
}

const char *pam_gi_options_parse(int argc, const char **argv, struct pam_gi_options *ret)
{
	const char *bad = NULL;

	*ret = (struct pam_gi_options){
		.socket = PAM_GI_SOCKET_DEFAULT,
		.timeout_ms = PAM_GI_TIMEOUT_DEFAULT_MS,
	};
	for (int i = 0; i < argc; i++) {
		if (!parse_word(argv[i], ret) && !bad)
			bad = argv[i];
	}
	return bad;
}
