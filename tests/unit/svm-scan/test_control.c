/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_control.c - svm-scan's control socket: every verb, agents that answer, lie, or go away
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/svm-scan/svc.h"

#define QID "00112233445566778899aabbccddeeff"

struct fix {
	struct svc s;
	struct tg *t;
	int verb;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	svc_init(&f->s);
	(void)snprintf(f->s.extra, sizeof(f->s.extra), "vm cut01 { isolate vm; }");
	svc_start(&f->s);
	f->t = tg_new(&f->s.bed, "host1");
	tg_up(f->t, "web01");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	tg_free(f->t);
	svc_fini(&f->s);
	free(f);
	return 0;
}

static const char *text_of(struct svc_client *c, size_t row, const char *name)
{
	json_t *v = json_object_get(json_array_get(c->rows, row), name);

	return json_is_string(v) ? json_string_value(v) : "";
}

static bool has_rows(struct svc *s, void *arg)
{
	struct svc_client *c = ((void **)arg)[0];

	(void)s;
	return json_array_size(c->rows) >= *(size_t *)((void **)arg)[1];
}

static void wait_rows(struct fix *f, struct svc_client *c, size_t n)
{
	void *arg[] = { c, &n };

	svc_wait(&f->s, has_rows, arg);
}

static const struct svc_record *command_record(struct fix *f)
{
	for (size_t i = 0; i < f->s.n_records; i++)
		if (f->s.records[i].kind == IDFW__SCAN_RECORD__KIND__COMMAND)
			return &f->s.records[i];
	return NULL;
}

static bool has_command_record(struct svc *s, void *arg)
{
	(void)s;
	return command_record(arg) != NULL;
}

static void test_status_tells_of_service_and_vms(void **state)
{
	struct fix *f = *state;
	Idfw__FileCounter one = IDFW__FILE_COUNTER__INIT, *list[] = { &one };
	Idfw__FileCounters m = IDFW__FILE_COUNTERS__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct svc_client *c;
	json_t *n;

	one.name = (char *)(uintptr_t) "events_open";
	one.value = 42;
	m.n_counter = 1;
	m.counter = list;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_COUNTERS;
	e.file_counters = &m;
	tg_send(f->t, "web01", &e);
	tg_up(f->t, "db01");	    /* what was sent before it is there now */
	svc_wait_records(&f->s, 1); /* and svm-idfw */
	c = svc_ask(&f->s, "scan-status", NULL);
	assert_int_equal(c->status, 0);
	assert_int_equal(json_array_size(c->rows), 3);
	assert_string_equal(text_of(c, 0, "type"), "scan");
	assert_string_equal(text_of(c, 0, "svm_idfw"), "up");
	assert_int_equal(strlen(text_of(c, 0, "epoch")), 64);
	assert_non_null(strstr(text_of(c, 0, "engines"), "yara"));
	assert_string_equal(text_of(c, 1, "vm"), "db01");
	assert_string_equal(text_of(c, 2, "vm"), "web01");
	assert_string_equal(text_of(c, 2, "mux"), "host1");
	n = json_object_get(json_object_get(json_array_get(c->rows, 2), "counters"), "events_open");
	assert_int_equal(json_integer_value(n), 42);
	svc_client_free(c);
	c = svc_ask(&f->s, "scan-status", "web01", NULL);
	assert_int_equal(json_array_size(c->rows), 2);
	svc_client_free(c);
	c = svc_ask(&f->s, "scan-status", "nobody", NULL);
	assert_int_equal(c->status, 4);
	svc_client_free(c);
}

static void test_wrong_requests_are_answered_2(void **state)
{
	struct fix *f = *state;
	struct svc_client *c;

	c = svc_ask(&f->s, "who", NULL);
	assert_int_equal(c->status, 2);
	svc_client_free(c);
	c = svc_ask(&f->s, "scan-now", "web01", NULL);
	assert_int_equal(c->status, 2);
	svc_client_free(c);
	c = svc_ask(&f->s, "scan-now", "web01", "etc/passwd", NULL);
	assert_int_equal(c->status, 2);
	svc_client_free(c);
	c = svc_ask(&f->s, "quarantine-restore", "web01", "all", NULL);
	assert_int_equal(c->status, 2);
	svc_client_free(c);
	c = svc_ask(&f->s, "scan-explain", "db01", "/etc/passwd", NULL);
	assert_int_equal(c->status, 4);
	assert_non_null(strstr(c->why, "db01 is not connected"));
	svc_client_free(c);
}

