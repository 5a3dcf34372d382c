/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bytescan.c - an example of a scan service: finds a byte pattern in the files of guests
 *
 * Complete, and all that a scanner needs: a name, a version and an epoch; threads that take
 * events, read and answer; what became of a verdict; an orderly end. Build it outside of the tree:
 *
 *   CFLAGS += $(shell pkg-config --cflags epsec) -D_GNU_SOURCE -pthread
 *   LDLIBS += $(shell pkg-config --libs epsec)
 *   bytescan: bytescan.c
 *
 * Run it where gi-mux's "scan" points to (gi-mux(8)):
 *
 *   bytescan -l tcp:10.77.9.10:5444 -a ca.pem -c svm.pem -k svm.key -m host1 -v quarantine EVIL
 *
 * Source: epsec(3).
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <epsec/epsec.h>

#define THREADS 4
#define PIECE (128u << 10)
#define PATTERN_MAX 256
#define MUXES_MAX 16

struct scanner {
	struct eps *eps;
	const char *pattern;
	size_t pattern_len; /* 1..PATTERN_MAX */
	enum eps_kind found;
};

/* 1: it is in there, 0: it is not, negative: eps_read()'s error */
static int search(const struct scanner *s, struct eps_event *ev, uint8_t *buf)
{
	size_t keep = 0, n; /* keep: the end of the piece before, a match may begin there */
	uint64_t at = 0;
	int err;

	for (;;) {
		err = eps_read(ev, at, buf + keep, PIECE, &n);
		if (err < 0 || n == 0)
			return err;
		if (memmem(buf, keep + n, s->pattern, s->pattern_len))
			return 1;
		at += n;
		n += keep;
		keep = n < s->pattern_len - 1 ? n : s->pattern_len - 1;
		memmove(buf, buf + n - keep, keep);
	}
}

static void judge(const struct scanner *s, struct eps_event *ev, uint8_t *buf)
{
	struct eps_verdict v = { .size = sizeof(v), .engine = "bytescan" };
	int found = search(s, ev, buf);

	if (found < 0) { /* never an allow for what was not read: the guest's policy decides */
		v.kind = EPS_FAILED;
		v.reason = eps_strerror(found);
	} else if (found) {
		v.kind = s->found;
		v.signature = "Pattern";
	} else {
		v.kind = EPS_ALLOW;
		v.until_change = true; /* do not ask again until it is another file */
	}
	(void)eps_answer(ev, &v); /* it may say that nobody waits any more: nothing to do then */
}

static void *worker(void *arg)
{
	struct scanner *s = arg;
	uint8_t *buf = malloc(PIECE + PATTERN_MAX);
	struct eps_event *ev;

	/* without a buffer this thread is of no use; the others go on */
	while (buf && eps_next(s->eps, -1, &ev) == 0)
		judge(s, ev, buf);
	free(buf);
	return NULL;
}

/* callbacks come from the library's thread and must not block */
static void on_done(void *arg, const char *vm, const struct eps_done *d)
{
	static const char *const results[] = { "?", "done", "changed meanwhile", "failed" };

	(void)arg;
	(void)fprintf(stdout, "%s: %s (session %llu of user %s)%s%s\n", vm,
		d->lost ? "no outcome" : results[d->result], (unsigned long long)d->actor.session,
		*d->actor.user ? d->actor.user : "?", *d->text ? ": " : "", d->text);
	(void)fflush(stdout);
}

static void on_log(void *arg, enum eps_log_level level, const char *text)
{
	(void)arg;
	if (level <= EPS_LOG_NOTICE)
		(void)fprintf(stderr, "bytescan: %s\n", text);
}

/* until a signal says that it is over */
static int serve(struct scanner *s, const struct eps_conf *conf)
{
	static const struct eps_ops ops = { .size = sizeof(ops), .done = on_done, .log = on_log };
	pthread_t thread[THREADS];
	char why[256];
	sigset_t set;
	int n = 0, signum, err;

	/* before any thread is made, so that all of them have these blocked */
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	err = eps_open(conf, &ops, s, why, &s->eps);
	if (err < 0) {
		(void)fprintf(stderr, "bytescan: %s (%s)\n", why, eps_strerror(err));
		return 1;
	}
	while (n < THREADS && pthread_create(&thread[n], NULL, worker, s) == 0)
		n++;
	if (n > 0)
		(void)sigwait(&set, &signum);
	eps_stop(s->eps); /* the workers finish what they have, and end */
	for (int i = 0; i < n; i++)
		(void)pthread_join(thread[i], NULL);
	eps_close(s->eps);
	return n > 0 ? 0 : 1;
}

static int usage(void)
{
	(void)fprintf(stderr, "usage: bytescan -l ENDPOINT -a CA -c CERT -k KEY -m MUX... "
			      "[-v deny|delete|quarantine] PATTERN\n");
	return 2;
}

static int kind_parse(const char *text, enum eps_kind *ret)
{
	if (!strcmp(text, "deny"))
		*ret = EPS_DENY;
	else if (!strcmp(text, "delete"))
		*ret = EPS_DELETE;
	else if (!strcmp(text, "quarantine"))
		*ret = EPS_QUARANTINE;
	else
		return -1;
	return 0;
}

/* 64 bits that differ where patterns do (FNV-1a); a real service takes a hash of its signatures */
static size_t epoch_of(const char *text, uint8_t ret[EPS_EPOCH_MAX])
{
	uint64_t h = 0xcbf29ce484222325u;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	memcpy(ret, &h, sizeof(h));
	return sizeof(h);
}

int main(int argc, char **argv)
{
	const char *muxes[MUXES_MAX];
	uint8_t epoch[EPS_EPOCH_MAX];
	struct scanner s = { .found = EPS_DENY };
	struct eps_conf conf = {
		.size = sizeof(conf),
		.api_version = EPS_API_VERSION,
		.name = "bytescan",
		.version = "1.0",
		.mux_names = muxes,
		/* what is executed, opened and written; EPS_OP_RESCAN: what was passed unscanned */
		.want = EPS_WANT_ALL,
		.max_file_bytes = (uint64_t)1 << 30,
	};
	int c;

	while ((c = getopt(argc, argv, "l:a:c:k:m:v:")) != -1) {
		if (c == 'l')
			conf.listen = optarg;
		else if (c == 'a')
			conf.ca = optarg;
		else if (c == 'c')
			conf.cert = optarg;
		else if (c == 'k')
			conf.key = optarg;
		else if (c == 'm' && conf.n_mux_names < MUXES_MAX)
			muxes[conf.n_mux_names++] = optarg;
		else if (c != 'v' || kind_parse(optarg, &s.found) < 0)
			return usage();
	}
	if (optind != argc - 1 || !argv[optind][0] || strlen(argv[optind]) > PATTERN_MAX)
		return usage();
	s.pattern = argv[optind];
	s.pattern_len = strlen(s.pattern);
	/* another pattern is another epoch: verdicts that guests remember do not count then */
	conf.epoch_len = epoch_of(s.pattern, epoch);
	conf.epoch = epoch;
	return serve(&s, &conf);
}
