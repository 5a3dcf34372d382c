/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirwhy.c - svm-idfw/dirwhy.c and dircert.c: reasons in words, and what certificates say
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "svm-idfw/dirwhy.h"

/* /O=Corp/CN=dc1.corp.example, by /DC=corp/O=Corp/CN=corp CA; 2026-01-01 to 2055-02-02 03:04:05 */
/* clang-format off */
static const uint8_t real[] = {
	0x30, 0x82, 0x01, 0xc5, 0x30, 0x82, 0x01, 0x6a, 0xa0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x14, 0x19, 
	0x87, 0x88, 0x1f, 0x68, 0x12, 0xf7, 0xe7, 0x31, 0x0d, 0x82, 0x2c, 0xee, 0x1b, 0xe5, 0x40, 0x7d, 
	0x42, 0x36, 0xf2, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x30, 
	0x37, 0x31, 0x14, 0x30, 0x12, 0x06, 0x0a, 0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 
	0x19, 0x16, 0x04, 0x63, 0x6f, 0x72, 0x70, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x04, 0x0a, 
	0x0c, 0x04, 0x43, 0x6f, 0x72, 0x70, 0x31, 0x10, 0x30, 0x0e, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 
	0x07, 0x63, 0x6f, 0x72, 0x70, 0x20, 0x43, 0x41, 0x30, 0x20, 0x17, 0x0d, 0x32, 0x36, 0x30, 0x31, 
	0x30, 0x31, 0x30, 0x30, 0x30, 0x30, 0x30, 0x30, 0x5a, 0x18, 0x0f, 0x32, 0x30, 0x35, 0x35, 0x30, 
	0x32, 0x30, 0x32, 0x30, 0x33, 0x30, 0x34, 0x30, 0x35, 0x5a, 0x30, 0x2a, 0x31, 0x19, 0x30, 0x17, 
	0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x10, 0x64, 0x63, 0x31, 0x2e, 0x63, 0x6f, 0x72, 0x70, 0x2e, 
	0x65, 0x78, 0x61, 0x6d, 0x70, 0x6c, 0x65, 0x31, 0x0d, 0x30, 0x0b, 0x06, 0x03, 0x55, 0x04, 0x0a, 
	0x0c, 0x04, 0x43, 0x6f, 0x72, 0x70, 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 
	0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 
	0x04, 0x3f, 0x64, 0xd0, 0x7a, 0xa8, 0x27, 0x81, 0x6d, 0x69, 0x30, 0xc8, 0xa3, 0x92, 0x28, 0xa0, 
	0x30, 0x66, 0xe8, 0xb3, 0xdb, 0x7c, 0x17, 0x93, 0x15, 0xd1, 0x8e, 0x5d, 0xfb, 0x61, 0x6f, 0x5b, 
	0x69, 0x33, 0xbc, 0x28, 0x32, 0x2a, 0xaa, 0x25, 0x85, 0xae, 0x6b, 0x1d, 0x4c, 0xda, 0x82, 0x0d, 
	0xb0, 0x1e, 0x3d, 0x0e, 0x68, 0xd7, 0x5e, 0x79, 0xfd, 0x41, 0x9c, 0x6f, 0xb8, 0xb1, 0x42, 0x70, 
	0x49, 0xa3, 0x5f, 0x30, 0x5d, 0x30, 0x1b, 0x06, 0x03, 0x55, 0x1d, 0x11, 0x04, 0x14, 0x30, 0x12, 
	0x82, 0x10, 0x64, 0x63, 0x31, 0x2e, 0x63, 0x6f, 0x72, 0x70, 0x2e, 0x65, 0x78, 0x61, 0x6d, 0x70, 
	0x6c, 0x65, 0x30, 0x1d, 0x06, 0x03, 0x55, 0x1d, 0x0e, 0x04, 0x16, 0x04, 0x14, 0x11, 0xf2, 0x92, 
	0xe2, 0xd6, 0xf0, 0xd9, 0x7d, 0xf3, 0xa4, 0x83, 0xc7, 0x38, 0xe8, 0x23, 0x4b, 0x83, 0xd8, 0x60, 
	0x22, 0x30, 0x1f, 0x06, 0x03, 0x55, 0x1d, 0x23, 0x04, 0x18, 0x30, 0x16, 0x80, 0x14, 0xa3, 0xff, 
	0xca, 0x12, 0xf1, 0x4c, 0x57, 0xf0, 0x8e, 0x22, 0x86, 0xa1, 0xc2, 0xbf, 0xa1, 0x39, 0x89, 0x4f, 
	0xcd, 0xb2, 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02, 0x03, 0x49, 
	0x00, 0x30, 0x46, 0x02, 0x21, 0x00, 0x9a, 0x99, 0xd0, 0xc6, 0xe3, 0x93, 0x13, 0xfa, 0x82, 0x82, 
	0x04, 0x3b, 0x0d, 0x7f, 0x2e, 0xc9, 0x59, 0x04, 0x46, 0x90, 0xde, 0x69, 0x40, 0x9c, 0xcb, 0x8a, 
	0xcc, 0xbc, 0x94, 0x29, 0x27, 0x4a, 0x02, 0x21, 0x00, 0x8d, 0xde, 0x5d, 0x3e, 0x56, 0x3a, 0x91, 
	0x8b, 0xa5, 0x8e, 0xd6, 0x0b, 0xe2, 0x02, 0x5c, 0xa7, 0x96, 0x54, 0xdc, 0xec, 0x5f, 0x4a, 0x50, 
	0xed, 0x36, 0x44, 0xe6, 0x5a, 0x00, 0x3b, 0xf5, 0xa9,
};
/* clang-format on */

