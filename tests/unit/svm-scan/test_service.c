/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_service.c - the real svm-scan between a mux with guests and a svm-idfw: verdicts, records
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

#include "lib/io/sha256.h"
#include "tests/unit/svm-scan/bed.h"
#include "tests/unit/svm-scan/svc.h"

static void judge(struct tg *t, const char *vm, enum eps_op op, const struct tg_file *f,
	struct tg_verdict *ret)
{
	tg_verdict(t, tg_event(t, vm, op, f), ret);
}

/* @word: allow or deny, by the hash */
static void list_content(
	struct svc *s, const char *word, const void *data, size_t len, const char *name)
{
	char hex[IO_SHA256_HEX], line[256];
	struct io_sha256 *h;
	uint8_t sha[32];

	assert_int_equal(io_sha256_new(&h), 0);
	io_sha256_add(h, data, len);
	io_sha256_end(h, sha);
	io_sha256_free(h);
	io_sha256_hex(sha, hex);
	(void)snprintf(line, sizeof(line), "%s %s %s\n", word, hex, name);
	svc_list_write(s, line);
}

static void list_eicar(struct svc *s, const char *name)
{
	char eicar[80];
	size_t len = bed_eicar(eicar);

	list_content(s, "deny", eicar, len, name);
}

static void test_found_is_quarantined_recorded_and_isolated(void **state)
{
	struct svc *s = *state;
	const struct svc_record *r = NULL;
	struct tg_verdict v;
	struct tg_file f = svc_file("/home/alice/x", "there is an idfw yara marker in here");
	struct tg *t;

	(void)snprintf(s->extra, sizeof(s->extra), "vm web01 { isolate session; }");
	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	assert_string_equal(v.engine, "yara");
	assert_non_null(strstr(v.signature, "Marker"));
	assert_string_equal(v.reason, "signature");
	assert_int_equal(v.sha256_len, 32);
	svc_wait(s, svc_has_verdict_record, &r);
	assert_string_equal(r->vm, "web01");
	assert_string_equal(r->path, "/home/alice/x");
	assert_string_equal(r->user, "alice");
	assert_int_equal(r->session, 5);
	assert_int_equal(r->isolate, IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION);
	assert_int_equal(r->result, IDFW__FILE_DONE__RESULT__DONE);
	assert_int_equal(r->verdict, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	assert_int_equal(r->qid_len, 16);
	assert_int_equal(r->sha256_len, 32);
	assert_true(r->took_us > 0);
	tg_free(t);
}

static void test_clean_passes_and_is_scanned_once_for_all_vms(void **state)
{
	struct svc *s = *state;
	struct tg_file f = svc_file("/usr/bin/thing", "#!/bin/sh\necho hello\n");
	uint64_t ids[40];
	struct tg_verdict v;
	struct tg *t;

	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	tg_up(t, "db01");
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++)
		ids[i] = tg_event(t, i % 2 ? "web01" : "db01", EPS_OP_EXEC, &f);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++) {
		tg_verdict(t, ids[i], &v);
		assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW);
		assert_true(v.until_change);
		assert_false(v.failed);
	}
	judge(t, "db01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW);
	assert_int_equal(svc_stat(s, "scanned"), 1);
	assert_int_equal(svc_stat(s, "cache_entries"), 1);
	assert_true(svc_stat(s, "cache_hits") + svc_stat(s, "followers") >= 40);
	/* nothing of it is worth a record */
	assert_null(svc_record_of(s, IDFW__SCAN_RECORD__KIND__VERDICT, 0));
	tg_free(t);
}

/* one signature for ClamAV; @ret: its file */
static void clamav_eicar(struct svc *s, char eicar[80], char ret[128])
{
	char line[256];
	size_t n = bed_eicar(eicar), at;

	eicar[n] = '\0';
	at = (size_t)snprintf(line, sizeof(line), "Eicar-Test-Signature:0:0:");
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%02x", (uint8_t)eicar[i]);
	(void)snprintf(line + at, sizeof(line) - at, "\n");
	(void)snprintf(ret, 128, "%s/test.ndb", s->bed.dir);
	bed_text(ret, line);
}