static void test_explain_adds_what_the_service_knows(void **state)
{
	static const char row[] =
		"{\"type\":\"explain\",\"path\":\"/a\",\"sha256\":"
		"\"1111111111111111111111111111111111111111111111111111111111111111\"}";
	struct fix *f = *state;
	struct svc_client *c;
	uint64_t id;

	svc_list_write(&f->s,
		"deny 1111111111111111111111111111111111111111111111111111111111111111"
		" Evil\n");
	c = svc_ask(&f->s, "scan-reload", NULL);
	assert_int_equal(c->status, 0);
	svc_client_free(c);
	c = svc_ask_begin(&f->s, "scan-explain", "web01", "/a", NULL);
	id = svc_command(&f->s, f->t, "web01", 0, &f->verb);
	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__EXPLAIN);
	svc_reply(f->t, "web01", id, row, false, 0, "");
	svc_reply(f->t, "web01", id, "", true, 0, "");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 0);
	assert_int_equal(json_array_size(c->rows), 2);
	assert_string_equal(text_of(c, 0, "path"), "/a");
	assert_string_equal(text_of(c, 1, "listed"), "deny");
	assert_string_equal(text_of(c, 1, "signature"), "Evil");
	assert_string_equal(text_of(c, 1, "on_open"), "quarantine");
	svc_client_free(c);
}

static void test_scan_now_passes_rows_and_is_audited(void **state)
{
	struct fix *f = *state;
	struct svc_client *c = svc_ask_begin(&f->s, "scan-now", "web01", "/srv", NULL);
	uint64_t id = svc_command(&f->s, f->t, "web01", 0, &f->verb);

	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__SCAN);
	svc_reply(f->t, "web01", id, "{\"type\":\"progress\",\"files\":1}", false, 0, "");
	wait_rows(f, c, 1);
	svc_reply(f->t, "web01", id, "not json", false, 0, "");
	svc_reply(f->t, "web01", id, "[1]", false, 0, "");
	svc_reply(f->t, "web01", id, "{\"type\":\"found\"}", false, 0, "");
	svc_reply(f->t, "web01", id, "", true, 1, "1 found");
	svc_ask_wait(&f->s, c);
	assert_int_equal(json_array_size(c->rows), 2);
	assert_string_equal(text_of(c, 1, "type"), "found");
	assert_int_equal(c->status, 1);
	assert_string_equal(c->why, "1 found");
	svc_client_free(c);
	svc_wait(&f->s, has_command_record, f);
	assert_string_equal(command_record(f)->path, "/srv");
	assert_string_equal(command_record(f)->vm, "web01");
	assert_string_equal(command_record(f)->by, getuid() == 0 ? "root" : command_record(f)->by);
	assert_string_equal(command_record(f)->text, "scan now");
}

static void test_scan_now_ends_when_its_client_goes(void **state)
{
	struct fix *f = *state;
	struct svc_client *c = svc_ask_begin(&f->s, "scan-now", "web01", "/srv", NULL);
	uint64_t id = svc_command(&f->s, f->t, "web01", 0, &f->verb);

	svc_reply(f->t, "web01", id, "{\"files\":1}", false, 0, "");
	wait_rows(f, c, 1);
	svc_client_free(c);
	id = svc_command(&f->s, f->t, "web01", id, &f->verb);
	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__STOP);
	svc_reply(f->t, "web01", id, "", true, 0, "");
	assert_int_equal(svc_stat(&f->s, "guests"), 1);
}