static void test_why_bind_names_the_reason(void **state)
{
	static const struct {
		const char *data, *word, *next;
	} t[] = {
		{ "52e", "wrong user name or password", "ldapwhoami -x -W -H ldaps://dc1" },
		{ "525", "no such account", "ldapwhoami" },
		{ "530", "at this time", "net user svc /times:all" },
		{ "531", "from this computer", "Set-ADUser svc " },
		{ "532", "the password has expired", "Set-ADAccountPassword svc (" },
		{ "533", "disabled", "Enable-ADAccount svc (samba-tool user enable)" },
		{ "701", "the account has expired", "Clear-ADAccountExpiration svc (" },
		{ "775", "locked", "Unlock-ADAccount svc (samba-tool user unlock)" },
		{ "773", "must be changed", "Set-ADUser svc -ChangePasswordAtLogon $false" },
		{ "ffff", "wrong user name or password", "ldapwhoami" },
	};
	static const char *const users[] = { "svc@corp.example", "CORP\\svc",
		"CN=svc,OU=People,DC=corp,DC=example" };
	char out[DIR_WHY_MAX], text[128];
	size_t i, k;

	(void)state;
	for (i = 0; i < GI_ARRAY_SIZE(t); i++) {
		for (k = 0; k < GI_ARRAY_SIZE(users); k++) {
			(void)snprintf(text, sizeof(text),
				"80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext "
				"error, data %s, v1db1",
				t[i].data);
			dir_why_bind(out, "ldaps://dc1", users[k], "/etc/idfw/pw", text);
			assert_non_null(strstr(out, t[i].word));
			assert_non_null(strstr(out, users[k]));
			assert_non_null(strstr(out, DIR_WHY_TRY));
			assert_non_null(strstr(strstr(out, DIR_WHY_TRY), t[i].next));
		}
	}
	dir_why_bind(out, "ldaps://dc1", "svc", "/pw", "");
	assert_non_null(strstr(out, "neither UPN (svc@corp.example), CORP\\svc nor DN"));
}

static void test_why_is_printable_and_bounded(void **state)
{
	struct dir_cert cert = { .names = "dc2, dc3", .subject = "CN=dc2", .issuer = "CN=ca" };
	struct dir_tls_facts f = { .fault = DIR_TLS_CERT, .port = "636", .cert = &cert };
	char out[DIR_WHY_MAX], huge[1024];
	const char *p;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	huge[0] = '\n';
	huge[1] = (char)0xff;
	huge[sizeof(huge) - 1] = '\0';
	dir_why(out, "%s", huge);
	assert_int_equal(strlen(out), DIR_WHY_MAX - 1);
	for (p = out; *p; p++)
		assert_in_range(*p, ' ', '~');
	f.host = f.ca_file = huge;
	dir_why_tls(out, &f);
	assert_true(strlen(out) < DIR_WHY_MAX);
	dir_why_connect(out, "dc1.corp.example", "636", NULL, ECONNREFUSED);
	assert_non_null(strstr(out, "dc1.corp.example refuses connections on port 636"));
	dir_why_connect(out, "dc1.corp.example", "636", "Name or service not known", 0);
	assert_non_null(strstr(out, "Name or service not known"));
}