static void test_eicar_is_found_by_clamav_and_quarantined(void **state)
{
	struct svc *s = *state;
	const struct svc_record *r = NULL;
	struct tg_verdict v;
	struct tg_file f;
	char eicar[80], db[128];
	struct tg *t;

	clamav_eicar(s, eicar, db);
	f = svc_file("/home/alice/eicar.com", eicar);
	(void)snprintf(s->extra, sizeof(s->extra), "clamav-db \"%s\"; on-write delete;", db);
	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	assert_string_equal(v.engine, "clamav");
	assert_non_null(strstr(v.signature, "Eicar-Test-Signature"));
	svc_wait(s, svc_has_verdict_record, &r);
	assert_string_equal(r->engine, "clamav");
	assert_string_equal(r->path, "/home/alice/eicar.com");
	/* by another rule, from what is remembered */
	judge(t, "web01", EPS_OP_CLOSE_WRITE, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE);
	assert_int_equal(svc_stat(s, "scanned"), 1);
	tg_free(t);
}

static void test_large_file_is_read_and_found_by_its_end(void **state)
{
	struct svc *s = *state;
	static char content[3 << 20];
	struct tg_file f = { .path = "/srv/big",
		.data = (const uint8_t *)content,
		.len = sizeof(content),
		.deadline_ms = 60000,
		.done = EPS_RESULT_DONE };
	struct svc_client *c;
	struct tg_verdict v;
	struct tg *t;

	memset(content, 'x', sizeof(content));
	memcpy(content + sizeof(content) - 20, "idfw yara marker", 16);
	(void)snprintf(s->extra, sizeof(s->extra), "on-write delete;");
	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	judge(t, "web01", EPS_OP_CLOSE_WRITE, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE);
	assert_true(tg_reads(t) >= 3);
	/* now by its hash, which only the whole content gave */
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	/* the administrator knows better than the signature */
	list_content(s, "allow", content, sizeof(content), "ours");
	c = svc_ask(s, "scan-reload", NULL);
	assert_int_equal(c->status, 0);
	svc_client_free(c);
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW);
	tg_free(t);
}

static void test_empty_file_passes_unscanned(void **state)
{
	struct svc *s = *state;
	struct tg_file f = svc_file("/tmp/empty", "");
	struct tg_verdict v;
	struct tg *t;

	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW);
	assert_int_equal(svc_stat(s, "scanned"), 0);
	tg_free(t);
}

static bool epoch_differs(const struct tg_vm *v, const void *arg)
{
	return v->epoch_len != 32 || memcmp(v->epoch, arg, 32) != 0;
}

struct reload_wait {
	struct tg *t;
	uint8_t epoch[32];
	struct tg_file *f;
	size_t n;
	uint64_t ids[20000];
};

static bool has_new_epoch(struct svc *s, void *arg)
{
	struct reload_wait *w = arg;
	struct tg_vm v;

	(void)s;
	/* load: as many as there are credits for */
	if (w->n < GI_ARRAY_SIZE(w->ids) &&
		(w->n < 100 || tg_has_verdict(w->t, w->ids[w->n - 100])))
		w->ids[w->n++] = tg_event(w->t, "web01", EPS_OP_OPEN, w->f);
	tg_wait_vm(w->t, "web01", epoch_differs, "", &v);
	return memcmp(v.epoch, w->epoch, 32) != 0;
}

static void test_reload_under_load_is_a_new_epoch_and_loses_nothing(void **state)
{
	struct svc *s = *state;
	static struct reload_wait w;
	char eicar[80];
	struct tg_file f, clean = svc_file("/a", "clean as can be");
	struct tg_verdict v;
	struct tg_vm vm;

	eicar[bed_eicar(eicar)] = '\0';
	f = svc_file("/b", eicar);
	svc_start(s);
	w.t = tg_new(&s->bed, "host1");
	w.f = &clean;
	w.n = 0;
	tg_up(w.t, "web01");
	judge(w.t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW);
	tg_wait_vm(w.t, "web01", epoch_differs, "", &vm);
	memcpy(w.epoch, vm.epoch, 32);
	list_eicar(s, "Eicar");
	assert_int_equal(kill(s->pid, SIGHUP), 0);
	svc_wait(s, has_new_epoch, &w);
	judge(w.t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	assert_string_equal(v.engine, "hash-list");
	assert_string_equal(v.signature, "Eicar");
	assert_string_equal(v.reason, "hash list");
	assert_memory_not_equal(v.epoch, w.epoch, 32);
	for (size_t i = 0; i < w.n; i++) {
		tg_verdict(w.t, w.ids[i], &v);
		assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_ALLOW);
	}
	tg_free(w.t);
}

