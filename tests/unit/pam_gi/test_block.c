/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_block.c - the PAM module's two datagrams: shape, limits, every truncation
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "pam_gi/block.h"

static struct pam_gi_event alice(void)
{
	return (struct pam_gi_event){
		.event = "open", .user = "alice", .uid = 10001, .service = "sshd", .timeout_ms = 300
	};
}

static void test_encode_full_event_gives_exact_bytes(void **state)
{
	static const char want[] = "IDFW=1\0EVENT=open\0USER=alice\0UID=10001\0SERVICE=sshd\0"
				   "TTY=ssh\0RHOST=client\0RUSER=al\0AUTH=publickey ssh-ed25519\0"
				   "PEER=10.0.0.7\0SESSION=12\0WAIT=1\0TIMEOUT_MS=300";
	struct pam_gi_event ev = alice();
	struct pam_gi_block b;

	(void)state;
	ev.tty = "ssh";
	ev.rhost = "client";
	ev.ruser = "al";
	ev.auth_info = "publickey ssh-ed25519\npassword\n";
	ev.ssh_connection = "10.0.0.7 50000 10.0.0.1 22";
	ev.session = 12;
	ev.wait = 1;
	assert_int_equal(pam_gi_block_encode(&ev, &b), 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void test_encode_leaves_out_what_is_unknown(void **state)
{
	static const char want[] = "IDFW=1\0EVENT=open\0USER=alice\0UID=10001\0SERVICE=sshd\0"
				   "TIMEOUT_MS=300";
	struct pam_gi_event ev = alice();
	struct pam_gi_block b;

	(void)state;
	ev.rhost = "";
	assert_int_equal(pam_gi_block_encode(&ev, &b), 0);
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
}

static void test_encode_no_user_is_einval(void **state)
{
	struct pam_gi_event ev = alice();
	struct pam_gi_block b;

	(void)state;
	ev.user = "";
	assert_int_equal(pam_gi_block_encode(&ev, &b), -EINVAL);
	ev.user = NULL;
	assert_int_equal(pam_gi_block_encode(&ev, &b), -EINVAL);
}

static void test_encode_long_user_is_refused_not_cut(void **state)
{
	char user[PAM_GI_USER_MAX + 2];
	struct pam_gi_event ev = alice();
	struct pam_gi_block b;

	(void)state;
	memset(user, 'u', sizeof(user));
	user[PAM_GI_USER_MAX + 1] = '\0';
	ev.user = user;
	assert_int_equal(pam_gi_block_encode(&ev, &b), -GI_ELIMIT);
	user[PAM_GI_USER_MAX] = '\0';
	assert_int_equal(pam_gi_block_encode(&ev, &b), 0);
}

static void test_encode_everything_at_its_longest_fits(void **state)
{
	static char big[PAM_GI_BLOCK_MAX * 2];
	char user[PAM_GI_USER_MAX + 1];
	struct pam_gi_event ev = alice();
	struct pam_gi_block b;

	(void)state;
	memset(big, 'x', sizeof(big) - 1);
	memset(user, 'u', PAM_GI_USER_MAX);
	user[PAM_GI_USER_MAX] = '\0';
	ev.user = user;
	ev.service = ev.tty = ev.rhost = ev.ruser = ev.auth_info = ev.ssh_connection = big;
	ev.session = UINT64_MAX;
	ev.wait = 1;
	assert_int_equal(pam_gi_block_encode(&ev, &b), 0);
	assert_true(b.len <= PAM_GI_BLOCK_MAX);
	assert_int_equal(b.data[b.len - 1], 0);
}

static void test_encode_cut_keeps_utf8_whole(void **state)
{
	char rhost[PAM_GI_VALUE_MAX + 3];
	struct pam_gi_event ev = alice();
	struct pam_gi_block b;
	const char *at;

	(void)state;
	memset(rhost, 'r', sizeof(rhost));
	memcpy(rhost + PAM_GI_VALUE_MAX - 1, "\xc3\xa9", 3); /* one byte of it would fit */
	ev.rhost = rhost;
	assert_int_equal(pam_gi_block_encode(&ev, &b), 0);
	at = memmem(b.data, b.len, "RHOST=", 6);
	assert_non_null(at);
	assert_int_equal(strlen(at + 6), PAM_GI_VALUE_MAX - 1);
}

#define REPLY(s) s, sizeof(s)

static void test_parse_good_replies(void **state)
{
	static const struct {
		const char *buf;
		size_t len;
		enum pam_gi_status status;
		uint64_t session;
		const char *text;
	} cases[] = {
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=7"), PAM_GI_OK, 7, "" },
		{ REPLY("IDFW=1\0STATUS=enforced\0SESSION=18446744073709551615"), PAM_GI_ENFORCED,
			UINT64_MAX, "" },
		{ REPLY("IDFW=1\0STATUS=degraded\0SESSION=7\0TEXT=directory"), PAM_GI_DEGRADED, 7,
			"directory" },
		{ REPLY("IDFW=1\0TEXT=a\nb\0STATUS=timeout"), PAM_GI_TIMEOUT, 0, "a?b" },
		{ REPLY("IDFW=1\0STATUS=refused\0FUTURE=x\0TEXT="), PAM_GI_REFUSED, 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pam_gi_reply r;

		assert_int_equal(pam_gi_reply_parse(cases[i].buf, cases[i].len, &r), 0);
		assert_int_equal(r.status, cases[i].status);
		assert_true(r.session == cases[i].session);
		assert_string_equal(r.text, cases[i].text);
	}
}

static void test_parse_bad_replies_are_eproto(void **state)
{
	static const struct {
		const char *buf;
		size_t len;
	} cases[] = {
		{ "", 0 }, { REPLY("IDFW=1") }, { REPLY("IDFW=2\0STATUS=ok") },
		{ REPLY("STATUS=ok\0IDFW=1") }, { REPLY("IDFW=1\0SESSION=7") },
		{ REPLY("IDFW=1\0STATUS=fine") }, { REPLY("IDFW=1\0STATUS=ok\0STATUS=ok") },
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=1\0SESSION=2") },
		{ REPLY("IDFW=1\0STATUS=ok\0TEXT=1\0TEXT=2") },
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=") }, { REPLY("IDFW=1\0STATUS=ok\0SESSION=0") },
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=-1") },
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=1x") },
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=18446744073709551616") },
		{ REPLY("IDFW=1\0STATUS=ok\0SESSION=99999999999999999999999") },
		{ REPLY("IDFW=1\0STATUS=ok\0noequals") }, { REPLY("IDFW=1\0STATUS=ok\0=novalue") },
		{ REPLY("IDFW=1\0STATUS=ok\0\0") },
		{ "IDFW=1\0STATUS=ok", 16 }, /* no NUL at the end */
	};

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(cases); i++) {
		struct pam_gi_reply r = { .session = 99 };

		assert_int_equal(pam_gi_reply_parse(cases[i].buf, cases[i].len, &r), -GI_EPROTO);
		assert_int_equal(r.session, 99);
	}
}

static void test_parse_every_truncation_is_an_error(void **state)
{
	static const char msg[] = "IDFW=1\0STATUS=ok";
	struct pam_gi_reply r;

	(void)state;
	for (size_t n = 0; n < sizeof(msg); n++) {
		char copy[sizeof(msg)];

		memcpy(copy, msg, n);
		assert_int_equal(pam_gi_reply_parse(copy, n, &r), -GI_EPROTO);
	}
	assert_int_equal(pam_gi_reply_parse(msg, sizeof(msg), &r), 0);
}

static void test_parse_oversize_is_elimit(void **state)
{
	static char big[PAM_GI_BLOCK_MAX + 1] = "IDFW=1\0STATUS=ok\0X=";
	struct pam_gi_reply r;

	(void)state;
	memset(big + 19, 'x', sizeof(big) - 20);
	assert_int_equal(pam_gi_reply_parse(big, sizeof(big), &r), -GI_ELIMIT);
	big[PAM_GI_BLOCK_MAX - 1] = '\0';
	assert_int_equal(pam_gi_reply_parse(big, PAM_GI_BLOCK_MAX, &r), 0);
}

static void test_parse_long_text_is_cut(void **state)
{
	char msg[1024] = "IDFW=1\0STATUS=ok\0TEXT=";
	struct pam_gi_reply r;

	(void)state;
	memset(msg + 22, 't', 600);
	assert_int_equal(pam_gi_reply_parse(msg, 22 + 600 + 1, &r), 0);
	assert_int_equal(strlen(r.text), sizeof(r.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode_full_event_gives_exact_bytes),
		cmocka_unit_test(test_encode_leaves_out_what_is_unknown),
		cmocka_unit_test(test_encode_no_user_is_einval),
		cmocka_unit_test(test_encode_long_user_is_refused_not_cut),
		cmocka_unit_test(test_encode_everything_at_its_longest_fits),
		cmocka_unit_test(test_encode_cut_keeps_utf8_whole),
		cmocka_unit_test(test_parse_good_replies),
		cmocka_unit_test(test_parse_bad_replies_are_eproto),
		cmocka_unit_test(test_parse_every_truncation_is_an_error),
		cmocka_unit_test(test_parse_oversize_is_elimit),
		cmocka_unit_test(test_parse_long_text_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