static void test_why_tls_gives_one_reason(void **state)
{
	struct dir_cert cert;
	struct dir_tls_facts f = { .fault = DIR_TLS_CERT,
		.host = "dc1.corp.example",
		.port = "389",
		.ca_file = "/etc/idfw/ca.crt",
		.starttls = true,
		.now = 1800000000 };
	char out[DIR_WHY_MAX];

	(void)state;
	dir_why_tls(out, &f);
	assert_non_null(strstr(out, "cannot be read"));
	assert_true(dir_cert_read(real, sizeof(real), f.host, &cert));
	f.cert = &cert;
	dir_why_tls(out, &f);
	assert_non_null(
		strstr(out, "(CN=dc1.corp.example, O=Corp) is issued by \"DC=corp, O=Corp, CN=corp "
			    "CA\", and not "
			    "signed by the CA in /etc/idfw/ca.crt; try: openssl s_client -connect "
			    "dc1.corp.example:389 -starttls ldap -CAfile /etc/idfw/ca.crt"));
	cert.for_host = false;
	dir_why_tls(out, &f);
	assert_non_null(strstr(out, "does not carry that name, but dc1.corp.example;"));
	f.now = cert.not_after + 1;
	dir_why_tls(out, &f);
	assert_non_null(strstr(out, "has expired on 2055-02-02T03:04:05Z"));
	f.now = cert.not_before - 1;
	dir_why_tls(out, &f);
	assert_non_null(strstr(out,
		"is not valid before 2026-01-01T00:00:00Z, and it is 2025-12-31T23:59:59Z here"));
	f.fault = DIR_TLS_NO_STARTTLS;
	dir_why_tls(out, &f);
	assert_non_null(strstr(out, "port 389 does not offer StartTLS"));
	f.fault = DIR_TLS_NO_TLS;
	dir_why_tls(out, &f);
	assert_non_null(strstr(out, "does not complete a TLS handshake"));
	f.client_cert = "/c.crt";
	f.client_key = "/c.key";
	dir_why_tls(out, &f);
	assert_non_null(strstr(out, "-cert /c.crt -key /c.key"));
}

static void test_cert_read_a_real_one(void **state)
{
	struct dir_cert c;
	size_t len;

	(void)state;
	assert_true(dir_cert_read(real, sizeof(real), "DC1.corp.example", &c));
	assert_string_equal(c.subject, "CN=dc1.corp.example, O=Corp");
	assert_string_equal(c.issuer, "DC=corp, O=Corp, CN=corp CA");
	assert_string_equal(c.names, "dc1.corp.example");
	assert_true(c.for_host);
	assert_int_equal(c.not_before, 1767225600);
	assert_int_equal(c.not_after, 2685150245);
	assert_true(dir_cert_read(real, sizeof(real), "dc2.corp.example", &c));
	assert_false(c.for_host);
	for (len = 0; len < sizeof(real); len++) { /* on the heap for ASan */
		uint8_t *copy = malloc(len + 1);

		assert_non_null(copy);
		memcpy(copy, real, len);
		assert_false(dir_cert_read(copy, len, "dc1", &c));
		free(copy);
	}
}

/* any byte changed: it ends, reads nothing outside, and its texts end within their arrays */
static void test_cert_read_changed_bytes_ends(void **state)
{
	static const uint8_t with[] = { 0x00, 0x7f, 0x80, 0x81, 0x83, 0xff };
	struct dir_cert c;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(real); i++) {
		for (k = 0; k < sizeof(with); k++) {
			uint8_t *copy = malloc(sizeof(real));

			assert_non_null(copy);
			memcpy(copy, real, sizeof(real));
			copy[i] = with[k];
			if (dir_cert_read(copy, sizeof(real), "dc1", &c)) {
				assert_true(strlen(c.subject) < sizeof(c.subject));
				assert_true(strlen(c.issuer) < sizeof(c.issuer));
			}
			free(copy);
		}
	}
}

/* the real one with other bytes where its name was; it is there twice, the last is the SAN */
static void test_cert_names(void **state)
{
	static const char was[] = "dc1.corp.example", wild[] = "*.x.corp.example";
	uint8_t changed[sizeof(real)], *at = NULL, *next = changed;
	char names[DIR_CERT_NAMES_MAX];

	(void)state;
	memcpy(changed, real, sizeof(real));
	while ((next = memmem(next, (size_t)(changed + sizeof(changed) - next), was,
			sizeof(was) - 1)) != NULL)
		at = next++;
	assert_non_null(at);
	memcpy(at, wild, sizeof(wild) - 1);
	assert_true(dir_cert_names(changed, sizeof(changed), "A.x.corp.example", names));
	assert_string_equal(names, wild);
	assert_false(dir_cert_names(changed, sizeof(changed), "b.a.x.corp.example", names));
	assert_false(dir_cert_names(changed, sizeof(changed), "x.corp.example", names));
	at[-2] = 0x87; /* an address of 16 bytes */
	assert_true(dir_cert_names(
		changed, sizeof(changed), "2a2e:782e:636f:7270:2e65:7861:6d70:6c65", names));
	assert_false(dir_cert_names(changed, sizeof(changed), "10.77.8.10", names));
	at[-2] = 0x86; /* a URI is no name of a host */
	assert_false(dir_cert_names(changed, sizeof(changed), "A.x.corp.example", names));
	assert_string_equal(names, "");
}