static void test_reload_with_mistakes_keeps_what_is_there(void **state)
{
	struct svc *s = *state;
	struct tg_file f = svc_file("/a", "an idfw yara marker");
	struct svc_client *c;
	struct tg_verdict v;
	struct tg *t;

	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	svc_list_write(s, "allow 123\nbeny 0\n");
	c = svc_ask(s, "scan-reload", NULL);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(c->text, "list:1:7: error: a SHA-256 is 64"));
	assert_non_null(strstr(c->text, "did you mean \"deny\"?"));
	assert_string_equal(c->why, "not loaded, the old signatures and list go on");
	svc_client_free(c);
	svc_list_write(s, "# good again\n");
	bed_text(s->rules, "rule Broken {");
	c = svc_ask(s, "scan-reload", NULL);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(c->text, "syntax error"));
	assert_null(strstr(c->text, "signatures: signatures"));
	assert_string_equal(c->why, "not loaded, the old signatures and list go on");
	svc_client_free(c);
	bed_text(s->rules, "rule Marker { strings: $a = \"idfw yara marker\" condition: $a }\n");
	c = svc_ask(s, "scan-status", NULL);
	assert_int_equal(c->status, 1); /* not well: the last load failed */
	svc_client_free(c);
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	svc_list_write(s, "# good again\n");
	c = svc_ask(s, "scan-reload", NULL);
	assert_int_equal(c->status, 0);
	assert_int_equal(json_array_size(c->rows), 1);
	svc_client_free(c);
	c = svc_ask(s, "scan-status", NULL);
	assert_int_equal(c->status, 0);
	svc_client_free(c);
	tg_free(t);
}

static json_t *load_error_of(struct svc_client *c)
{
	return json_object_get(json_array_get(c->rows, 0), "load_error");
}

static bool has_load_error(struct svc *s, void *arg)
{
	struct svc_client *c = svc_ask(s, "scan-status", NULL);
	bool is = json_is_null(load_error_of(c)) != *(bool *)arg;

	svc_client_free(c);
	return is;
}

static void test_hup_with_a_broken_configuration_shows_in_the_status(void **state)
{
	struct svc *s = *state;
	struct svc_client *c;
	uint64_t loaded;
	bool bad = true;

	svc_start(s);
	loaded = svc_stat(s, "loaded_ms");
	assert_int_equal(svc_stat(s, "load_ms"), loaded);
	(void)snprintf(s->extra, sizeof(s->extra), "on-open maybe;\nnonsense 1;");
	svc_conf_write(s);
	assert_int_equal(kill(s->pid, SIGHUP), 0);
	svc_wait(s, has_load_error, &bad);
	c = svc_ask(s, "scan-status", NULL);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(json_string_value(load_error_of(c)), "unknown name \"nonsense\""));
	svc_client_free(c);
	assert_int_equal(svc_stat(s, "loaded_ms"), loaded);
	assert_true(svc_stat(s, "load_ms") >= loaded);
	/* what the table cannot say is a mistake of the same kind */
	(void)snprintf(s->extra, sizeof(s->extra), "on-open maybe;");
	svc_conf_write(s);
	c = svc_ask(s, "scan-reload", NULL);
	assert_int_equal(c->status, 1);
	assert_non_null(strstr(c->text, "error: on-open \"maybe\""));
	svc_client_free(c);
	s->extra[0] = '\0';
	svc_conf_write(s);
	assert_int_equal(kill(s->pid, SIGHUP), 0);
	bad = false;
	svc_wait(s, has_load_error, &bad);
	c = svc_ask(s, "scan-status", NULL);
	assert_int_equal(c->status, 0);
	svc_client_free(c);
}

struct reads_wait {
	struct tg *t;
	uint64_t n;
};

static bool has_reads(struct svc *s, void *arg)
{
	struct reads_wait *w = arg;

	(void)s;
	return tg_reads(w->t) >= w->n;
}

static void test_killed_worker_costs_one_file(void **state)
{
	struct svc *s = *state;
	static char content[1 << 20];
	struct tg_file held = { .path = "/held",
		.data = (const uint8_t *)content,
		.len = sizeof(content),
		.deadline_ms = 60000,
		.silent = true };
	struct tg_file f = svc_file("/a", "an idfw yara marker");
	struct tg_verdict v;
	struct reads_wait w;
	pid_t workers[8];
	uint64_t id;

	(void)snprintf(s->extra, sizeof(s->extra), "workers 1;");
	svc_start(s);
	w.t = tg_new(&s->bed, "host1");
	w.n = 1;
	tg_up(w.t, "web01");
	id = tg_event(w.t, "web01", EPS_OP_OPEN, &held);
	svc_wait(s, has_reads, &w);
	assert_int_equal(svc_children(s, workers, 8), 1);
	assert_int_equal(kill(workers[0], SIGKILL), 0);
	tg_verdict(w.t, id, &v);
	assert_true(v.failed);
	judge(w.t, "web01", EPS_OP_OPEN, &f, &v);
	assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	assert_int_equal(svc_stat(s, "workers_ended"), 1);
	svc_wait_records(s, 2);
	tg_free(w.t);
}

