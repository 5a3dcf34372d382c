/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_guest.c - guests by CID, in this process: AF_VSOCK has no loopback on every machine, so
 * the connection is a socketpair and the CID is said
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/base/log.h"
#include "lib/wire/wire.h"
#include "mux/guest.h"
#include "mux/limit.h"

#define CONNECTS_MAX 20

static struct io_loop *loop;
static struct mux_guests *guests;
static bool reserved = true; /* the port that take() comes from */

static struct gi_prefix any[1];
static struct mux_vm vms[2] = { { .name = "jump01", .cid = 3, .allowed = any, .n_allowed = 0 },
	{ .name = "web01", .cid = 4 } };

static int setup(void **state)
{
	/* no vsock_port: no listener is opened */
	const struct mux_inventory inv = { .vms = vms, .n = 2 };
	const struct mux_guests_conf conf = {
		.max_queue = 1 << 20, .max_queue_up = 1 << 20, .connects_max = CONNECTS_MAX
	};

	(void)state;
	assert_int_equal(io_loop_new(&loop), 0);
	assert_int_equal(mux_guests_new(loop, &conf, &guests), 0);
	assert_int_equal(mux_guests_apply(guests, &inv), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mux_guests_free(guests);
	io_loop_free(loop);
	return 0;
}

static int take_on(enum mux_lane_id lane, uint32_t cid)
{
	int sv[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	mux_guests_take_cid(guests, lane, sv[0], cid, reserved);
	return sv[1];
}

static int take(uint32_t cid)
{
	return take_on(MUX_LANE_IDENTITY, cid);
}

/* nothing to read, not closed: held */
static bool is_held(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void assert_refused(int fd, const char *word)
{
	uint8_t buf[512];
	Idfw__Envelope *e = NULL;
	const char *why = "";
	ssize_t n = recv(fd, buf, sizeof(buf), 0);
	size_t len;

	assert_true(n > 4);
	len = (size_t)buf[2] << 8 | buf[3];
	assert_int_equal(n, len + 4);
	if (wire_envelope_decode(buf + 4, len, WIRE_SVM_TO_AGENT, WIRE_NEW, &e, &why))
		fail_msg("%s", why);
	assert_int_equal(e->body_case, IDFW__ENVELOPE__BODY_REFUSED);
	assert_int_equal(e->refused->reason, IDFW__REFUSED__REASON__IDENTITY);
	assert_non_null(strstr(e->refused->text, word));
	wire_envelope_free(e);
	assert_int_equal(recv(fd, buf, sizeof(buf), 0), 0); /* and closed */
}

static void test_take_cid_unknown_is_refused(void **state)
{
	static const uint32_t strangers[] = { 0, 1, 2, 5, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < GI_ARRAY_SIZE(strangers); i++) {
		int fd = take(strangers[i]);

		assert_refused(fd, "inventory");
		(void)close(fd);
	}
}

static void test_take_cid_known_is_that_guest(void **state)
{
	struct mux_guest_stats st;
	int fd = take(3);

	(void)state;
	io_loop_run_once(loop, 0);
	assert_true(is_held(fd));
	assert_int_equal(mux_guests_stats(guests, "jump01", MUX_LANE_IDENTITY, &st), 0);
	assert_true(st.connected);
	assert_int_equal(st.connects, 1);
	assert_int_equal(mux_guests_stats(guests, "web01", MUX_LANE_IDENTITY, &st), 0);
	assert_false(st.connected);
	assert_int_equal(mux_guests_stats(guests, "db01", MUX_LANE_IDENTITY, &st), -GI_ENOTFOUND);
	(void)close(fd);
}

/* any user of the guest can have such a port: he is not the agent, and does not push it out */
static void test_take_cid_from_any_port_is_refused(void **state)
{
	struct mux_guest_stats st;
	int agent = take(3), other;

	(void)state;
	reserved = false;
	for (int i = 0; i < 2 * CONNECTS_MAX; i++) {
		other = take(3);
		assert_refused(other, "below 1024");
		(void)close(other);
	}
	reserved = true;
	io_loop_run_once(loop, 0);
	assert_true(is_held(agent));
	assert_int_equal(mux_guests_stats(guests, "jump01", MUX_LANE_IDENTITY, &st), 0);
	assert_int_equal(st.turned_away, 2 * CONNECTS_MAX);
	other = take(3); /* and has not used up its turns */
	assert_true(is_held(other));
	(void)close(agent);
	(void)close(other);
}

static void test_take_cid_again_replaces(void **state)
{
	struct mux_guest_stats st;
	int first = take(3), second = take(3);
	char c;

	(void)state;
	io_loop_run_once(loop, 0);
	assert_int_equal(recv(first, &c, 1, 0), 0);
	assert_true(is_held(second));
	assert_int_equal(mux_guests_stats(guests, "jump01", MUX_LANE_IDENTITY, &st), 0);
	assert_int_equal(st.replaced, 1);
	(void)close(first);
	(void)close(second);
}

/* the port says which agent it is: each is there once, neither replaces the other */
static void test_take_cid_on_two_lanes_is_two_agents(void **state)
{
	struct mux_guest_stats st;
	int identity = take(3), file = take_on(MUX_LANE_FILE, 3), stranger;

	(void)state;
	io_loop_run_once(loop, 0);
	assert_true(is_held(identity));
	assert_true(is_held(file));
	for (enum mux_lane_id k = 0; k < MUX_LANES; k++) {
		assert_int_equal(mux_guests_stats(guests, "jump01", k, &st), 0);
		assert_true(st.connected);
		assert_int_equal(st.connects, 1);
		assert_int_equal(st.replaced, 0);
	}
	stranger = take_on(MUX_LANE_FILE, 5);
	assert_refused(stranger, "inventory");
	mux_guests_link_down(guests, MUX_LANE_FILE);
	assert_int_equal(mux_guests_stats(guests, "jump01", MUX_LANE_FILE, &st), 0);
	assert_false(st.connected);
	assert_true(is_held(identity));
	(void)close(identity);
	(void)close(file);
	(void)close(stranger);
}

static void test_take_cid_of_removed_vm_is_refused(void **state)
{
	const struct mux_inventory less = { .vms = &vms[1], .n = 1 };
	char c;
	int fd = take(3);

	(void)state;
	assert_int_equal(mux_guests_apply(guests, &less), 0);
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	(void)close(fd);
	fd = take(3);
	assert_refused(fd, "inventory");
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_take_cid_unknown_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_cid_known_is_that_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_take_cid_from_any_port_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_take_cid_again_replaces, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_take_cid_on_two_lanes_is_two_agents, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_take_cid_of_removed_vm_is_refused, setup, teardown),
	};

	gi_log_init("test", GI_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