/* each step has a command, with what it needs */
static void test_why_late_names_a_command(void **state)
{
	static const char pw[] = "svc@corp.example", key[] = "/etc/idfw/k";
	static const struct {
		struct dir_late l;
		const char *next;
	} t[] = {
		{ { .step = "dns", .uri = "", .domain = "corp.example", .ad = true },
			"host -t srv _ldap._tcp.dc._msdcs.corp.example" },
		{ { .step = "dns", .uri = "", .domain = "corp.example" },
			"host -t srv _ldap._tcp.corp.example" },
		{ { .step = "name", .uri = "ldaps://dc1.corp.example" },
			"getent hosts dc1.corp.example" },
		{ { .step = "connect", .uri = "ldaps://dc1" }, "traceroute -T -p 636 dc1" },
		{ { .step = "connect", .uri = "ldap://[fd77::1]/" },
			"traceroute -T -p 389 fd77::1" },
		{ { .step = "connect", .uri = "ldap://[fd77::1]:3268/" },
			"traceroute -T -p 3268 fd77::1" },
		{ { .step = "files", .uri = "ldap://dc1", .file = "/nfs/ca.crt" },
			"timeout 5 head -c 1 /nfs/ca.crt | wc -c" },
		{ { .step = "kerberos", .uri = "ldap://dc1", .user = pw, .keytab = key },
			"KRB5_TRACE=/dev/stderr kinit -kt /etc/idfw/k svc@corp.example" },
		{ { .step = "tls", .uri = "ldaps://dc1:1636" },
			"openssl s_client -connect dc1:1636" },
		{ { .step = "tls", .uri = "ldap://dc1" },
			"openssl s_client -connect dc1:389 -starttls ldap" },
		{ { .step = "bind", .uri = "ldaps://dc1", .user = pw, .simple = true },
			"ldapwhoami -x -W -H ldaps://dc1 -D 'svc@corp.example'" },
		{ { .step = "bind", .uri = "ldap://dc1", .user = pw, .keytab = key },
			"ldapwhoami -Y GSSAPI -H ldap://dc1" },
		{ { .step = "bind", .uri = "ldaps://dc1" },
			"ldapwhoami -Y EXTERNAL -H ldaps://dc1" },
		{ { .step = "server", .uri = "ldaps://dc1" },
			"ldapsearch -x -H ldaps://dc1 -s base -b '' +" },
		{ { .step = "base", .uri = "ldaps://dc1", .base = "dc=corp" },
			"ldapsearch -Y EXTERNAL -H ldaps://dc1 -s base -b 'dc=corp' 1.1" },
		{ { .step = "account", .uri = "ldaps://dc1", .base = "dc=corp", .ad = true },
			"ldapsearch -Y EXTERNAL -H ldaps://dc1 -b 'dc=corp' -z 1 "
			"'(sAMAccountName=*)' 1.1" },
		{ { .step = "account", .uri = "ldaps://dc1", .base = "dc=corp", .account = "al" },
			"ldapsearch -Y EXTERNAL -H ldaps://dc1 -b 'dc=corp' -z 1 '(uid=al)' 1.1" },
		{ { .step = "", .uri = "ldaps://dc1" },
			"ldapsearch -x -H ldaps://dc1 -s base -b '' +" },
		{ { .step = "changes", .uri = "ldaps://dc1" },
			"ldapsearch -x -H ldaps://dc1 -s base -b '' +" },
	};
	char out[DIR_WHY_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct dir_late l = t[i].l;
		const char *next;

		l.after_ms = 5000;
		dir_why_late(out, &l);
		assert_int_equal(strncmp(out, "nothing for 5000 ms (deadline): ", 32), 0);
		next = strstr(out, DIR_WHY_TRY);
		assert_non_null(next);
		assert_string_equal(next + strlen(DIR_WHY_TRY), t[i].next);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_why_bind_names_the_reason),
		cmocka_unit_test(test_why_late_names_a_command),
		cmocka_unit_test(test_why_is_printable_and_bounded),
		cmocka_unit_test(test_why_tls_gives_one_reason),
		cmocka_unit_test(test_cert_read_a_real_one),
		cmocka_unit_test(test_cert_read_changed_bytes_ends),
		cmocka_unit_test(test_cert_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
