/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ldap_member.c - takes a member out of a group, and back, and says when: for tests/bench/directory
 *
 *   ldap_member URI CA BIND-DN PASSWORD GROUP-DN MEMBER-DN
 * One connection. For each line of its input ("add" or "delete") it says the monotonic microseconds
 * when the request was sent and when the server had done it.
 */
#include <ldap.h>
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
	(void)fprintf(stderr, "ldap_member: %s: %s\n", what, ldap_err2string(rc));
	exit(1);
}

int main(int argc, char **argv)
{
	int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, client = 0;
	char attr[] = "member", line[32], *values[2] = { NULL, NULL };
	LDAPMod mod = { .mod_type = attr, .mod_values = values }, *mods[] = { &mod, NULL };
	struct berval cred;
	LDAP *ld = NULL;

	if (argc != 7)
		return 2;
	values[0] = argv[6];
	cred = (struct berval){ strlen(argv[4]), argv[4] };
	must(ldap_initialize(&ld, argv[1]), "uri");
	must(ldap_set_option(ld, LDAP_OPT_PROTOCOL_VERSION, &version), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_CACERTFILE, argv[2]), "option");
	must(ldap_set_option(ld, LDAP_OPT_X_TLS_NEWCTX, &client), "option");
	must(ldap_sasl_bind_s(ld, argv[3], LDAP_SASL_SIMPLE, &cred, NULL, NULL, NULL), "bind");
	while (fgets(line, sizeof(line), stdin)) {
		uint64_t sent = now_us();

		mod.mod_op = strcmp(line, "add\n") == 0 ? LDAP_MOD_ADD : LDAP_MOD_DELETE;
		must(ldap_modify_ext_s(ld, argv[5], mods, NULL, NULL), line);
		(void)printf("%llu %llu\n", (unsigned long long)sent, (unsigned long long)now_us());
		(void)fflush(stdout);
	}
	(void)ldap_unbind_ext_s(ld, NULL, NULL);
	return 0;
}
