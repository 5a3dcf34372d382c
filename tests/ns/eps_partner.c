/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * eps_partner.c - a scan service of a partner that disinfects, for tests/ns/fa-partner.sh
 *
 *   eps_partner LISTEN CA CERT KEY MUX
 *
 * Only epsec.h and the shared library. Reads each file to its end. EP-CURE in it: the content is
 * written anew with that word gone, then EPS_REPLACE; EP-EMPTY: replaced by nothing; EP-HOLD:
 * before the verdict waits for SIGUSR1; EP-FOREVER: reads it again and again until that fails. All
 * else is allowed. One line on stdout for each thing that happens.
 */
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <epsec/epsec.h>

#define FILE_MAX (8u << 20)
#define THREADS 3

static struct eps *eps;
static sem_t go_on;

static void say(const struct eps_file *f, const char *what, int n)
{
	(void)printf("%.*s %s %d\n", (int)f->path_len, (const char *)f->path, what, n);
	(void)fflush(stdout);
}

static int read_all(struct eps_event *ev, char *buf, size_t *ret_len)
{
	size_t n = 1;
	int err = 0;

	for (*ret_len = 0; err == 0 && n > 0 && *ret_len < FILE_MAX; *ret_len += n)
		err = eps_read(ev, *ret_len, buf + *ret_len, FILE_MAX - *ret_len, &n);
	return err;
}

/* in three calls: what stands before the word, what stands behind it, and the end */
static int cure(struct eps_event *ev, const char *buf, size_t len, const char *word)
{
	size_t before = (size_t)(word - buf), skip = before + strlen("EP-CURE");
	int err = eps_write(ev, buf, before, false);

	if (err == 0)
		err = eps_write(ev, buf + skip, len - skip, false);
	return err == 0 ? eps_write(ev, NULL, 0, true) : err;
}

static int judge(struct eps_event *ev, char *buf, struct eps_verdict *v)
{
	const struct eps_file *f = eps_event_file(ev);
	const char *word;
	size_t len;
	int err = read_all(ev, buf, &len);

	if (err < 0)
		return err;
	while (err == 0 && memmem(buf, len, "EP-FOREVER", 10))
		err = read_all(ev, buf, &len);
	if (err < 0)
		return err;
	word = memmem(buf, len, "EP-CURE", 7);
	v->kind = EPS_ALLOW;
	v->until_change = true;
	if (word || memmem(buf, len, "EP-EMPTY", 8)) {
		err = word ? cure(ev, buf, len, word) : eps_write(ev, NULL, 0, true);
		say(f, "written", err);
		v->kind = EPS_REPLACE;
	}
	if (memmem(buf, len, "EP-HOLD", 7)) {
		say(f, "held", 0);
		while (sem_wait(&go_on) < 0)
			;
	}
	return err;
}

static void *worker(void *arg)
{
	char *buf = malloc(FILE_MAX);
	struct eps_event *ev;

	(void)arg;
	while (buf && eps_next(eps, -1, &ev) == 0) {
		const struct eps_file *f = eps_event_file(ev);
		struct eps_file was = *f;
		char path[256];
		struct eps_verdict v = { .size = sizeof(v) };
		int err;

		(void)snprintf(path, sizeof(path), "%.*s", (int)f->path_len, (const char *)f->path);
		was.path = (const uint8_t *)path;
		was.path_len = strlen(path);
		say(f, "event", (int)f->op);
		err = judge(ev, buf, &v);
		if (err < 0) {
			v.kind = EPS_FAILED;
			v.reason = eps_strerror(err);
			say(f, "failed", err);
		}
		say(&was, "answered", eps_answer(ev, &v));
	}
	free(buf);
	return NULL;
}

static void on_done(void *arg, const char *vm, const struct eps_done *d)
{
	(void)arg;
	(void)printf("%s done %d%s: %s\n", vm, (int)d->result, d->lost ? " lost" : "", d->text);
	(void)fflush(stdout);
}

static void on_down(void *arg, const char *vm, const char *why)
{
	(void)arg;
	(void)printf("%s down: %s\n", vm, why);
	(void)fflush(stdout);
}

static void on_up(void *arg, const char *vm, const char *mux, const uint8_t boot_id[16])
{
	(void)arg;
	(void)boot_id;
	(void)printf("%s up by %s\n", vm, mux);
	(void)fflush(stdout);
}

static void on_usr1(int signum)
{
	(void)signum;
	(void)sem_post(&go_on);
}

int main(int argc, char **argv)
{
	static const struct eps_ops ops = {
		.size = sizeof(ops), .done = on_done, .guest_up = on_up, .guest_down = on_down
	};
	const char *muxes[] = { argc > 5 ? argv[5] : "" };
	struct eps_conf conf = { .size = sizeof(conf),
		.api_version = EPS_API_VERSION,
		.name = "partner",
		.version = "1",
		.mux_names = muxes,
		.n_mux_names = 1,
		.epoch = (const uint8_t *)"1",
		.epoch_len = 1 };
	pthread_t t[THREADS];
	char why[256];
	sigset_t set;
	int signum;

	if (argc != 6)
		return 2;
	conf.listen = argv[1];
	conf.ca = argv[2];
	conf.cert = argv[3];
	conf.key = argv[4];
	(void)sem_init(&go_on, 0, 0);
	(void)signal(SIGUSR1, on_usr1);
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (eps_open(&conf, &ops, NULL, why, &eps) < 0) {
		(void)fprintf(stderr, "%s\n", why);
		return 1;
	}
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, worker, NULL) != 0)
			return 1;
	(void)printf("ready\n");
	(void)fflush(stdout);
	(void)sigwait(&set, &signum);
	eps_stop(eps);
	for (int i = 0; i < THREADS; i++)
		(void)pthread_join(t[i], NULL);
	eps_close(eps);
	return 0;
}