static void test_guest_that_goes_ends_its_commands(void **state)
{
	struct fix *f = *state;
	struct svc_client *c = svc_ask_begin(&f->s, "scan-explain", "web01", "/a", NULL);

	(void)svc_command(&f->s, f->t, "web01", 0, &f->verb);
	tg_down(f->t, "web01");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(c->why, "the guest went away"));
	svc_client_free(c);
}

static void test_reply_to_no_command_costs_the_connection(void **state)
{
	struct fix *f = *state;
	char why[WIRE_TEXT_MAX + 1];
	struct svc_client *c = svc_ask_begin(&f->s, "scan-explain", "web01", "/a", NULL);
	uint64_t id = svc_command(&f->s, f->t, "web01", 0, &f->verb);

	svc_reply(f->t, "web01", id + 1, "{\"type\":\"forged\"}", true, 0, "");
	tg_wait_closed(f->t, "web01", why);
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 1);
	assert_int_equal(json_array_size(c->rows), 0);
	svc_client_free(c);
}

static void test_quarantine_list_names_the_vm(void **state)
{
	struct fix *f = *state;
	struct svc_client *c;
	uint64_t one, two;
	int verb;

	tg_up(f->t, "db01");
	c = svc_ask_begin(&f->s, "quarantine-list", NULL);
	one = svc_command(&f->s, f->t, "web01", 0, &f->verb);
	two = svc_command(&f->s, f->t, "db01", 0, &verb);
	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__QUARANTINE_LIST);
	svc_reply(f->t, "web01", one, "{\"id\":\"" QID "\",\"vm\":\"db01\"}", false, 0, "");
	svc_reply(f->t, "web01", one, "", true, 0, "");
	svc_reply(f->t, "db01", two, "", true, 0, "");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 0);
	assert_int_equal(json_array_size(c->rows), 1);
	assert_string_equal(text_of(c, 0, "vm"), "web01"); /* whatever the guest says */
	svc_client_free(c);
	/* an empty one, and one that fails */
	c = svc_ask_begin(&f->s, "quarantine-list", "web01", "db01", NULL);
	one = svc_command(&f->s, f->t, "web01", one, &f->verb);
	two = svc_command(&f->s, f->t, "db01", two, &verb);
	svc_reply(f->t, "web01", one, "", true, 0, "");
	svc_reply(f->t, "db01", two, "", true, 1, "no store");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 1);
	assert_string_equal(text_of(c, 0, "vm"), "db01");
	assert_string_equal(text_of(c, 0, "error"), "no store");
	svc_client_free(c);
}

static void test_quarantine_restore_is_audited(void **state)
{
	struct fix *f = *state;
	struct svc_client *c = svc_ask_begin(&f->s, "quarantine-restore", "web01", QID, NULL);
	uint64_t id = svc_command(&f->s, f->t, "web01", 0, &f->verb);

	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__QUARANTINE_RESTORE);
	svc_reply(f->t, "web01", id, "{\"id\":\"" QID "\",\"path\":\"/x\"}", true, 0, "");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 0);
	assert_string_equal(text_of(c, 0, "path"), "/x");
	svc_client_free(c);
	svc_wait(&f->s, has_command_record, f);
	assert_string_equal(command_record(f)->text, "quarantine restore " QID);
	c = svc_ask_begin(&f->s, "quarantine-purge", "web01", "all", NULL);
	id = svc_command(&f->s, f->t, "web01", id, &f->verb);
	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__QUARANTINE_PURGE);
	svc_reply(f->t, "web01", id, "", true, 4, "no such id");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 4);
	svc_client_free(c);
}

static const char *const test_steps[] = { "guest", "engines", "save", "verdict", "record" };

