/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirldap.h - one authenticated connection to a directory, and searches on it
 *
 * The whole of libldap that the directory child uses (dirldap.c searches, dirbind.c opens,
 * dirprobe.c explains); ldap.h is included by dirldap_int.h alone. All calls block; each has a time
 * limit where libldap has one (the TLS handshake and name service have none: the parent's deadline
 * bounds them). Source: RFC 4511, 4513, 2696 (pages); docs/directory.md.
 */
#ifndef SVM_IDFW_DIRLDAP_H
#define SVM_IDFW_DIRLDAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "svm-idfw/dirwhy.h"

struct dldap;
struct dldap_entry; /* lives for one callback */

enum dldap_bind {
	DLDAP_SIMPLE, /* bind_user and the password file, over TLS */
	DLDAP_GSSAPI, /* bind_user is a principal of the keytab; ldap:// is sealed by Kerberos */
	DLDAP_CERTIFICATE /* the client certificate, SASL EXTERNAL, over TLS */
};

struct dldap_conf { /* all borrowed for the call; NULL where the way to bind has no use for it */
	const char *uri, *bind_user, *ca_file, *password_file;
	const char *addresses;	 /* 10.77.8.10,...: tried before the name is; NULL */
	const char *cert_domain; /* name that the certificate must carry besides the host's; NULL */
	enum dldap_bind bind;
	const char *keytab, *client_cert, *client_key;
	unsigned int timeout_ms;
	/* NULL: nobody; told before each of them what comes: files, kerberos, connect or tls, bind
	 */
	void (*stage)(void *arg, const char *name, struct dldap *d);
	void *stage_arg;
};

enum dldap_scope { DLDAP_BASE, DLDAP_SUBTREE };

struct dldap_query {
	const char *base, *filter;
	enum dldap_scope scope;
	const char *const *attrs;			/* NULL-terminated */
	unsigned int page;				/* entries a page; 0: not paged */
	unsigned int max;				/* entries in all; one more is -GI_ELIMIT */
	int (*entry)(void *arg, struct dldap_entry *e); /* negative ends the search */
	void *arg;
	bool extended_dn; /* AD: DNs in values come as <GUID=hex>;<SID=hex>;DN */
	/* ((attr=value)(other=*)...): of the attributes only values that match come (RFC 3876) */
	const char *values;
};

struct dldap_cursor { /* zero: before the first page */
	void *cookie; /* owned */
	size_t len;
	bool more; /* pages are left */
};

#define DLDAP_RANGE_MAX 64

struct dldap_sync_ops { /* negative ends the reading */
	/* changed, or (@new) added just now: of what happened before, one cannot know */
	int (*entry)(void *arg, struct dldap_entry *e, const uint8_t uuid[16], bool new);
	int (*deleted)(void *arg, const uint8_t uuid[16]);
	int (*unsure)(void *arg); /* some may be gone, the server does not tell which */
	void (*current)(
		void *arg); /* what happened before the search is told; from now on it lives */
	/* all up to here is told: where a later search may begin; not before current() */
	void (*cookie)(void *arg, const char *cookie, size_t len);
};

/*
 * dldap_init - once, before anything else of this file: this process's environment
 * @krb5_config: the Kerberos configuration; NULL: the machine's
 * No ldap.conf, no LDAP*, KRB5* or SASL* variable of the caller has any influence after it.
 * Errors: -ENOMEM
 */
GI_MUST_CHECK int dldap_init(const char *krb5_config);

/*
 * dldap_open - connect, TLS with host name check (GSSAPI on ldap://: sealed instead), bind
 * @why: says what is wrong and what to try; "" on success
 * Invariant: nothing but the handshake and the bind is ever sent in the clear, and no password at
 * all Errors: -EACCES (a file's mode, credentials), -ENOENT.. (files), -ECONNREFUSED, -ETIMEDOUT,
 * -GI_ETLS, -EINVAL (uri), -ENOMEM
 */
GI_MUST_CHECK int dldap_open(
	const struct dldap_conf *conf, char why[DIR_WHY_MAX], struct dldap **ret);
void dldap_close(struct dldap *d); /* NULL is fine */

