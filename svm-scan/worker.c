/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * worker.c - the scan worker: a process that takes files apart and may be lost
 *
 * Runs as `svm-scan --worker ...`, started by pool.c, on a socketpair at descriptor 3. Becomes an
 * unprivileged user, loads the engines, shuts the sandbox, says ScanReady, then one ScanJob after
 * the other: read the content, ask each engine, first finding wins, ScanResult. Invariants: nothing
 * of a guest is looked at before the sandbox is shut; one ScanResult a job, or the process ends.
 * Source: docs/scan.md "The scanner's workers", docs/adr/0012-engines.md.
 */
#include "config.h"
#include "svm-scan/worker.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/base/log.h"
#include "lib/base/text.h"

#define WORKER_SPARE_MS 20 /* of a job's budget, for the answer */

enum { OPT_CLAMAV = 1, OPT_YARA, OPT_TMP, OPT_USER, OPT_RELAXED, OPT_NUMBER };

static const struct option options[] = { { "clamav", required_argument, NULL, OPT_CLAMAV },
	{ "yara", required_argument, NULL, OPT_YARA }, { "tmp", required_argument, NULL, OPT_TMP },
	{ "user", required_argument, NULL, OPT_USER },
	{ "relaxed", no_argument, NULL, OPT_RELAXED },
	{ "buffer-bytes", required_argument, NULL, OPT_NUMBER },
	{ "max-file-bytes", required_argument, NULL, OPT_NUMBER + 1 },
	{ "max-scan-bytes", required_argument, NULL, OPT_NUMBER + 2 },
	{ "max-files", required_argument, NULL, OPT_NUMBER + 3 },
	{ "max-recursion", required_argument, NULL, OPT_NUMBER + 4 },
	{ "max-scan-ms", required_argument, NULL, OPT_NUMBER + 5 },
	{ "memory-bytes", required_argument, NULL, OPT_NUMBER + 6 }, { 0 } };
#define NUMBERS 7

static int args_numbers(
	const uint64_t v[NUMBERS], struct scan_worker_conf *c, char why[SCAN_WHY_MAX])
{
	for (size_t i = 0; i < NUMBERS; i++)
		if (v[i] == 0 || ((i == 3 || i == 4 || i == 5) && v[i] > UINT32_MAX)) {
			(void)snprintf(why, SCAN_WHY_MAX, "worker: bad arguments");
			return -EINVAL;
		}
	c->engines.buffer_bytes = v[0];
	c->engines.max_file_bytes = v[1];
	c->engines.max_scan_bytes = v[2];
	c->engines.max_files = (uint32_t)v[3];
	c->engines.max_recursion = (uint32_t)v[4];
	c->engines.max_scan_ms = (uint32_t)v[5];
	c->sandbox.memory_bytes = v[6];
	c->sandbox.file_bytes = v[2];
	return 0;
}

int scan_worker_args(int argc, char **argv, struct scan_worker_conf *ret, char why[SCAN_WHY_MAX])
{
	struct scan_worker_conf c = { 0 };
	uint64_t number[NUMBERS] = { 0 };
	int opt, err = 0;

	optind = 2; /* behind "--worker" */
	opterr = 0;
	while (err == 0 && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_CLAMAV)
			c.engines.clamav = optarg;
		else if (opt == OPT_YARA)
			c.engines.yara = optarg;
		else if (opt == OPT_TMP)
			c.sandbox.tmp_dir = optarg;
		else if (opt == OPT_USER)
			c.user = optarg;
		else if (opt == OPT_RELAXED)
			c.sandbox.relaxed = true;
		else if (opt >= OPT_NUMBER && opt < OPT_NUMBER + NUMBERS)
			err = gi_text_u64(optarg, 0, UINT64_MAX, &number[opt - OPT_NUMBER]);
		else
			err = -EINVAL;
	}
	if (err < 0 || optind != argc || !c.sandbox.tmp_dir ||
		!(c.engines.clamav || c.engines.yara)) {
		(void)snprintf(why, SCAN_WHY_MAX, "worker: bad arguments");
		return -EINVAL;
	}
	err = args_numbers(number, &c, why);
	if (err == 0)
		*ret = c;
	return err;
}

static int epoch_files(
	struct io_sha256 *h, const char *path, const char *const suffixes[], uint64_t *stamp)
{
	struct scan_sigfiles files = { 0 };
	uint64_t one = 0;
	int err;

	if (!path)
		return 0;
	err = scan_sigfiles_list(path, suffixes, &files);
	if (err == 0)
		err = h ? scan_sigfiles_digest(&files, h, &one) : scan_sigfiles_stamp(&files, &one);
	scan_sigfiles_fini(&files);
	*stamp = *stamp * 31 + one;
	return err;
}

