/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirkrb5.c - svm-idfw/dirkrb5.c: a ticket that is valid is used while the KDC is away
 *
 * Tickets are put into the cache by the test; the KDC is a port that refuses, or one that says
 * nothing, on loopback.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <krb5.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "svm-idfw/dirkrb5.h"

#define REALM "CORP.EXAMPLE"
#define ME "svc-idfw@" REALM

struct world {
	char dir[64], conf[96], keytab[96];
	int udp, tcp; /* the KDC that says nothing; its backlog takes whoever comes */
	uint16_t port;
	krb5_context ctx;
};

static const char *const host = "dc1.corp.example";

/* a port of both kinds; who sends something to it hears nothing */
static void kdc_silent(struct world *w)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);

	for (int i = 0; i < 100; i++) {
		a.sin_port = 0;
		w->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		w->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(w->udp, (struct sockaddr *)&a, sizeof(a)), 0);
		assert_int_equal(getsockname(w->udp, (struct sockaddr *)&a, &len), 0);
		if (bind(w->tcp, (struct sockaddr *)&a, sizeof(a)) == 0 &&
			listen(w->tcp, 64) == 0) {
			w->port = ntohs(a.sin_port);
			return;
		}
		(void)close(w->udp);
		(void)close(w->tcp);
	}
	fail_msg("no port");
}

static void conf(struct world *w, unsigned int port)
{
	FILE *f = fopen(w->conf, "w");

	assert_non_null(f);
	fprintf(f,
		"[libdefaults]\n\tdefault_realm = " REALM "\n\tdns_lookup_kdc = false\n"
		"\tdns_lookup_realm = false\n\tdns_canonicalize_hostname = false\n"
		"[realms]\n\t" REALM " = {\n\t\tkdc = 127.0.0.1:%u\n\t}\n"
		"[domain_realm]\n\t.corp.example = " REALM "\n",
		port);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(dir_krb5_init(w->conf), 0);
	if (w->ctx)
		krb5_free_context(w->ctx);
	assert_int_equal(krb5_init_context(&w->ctx), 0);
}

static void keytab(struct world *w)
{
	krb5_keytab_entry e = { .vno = 1 };
	krb5_keytab kt;
	char name[128];

	(void)snprintf(name, sizeof(name), "FILE:%s", w->keytab);
	assert_int_equal(krb5_kt_resolve(w->ctx, name, &kt), 0);
	assert_int_equal(krb5_parse_name(w->ctx, ME, &e.principal), 0);
	assert_int_equal(
		krb5_c_make_random_key(w->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &e.key), 0);
	assert_int_equal(krb5_kt_add_entry(w->ctx, kt, &e), 0);
	krb5_free_keytab_entry_contents(w->ctx, &e);
	krb5_kt_close(w->ctx, kt);
}

/* a ticket of that kind; nobody could use it, but it is one. @begun, @left: seconds */
static void put(struct world *w, const char *cache, const char *service, int begun, int left)
{
	krb5_timestamp now = (krb5_timestamp)time(NULL);
	krb5_creds c = { .times = { .authtime = now - begun,
				 .starttime = now - begun,
				 .endtime = now + left } };
	char bytes[] = "ticket";
	krb5_ccache cc;

	c.ticket = (krb5_data){ .length = sizeof(bytes), .data = bytes };
	assert_int_equal(krb5_cc_resolve(w->ctx, cache, &cc), 0);
	assert_int_equal(krb5_parse_name(w->ctx, ME, &c.client), 0);
	assert_int_equal(krb5_parse_name(w->ctx, service, &c.server), 0);
	assert_int_equal(
		krb5_c_make_random_key(w->ctx, ENCTYPE_AES256_CTS_HMAC_SHA1_96, &c.keyblock), 0);
	if (strncmp(service, "krbtgt", 6) == 0)
		assert_int_equal(krb5_cc_initialize(w->ctx, cc, c.client), 0);
	assert_int_equal(krb5_cc_store_cred(w->ctx, cc, &c), 0);
	krb5_free_principal(w->ctx, c.client);
	krb5_free_principal(w->ctx, c.server);
	krb5_free_keyblock_contents(w->ctx, &c.keyblock);
	krb5_cc_close(w->ctx, cc);
}

