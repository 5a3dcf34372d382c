/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_pamblock.c - the PAM module's datagram as the agent reads it, and the answer
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "netagent/pamblock.h"
#include "pam_gi/block.h" /* a test may look at both ends of a contract; the programs may not */

#define BLOCK(s) s, sizeof(s)
#define MIN "IDFW=1\0EVENT=open\0USER=alice\0UID=10001"

static int parse(const char *buf, size_t len, struct na_pam_event *ev)
{
	const char *why = NULL;
	int err = na_pam_block_parse(buf, len, ev, &why);

	if (err < 0)
		assert_non_null(why);
	return err;
}

static void test_parse_everything(void **state)
{
	static const char b[] =
		MIN "\0SERVICE=sshd\0TTY=ssh\0RHOST=client\0RUSER=x\0AUTH=publickey\0PEER=fd77::7\0"
		    "SESSION=5\0WAIT=1\0RETRY=1\0TIMEOUT_MS=60000\0NEWKEY=whatever";
	struct na_pam_event ev;

	(void)state;
	assert_int_equal(parse(b, sizeof(b), &ev), 0);
	assert_int_equal(ev.kind, NA_PAM_OPEN);
	assert_string_equal(ev.user, "alice");
	assert_int_equal(ev.uid, 10001);
	assert_string_equal(ev.service, "sshd");
	assert_string_equal(ev.tty, "ssh");
	assert_string_equal(ev.rhost, "client");
	assert_string_equal(ev.auth, "publickey");
	assert_int_equal(ev.peer.family, 6);
	assert_true(ev.session == 5);
	assert_true(ev.wait);
	assert_true(ev.retry);
	assert_int_equal(ev.timeout_ms, 60000);
}

static void test_parse_what_the_module_encodes(void **state)
{
	struct pam_gi_event in = { .event = "close",
		.user = "CORP\\bob",
		.uid = 0,
		.service = "su-l",
		.ssh_connection = "10.0.0.1 5 10.0.0.2 22",
		.session = 77,
		.timeout_ms = 300 };
	struct pam_gi_block b;
	struct na_pam_event ev;

	(void)state;
	assert_int_equal(pam_gi_block_encode(&in, &b), 0);
	assert_int_equal(parse(b.data, b.len, &ev), 0);
	assert_int_equal(ev.kind, NA_PAM_CLOSE);
	assert_string_equal(ev.user, "CORP\\bob");
	assert_string_equal(ev.service, "su-l");
	assert_int_equal(ev.peer.family, 4);
	assert_true(ev.session == 77);
}

static void test_parse_soon_needs_nobody(void **state)
{
	static const char b[] = "IDFW=1\0EVENT=soon", named[] = "IDFW=1\0EVENT=soon\0USER=a\nb";
	struct na_pam_event ev;

	(void)state;
	assert_int_equal(parse(b, sizeof(b), &ev), 0);
	assert_int_equal(ev.kind, NA_PAM_SOON);
	assert_string_equal(ev.user, "");
	assert_int_equal(parse(named, sizeof(named), &ev), -GI_EPROTO);
}