static int worker_stamp(const struct scan_engines_conf *conf, struct io_sha256 *h, uint64_t *ret)
{
	uint64_t stamp = 0;
	int err = epoch_files(h, conf->clamav, scan_clamav_suffixes, &stamp);

	if (err == 0)
		err = epoch_files(h, conf->yara, scan_yara_suffixes, &stamp);
	if (err == 0)
		*ret = stamp;
	return err;
}

int scan_worker_epoch(const struct scan_worker *w, struct scan_epoch *ret, uint64_t *ret_stamp)
{
	const struct scan_engines_conf *c = &w->conf;
	const uint64_t numbers[] = { c->buffer_bytes, c->max_file_bytes, c->max_scan_bytes,
		c->max_files, c->max_recursion, c->max_scan_ms };
	static const char prefix[] = "idfw scan epoch 1 " PACKAGE_VERSION;
	uint8_t sha[IO_SHA256_LEN];
	struct io_sha256 *h;
	int err = io_sha256_new(&h);

	if (err < 0)
		return err;
	io_sha256_add(h, prefix, sizeof(prefix));
	io_sha256_add(h, numbers, sizeof(numbers));
	for (size_t i = 0; i < w->n_engines; i++) {
		const struct scan_engine *e = &w->engine[i];

		io_sha256_add(h, e->label, strlen(e->label) + 1);
		io_sha256_add(h, &e->version, sizeof(e->version));
	}
	err = worker_stamp(c, h, ret_stamp);
	io_sha256_end(h, sha);
	io_sha256_free(h);
	if (err == 0)
		memcpy(ret->id, sha, sizeof(ret->id));
	return err;
}

static int worker_open(struct scan_worker *w, const char *tmp_dir, char why[SCAN_WHY_MAX])
{
	int err = 0;

	if (w->conf.clamav) {
		err = scan_clamav_open(&w->conf, tmp_dir, why, &w->engine[w->n_engines]);
		w->n_engines += err == 0;
	}
	if (err == 0 && w->conf.yara) {
		err = scan_yara_open(&w->conf, why, &w->engine[w->n_engines]);
		w->n_engines += err == 0;
	}
	return err;
}

/* engines and epoch belong together: files that change meanwhile are an error */
static int worker_load(
	struct scan_worker *w, const char *tmp_dir, struct scan_epoch *ret, char why[SCAN_WHY_MAX])
{
	uint64_t before, after = 0;
	int err = worker_stamp(&w->conf, NULL, &before);

	if (err < 0) {
		(void)snprintf(why, SCAN_WHY_MAX, "signatures: %s%s%s: %s",
			w->conf.clamav ? w->conf.clamav : "",
			w->conf.clamav && w->conf.yara ? ", " : "",
			w->conf.yara ? w->conf.yara : "", gi_strerror(err));
		return err;
	}
	err = worker_open(w, tmp_dir, why);
	if (err == 0)
		err = scan_worker_epoch(w, ret, &after);
	if (err == 0 && before != after)
		err = -EAGAIN;
	if (err < 0 && !why[0])
		(void)snprintf(why, SCAN_WHY_MAX, "%s",
			err == -EAGAIN ? "signatures changed while they were loaded"
				       : gi_strerror(err));
	return err;
}

static int worker_ready(struct scan_worker *w, struct scan_epoch *epoch, char *error)
{
	char engines[WIRE_TEXT_MAX + 1] = "";
	Idfw__ScanReady ready = IDFW__SCAN_READY__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	(void)snprintf(engines, sizeof(engines), "%s%s%s", w->engine[0].label,
		w->n_engines > 1 ? ", " : "", w->engine[1].label);
	wire_text_sanitize(error, WIRE_TEXT_MAX);
	wire_text_sanitize(engines, WIRE_TEXT_MAX);
	ready.error = error;
	if (!error[0]) {
		ready.engines = engines;
		ready.epoch.data = epoch->id;
		ready.epoch.len = sizeof(epoch->id);
	}
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_READY;
	e.scan_ready = &ready;
	return scan_msgs_send(&w->msgs, &e);
}

static void failed(struct scan_finding *f, const char *text)
{
	f->outcome = SCAN_FAILED;
	(void)snprintf(f->text, sizeof(f->text), "%s", text);
}

/* every engine has its say; what one could not do is said unless another one found something */
static void worker_scan(struct scan_worker *w, const Idfw__ScanJob *job, uint64_t start_ms,
	struct scan_finding *ret)
{
	struct scan_finding all = { .outcome = SCAN_CLEAN };
	uint64_t end = start_ms + job->budget_ms;

	for (size_t i = 0; i < w->n_engines && w->content.err == 0; i++) {
		struct scan_finding one = { 0 };
		uint64_t now = scan_now_ms();
		uint64_t left = now + WORKER_SPARE_MS < end ? end - now - WORKER_SPARE_MS : 0;

		left = left < w->conf.max_scan_ms ? left : w->conf.max_scan_ms;
		if (left == 0)
			failed(&one, "out of time");
		else
			w->engine[i].scan(w->engine[i].self, &w->content, (uint32_t)left, &one);
		(void)snprintf(one.engine, sizeof(one.engine), "%s", w->engine[i].name);
		if (one.outcome == SCAN_FOUND) {
			*ret = one;
			return;
		}
		if (all.outcome == SCAN_CLEAN && (one.outcome == SCAN_FAILED || one.text[0]))
			all = one;
	}
	*ret = all;
}