static void have(struct world *w, int begun, int left)
{
	put(w, "MEMORY:idfw-directory", "krbtgt/" REALM "@" REALM, begun, left);
	put(w, "MEMORY:idfw-directory", "ldap/dc1.corp.example@" REALM, begun, left);
}

static int setup(void **state)
{
	static struct world w;

	w = (struct world){ .dir = "/tmp/test_dirkrb5.XXXXXX", .udp = -1, .tcp = -1 };
	assert_non_null(mkdtemp(w.dir));
	(void)snprintf(w.conf, sizeof(w.conf), "%s/krb5.conf", w.dir);
	(void)snprintf(w.keytab, sizeof(w.keytab), "%s/keytab", w.dir);
	kdc_silent(&w);
	conf(&w, w.port);
	keytab(&w);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	(void)unlink(w->conf);
	(void)unlink(w->keytab);
	(void)rmdir(w->dir);
	(void)close(w->udp);
	(void)close(w->tcp);
	krb5_free_context(w->ctx);
	return 0;
}

static int ticket(struct world *w, char why[DIR_WHY_MAX], struct dir_krb5 **ret)
{
	const struct dir_krb5_ask ask = { .keytab = w->keytab, .principal = ME, .host = host };

	why[0] = '\0';
	return dir_krb5_ticket(&ask, why, ret);
}

static void test_ticket_young_nobody_is_asked(void **state)
{
	struct dir_krb5 *k = NULL;
	char why[DIR_WHY_MAX];

	have(*state, 10, 36000);
	assert_int_equal(ticket(*state, why, &k), 0);
	assert_int_equal(dir_krb5_used(k, why), 0);
	dir_krb5_free(k);
}

/* the KDC says nothing: whoever asked it would wait for a long time; the second one as well */
static void test_ticket_half_old_kdc_silent_is_used(void **state)
{
	struct dir_krb5 *k = NULL, *other = NULL;
	char why[DIR_WHY_MAX];

	have(*state, 30000, 6000);
	assert_int_equal(ticket(*state, why, &k), 0);
	assert_int_equal(ticket(*state, why, &other), 0);
	assert_int_equal(dir_krb5_used(k, why), 0);
	dir_krb5_free(k);
	dir_krb5_free(other);
}

static void test_ticket_over_no_kdc_refused(void **state)
{
	struct world *w = *state;
	struct dir_krb5 *k = NULL;
	char why[DIR_WHY_MAX];

	(void)close(w->udp);
	(void)close(w->tcp);
	w->udp = w->tcp = -1;
	have(w, 30000, 10);
	assert_int_equal(ticket(w, why, &k), -ECONNREFUSED);
	assert_non_null(strstr(why, "no KDC of realm " REALM " answers"));
	assert_null(k);
}

/* as libgssapi does when DNS says that the host is called otherwise */
static void test_used_for_another_host_refused(void **state)
{
	struct dir_krb5 *k = NULL;
	char why[DIR_WHY_MAX];

	have(*state, 10, 36000);
	assert_int_equal(ticket(*state, why, &k), 0);
	put(*state, "MEMORY:idfw-directory", "ldap/evil.corp.example@" REALM, 10, 36000);
	assert_int_equal(dir_krb5_used(k, why), -EACCES);
	assert_non_null(strstr(why, "led Kerberos to ldap/evil.corp.example@" REALM
				    " instead of ldap/dc1.corp.example"));
	dir_krb5_free(k);
	/* nor does the next one find it */
	assert_int_equal(ticket(*state, why, &k), 0);
	assert_int_equal(dir_krb5_used(k, why), 0);
	dir_krb5_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ticket_young_nobody_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_used_for_another_host_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ticket_over_no_kdc_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_ticket_half_old_kdc_silent_is_used, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