/* dldap_open()'s first half again, in words for people: where is it, does it take connections? */
GI_MUST_CHECK int dldap_resolve(
	const struct dldap_conf *conf, char ret_text[DIR_WHY_MAX], char why[DIR_WHY_MAX]);
GI_MUST_CHECK int dldap_reach(const struct dldap_conf *conf, char why[DIR_WHY_MAX]);
/* protocol, certificate, until when; "" when it is not TLS. @uri: of the connection */
void dldap_tls_text(struct dldap *d, const char *uri, char ret_text[DIR_WHY_MAX]);
/* whom the server takes us for (RFC 4532); "" when it does not say */
void dldap_whoami(struct dldap *d, char ret_text[DIR_WHY_MAX]);

/*
 * dldap_search - run @q, calling entry() for each
 * Errors: -GI_ENOTFOUND (no such base), -GI_ELIMIT, -ETIMEDOUT and -ECONNRESET (the connection is
 *         of no more use), -EACCES, -GI_EPROTO (any other refusal), what entry() returned
 */
GI_MUST_CHECK int dldap_search(struct dldap *d, const struct dldap_query *q, char why[DIR_WHY_MAX]);

/* searches from now on end by then with -ETIMEDOUT, monotonic ms; 0: each has its own time only */
void dldap_until(struct dldap *d, uint64_t until_ms);

/* one page of it more; @c: zero to begin with, and when the connection was made anew */
GI_MUST_CHECK int dldap_search_page(struct dldap *d, const struct dldap_query *q,
	struct dldap_cursor *c, char why[DIR_WHY_MAX]);
void dldap_cursor_fini(struct dldap_cursor *c); /* zero again */

/*
 * dldap_sync_start - ask to be told of every change below @base (RFC 4533, refreshAndPersist)
 * @csn: contextCSN values, separated by blanks: what is known already and is not sent again
 * @attrs: of the entries that changed
 * One at a time on a connection. dldap_search() goes on working beside it.
 * Errors: -ENOMEM, as dldap_search(); that the server cannot, dldap_sync_read() tells
 */
GI_MUST_CHECK int dldap_sync_start(struct dldap *d, const char *base, const char *csn,
	const char *const *attrs, char why[DIR_WHY_MAX]);
/*
 * dldap_sync_read - take what has come; does not wait
 * Errors: -GI_ENOTFOUND (the server has ended it, or cannot: @why), -GI_ESTATE (it does not know
 *         @csn any more: start again, and compare everything), -ECONNRESET, -ENOMEM, those of @ops
 */
GI_MUST_CHECK int dldap_sync_read(
	struct dldap *d, const struct dldap_sync_ops *ops, void *arg, char why[DIR_WHY_MAX]);
/* readable: something has come; -1 none */
int dldap_fd(struct dldap *d);

#define DLDAP_PEER_MAX 64
/* address of the server that it is connected to, as text; "" unknown */
void dldap_peer(struct dldap *d, char ret[DLDAP_PEER_MAX]);

unsigned int dldap_requests(const struct dldap *d); /* sent by searches up to now */
/* copies the entry's DN; -ENOMEM */
GI_MUST_CHECK int dldap_entry_dn(struct dldap_entry *e, char **ret_dn);
/* each value of an attribute, until @cb returns non-zero, which is then returned */
int dldap_entry_each(struct dldap_entry *e, const char *attr,
	int (*cb)(void *arg, const uint8_t *value, size_t len), void *arg);
/*
 * AD: the part of @attr's values that came, as "member;range=0-1499"; false: all came, or none is
 * @ret_next: the first one of the next part; 0: this is the last
 */
bool dldap_entry_range(
	struct dldap_entry *e, const char *attr, char ret_name[DLDAP_RANGE_MAX], size_t *ret_next);
/* first value, as bytes; false: none, or longer than @size (then *ret_len is 0) */
bool dldap_entry_bytes(
	struct dldap_entry *e, const char *attr, void *buf, size_t size, size_t *ret_len);
/* first value as text in @buf, "" when there is none or it does not fit or has a NUL */
bool dldap_entry_text(struct dldap_entry *e, const char *attr, char *buf, size_t size);

#endif
