/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pamblock.c - parse the PAM module's block, format the answer; see pamblock.h
 *
 * One row a key: what may stand there and where it goes. A row's parser sees one NUL-terminated
 * value and nothing else.
 */
#include "netagent/pamblock.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

struct key {
	const char *name;
	int (*parse)(const char *value, struct na_pam_event *ev);
};

static int parse_event(const char *value, struct na_pam_event *ev)
{
	if (strcmp(value, "open") == 0)
		ev->kind = NA_PAM_OPEN;
	else if (strcmp(value, "close") == 0)
		ev->kind = NA_PAM_CLOSE;
	else if (strcmp(value, "soon") == 0)
		ev->kind = NA_PAM_SOON;
	else
		return -GI_EPROTO;
	return 0;
}

/* a claim that identity hangs on: taken as it is or not at all */
static int parse_user(const char *value, struct na_pam_event *ev)
{
	size_t len = strlen(value);

	if (len > NA_USER_MAX)
		return -GI_ELIMIT;
	if (len == 0 || !gi_text_is_clean(value, NA_USER_MAX))
		return -GI_EPROTO;
	memcpy(ev->user, value, len + 1);
	return 0;
}

static int parse_uid(const char *value, struct na_pam_event *ev)
{
	uint64_t n;

	/* (uid_t)-1 is nobody's: chown(2), setreuid(2) */
	if (gi_text_u64(value, 0, UINT32_MAX - 1, &n) < 0)
		return -GI_EPROTO;
	ev->uid = (uint32_t)n;
	return 0;
}

/* words for people: a wrong byte or a long text must not cost the login */
static int clean_copy(const char *value, char *dst, size_t max)
{
	size_t len = strlen(value), at = 0;

	while (at < len) {
		uint32_t cp;
		size_t n = gi_text_utf8(value + at, len - at, &cp);
		bool good = n > 0 && !gi_text_is_control(cp);

		n = n ? n : 1;
		if (at + n > max)
			break;
		if (good)
			memcpy(dst + at, value + at, n);
		else
			memset(dst + at, '?', n);
		at += n;
	}
	dst[at] = '\0';
	return 0;
}

static int parse_service(const char *value, struct na_pam_event *ev)
{
	return clean_copy(value, ev->service, NA_SERVICE_MAX);
}

static int parse_tty(const char *value, struct na_pam_event *ev)
{
	return clean_copy(value, ev->tty, NA_SERVICE_MAX);
}

static int parse_rhost(const char *value, struct na_pam_event *ev)
{
	return clean_copy(value, ev->rhost, NA_TEXT_MAX);
}

static int parse_auth(const char *value, struct na_pam_event *ev)
{
	return clean_copy(value, ev->auth, NA_TEXT_MAX);
}

/* a scoped address (fe80::1%eth0) or a word like UNKNOWN is no address that policy could use */
static int parse_peer(const char *value, struct na_pam_event *ev)
{
	struct gi_addr a;

	if (gi_addr_parse(value, &a) == 0)
		ev->peer = a;
	return 0;
}

static int parse_session(const char *value, struct na_pam_event *ev)
{
	return gi_text_u64(value, 1, UINT64_MAX, &ev->session) < 0 ? -GI_EPROTO : 0;
}

static int parse_wait(const char *value, struct na_pam_event *ev)
{
	if (strcmp(value, "1") != 0)
		return -GI_EPROTO;
	ev->wait = true;
	return 0;
}

static int parse_retry(const char *value, struct na_pam_event *ev)
{
	if (strcmp(value, "1") != 0)
		return -GI_EPROTO;
	ev->retry = true;
	return 0;
}

static int parse_timeout(const char *value, struct na_pam_event *ev)
{
	uint64_t n;

	if (gi_text_u64(value, 0, NA_PAM_TIMEOUT_MAX_MS, &n) < 0)
		return -GI_EPROTO;
	ev->timeout_ms = (uint32_t)n;
	return 0;
}

/* the first KEYS_NEEDED must be there; of a login that is not there yet the first */
#define KEYS_NEEDED 3
static const struct key keys[] = {
	{ "EVENT", parse_event },
	{ "USER", parse_user },
	{ "UID", parse_uid },
	{ "SERVICE", parse_service },
	{ "TTY", parse_tty },
	{ "RHOST", parse_rhost },
	{ "AUTH", parse_auth },
	{ "PEER", parse_peer },
	{ "SESSION", parse_session },
	{ "WAIT", parse_wait },
	{ "RETRY", parse_retry },
	{ "TIMEOUT_MS", parse_timeout },
};

static int parse_entry(const char *entry, struct na_pam_event *ev, unsigned int *seen)
{
	const char *eq = strchr(entry, '=');

	if (!eq || eq == entry)
		return -GI_EPROTO;
	for (size_t i = 0; i < GI_ARRAY_SIZE(keys); i++) {
		size_t len = strlen(keys[i].name);

		if ((size_t)(eq - entry) != len || memcmp(entry, keys[i].name, len) != 0)
			continue;
		if (*seen & 1u << i)
			return -GI_EPROTO;
		*seen |= 1u << i;
		return keys[i].parse(eq + 1, ev);
	}
	return 0;
}

int na_pam_block_parse(const void *buf, size_t len, struct na_pam_event *ret, const char **ret_why)
{
	static const char magic[] = "IDFW=1"; /* with its NUL */
	const char *p = buf;
	struct na_pam_event ev = { .timeout_ms = 300 };
	unsigned int seen = 0, needed;

	*ret_why = "datagram is over 4096 bytes";
	if (len > NA_PAM_BLOCK_MAX)
		return -GI_ELIMIT;
	*ret_why = "datagram is not an IDFW=1 block";
	if (len < sizeof(magic) || memcmp(p, magic, sizeof(magic)) != 0 || p[len - 1] != '\0')
		return -GI_EPROTO;
	for (size_t at = sizeof(magic); at < len; at += strlen(p + at) + 1) {
		int err = parse_entry(p + at, &ev, &seen);

		*ret_why = err == -GI_ELIMIT ? "the user name is too long"
					     : "a key's value is wrong, or it is there twice";
		if (err < 0)
			return err;
	}
	*ret_why = "EVENT, USER or UID is missing";
	needed = (1u << (ev.kind == NA_PAM_SOON ? 1 : KEYS_NEEDED)) - 1;
	if ((seen & needed) != needed)
		return -GI_EPROTO;
	*ret = ev;
	return 0;
}

static const char *const status_names[] = {
	[NA_PAM_OK] = "ok",
	[NA_PAM_ENFORCED] = "enforced",
	[NA_PAM_DEGRADED] = "degraded",
	[NA_PAM_TIMEOUT] = "timeout",
	[NA_PAM_REFUSED] = "refused",
};

size_t na_pam_reply_format(
	enum na_pam_status status, uint64_t session, const char *text, char buf[NA_PAM_REPLY_MAX])
{
	/* %c with 0 writes the NUL between entries */
	int n = snprintf(buf, NA_PAM_REPLY_MAX, "IDFW=1%cSTATUS=%s%c", 0, status_names[status], 0);
	size_t len = (size_t)n;

	if (session) {
		n = snprintf(buf + len, NA_PAM_REPLY_MAX - len, "SESSION=%llu",
			(unsigned long long)session);
		len += (size_t)n + 1;
	}
	if (text && text[0]) {
		n = snprintf(buf + len, NA_PAM_REPLY_MAX - len, "TEXT=%.250s", text);
		len += (size_t)n + 1;
	}
	return len;
}
