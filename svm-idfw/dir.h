/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir.h - the directory, seen from the engine's process: a child that may die
 *
 * dir.c is the parent's side: it starts `svm-idfw --directory` (child.h), gives it the
 * configuration as command line and environment-free file name, sends DirLookup (at most
 * DIR_INFLIGHT_EACH a connection, the rest waits in a bounded queue, one entry a principal), kills
 * it when an answer is later than the deadline, restarts it with backoff, for another server when
 * there are several (dirserver.h). dirchild.c is the child:
 * libldap, nothing else; it sends DirResult, DirChanged, DirState. Source: RFC 4511, 4513, 4515;
 * MS-ADTS 3.1.1 (tokenGroups, USNs); shared facts in docs/directory.md.
 */
#ifndef SVM_IDFW_DIR_H
#define SVM_IDFW_DIR_H

#include "lib/conf/conf.h"
#include "lib/io/loop.h"
#include "svm-idfw/engine.h"

#define DIR_CONNECTIONS_MAX 32
/*
 * Sent to the child for each of its connections: one is looked up, the others are there when it is
 * done, though we are not (at 1 ms each, 7 ms of our loop). More would only wait in the child,
 * where a new login cannot overtake them. Where several are looked up with one search
 * (dirbatch.h): as many as are at once, twice.
 */
#define DIR_INFLIGHT_EACH 8
#define DIR_BATCH_MAX 64
#define DIR_INFLIGHT_MAX 512 /* of all its connections */
#define DIR_QUEUE_MAX 200000
#define DIR_REALMS_MAX 64
#define DIR_TRUSTS_MAX 15	       /* the other blocks */
#define DIR_ATTRS_MAX 8		       /* attributes or classes of one setting */
#define DIR_CHILD_MEMORY (1024u << 20) /* bytes that a child may have of its own */

struct idfw_dir_conf { /* one `directory NAME { ... }` block */
	char *label;   /* owned, as conf.h wants it first */
	char *type;    /* "ad" or "openldap" */
	const char
		*uri; /* not of the file: the one of uris that this process speaks to; NULL none */
	char *base;   /* DC=corp,DC=example */
	char *bind;   /* simple, gssapi, certificate */
	char *bind_user; /* UPN, DOM\user or DN; gssapi: principal; NULL: certificate */
	char *password_file, *keytab, *krb5_config, *client_cert, *client_key; /* or NULL */
	char *ca_file; /* NULL: no TLS, gssapi seals */
	/* openldap: names in the schema; empty lists: the schema's */
	char *schema;	  /* rfc2307bis, rfc2307, freeipa */
	char *group_base; /* NULL: the whole naming context */
	struct conf_list user_name, user_principal, unique_id, group_class, group_name;
	struct conf_list member_of, member, member_uid, gid_number;
	/* of several blocks (dirroute.h) */
	struct conf_list realm;	 /* domains of names that it answers for; base's dc parts too */
	char *netbios;		 /* CORP of CORP\alice; NULL: what the directory says */
	struct conf_list trusts; /* labels: asked for groups of this block's accounts, too */
	char *sids;		 /* "own" or "any": whose SIDs count (dirclaim.h) */
	bool is_default;	 /* bare names are asked here */
	struct conf_list account_disabled, account_locked, account_expires, account_must_change;
	/* what a state of an account does to its groups: "revoke" or "keep" */
	char *on_disabled, *on_expired, *on_locked, *on_must_change;
	struct conf_list uris; /* ldaps://dc1.corp.example, ...: the preferred one first */
	/* servers by DNS instead (dirsrv.h) */
	char *discover;	    /* corp.example */
	char *site;	    /* AD: whose servers are preferred */
	char *discover_tls; /* ldaps or starttls */
	struct conf_list discover_allow;
	struct conf_list dns_server; /* ADDRESS[:PORT]; none: the machine's */
	const char *state_dir;	     /* not of the file: where the list is kept; NULL: it is not */
	uint64_t poll_ms;	     /* how often changes are looked for; 500 */
	uint64_t compare_ms;	     /* between full comparisons; 1 h, 0 never */
	uint64_t page, range;	     /* entries of a page, members of a part; 500, 1500 */
	uint64_t deadline_ms;	     /* for one answer; 5000 */
	uint64_t connections;	     /* lookups at one time; 4 */
	bool query; /* not of the file: this process answers one question (dirquery.h) */
};

/* the items of that block, for the program's configuration table */
#define IDFW_DIR_CONF_ITEMS 46
extern const struct conf_item idfw_dir_conf_items[IDFW_DIR_CONF_ITEMS];
#define IDFW_DIR_CONF_CHECKS 27
extern const struct conf_check idfw_dir_conf_checks[IDFW_DIR_CONF_CHECKS];
/* what the table cannot say: type, uri, base; @ret_why: static text; -EINVAL */
GI_MUST_CHECK int idfw_dir_conf_check(const struct idfw_dir_conf *conf, const char **ret_why);

