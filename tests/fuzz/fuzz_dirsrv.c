/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_dirsrv.c - what DNS, the kept list and a server's certificate say when servers are found
 *
 * Each input is read as an answer of DNS, as the file of servers, as a certificate and as a name.
 * Whatever comes out is allowed by the configuration, and is the same again after a round trip.
 */
#include <stdlib.h>
#include <string.h>
#include "svm-idfw/dircert.h"
#include "svm-idfw/dirdns.h"
#include "svm-idfw/dirsrv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char domain[] = "corp.example", type[] = "ad", tls[] = "ldaps", allow[] = ".x.example";
static char *allowed[] = { allow };
static const struct idfw_dir_conf conf = {
	.type = type, .discover = domain, .discover_tls = tls, .discover_allow = { allowed, 1 }
};

static void add(void *arg, const struct dir_srv_record *r)
{
	const struct dir_srv_question q = { .ldaps = true };

	if (strcmp(r->target, ".") != 0 && !dir_srv_is_host(r->target))
		abort();
	dir_srv_add(arg, &conf, &q, r);
}

static void check(const struct dir_srv_list *l)
{
	if (l->n > DIR_SRV_MAX)
		abort();
	for (size_t i = 0; i < l->n; i++)
		if (dir_srv_trust_uri(&conf, l->item[i].uri) == DIR_SRV_NO)
			abort();
}

static void round_trip(const struct dir_srv_list *l)
{
	struct dir_srv_list *back = malloc(sizeof(*back));
	struct gi_buf out;

	if (!back)
		abort();
	gi_buf_init(&out, DIR_SRV_FILE_MAX);
	dir_srv_print(l, domain, &out);
	if (gi_buf_error(&out) || dir_srv_parse(back, &conf, gi_buf_str(&out), out.len) < 0 ||
		back->n != l->n)
		abort();
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(back->item[i].uri, l->item[i].uri) != 0)
			abort();
	gi_buf_fini(&out);
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dir_srv_list *l = calloc(1, sizeof(*l));
	char names[DIR_CERT_NAMES_MAX], address[64], *text = malloc(size + 1);
	uint16_t port;

	if (!l || !text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	(void)!dir_dns_parse(data, size, "_ldap._tcp.corp.example", add, l);
	check(l);
	dir_srv_order(l, size);
	check(l);
	if (l->n)
		round_trip(l);
	if (dir_srv_parse(l, &conf, text, size) == 0) {
		check(l);
		round_trip(l);
	}
	if (dir_cert_has_name(data, size, domain) && !dir_cert_names(data, size, domain, names))
		abort();
	if (dir_srv_trust_uri(&conf, text) != DIR_SRV_NO &&
		strpbrk(text, " /?#%@") != strchr(text, '/'))
		abort();
	(void)dir_srv_is_dns_server(text, address, &port);
	free(text);
	free(l);
	return 0;
}