static void worker_find(struct scan_worker *w, const Idfw__ScanJob *job, struct scan_finding *ret)
{
	uint64_t start_ms = scan_now_ms();

	ret->outcome = SCAN_CLEAN;
	if (job->size > w->conf.max_file_bytes) {
		failed(ret, "too large for the engines");
		return;
	}
	if (job->size == 0)
		return;
	if (scan_content_fill(&w->content) == 0)
		worker_scan(w, job, start_ms, ret);
	if (w->content.err < 0 && ret->outcome != SCAN_FOUND)
		failed(ret, gi_strerror(w->content.err));
}

static int worker_answer(struct scan_worker *w, uint64_t id, struct scan_finding *f)
{
	Idfw__ScanResult r = IDFW__SCAN_RESULT__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	wire_text_sanitize(f->signature, sizeof(f->signature) - 1);
	wire_text_sanitize(f->text, sizeof(f->text) - 1);
	r.id = id;
	r.outcome = (Idfw__ScanResult__Outcome)f->outcome;
	r.engine = f->engine;
	r.signature = f->signature;
	r.text = f->text;
	e.body_case = IDFW__ENVELOPE__BODY_SCAN_RESULT;
	e.scan_result = &r;
	return scan_msgs_send(&w->msgs, &e);
}

static int worker_job(struct scan_worker *w, const Idfw__ScanJob *job)
{
	struct scan_finding f = { 0 };
	int err;

	scan_content_begin(&w->content, job->size, job->head.data, job->head.len);
	worker_find(w, job, &f);
	err = scan_content_end(&w->content);
	if (err == 0 && w->tmp_fd >= 0)
		err = scan_tmp_empty(w->tmp_fd);
	return err < 0 ? err : worker_answer(w, job->id, &f);
}

int scan_worker_serve(struct scan_worker *w)
{
	Idfw__Envelope *e;
	const char *why;
	int err = 0;

	while (err == 0) {
		err = scan_msgs_recv(&w->msgs, &e, &why);
		if (err < 0)
			break;
		err = e->body_case == IDFW__ENVELOPE__BODY_SCAN_JOB ? worker_job(w, e->scan_job)
								    : -GI_EPROTO;
		wire_envelope_free(e);
	}
	return err;
}

/* everything up to ScanReady; words in @why, also for the log: stderr is still the service's */
static int worker_start(int argc, char **argv, struct scan_worker *w, struct scan_epoch *ret_epoch,
	char why[SCAN_WHY_MAX])
{
	struct scan_worker_conf conf;
	int err = scan_worker_args(argc, argv, &conf, why);

	if (err < 0)
		return err;
	w->conf = conf.engines;
	err = scan_sandbox_user(conf.user);
	if (err < 0)
		(void)snprintf(why, SCAN_WHY_MAX, "worker: user %s: %s", conf.user ? conf.user : "",
			gi_strerror(err));
	/* its own directory is where it is: short paths, as each scan makes and removes one */
	if (err == 0 && chdir(conf.sandbox.tmp_dir) < 0) {
		err = -errno;
		(void)snprintf(why, SCAN_WHY_MAX, "worker: %s: %s", conf.sandbox.tmp_dir,
			gi_strerror(err));
	}
	if (err == 0)
		err = worker_load(w, ".", ret_epoch, why);
	if (err == 0) {
		err = scan_content_init(&w->content, (size_t)conf.engines.buffer_bytes, &w->msgs);
		if (err < 0)
			(void)snprintf(why, SCAN_WHY_MAX, "worker: no memory for its buffer");
	}
	return err < 0 ? err : scan_sandbox_shut(&conf.sandbox, why, &w->tmp_fd);
}

/* ends by _exit(): what libraries want to do at the end is not for a shut sandbox */
void scan_worker_main(int argc, char **argv)
{
	struct scan_worker w = { .tmp_fd = -1 };
	char why[SCAN_WHY_MAX + 1] = "";
	struct scan_epoch epoch = { 0 };
	int err;

	gi_log_init("svm-scan-worker", GI_LOG_WARN);
	scan_msgs_init(&w.msgs, SCAN_WORKER_FD, WIRE_SCAN_TO_WORKER);
	err = worker_start(argc, argv, &w, &epoch, why);
	if (err < 0 && !why[0])
		(void)snprintf(why, sizeof(why), "%s", gi_strerror(err));
	if (worker_ready(&w, &epoch, why) < 0 || err < 0)
		_exit(1);
	err = scan_worker_serve(&w);
	_exit(err == -GI_ECLOSED ? 0 : 1);
}