/* IDFW_ACCT_*: the states of an account that take its groups away */
uint32_t idfw_dir_conf_revokes(const struct idfw_dir_conf *conf);

struct idfw_dir;

struct idfw_dir_ops {
	void (*principal)(void *arg, const char *key, const struct idfw_principal *found);
	void (*changed)(void *arg, const struct idfw_changes *c);
	/* @why: when up and of several servers: who answers, and why others do not */
	void (*state)(void *arg, bool up, const char *why);
};

/*
 * idfw_dir_new - starts the child as: svm-idfw --directory LABEL -c CONF_FILE URI
 * @conf_file: how the child finds its block (conf->label) again
 * @conf: borrowed until idfw_dir_free()
 */
GI_MUST_CHECK int idfw_dir_new(struct io_loop *l, const char *conf_file,
	const struct idfw_dir_conf *conf, const struct idfw_dir_ops *ops, void *arg,
	struct idfw_dir **ret);
void idfw_dir_free(struct idfw_dir *d);
/*
 * idfw_dir_lookup - one principal() follows, later; a key that waits already is not asked twice
 * @name: as PAM gave it; @key is handed back; @sid: text or "", spares one request. All copied
 * @first: somebody waits for the answer, it comes before those for which nobody does
 * Errors: -GI_EFULL, -ENOMEM
 */
GI_MUST_CHECK int idfw_dir_lookup(
	struct idfw_dir *d, const char *key, const char *name, const char *sid, bool first);
/* somebody waits for it now: before those that nobody waits for; no such key: nothing */
void idfw_dir_hurry(struct idfw_dir *d, const char *key);

/* S-1-5-21-A-B-C, as its directory says; "" not known */
const char *idfw_dir_domain(const struct idfw_dir *d);

/* where it is asked, for dirquery.h; borrowed from @d */
struct idfw_dir_place {
	const char *label, *conf_file;
	const char
		*uri; /* the server that answers now, or would be tried first; NULL: none known */
	uint64_t deadline_ms;
	uint32_t revokes; /* idfw_dir_conf_revokes() */
};
void idfw_dir_place(const struct idfw_dir *d, struct idfw_dir_place *ret);

/* how it is, for people; texts are borrowed until the next loop round */
struct idfw_dir_server {
	const char *uri;
	bool answers, out;
	uint64_t since_ms; /* real time: answers, or is left out, since; 0 unknown */
	uint64_t retry_ms; /* out: not tried before */
	const char *why;   /* out */
};
struct idfw_dir_picture { /* of all memberships, as the child last said (idfw.proto DirState) */
	enum _Idfw__DirState__Seen seen;
	enum _Idfw__DirState__Picture picture;
	bool comparing;
	uint64_t done, total;	       /* groups, while comparing; total 0: not known */
	uint64_t compared_ms, took_ms; /* the last whole comparison, real time; 0 none */
	uint64_t changed;	       /* groups that it found changed */
	uint64_t groups, memberships;
};
struct idfw_dir_info {
	struct idfw_dir_picture picture;
	uint64_t poll_ms;
	const char *label, *type, *domain;
	bool known, up;	    /* known: it has spoken */
	uint64_t since_ms;  /* so, real time; of one that has not: the start */
	uint64_t so_for_ms; /* for so long: by a clock that nobody sets */
	const char *why;
	size_t running, waiting;
	uint64_t lookups, failed; /* answered in all; of them: with no answer */
	uint64_t p50_us, p99_us;
	uint64_t changed_ms; /* real time of the last change seen; 0 none */
	uint64_t changes;
	struct idfw_dir_server servers[8];
	size_t n_servers;
};
void idfw_dir_info(const struct idfw_dir *d, struct idfw_dir_info *ret);

/*
 * idfw_dir_sync - changes are looked for now, or (@full) everything is compared and all live
 * accounts are looked up again. A full one joins one that runs
 * @ret_id: for idfw_dir_synced()
 * Errors: -ENOTCONN (down, or not up yet), -GI_EFULL, -ENOMEM
 */
GI_MUST_CHECK int idfw_dir_sync(struct idfw_dir *d, bool full, uint64_t *ret_id, bool *ret_joined);
/* the directory's part of it is done: reports of changes came before; it survives a lost child */
bool idfw_dir_synced(const struct idfw_dir *d, bool full, uint64_t id);

/*
 * idfw_dir_foreign - which groups here are these SIDs of another domain in? As idfw_dir_lookup()
 * @members: SIDs as text with a blank between, up to WIRE_DIR_MEMBERS_MAX; @sid: whose they are
 */
GI_MUST_CHECK int idfw_dir_foreign(struct idfw_dir *d, const char *key, const char *name,
	const char *sid, const char *members, bool first);

/*
 * the child's main: never returns but with its exit code; descriptor 3 is the parent
 * @uri: the one of conf->uris that it speaks to as long as it lives; NULL: the first
 */
int idfw_dir_child_main(const struct idfw_dir_conf *conf, const char *uri);

#endif