static void test_scan_test_follows_a_file_to_the_audit(void **state)
{
	static const char bad[] = "with the idfw yara marker";
	struct fix *f = *state;
	struct tg_file file = { .path = "/home/eicar",
		.data = (const uint8_t *)bad,
		.len = sizeof(bad) - 1,
		.deadline_ms = 60000,
		.done = EPS_RESULT_DONE };
	struct svc_client *c = svc_ask_begin(&f->s, "scan-test", "web01", NULL);
	uint64_t id = svc_command(&f->s, f->t, "web01", 0, &f->verb);
	struct tg_verdict v;

	assert_int_equal(f->verb, IDFW__FILE_COMMAND__VERB__TEST);
	tg_verdict(f->t, tg_event(f->t, "web01", EPS_OP_CLOSE_WRITE, &file), &v);
	svc_reply(f->t, "web01", id,
		"{\"type\":\"step\",\"step\":\"save\",\"ok\":true,\"text\":\"\"}", true, 0, "");
	svc_ask_wait(&f->s, c);
	if (c->status)
		fail_msg("scan-test: %s", c->why);
	assert_int_equal(json_array_size(c->rows), GI_ARRAY_SIZE(test_steps));
	for (size_t i = 0; i < GI_ARRAY_SIZE(test_steps); i++) {
		assert_string_equal(text_of(c, i, "step"), test_steps[i]);
		assert_true(json_is_true(json_object_get(json_array_get(c->rows, i), "ok")));
	}
	svc_client_free(c);
}

static void test_scan_test_names_the_step_that_failed(void **state)
{
	struct fix *f = *state;
	struct svc_client *c;
	uint64_t id;

	c = svc_ask(&f->s, "scan-test", "db01", NULL);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(c->why, "guest: it is not connected"));
	svc_client_free(c);
	tg_up(f->t, "cut01"); /* its rules: see setup */
	c = svc_ask(&f->s, "scan-test", "cut01", NULL);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(c->why, "rules: the finding would isolate the VM"));
	svc_client_free(c);
	c = svc_ask_begin(&f->s, "scan-test", "web01", NULL);
	id = svc_command(&f->s, f->t, "web01", 0, &f->verb);
	svc_reply(f->t, "web01", id,
		"{\"type\":\"step\",\"step\":\"gone\",\"ok\":false,\"text\":\"it is still there\"}",
		false, 0, "");
	svc_ask_wait(&f->s, c);
	assert_int_equal(c->status, 1);
	assert_string_equal(c->why, "gone: it is still there");
	svc_client_free(c);
}

/* what the kernel says of each thread, worker processes not included */
static void test_threads_have_no_privileges(void **state)
{
	struct fix *f = *state;
	char dir[64], path[400], line[256];
	size_t threads = 0, caps = 0, nnp = 0, filtered = 0, roots = 0;
	struct dirent *e;
	DIR *d;

	if (getuid() != 0)
		skip();
	(void)snprintf(dir, sizeof(dir), "/proc/%d/task", (int)f->s.pid);
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d))) {
		FILE *file;

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s/status", dir, e->d_name);
		file = fopen(path, "r");
		assert_non_null(file);
		threads++;
		while (fgets(line, sizeof(line), file)) {
			caps += !strcmp(line, "CapEff:\t0000000000000000\n") ||
				!strcmp(line, "CapPrm:\t0000000000000000\n");
			nnp += !strcmp(line, "NoNewPrivs:\t1\n");
			filtered += !strcmp(line, "Seccomp:\t2\n");
			roots += !strncmp(line, "Uid:", 4) && strstr(line, "\t0\t");
		}
		(void)fclose(file);
	}
	(void)closedir(d);
	assert_true(threads >= 3);
	assert_int_equal(caps, 2 * threads);
	assert_int_equal(nnp, threads);
	assert_int_equal(filtered, threads);
	assert_int_equal(roots, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(test_status_tells_of_service_and_vms),
		T(test_wrong_requests_are_answered_2),
		T(test_explain_adds_what_the_service_knows),
		T(test_scan_now_passes_rows_and_is_audited),
		T(test_scan_now_ends_when_its_client_goes),
		T(test_guest_that_goes_ends_its_commands),
		T(test_reply_to_no_command_costs_the_connection),
		T(test_quarantine_list_names_the_vm),
		T(test_quarantine_restore_is_audited),
		T(test_scan_test_follows_a_file_to_the_audit),
		T(test_scan_test_names_the_step_that_failed),
		T(test_threads_have_no_privileges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
