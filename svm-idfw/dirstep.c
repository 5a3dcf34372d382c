/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstep.c - a directory is tried step by step: the way to a server, up to the bind
 *
 * Runs as `svm-idfw --test-server`, a child of dirtest.c. A step that fails is the last one. What
 * the server then says and holds is dirstepsrv.c's. Source: docs/directory.md "Trying it first".
 */
#include "svm-idfw/dirstep.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/io/child.h"
#include "lib/io/priv.h"
#include "svm-idfw/dirdns.h"
#include "svm-idfw/dirserver.h"
#include "svm-idfw/dirsrv.h"

static void step_send(struct dir_step *s, char kind, const char *name, const char *text)
{
	char record[DIR_STEP_RECORD_MAX];
	int n = snprintf(record, sizeof(record), "%c %s\t%s", kind, name, text);

	if (n > 0)
		(void)send(s->fd, record,
			(size_t)n < sizeof(record) ? (size_t)n : sizeof(record) - 1, MSG_NOSIGNAL);
}

void dir_step_begin(struct dir_step *s, const char *name)
{
	(void)snprintf(s->now, sizeof(s->now), "%s", name);
	step_send(s, 'B', name, "");
}

void dir_step_ok(struct dir_step *s, const char *fmt, ...)
{
	char text[DIR_WHY_MAX], clean[DIR_WHY_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	dir_why(clean, "%s", text);
	step_send(s, 'K', s->now, clean);
	s->now[0] = '\0';
}

void dir_step_failed(struct dir_step *s, const char *why)
{
	step_send(s, 'F', s->now, why[0] ? why : "no reason is known");
	s->now[0] = '\0';
}

/* dldap_open() tells what comes: then what went on is done */
static void step_stage(void *arg, const char *name, struct dldap *d)
{
	struct dir_step *s = arg;
	char text[DIR_WHY_MAX];

	if (strcmp(s->now, "files") == 0)
		dir_step_ok(s, "%s",
			s->conf->password_file ? "ca, password-file"
			: s->conf->keytab      ? "keytab"
					       : "ca, client-certificate, client-key");
	else if (strcmp(s->now, "kerberos") == 0)
		dir_step_ok(s, "ticket of %.120s from %.120s", s->conf->bind_user, s->conf->keytab);
	else if (strcmp(s->now, "tls") == 0 && d) {
		dldap_tls_text(d, s->conf->uri, text);
		dir_step_ok(
			s, "%s%s", strncmp(s->conf->uri, "ldaps:", 6) ? "StartTLS, " : "", text);
	}
	if (s->now[0] == '\0') /* without TLS: to connect once more belongs to the bind */
		dir_step_begin(s, strcmp(name, "connect") == 0 ? "bind" : name);
}

static int step_way(struct dir_step *s, struct dldap_conf *ldap)
{
	char text[DIR_WHY_MAX], why[DIR_WHY_MAX] = "";
	int err;

	dir_step_begin(s, "name");
	err = dldap_resolve(ldap, text, why);
	if (err == 0) {
		dir_step_ok(s, "%s", text);
		dir_step_begin(s, "connect");
		err = dldap_reach(ldap, why);
	}
	if (err < 0) {
		dir_step_failed(s, why);
		return err;
	}
	dir_step_ok(s, "it takes connections");
	return 0;
}

static int step_bind(struct dir_step *s, struct dldap_conf *ldap)
{
	char who[DIR_WHY_MAX], why[DIR_WHY_MAX] = "";
	int err;

	ldap->stage = step_stage;
	ldap->stage_arg = s;
	err = dldap_open(ldap, why, &s->back.look);
	ldap->stage = NULL;
	if (err < 0) {
		dir_step_failed(s, why);
		return err;
	}
	dldap_whoami(s->back.look, who);
	dir_step_ok(s, "%s%s%.160s; the server takes us for %.160s", s->conf->bind,
		s->conf->bind_user ? " as " : "", s->conf->bind_user ? s->conf->bind_user : "",
		who[0] ? who : "(it does not say)");
	return 0;
}

static int step_server_main(struct dir_step *s, const char *account)
{
	struct dldap_conf ldap;
	int err;

	idfw_dir_conf_ldap(s->conf, (unsigned int)s->conf->deadline_ms * 2 / 5, &ldap);
	if (s->conf->discover && dir_srv_trust_uri(s->conf, s->conf->uri) == DIR_SRV_DOMAIN)
		ldap.cert_domain = s->conf->discover;
	err = step_way(s, &ldap);
	if (err == 0)
		err = step_bind(s, &ldap);
	if (err == 0)
		err = dir_step_server(s, &ldap, account);
	dldap_close(s->back.look);
	dldap_close(s->back.watch);
	while (s->back.n_nc)
		free(s->back.nc[--s->back.n_nc]);
	return err;
}

/* ---- servers by DNS ---- */

struct step_srv {
	const struct idfw_dir_conf *conf;
	const struct dir_srv_question *q;
	struct dir_srv_list list;
};

static void step_record(void *arg, const struct dir_srv_record *r)
{
	struct step_srv *v = arg;

	dir_srv_add(&v->list, v->conf, v->q, r);
}

static int step_discover_main(struct dir_step *s)
{
	struct dir_srv_question q[DIR_SRV_QUESTIONS];
	struct step_srv *v = calloc(1, sizeof(*v));
	char why[DIR_WHY_MAX] = "";
	size_t n = dir_srv_questions(s->conf, q), i;

	if (!v)
		return -ENOMEM;
	v->conf = s->conf;
	dir_step_begin(s, "dns");
	for (i = 0; i < n; i++) {
		v->q = &q[i];
		if (q[i].only_if_none && v->list.n)
			continue;
		if (dir_dns_srv(q[i].name, step_record, v, why) < 0 && v->list.n == 0 && i + 1 == n)
			break;
	}
	dir_srv_order(&v->list, 1);
	if (v->list.n)
		dir_step_ok(s, "%zu servers of %.120s, %zu of another domain are not asked",
			v->list.n, s->conf->discover, v->list.refused);
	else
		dir_step_failed(s, why[0] ? why : "DNS names no server that is trusted");
	for (i = 0; i < v->list.n; i++)
		step_send(s, 'U', v->list.item[i].uri, "");
	i = v->list.n;
	free(v);
	return i ? 0 : -GI_ENOTFOUND;
}

int dir_step_main(const struct idfw_dir_conf *conf, const char *uri, const char *account)
{
	struct idfw_dir_conf own = *conf;
	struct dir_step *s = calloc(1, sizeof(*s));
	int err = s ? dldap_init(conf->krb5_config) : -ENOMEM;

	own.uri = uri;
	if (err == 0)
		err = io_priv_drop(NULL, 0);
	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err == 0 && conf->dns_server.n)
		err = dir_dns_use(conf->dns_server.items, conf->dns_server.n);
	if (err == 0) {
		s->fd = IO_CHILD_FD;
		s->conf = &own;
		err = uri[0] ? step_server_main(s, account) : step_discover_main(s);
	}
	free(s);
	return err < 0 ? 1 : 0;
}
