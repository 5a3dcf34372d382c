/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block.c - environment blocks: encode an event, parse an answer
 *
 * See block.h. The module links libc and libpam alone, so nothing of lib/ but err.h's codes is
 * used here.
 */
#include "pam_gi/block.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void block_add(struct pam_gi_block *b, const char *key, const char *value, size_t len)
{
	size_t key_len = strlen(key);

	if (b->err || len == 0)
		return;
	if (b->len + key_len + 1 + len + 1 > sizeof(b->data)) {
		b->err = -GI_ELIMIT;
		return;
	}
	memcpy(b->data + b->len, key, key_len);
	b->len += key_len;
	b->data[b->len++] = '=';
	memcpy(b->data + b->len, value, len);
	b->len += len;
	b->data[b->len++] = '\0';
}

/* the longest prefix of at most max bytes that does not cut a UTF-8 sequence */
static size_t cut(const char *s, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)s[max] & 0xc0) == 0x80)
		max--;
	return max;
}

static void block_add_text(struct pam_gi_block *b, const char *key, const char *value)
{
	if (value)
		block_add(b, key, value, cut(value, strlen(value), PAM_GI_VALUE_MAX));
}

static void block_add_number(struct pam_gi_block *b, const char *key, uint64_t value)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

	block_add(b, key, text, (size_t)n);
}

static void block_add_until(
	struct pam_gi_block *b, const char *key, const char *value, const char *ends)
{
	if (value)
		block_add(b, key, value, cut(value, strcspn(value, ends), PAM_GI_VALUE_MAX));
}

int pam_gi_block_encode(const struct pam_gi_event *ev, struct pam_gi_block *ret)
{
	if (!ev->event || !ev->user || !ev->user[0])
		return -EINVAL;
	if (strlen(ev->user) > PAM_GI_USER_MAX)
		return -GI_ELIMIT;
	ret->len = 0;
	ret->err = 0;
	block_add(ret, "IDFW", "1", 1);
	block_add_text(ret, "EVENT", ev->event);
	block_add(ret, "USER", ev->user, strlen(ev->user));
	block_add_number(ret, "UID", ev->uid);
	block_add_text(ret, "SERVICE", ev->service);
	block_add_text(ret, "TTY", ev->tty);
	block_add_text(ret, "RHOST", ev->rhost);
	block_add_text(ret, "RUSER", ev->ruser);
	block_add_until(ret, "AUTH", ev->auth_info, "\r\n");
	block_add_until(ret, "PEER", ev->ssh_connection, " ");
	if (ev->session)
		block_add_number(ret, "SESSION", ev->session);
	if (ev->wait)
		block_add(ret, "WAIT", "1", 1);
	if (ev->retry)
		block_add(ret, "RETRY", "1", 1);
	block_add_number(ret, "TIMEOUT_MS", ev->timeout_ms);
	return ret->err;
}

static const char *const status_names[] = {
	[PAM_GI_OK] = "ok",
	[PAM_GI_ENFORCED] = "enforced",
	[PAM_GI_DEGRADED] = "degraded",
	[PAM_GI_TIMEOUT] = "timeout",
	[PAM_GI_REFUSED] = "refused",
};

const char *pam_gi_status_name(enum pam_gi_status s)
{
	return status_names[s];
}

static int parse_status(const char *value, enum pam_gi_status *ret)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(status_names); i++) {
		if (strcmp(value, status_names[i]) == 0) {
			*ret = (enum pam_gi_status)i;
			return 0;
		}
	}
	return -GI_EPROTO;
}

/* decimal digits only, no sign, no overflow, not 0 */
static int parse_session(const char *value, uint64_t *ret)
{
	uint64_t n = 0;

	if (!*value)
		return -GI_EPROTO;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return -GI_EPROTO;
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, (uint64_t)(*value - '0'), &n))
			return -GI_EPROTO;
	}
	if (n == 0)
		return -GI_EPROTO;
	*ret = n;
	return 0;
}

/* goes to the system log: no control characters, cut to fit */
static void parse_text(const char *value, char *out, size_t out_size)
{
	size_t n = cut(value, strlen(value), out_size - 1);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		out[i] = c < 0x20 || c == 0x7f ? '?' : value[i];
	}
	out[n] = '\0';
}

enum reply_seen { SEEN_STATUS = 1, SEEN_SESSION = 2, SEEN_TEXT = 4 };

static int once(unsigned int *seen, unsigned int bit)
{
	if (*seen & bit)
		return -GI_EPROTO;
	*seen |= bit;
	return 0;
}

static int parse_entry(const char *entry, struct pam_gi_reply *r, unsigned int *seen)
{
	const char *eq = strchr(entry, '=');
	const char *value;
	size_t key_len;

	if (!eq || eq == entry)
		return -GI_EPROTO;
	key_len = (size_t)(eq - entry);
	value = eq + 1;
	if (key_len == 6 && memcmp(entry, "STATUS", 6) == 0)
		return once(seen, SEEN_STATUS) ? -GI_EPROTO : parse_status(value, &r->status);
	if (key_len == 7 && memcmp(entry, "SESSION", 7) == 0)
		return once(seen, SEEN_SESSION) ? -GI_EPROTO : parse_session(value, &r->session);
	if (key_len == 4 && memcmp(entry, "TEXT", 4) == 0) {
		if (once(seen, SEEN_TEXT))
			return -GI_EPROTO;
		parse_text(value, r->text, sizeof(r->text));
	}
	return 0;
}

int pam_gi_reply_parse(const void *buf, size_t len, struct pam_gi_reply *ret)
{
	static const char magic[] = "IDFW=1"; /* with its NUL */
	const char *p = buf;
	struct pam_gi_reply r = { .status = PAM_GI_REFUSED };
	unsigned int seen = 0;
	size_t at = sizeof(magic);

	if (len > PAM_GI_BLOCK_MAX)
		return -GI_ELIMIT;
	if (len < sizeof(magic) || memcmp(p, magic, sizeof(magic)) != 0 || p[len - 1] != '\0')
		return -GI_EPROTO;
	while (at < len) {
		if (parse_entry(p + at, &r, &seen) < 0)
			return -GI_EPROTO;
		at += strlen(p + at) + 1;
	}
	if (!(seen & SEEN_STATUS))
		return -GI_EPROTO;
	*ret = r;
	return 0;
}