static bool is_down(struct svc *s, void *arg)
{
	(void)arg;
	return !s->link;
}

static bool waits_in_outbox(struct svc *s, void *arg)
{
	return svc_stat(s, "outbox_waiting") >= *(uint64_t *)arg;
}

static void test_records_survive_kill_and_come_once(void **state)
{
	struct svc *s = *state;
	struct tg_file f = svc_file("/a", "an idfw yara marker");
	size_t before, verdicts = 0;
	struct tg_verdict v;
	uint64_t waiting;
	struct tg *t;

	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	svc_wait_records(s, 2); /* loaded; the verdict */
	s->mute = true;
	judge(t, "web01", EPS_OP_OPEN, &f, &v);
	svc_wait_records(s, 3); /* came, but was not acknowledged */
	s->deaf = true;
	io_chan_free(s->link);
	s->link = NULL;
	judge(t, "web01", EPS_OP_OPEN, &f, &v); /* nobody there */
	waiting = 2;
	svc_wait(s, waits_in_outbox, &waiting);
	before = s->n_records;
	svc_kill(s, SIGKILL);
	tg_free(t);
	svc_wait(s, is_down, NULL);
	s->mute = s->deaf = false;
	svc_start(s);
	svc_wait_records(s, before + 2); /* the one nobody saw, and "loaded" */
	assert_int_equal(s->twice, 1);	 /* the unacknowledged one, known by its number */
	for (size_t i = 0; i < s->n_records; i++) {
		assert_int_equal(s->records[i].seq, i + 1);
		verdicts += s->records[i].kind == IDFW__SCAN_RECORD__KIND__VERDICT;
	}
	assert_int_equal(verdicts, 3);
	svc_kill(s, SIGKILL);
	svc_wait(s, is_down, NULL);
	svc_start(s);
	svc_wait_records(s, before + 3); /* "loaded" again, nothing else */
	assert_int_equal(s->twice, 1);
}

static void test_quota_answers_failed(void **state)
{
	struct svc *s = *state;
	struct tg_file f = svc_file("/a", "some words");
	size_t failed = 0, notes = 0;
	uint64_t ids[60];
	struct tg_verdict v;
	struct tg *t;

	(void)snprintf(s->extra, sizeof(s->extra), "vm web01 { events-per-second 5; }");
	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	tg_up(t, "db01");
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++)
		ids[i] = tg_event(t, "web01", EPS_OP_OPEN, &f);
	for (size_t i = 0; i < GI_ARRAY_SIZE(ids); i++) {
		tg_verdict(t, ids[i], &v);
		failed += v.failed;
		if (v.failed)
			assert_string_equal(v.reason, "quota");
	}
	assert_true(failed > 0 && failed < GI_ARRAY_SIZE(ids));
	for (size_t i = 0; i < 20; i++) { /* a neighbour notices nothing */
		judge(t, "db01", EPS_OP_OPEN, &f, &v);
		assert_false(v.failed);
	}
	svc_wait_records(s, 2);
	(void)svc_stat(s, "scanned");
	for (size_t i = 0; i < s->n_records; i++)
		notes += strstr(s->records[i].text, "quota") && !strcmp(s->records[i].vm, "web01");
	assert_int_equal(notes, 1);
	tg_free(t);
}

static size_t verdicts_of(struct svc *s, const char *vm, size_t *ret_isolating)
{
	size_t n = 0;

	*ret_isolating = 0;
	for (size_t i = 0; i < s->n_records; i++) {
		const struct svc_record *r = &s->records[i];

		if (r->kind != IDFW__SCAN_RECORD__KIND__VERDICT || strcmp(r->vm, vm) != 0)
			continue;
		n++;
		*ret_isolating += r->isolate == IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION;
	}
	return n;
}

