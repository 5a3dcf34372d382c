/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirback.h - what the directory child can do with one kind of directory
 *
 * Two back ends, Active Directory (dirad.c) and OpenLDAP (diropenldap.c). lookup() runs in several
 * threads, each with a copy of struct dir_back and a connection (look) of its own: it changes
 * nothing in there, and what is behind pointers has a lock; the rest runs in the main thread, on
 * the watch connection. All calls block. dirchild.c opens, closes and times; a back end only asks
 * and understands answers.
 */
#ifndef SVM_IDFW_DIRBACK_H
#define SVM_IDFW_DIRBACK_H

#include "svm-idfw/dir.h"
#include "svm-idfw/diracct.h"
#include "svm-idfw/dircache.h"
#include "svm-idfw/dirchanges.h"
#include "svm-idfw/dircsn.h"
#include "svm-idfw/dirldap.h"
#include "svm-idfw/dirmemo.h"
#include "svm-idfw/dirname.h"
#include "svm-idfw/dirschema.h"

#define DIR_ANSWER_GROUPS_MAX \
	10000		/* of one account; more: UNAVAILABLE with a reason, never a part */
#define DIR_NC_MAX 16	/* naming contexts that are searched for changes */
#define DIR_DN_MAX 2048 /* longer ones are reported as "" */

struct dir_answer {
	enum _Idfw__DirResult__Status status;
	char text[DIR_WHY_MAX]; /* for all but OK */
	char *dn, *name, *upn;	/* owned */
	uint8_t guid[16], sid[SID_BYTES_MAX];
	bool has_guid;
	size_t sid_len;
	struct dir_acct acct;
	struct dir_group *groups; /* owned, names and DNs too */
	size_t n_groups, cap;
};

/* AD: whose numbers uSNChanged and highestCommittedUSN are. Each time that a domain controller's
 * database is restored it counts under another invocationId. */
struct dir_usn_of {
	bool known;
	uint8_t id[16];
};

struct dir_many {	  /* one of several lookups */
	const char *name; /* borrowed */
	struct dir_answer *answer;
	bool done; /* answered; else it is asked for alone */
};

struct dir_back;
struct dir_groups;
struct dir_seen;

