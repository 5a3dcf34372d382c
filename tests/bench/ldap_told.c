/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ldap_told.c - when bare libldap is told of a change by syncrepl: a floor for
 * tests/bench/directory
 *
 *   ldap_told URI CA BIND-DN PASSWORD BASE
 * One connection with one refreshAndPersist search, on which it waits; nothing is done with what
 * comes. Says "ready" when what there was before has come, then "@ MICROSECONDS seen" (monotonic)
 * for each entry that changed.
 */
#include <ldap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
	(void)fprintf(stderr, "ldap_told: %s: %s\n", what, ldap_err2string(rc));
	exit(1);
}

/* from now on: the present contextCSN */
static void ask(LDAP *ld, const char *base)
{
	char csn_attr[] = "contextCSN", none[] = "1.1", *attrs[] = { csn_attr, NULL },
	     *nothing[] = { none, NULL }, oid[] = LDAP_CONTROL_SYNC, text[256];
	LDAPControl ctl = { .ldctl_oid = oid, .ldctl_iscritical = 1 }, *ctls[] = { &ctl, NULL };
	struct berval cookie, *value = NULL, **csn;
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	LDAPMessage *res = NULL;
	int id;

	must(ldap_search_ext_s(
		     ld, base, LDAP_SCOPE_BASE, NULL, attrs, 0, NULL, NULL, NULL, 1, &res),
		"contextCSN");
	csn = ldap_get_values_len(ld, ldap_first_entry(ld, res), "contextCSN");
	must(csn && ber ? LDAP_SUCCESS : LDAP_OTHER, "there is no contextCSN");
	cookie.bv_val = text;
	cookie.bv_len = (ber_len_t)snprintf(
		text, sizeof(text), "rid=000,csn=%.*s", (int)csn[0]->bv_len, csn[0]->bv_val);
	ldap_value_free_len(csn);
	ldap_msgfree(res);
	must(ber_printf(ber, "{eO}", (ber_int_t)LDAP_SYNC_REFRESH_AND_PERSIST, &cookie) < 0 ||
				ber_flatten(ber, &value) < 0
			? LDAP_NO_MEMORY
			: LDAP_SUCCESS,
		"control");
	ctl.ldctl_value = *value;
	must(ldap_search_ext(
		     ld, base, LDAP_SCOPE_SUBTREE, NULL, nothing, 0, ctls, NULL, NULL, 0, &id),
		"search");
	ber_bvfree(value);
	ber_free(ber, 1);
}

int main(int argc, char **argv)
{
	int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, client = 0;
	struct berval cred;
	LDAP *ld = NULL;
	bool ready = false;

	if (argc != 6)
		return 2;
	cred = (struct berval){ strlen(argv[4]), argv[4] };
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	must(ldap_initialize(&ld, argv[1]), "uri");
	must(ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, argv[2]), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client), "option");
	must(ldap_sasl_bind_s(ld, argv[3], LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL), "bind");
	ask(ld, argv[5]);
	for (;;) {
		LDAPMessage *msg = NULL;
		int type = ldap_result(ld, LDAP_RES_ANY, LDAP_MSG_ONE, NULL, &msg);
		uint64_t at = now_us();

		if (type != LDAP_RES_INTERMEDIATE && type != LDAP_RES_SEARCH_ENTRY)
			break;
		if (type == LDAP_RES_SEARCH_ENTRY)
			(void)printf("@ %llu seen\n", (unsigned long long)at);
		else if (!ready)
			(void)printf("ready\n");
		ready = true;
		ldap_msgfree(msg);
	}
	must(LDAP_SERVER_DOWN, "the search has ended");
	return 1;
}