static bool has_sum(struct svc *s, void *arg)
{
	const struct svc_record **ret = arg;

	for (size_t i = 0; i < s->n_records && !*ret; i++)
		if (strstr(s->records[i].text, " more "))
			*ret = &s->records[i];
	return *ret != NULL;
}

static bool has_outcomes(struct svc *s, void *arg)
{
	struct svc_client *c = svc_ask(s, "scan-status", "web01", NULL);
	json_t *vm = json_array_get(c->rows, 1);
	bool yes = json_integer_value(json_object_get(vm, "findings_summed")) == *(int *)arg;

	svc_client_free(c);
	return yes;
}

/* the session's one record over the bound is the one that isolates, not of a file that had changed
 */
static void test_findings_beyond_the_bound_are_a_sum(void **state)
{
	struct svc *s = *state;
	struct tg_file f = svc_file("/home/alice/x", "there is an idfw yara marker in here");
	const struct svc_record *sum = NULL;
	struct tg_verdict v;
	size_t isolating;
	struct tg *t;
	int summed = 9;

	(void)snprintf(
		s->extra, sizeof(s->extra), "isolate session; vm web01 { findings-per-hour 2; }");
	svc_start(s);
	t = tg_new(&s->bed, "host1");
	tg_up(t, "web01");
	tg_up(t, "db01");
	f.done = EPS_RESULT_CHANGED;
	for (size_t i = 0; i < 4; i++)
		judge(t, "web01", EPS_OP_OPEN, &f, &v);
	f.done = EPS_RESULT_DONE;
	for (size_t i = 0; i < 8; i++) {
		judge(t, "web01", EPS_OP_OPEN, &f, &v);
		assert_int_equal(v.kind, IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE);
	}
	for (size_t i = 0; i < 5; i++)
		judge(t, "db01", EPS_OP_OPEN, &f, &v);
	svc_wait(s, has_outcomes, &summed);
	svc_wait_records(s, 2 + 1 + 5);
	assert_int_equal(verdicts_of(s, "web01", &isolating), 3);
	assert_int_equal(isolating, 1);
	svc_kill(s, SIGTERM);
	tg_free(t);
	svc_start(s);
	svc_wait(s, has_sum, &sum);
	assert_int_equal(sum->kind, IDFW__SCAN_RECORD__KIND__SERVICE);
	assert_string_equal(sum->vm, "web01");
	assert_non_null(strstr(sum->text, "9 more findings"));
	assert_int_equal(verdicts_of(s, "db01", &isolating), 5);
	assert_int_equal(verdicts_of(s, "web01", &isolating), 3);
}

static void report_send_of(struct tg *t, const char *vm, uint64_t seq, const char *of)
{
	Idfw__FileReport r = IDFW__FILE_REPORT__INIT;
	Idfw__FilePassed p = IDFW__FILE_PASSED__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	p.reason = (char *)(uintptr_t) "deadline";
	p.path = (ProtobufCBinaryData){ .len = strlen(of), .data = (uint8_t *)(uintptr_t)of };
	p.op = IDFW__FILE_OP__FILE_OP_OPEN;
	r.seq = seq;
	r.time_ms = 1;
	r.body_case = IDFW__FILE_REPORT__BODY_PASSED;
	r.passed = &p;
	e.body_case = IDFW__ENVELOPE__BODY_FILE_REPORT;
	e.file_report = &r;
	tg_send(t, vm, &e);
}

static void report_send(struct tg *t, const char *vm, uint64_t seq)
{
	report_send_of(t, vm, seq, "/passed");
}

struct ack_wait {
	struct tg *t;
	uint64_t seq;
};

static bool any_vm(const struct tg_vm *v, const void *arg)
{
	(void)v;
	(void)arg;
	return true;
}

static bool is_acked(struct svc *s, void *arg)
{
	struct ack_wait *w = arg;
	struct tg_vm v;

	(void)s;
	tg_wait_vm(w->t, "web01", any_vm, NULL, &v);
	assert_true(v.report_acked <= w->seq);
	return v.report_acked == w->seq;
}