static void test_parse_bad_blocks(void **state)
{
	static const struct {
		const char *buf;
		size_t len;
		int err;
	} cases[] = {
		{ "", 0, -GI_EPROTO }, { BLOCK("IDFW=2\0EVENT=open\0USER=a\0UID=1"), -GI_EPROTO },
		{ BLOCK("EVENT=open\0USER=a\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0USER=a\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0USER=a"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=opened\0USER=a\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0USER=\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0USER=a\nb\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0USER=a\xff\0UID=1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0USER=a\0UID=-1"), -GI_EPROTO },
		{ BLOCK("IDFW=1\0EVENT=open\0USER=a\0UID=4294967295"), -GI_EPROTO },
		{ BLOCK(MIN "\0USER=b"), -GI_EPROTO }, { BLOCK(MIN "\0TTY=1\0TTY=2"), -GI_EPROTO },
		{ BLOCK(MIN "\0SESSION=0"), -GI_EPROTO }, { BLOCK(MIN "\0SESSION=x"), -GI_EPROTO },
		{ BLOCK(MIN "\0WAIT=yes"), -GI_EPROTO },
		{ BLOCK(MIN "\0TIMEOUT_MS=60001"), -GI_EPROTO },
		{ BLOCK(MIN "\0novalue"), -GI_EPROTO }, { BLOCK(MIN "\0=nokey"), -GI_EPROTO },
		{ BLOCK(MIN "\0\0"), -GI_EPROTO },
		{ MIN, sizeof(MIN) - 1, -GI_EPROTO }, /* the last NUL is missing */
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct na_pam_event ev = { .uid = 99 };

		assert_int_equal(parse(cases[i].buf, cases[i].len, &ev), cases[i].err);
		assert_int_equal(ev.uid, 99);
	}
}

static void test_parse_every_truncation(void **state)
{
	static const char b[] = MIN;
	struct na_pam_event ev;

	(void)state;
	for (size_t n = 0; n < sizeof(b); n++) {
		int err = parse(b, n, &ev);

		/* without "01" it is another uid: a datagram is not cut by the kernel */
		assert_true(err == -GI_EPROTO);
	}
	assert_int_equal(parse(b, sizeof(b), &ev), 0);
}

static void test_parse_limits(void **state)
{
	static char b[NA_PAM_BLOCK_MAX + 2] = "IDFW=1\0EVENT=open\0UID=1\0USER=";
	struct na_pam_event ev;
	const size_t at = sizeof("IDFW=1\0EVENT=open\0UID=1\0USER=") - 1;

	(void)state;
	memset(b + at, 'u', NA_USER_MAX + 1);
	assert_int_equal(parse(b, at + NA_USER_MAX + 2, &ev), -GI_ELIMIT);
	b[at + NA_USER_MAX] = '\0';
	assert_int_equal(parse(b, at + NA_USER_MAX + 1, &ev), 0);
	assert_int_equal(strlen(ev.user), NA_USER_MAX);
	memset(b + at + NA_USER_MAX + 1, 'x', sizeof(b) - at - NA_USER_MAX - 2);
	b[at + NA_USER_MAX + 2] = '=';
	b[NA_PAM_BLOCK_MAX - 1] = '\0';
	assert_int_equal(parse(b, NA_PAM_BLOCK_MAX, &ev), 0);
	assert_int_equal(parse(b, NA_PAM_BLOCK_MAX + 1, &ev), -GI_ELIMIT);
}

static void test_parse_texts_are_cleaned_and_cut(void **state)
{
	char b[700] = MIN "\0RHOST=a\x1b[0m\xff\xc3\xa9\0TTY=";
	size_t len = sizeof(MIN "\0RHOST=a\x1b[0m\xff\xc3\xa9\0TTY=") - 1;
	struct na_pam_event ev;

	(void)state;
	memset(b + len, 't', NA_SERVICE_MAX - 1);
	memcpy(b + len + NA_SERVICE_MAX - 1, "\xc3\xa9", 3);
	assert_int_equal(parse(b, len + NA_SERVICE_MAX + 2, &ev), 0);
	assert_string_equal(ev.rhost, "a?[0m?\xc3\xa9");
	assert_int_equal(strlen(ev.tty), NA_SERVICE_MAX - 1);
}

static void test_parse_peer_that_is_no_address_is_none(void **state)
{
	static const char b[] = MIN "\0PEER=UNKNOWN";
	struct na_pam_event ev;

	(void)state;
	assert_int_equal(parse(b, sizeof(b), &ev), 0);
	assert_int_equal(ev.peer.family, 0);
}

static void test_reply_is_what_the_module_reads(void **state)
{
	char buf[NA_PAM_REPLY_MAX], longtext[600];
	struct pam_gi_reply r;
	size_t len;

	(void)state;
	len = na_pam_reply_format(NA_PAM_ENFORCED, UINT64_MAX, NULL, buf);
	assert_int_equal(pam_gi_reply_parse(buf, len, &r), 0);
	assert_int_equal(r.status, PAM_GI_ENFORCED);
	assert_true(r.session == UINT64_MAX);
	memset(longtext, 'x', sizeof(longtext));
	longtext[sizeof(longtext) - 1] = '\0';
	len = na_pam_reply_format(NA_PAM_REFUSED, 0, longtext, buf);
	assert_true(len <= sizeof(buf));
	assert_int_equal(pam_gi_reply_parse(buf, len, &r), 0);
	assert_int_equal(r.status, PAM_GI_REFUSED);
	assert_int_equal(strlen(r.text), 250);
	for (int s = NA_PAM_OK; s <= NA_PAM_REFUSED; s++) {
		len = na_pam_reply_format((enum na_pam_status)s, 1, "t", buf);
		assert_int_equal(pam_gi_reply_parse(buf, len, &r), 0);
		assert_int_equal(r.status, s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_everything),
		cmocka_unit_test(test_parse_what_the_module_encodes),
		cmocka_unit_test(test_parse_soon_needs_nobody),
		cmocka_unit_test(test_parse_bad_blocks),
		cmocka_unit_test(test_parse_every_truncation),
		cmocka_unit_test(test_parse_limits),
		cmocka_unit_test(test_parse_texts_are_cleaned_and_cut),
		cmocka_unit_test(test_parse_peer_that_is_no_address_is_none),
		cmocka_unit_test(test_reply_is_what_the_module_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