struct dir_back_ops {
	/* both connections are new: read what the server says about itself; changes since before */
	int (*begin)(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
	/*
	 * @d, another connection: is it at the server that begin() spoke to? There may be several
	 * behind one name, and what one tells of another has not got yet. -GI_ESTATE: it is not
	 */
	int (*same)(const struct dir_back *b, struct dldap *d, char why[DIR_WHY_MAX]);
	/* 0 with an answer of any status; negative: the connection is of no more use */
	int (*lookup)(struct dir_back *b, const char *name, const uint8_t *sid, size_t sid_len,
		struct dir_answer *ret, char why[DIR_WHY_MAX]);
	/*
	 * several of them at once, whoever can be; NULL: it has no way to. Negative: nobody is
	 * done, and the connection is of no more use
	 */
	int (*lookup_many)(
		struct dir_back *b, struct dir_many *list, size_t n, char why[DIR_WHY_MAX]);
	/* groups that these SIDs of another domain are in (dirforeign.h); NULL: it has none */
	int (*foreign)(struct dir_back *b, const ProtobufCBinaryData *sids, size_t n,
		struct dir_answer *ret, char why[DIR_WHY_MAX]);
	int (*poll)(struct dir_back *b, struct dir_changes *ret, char why[DIR_WHY_MAX]);
	/*
	 * b->told_by_fd and that descriptor is readable: take what came, without waiting; true:
	 * something changed (@ret), or the connection is lost: poll() knows. NULL: never told.
	 */
	bool (*told)(struct dir_back *b, struct dir_changes *ret);
};

struct dir_back {
	const struct dir_back_ops *ops;
	const struct idfw_dir_conf *conf; /* borrowed */
	struct dldap *look, *watch;	  /* the child's; NULL while down */
	unsigned int page;
	char server[DIR_WHY_MAX];	/* who answered, "" never */
	char peer[DLDAP_PEER_MAX];	/* address of @watch */
	bool moved;			/* it is another one than before */
	char domain[DIR_NAME_MAX + 1];	/* corp.example */
	char netbios[DIR_NAME_MAX + 1]; /* CORP; "" unknown */
	struct dir_sid domain_sid;	/* AD: of the domain itself; len 0 unknown */
	char root[DIR_DN_MAX];		/* of the domain: groups may be outside of conf->base */
	char *nc[DIR_NC_MAX];		/* owned: where changes may be */
	size_t n_nc, nc_seen;		/* @nc_seen: how many there are */
	uint64_t usn;			/* AD: highest that was looked at */
	struct dir_usn_of usn_of;	/* AD: of that number */
	uint64_t scan_ms;	   /* AD: what changed is not searched before, monotonic; 0 it is */
	char csn[DIR_CSN_SET_MAX]; /* OpenLDAP: all is told up to there */
	struct dir_cache *cache;
	struct dir_memo *memo;	   /* OpenLDAP: what groups are in */
	struct dir_groups *groups; /* the main thread's */
	struct dir_seen *seen;	   /* accounts that were found */
	struct dir_schema schema;  /* OpenLDAP */
	bool offers_sync;	   /* OpenLDAP: syncrepl, says the root DSE */
	/* OpenLDAP with matched values: what groups are read with then; dirmatch.h; else empty */
	const char *values[DIR_SCHEMA_ALL];
	bool no_scan;	 /* OpenLDAP: it does not find entries by entryCSN (in time) */
	bool told_by_fd; /* the server tells of changes on the watch connection */
	char sample[DIR_NAME_MAX +
		    1]; /* an account that is there, for a lookup that tries; or "" */
};

extern const struct dir_back_ops dir_back_ad, dir_back_openldap;

/* what a connection to conf->uri needs; texts borrowed from @conf */
void idfw_dir_conf_ldap(
	const struct idfw_dir_conf *conf, unsigned int timeout_ms, struct dldap_conf *ret);
/* copies @g; 0, -GI_ELIMIT, -ENOMEM; a DN or name that no message can carry becomes "" */
GI_MUST_CHECK int dir_answer_add(struct dir_answer *a, const struct dir_group *g);
void dir_answer_fini(struct dir_answer *a);
/* status and words; drops groups that were found */
void dir_answer_fail(struct dir_answer *a, enum _Idfw__DirResult__Status status, const char *fmt,
	...) GI_PRINTF(3, 4);
/* DN, unique id, objectSid, account name, UPN of the entry into the answer; -ENOMEM */
GI_MUST_CHECK int dir_answer_account(
	struct dir_answer *a, struct dldap_entry *e, const struct dir_schema *s);
/* an account without userPrincipalName has one all the same: its name and the domain; -ENOMEM */
GI_MUST_CHECK int dir_answer_upn(struct dir_answer *a, const struct dir_back *b);
/* the same for a group; @g's texts are owned, dir_group_fini(); -ENOMEM */
GI_MUST_CHECK int dir_group_read(
	struct dir_group *g, struct dldap_entry *e, const struct dir_schema *s);
void dir_group_fini(struct dir_group *g);
/* 16 bytes, or those of a UUID's text, of the first attribute that has such */
bool dir_entry_guid(struct dldap_entry *e, const struct dir_schema *s, uint8_t ret_guid[16]);
/* the words for same(); returns -GI_ESTATE */
int dir_other_server(
	const struct dir_back *b, const char *one, const char *other, char why[DIR_WHY_MAX]);
/* "<GUID=...>", the base of an entry of AD; a DN as text may be spelt in several ways */
void dir_guid_base(const uint8_t guid[16], char ret_base[48]);
/* "", true when one of the two is without the domain part or it is ours, without case;
 * also when the configuration says so (realm, netbios) */
bool dir_domain_is_ours(const struct dir_back *b, const char *domain);

#endif