static void test_report_is_acknowledged_once_svm_idfw_has_it(void **state)
{
	struct svc *s = *state;
	struct ack_wait w;
	struct tg_vm v;
	size_t passed = 0;

	svc_start(s);
	w.t = tg_new(&s->bed, "host1");
	tg_up(w.t, "web01");
	svc_wait_records(s, 1);
	s->mute = true;
	for (uint64_t seq = 1; seq <= 3; seq++)
		report_send(w.t, "web01", seq);
	svc_wait_records(s, 4);
	(void)svc_stat(s, "scanned"); /* a round trip later still nothing */
	tg_wait_vm(w.t, "web01", any_vm, NULL, &v);
	assert_int_equal(v.report_acked, 0);
	svc_kill(s, SIGKILL);
	tg_free(w.t);
	svc_wait(s, is_down, NULL);
	s->mute = false;
	svc_start(s);
	w.t = tg_new(&s->bed, "host1");
	tg_up(w.t, "web01");
	/* the agent was never told: it sends all again, and one more */
	for (uint64_t seq = 1; seq <= 4; seq++)
		report_send(w.t, "web01", seq);
	w.seq = 4;
	svc_wait(s, is_acked, &w);
	for (size_t i = 0; i < s->n_records; i++)
		passed += s->records[i].kind == IDFW__SCAN_RECORD__KIND__PASSED;
	assert_int_equal(passed, 4);
	tg_free(w.t);
}

static bool has_reports(struct svc *s, void *arg)
{
	struct svc_client *c = svc_ask(s, "scan-status", "web01", NULL);
	json_t *n = json_object_get(json_array_get(c->rows, 1), "reports");
	bool is = (uint64_t)json_integer_value(n) == *(uint64_t *)arg;

	svc_client_free(c);
	return is;
}

static void test_reports_beyond_the_outbox_wait_and_arrive_in_order(void **state)
{
	struct svc *s = *state;
	char path[4001];
	struct ack_wait w;
	uint64_t n = 1500, at = 0;

	memset(path, 'p', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	s->deaf = true;
	(void)snprintf(s->extra, sizeof(s->extra), "outbox-max 4MiB;");
	svc_start(s);
	w.t = tg_new(&s->bed, "host1");
	w.seq = n;
	tg_up(w.t, "web01");
	for (uint64_t seq = 1; seq <= n; seq++)
		report_send_of(w.t, "web01", seq, path);
	svc_wait(s, has_reports, &n);
	assert_true(svc_stat(s, "outbox_waiting") < n);
	s->deaf = false;
	svc_wait(s, is_acked, &w);
	for (size_t i = 0; i < s->n_records; i++) {
		assert_int_equal(s->records[i].seq, i + 1);
		at += s->records[i].kind == IDFW__SCAN_RECORD__KIND__PASSED;
	}
	assert_int_equal(at, n);
	tg_free(w.t);
}

static void test_reports_beyond_the_bound_are_a_sum(void **state)
{
	const struct svc_record *sum = NULL;
	struct svc *s = *state;
	struct ack_wait w = { .seq = 10 };
	size_t passed = 0;

	(void)snprintf(s->extra, sizeof(s->extra), "vm web01 { reports-per-hour 3; }");
	svc_start(s);
	w.t = tg_new(&s->bed, "host1");
	tg_up(w.t, "web01");
	for (uint64_t seq = 1; seq <= w.seq; seq++)
		report_send(w.t, "web01", seq);
	svc_wait(s, is_acked, &w); /* those without a record, too: the agent goes on */
	svc_kill(s, SIGTERM);
	tg_free(w.t);
	svc_start(s);
	svc_wait(s, has_sum, &sum);
	assert_string_equal(sum->vm, "web01");
	assert_non_null(strstr(sum->text, "7 more reports of files passed"));
	for (size_t i = 0; i < s->n_records; i++)
		passed += s->records[i].kind == IDFW__SCAN_RECORD__KIND__PASSED;
	assert_int_equal(passed, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, svc_setup, svc_teardown)
		T(test_found_is_quarantined_recorded_and_isolated),
		T(test_clean_passes_and_is_scanned_once_for_all_vms),
		T(test_eicar_is_found_by_clamav_and_quarantined),
		T(test_large_file_is_read_and_found_by_its_end),
		T(test_empty_file_passes_unscanned),
		T(test_reload_under_load_is_a_new_epoch_and_loses_nothing),
		T(test_reload_with_mistakes_keeps_what_is_there),
		T(test_hup_with_a_broken_configuration_shows_in_the_status),
		T(test_killed_worker_costs_one_file),
		T(test_records_survive_kill_and_come_once),
		T(test_quota_answers_failed),
		T(test_findings_beyond_the_bound_are_a_sum),
		T(test_report_is_acknowledged_once_svm_idfw_has_it),
		T(test_reports_beyond_the_outbox_wait_and_arrive_in_order),
		T(test_reports_beyond_the_bound_are_a_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
