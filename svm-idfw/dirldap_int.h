/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirldap_int.h - what dirldap.c, dirsync.c, dirbind.c and dirprobe.c share
 *
 * The only file that includes ldap.h; all of it runs in the directory child. dirbind.c opens and
 * binds, dirprobe.c finds out why that failed, dirldap.c searches, dirsync.c is told of changes.
 */
#ifndef SVM_IDFW_DIRLDAP_INT_H
#define SVM_IDFW_DIRLDAP_INT_H

#include <ldap.h>

#include "svm-idfw/dirldap.h"

#define DLDAP_MESSAGE_MAX                                                       \
	(64u << 20) /* bytes of one message: an entry with all it was asked for \
		     */

struct dldap {
	LDAP *ld;
	unsigned int timeout_ms;
	uint64_t until_ms; /* all searches end by then, monotonic; 0: none has to */
	unsigned int requests;
	int sync;	   /* message number of the search that goes on; 0 none */
	bool sync_current; /* it has come to the present */
};

struct dldap_entry {
	LDAP *ld;
	LDAPMessage *msg;
};

struct dldap_where { /* for words */
	char host[128], port[8];
};

/* libldap's result as one of ours, with words; always negative */
int dldap_error(struct dldap *d, int rc, const char *what, char why[DIR_WHY_MAX]);
/* false: not a uri of ldap: or ldaps: with a host */
bool dldap_where(const char *uri, struct dldap_where *ret, bool *ret_ldaps);
/* TLS at all? GSSAPI on ldap:// is sealed by Kerberos */
bool dldap_is_tls(const struct dldap_conf *conf);
/* all that counts for a connection; @require_cert: LDAP_OPT_X_TLS_DEMAND, _NEVER to explain only */
GI_MUST_CHECK int dldap_options(LDAP *ld, const struct dldap_conf *conf, int require_cert);
/* dirprobe.c: why a connection or its TLS failed: tries again, no password; always negative */
int dldap_explain(const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
/* dirprobe.c: the certificate of a connection; false: none, or not to be read */
bool dldap_peer_cert(LDAP *ld, const char *host, struct dir_cert *ret);
/* dirprobe.c: the server's clock, asked without a bind (AD tells), Unix seconds; 0 unknown */
int64_t dldap_server_time(const struct dldap_conf *conf);
/* dirsasl.c: bind by SASL; errors as dldap_open() */
GI_MUST_CHECK int dldap_bind_gssapi(LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
GI_MUST_CHECK int dldap_bind_certificate(
	LDAP *ld, const struct dldap_conf *conf, char why[DIR_WHY_MAX]);

/*
 * dldap_by_address - by one of @conf->addresses, with TLS as by name; the certificate is checked
 * @ret: returned owned, ldap_unbind_ext_s()
 * Errors: any: then it is the name's turn
 */
GI_MUST_CHECK int dldap_by_address(const struct dldap_conf *conf, LDAP **ret);

#endif
