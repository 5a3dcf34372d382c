/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ldap_floor.c - how many searches a second bare libldap gets: the floor of the directory bench
 *
 *   ldap_floor URI CA BIND-DN PASSWORD BASE CONNECTIONS SECONDS PREFIX ACCOUNTS
 * A thread a connection, each with one search after the other for (uid=PREFIXnnnnnn), as the first
 * request of a lookup is; nothing is done with what comes. Prints a line of JSON.
 */
#include <ldap.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 32
#define SEARCHES_MAX 1000000

struct floor {
	const char *uri, *ca, *dn, *password, *base, *prefix;
	unsigned int accounts;
	uint64_t end_us;
	pthread_barrier_t *all;
};

struct one {
	struct floor *f;
	pthread_t thread;
	unsigned int number, done;
	uint64_t *took_us;
};

static uint64_t now_us(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void must(int rc, const char *what)
{
	if (rc == LDAP_SUCCESS)
		return;
	(void)fprintf(stderr, "ldap_floor: %s: %s\n", what, ldap_err2string(rc));
	exit(1);
}

static LDAP *connected(const struct floor *f)
{
	int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, client = 0;
	struct berval cred = { strlen(f->password), (char *)(uintptr_t)f->password };
	LDAP *ld = NULL;

	must(ldap_initialize(&ld, f->uri), "uri");
	must(ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, f->ca), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client), "option");
	must(ldap_sasl_bind_s(ld, f->dn, LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL), "bind");
	return ld;
}

static void *run(void *arg)
{
	struct one *o = arg;
	const struct floor *f = o->f;
	LDAP *ld = connected(f);
	char filter[64];

	(void)pthread_barrier_wait(f->all);
	(void)pthread_barrier_wait(f->all); /* the time is set between the two */
	for (uint64_t t = now_us(); t < f->end_us && o->done < SEARCHES_MAX;) {
		LDAPMessage *res = NULL;
		uint64_t before = t;

		(void)snprintf(filter, sizeof(filter), "(uid=%s%06u)", f->prefix,
			1 + (o->done * 31 + o->number * 7919) % f->accounts);
		must(ldap_search_ext_s(ld, f->base, LDAP_SCOPE_SUBTREE, filter, NULL, 0, NULL, NULL,
			     NULL, LDAP_NO_LIMIT, &res),
			filter);
		ldap_msgfree(res);
		t = now_us();
		o->took_us[o->done++] = t - before;
	}
	(void)ldap_unbind_ext_s(ld, NULL, NULL);
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static struct one all[CONNECTIONS_MAX];
	unsigned int n, i, seconds, sum = 0;
	pthread_barrier_t barrier;
	struct floor f;
	uint64_t *took;

	if (argc != 10 || (n = (unsigned int)strtoul(argv[6], NULL, 10)) < 1 || n > CONNECTIONS_MAX)
		return 2;
	seconds = (unsigned int)strtoul(argv[7], NULL, 10);
	f = (struct floor){ argv[1], argv[2], argv[3], argv[4], argv[5], argv[8],
		(unsigned int)strtoul(argv[9], NULL, 10), 0, &barrier };
	(void)pthread_barrier_init(&barrier, NULL, n + 1);
	for (i = 0; i < n; i++) {
		all[i] = (struct one){ .f = &f, .number = i };
		all[i].took_us = malloc(SEARCHES_MAX * sizeof(*all[i].took_us));
		if (!all[i].took_us || pthread_create(&all[i].thread, NULL, run, &all[i]) != 0)
			return 1;
	}
	(void)pthread_barrier_wait(&barrier);
	f.end_us = now_us() + (uint64_t)seconds * 1000000;
	(void)pthread_barrier_wait(&barrier);
	for (i = 0; i < n; i++) {
		(void)pthread_join(all[i].thread, NULL);
		sum += all[i].done;
	}
	took = malloc((sum + 1) * sizeof(*took));
	if (!took)
		return 1;
	for (i = 0, sum = 0; i < n; i++) {
		memcpy(took + sum, all[i].took_us, all[i].done * sizeof(*took));
		sum += all[i].done;
		free(all[i].took_us);
	}
	qsort(took, sum, sizeof(*took), by_time);
	(void)printf("\"phase\":\"floor, bare libldap\",\"n\":%u,\"per_second\":%u,\"p50_us\":%llu,"
		     "\"p99_us\":%llu\n",
		sum, sum / (seconds ? seconds : 1), (unsigned long long)(sum ? took[sum / 2] : 0),
		(unsigned long long)(sum ? took[sum * 99UL / 100] : 0));
	free(took);
	return 0;
}
