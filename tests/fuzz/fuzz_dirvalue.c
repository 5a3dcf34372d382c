/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_dirvalue.c - values that the directory or a guest chose: SIDs, names, filters, times
 *
 * Each input is read as a binary SID, and as text: a SID, a user's name, a base DN, and
 * what tells the state of an account. What is accepted must come
 * back the same; a name must not get a character into a filter that could change the filter's
 * structure.
 */
#include <stdlib.h>
#include <string.h>
#include "svm-idfw/diracct.h"
#include "svm-idfw/dirname.h"
#include "svm-idfw/dirschema.h"
#include "svm-idfw/sid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sid_bytes(const uint8_t *data, size_t size)
{
	uint8_t back[SID_BYTES_MAX];
	char text[SID_TEXT_MAX];
	size_t len;

	if (sid_to_text(data, size, text) < 0) {
		if (text[0])
			abort();
		return;
	}
	if (sid_from_text(text, back, &len) < 0 || len != size || memcmp(back, data, len) != 0)
		abort();
}

static void sid_text(const char *text)
{
	uint8_t bytes[SID_BYTES_MAX], back[SID_BYTES_MAX];
	char again[SID_TEXT_MAX];
	size_t len, back_len;

	if (sid_from_text(text, bytes, &len) < 0)
		return;
	if (len > SID_BYTES_MAX || sid_to_text(bytes, len, again) < 0)
		abort();
	if (sid_from_text(again, back, &back_len) < 0 || back_len != len ||
		memcmp(back, bytes, len) != 0)
		abort();
}

static unsigned int count(const char *s, char c)
{
	unsigned int n = 0;

	for (; *s; s++)
		n += *s == c;
	return n;
}

/* @like: the filter of a harmless name of the same form */
static void same_shape(struct gi_buf *got, struct gi_buf *like)
{
	static const char structural[] = "()&|!*";

	if (gi_buf_error(got) || gi_buf_error(like))
		abort();
	for (const char *c = structural; *c; c++) {
		if (count(gi_buf_str(got), *c) != count(gi_buf_str(like), *c))
			abort();
	}
}

static void filter(const struct dir_name *n, bool upn, bool openldap)
{
	struct dir_name plain = { .form = n->form, .account = "a", .domain = "b" };
	struct gi_buf got, like;

	gi_buf_init(&got, 1 << 16);
	gi_buf_init(&like, 1 << 16);
	if (openldap) {
		char name[] = "rfc2307bis";
		const struct idfw_dir_conf conf = { .schema = name };
		struct dir_schema s;

		dir_schema_init(&s, &conf);
		dir_filter_account(&got, &s, n, upn);
		dir_filter_account(&like, &s, &plain, upn);
		dir_filter_groups_add(&got, s.member, n->account, strlen(n->account));
		dir_filter_groups_add(&like, s.member, plain.account, strlen(plain.account));
	} else {
		dir_filter_user(&got, n, upn);
		dir_filter_user(&like, &plain, upn);
	}
	same_shape(&got, &like);
	gi_buf_fini(&got);
	gi_buf_fini(&like);
}

static void name(const char *text)
{
	char domain[DIR_NAME_MAX + 1];
	struct dir_name n;

	if (dir_name_parse(text, &n) == 0) {
		if (!n.account[0] || (n.form != DIR_NAME_PLAIN && !n.domain[0]))
			abort();
		for (int i = 0; i < 4; i++)
			filter(&n, i & 1, i & 2);
	}
	if (dir_base_domain(text, domain) == 0 && (!domain[0] || strlen(domain) > DIR_NAME_MAX))
		abort();
}

/* what it says of an account: known states, and none of expiry without a time that has come */
static void account(const char *text)
{
	const uint64_t now = UINT64_C(1700000000000);
	struct dir_acct_ad ad = { .uac = "" };
	char *const to[] = { ad.uac, ad.expires, ad.lockout, ad.pwd_set, ad.computed };
	struct dir_acct a = { .state = 0 };
	uint64_t ms = 1;

	if (dir_acct_time(text, &ms) && !ms)
		abort();
	for (uint32_t state = 1; state <= IDFW_ACCT_MUST_CHANGE; state <<= 1) {
		a = (struct dir_acct){ .state = 0 };
		dir_acct_value(&a, state, text, now);
		if (a.state & ~(state | IDFW_ACCT_DISABLED))
			abort();
		if (a.expires_ms && !(a.state & IDFW_ACCT_EXPIRED) != (a.expires_ms > now))
			abort();
	}
	if (strlen(text) >= sizeof(ad.uac))
		return;
	for (size_t i = 0; i < GI_ARRAY_SIZE(to); i++)
		memcpy(to[i], text, strlen(text) + 1);
	dir_acct_ad(&a, &ad, now);
	if (a.state & ~15u || (a.state & IDFW_ACCT_EXPIRED && a.expires_ms > now))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	sid_bytes(data, size);
	sid_text(text);
	name(text);
	account(text);
	free(text);
	return 0;
}
