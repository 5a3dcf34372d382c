/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * engine.h - the owner of all state: sessions, principals, VMs, policy. Pure core.
 *
 * Events and a clock go in by the idfw_engine_* functions; state changes and pushes come out by
 * struct idfw_out. No descriptor, no clock read, no blocking call, one thread. A scenario file
 * (tests/replay/) drives it with a fake clock, directory, store and push.
 *
 *   guests.c (mux links) --events--> engine --planner--> deltas/rulesets --> guests.c
 *   dir.c (directory child) --principals--> engine --lookups--> dir.c
 *   store.c (database thread) --durable(seq)--> engine --records--> store.c
 *   ctl.c (control socket) reads the structs below, calls kick and policy
 *
 * Everything a guest says is about its own VM only.
 */
#ifndef SVM_IDFW_ENGINE_H
#define SVM_IDFW_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>
#include "fw/fw.h"
#include "lib/base/addr.h"
#include "lib/base/err.h"
#include "lib/wire/wire.h"
#include "policy/policy.h"

#define IDFW_VMS_MAX 65536
#define IDFW_SESSIONS_MAX 2000000   /* in all */
#define IDFW_SESSIONS_VM_MAX 200000 /* on one VM */
#define IDFW_EPOCHS_MAX 16	    /* old marks of a subject that are still remapped */
#define IDFW_BASE_EPOCHS_MAX 64	    /* the same of everybody's: it changes with each of them */
#define IDFW_LOGIN_WAITS_MS 250	    /* below pam_gi's timeout_ms, if nothing is said there */
#define IDFW_PRINCIPALS_MAX 400000  /* cached; those without sessions make room */
#define IDFW_ISOLATIONS_VM_MAX 4096 /* of one VM */
#define IDFW_REMAINS_VM_MAX 1024    /* cgroups of isolated sessions that are over, of one VM */
#define IDFW_ALARMS_MAX 16	    /* of one VM */
#define IDFW_ISOLATE_HOUR_MAX 1000  /* ceiling of isolate-max */
#define IDFW_OUTBOXES_MAX 1024	    /* that svm-scan ever numbered records in */
#define IDFW_RECENT_MAX 16384	    /* sessions that ended, still known by the guest's number */
#define IDFW_DIRS_MAX 16	    /* directories */
#define IDFW_MIN_UID_DEFAULT 1000   /* sessions of lower uids are recorded, never looked up */

struct idfw_engine;
struct idfw_vm;
struct plan_subject;
struct plan_ready;

struct idfw_group {
	char *name, *dn,
		*sid;	 /* owned (in the engine: interned); "" when unknown; sid as S-1-... text */
	char *directory; /* the same: label of the block that has it; NULL in a child's answer */
	uint8_t id[16];	 /* objectGUID, entryUUID; all zero: unknown */
};

enum idfw_presence { IDFW_P_PENDING, IDFW_P_FOUND, IDFW_P_NOT_FOUND, IDFW_P_UNAVAILABLE };

/* what the directory says of an account besides its groups, and what that does (account.c) */
enum {
	IDFW_ACCT_DISABLED = 1,
	IDFW_ACCT_EXPIRED = 2,
	IDFW_ACCT_LOCKED = 4,	  /* too many wrong passwords */
	IDFW_ACCT_MUST_CHANGE = 8 /* its password */
};
#define IDFW_ACCT_WHY_MAX 400

struct idfw_account {
	uint32_t state;	     /* as the directory said; by itself it says EXPIRED without a time */
	uint32_t revokes;    /* which of them take the groups away */
	uint64_t expires_ms; /* real time; 0 never */
	/* the engine's own */
	int64_t confirmed_ms; /* monotonic; see age.c */
	uint32_t now;	      /* what counts at this moment */
	bool waits;	      /* in the heap of those that are looked at again */
	uint64_t due_ms;      /* then, monotonic */
	struct idfw_principal *child, *next, *previous; /* pairing heap: previous or parent */
};

/* between the name and the directory in a key: no user's name has it */
#define IDFW_KEY_IN '\x1f'
#define IDFW_KEY_MAX (WIRE_USER_MAX + 1 + GI_NAME_MAX)

/* a directory account; shared by all its sessions; keyed by the name that PAM gave, folded to lower
 * case, and the directory that bare names on the VM are of */
struct idfw_principal {
	char *key;		     /* owned */
	char *user;		     /* owned: of the key, the name */
	const char *names_in;	     /* of the key, the directory; "" the configuration's order */
	char *name, *upn, *dn, *sid; /* owned; "" while unknown */
	char *directory; /* owned; label of the block that has it; "" none, or unknown */
	uint8_t guid[16];
	enum idfw_presence presence;
	struct idfw_group *groups; /* owned; of an answer and of the store; the engine's have @in */
	size_t n_groups;
	const struct idfw_group **in; /* the engine's own: objects that are shared (group.h) */
	size_t n_in;
	uint64_t asked;	      /* number of the last report (news.c) when it was last asked for */
	uint64_t resolved_ms; /* when the directory last answered, real time; 0 never */
	bool lookup_running, lookup_again;
	bool ambiguous;	  /* in an answer: not found, since several fit */
	bool stale;	  /* the directory may know better: asked before the next login is served */
	bool held;	  /* cached groups wait for that answer */
	bool waits;	  /* a login waits for it */
	bool is_unit;	  /* a system service that the policy names, or named: no directory */
	uint8_t failures; /* lookups in a row, while its directory was up */
	uint64_t retry_ms; /* behind one that failed: not before, monotonic */
	struct idfw_account account;
	struct pol_set member_of;      /* under the present policy */
	size_t n_sessions;	       /* live ones */
	struct idfw_session *sessions; /* list by p_next */
	UT_hash_handle hh;	       /* private: keyed hash, walk it only */
};

/* compact: there may be two millions of them */
struct idfw_session {
	struct { /* hash key: contiguous, no padding */
		struct idfw_vm *vm;
		uint64_t id; /* the agent's number */
		uint8_t boot_id[16];
	};
	uint64_t db_id; /* row in the store: the session's name for humans (idfwctl who, kick) */
	const char *user, *service, *tty, *rhost, *auth; /* interned by the engine; never NULL */
	uint64_t leader_start;
	uint64_t opened_ms;   /* guest's clock, real time */
	uint64_t seen_ms;     /* ours, real time */
	uint64_t enforced_ms; /* all enforcement points acknowledged; 0 not yet */
	uint64_t cgroup;      /* of its processes alone, in this boot; 0: flows are known by uid */
	uint64_t parent;      /* the agent's number of the session it was opened in; 0 none */
	uint32_t uid, leader_pid;
	struct gi_addr peer;
	bool is_unit;			      /* a system service: user is its unit */
	bool found;			      /* ran already when the agent started */
	bool refused;			      /* the policy does not let this user in there */
	bool kicked;			      /* recorded, no access */
	bool counted;			      /* engine's: contributes its groups now */
	uint32_t snap;			      /* engine's: snapshot that last named it */
	struct idfw_principal *principal;     /* NULL: system user (uid below min_uid) */
	struct plan_subject *subject;	      /* planner's: its (VM, cgroup or uid) */
	struct plan_ready *ready;	      /* who waits for it to be enforced, or NULL */
	struct idfw_session *p_prev, *p_next; /* of the same principal */
	struct idfw_session *v_prev, *v_next; /* of the same VM */
	struct idfw_session *s_prev, *s_next; /* of the same subject */
	UT_hash_handle hh; /* by (vm, id, boot_id); private: keyed hash, do not HASH_FIND */
};

/*
 * What lost its network (docs/adr/0013): a session and what its user begins later on that VM, or
 * all of a VM. Until it is released, whatever sessions come and go.
 */
struct idfw_isolation {
	struct idfw_vm *vm;
	bool whole_vm;
	bool automatic;	  /* by a verdict */
	bool unsaved;	  /* the database did not take it: a restart forgets it */
	uint32_t uid;	  /* unless whole_vm */
	uint64_t session; /* db_id of the session it began with; 0 none */
	uint64_t spares;  /* sessions of the uid up to this db_id go on, but @session; 0: none */
	uint64_t since_ms;
	char *user, *by, *why;		    /* owned */
	struct idfw_isolation *prev, *next; /* of the same VM */
};

enum { IDFW_ALARM_NOT_APPLIED = 0 }; /* ours; the others are the guest's: Idfw__Alarm__Kind */

struct idfw_alarm { /* something is wrong with the enforcement on a VM */
	uint8_t kind;
	uint32_t count;	   /* how often it was told */
	uint64_t since_ms; /* real time */
	uint64_t noted_ms; /* monotonic: last recorded */
	bool told;	   /* in this connection, or ours; else it ends with the greeting */
	char *text;	   /* owned */
};

struct idfw_vm {
	char *name; /* owned */
	bool connected;
	char *mux, *transport;	   /* owned; "" */
	uint64_t connected_ms;	   /* real time */
	struct gi_prefix *allowed; /* owned; what the inventory lets it claim; n 0: anything */
	size_t n_allowed;
	struct gi_addr *addrs; /* owned; accepted claims */
	size_t n_addrs;
	uint8_t boot_id[16];
	uint64_t seq;				/* highest event taken in, this boot */
	uint64_t acked_seq;			/* highest durable */
	uint64_t want_generation, want_version; /* what we last sent */
	uint64_t have_generation, have_version; /* what it last acknowledged */
	char last_error[256];			/* of the last failed application, "" */
	struct idfw_session *sessions;		/* list by v_next */
	size_t n_sessions;
	uint32_t sessions_max, events_max;	/* that count for it; events_max 0: any */
	bool own_sessions_max, own_events_max;	/* given for this VM */
	const char *directory;			/* of names without a domain; interned; "" none */
	struct idfw_isolation *isolations;	/* owned; list */
	const struct idfw_isolation *isolation; /* the one of all of it, or NULL */
	struct idfw_alarm alarms[IDFW_ALARMS_MAX]; /* that stand, oldest first */
	size_t n_alarms;
	struct fw_state *want; /* what its kernel is to hold */
	struct pol_compiled *compiled;
	struct idfw_plan *plan; /* planner's own (subjects, marks, pending acks) */
	struct idfw_vm *plan_beat_prev, *plan_beat_next; /* planner's: next heartbeat */
	UT_hash_handle hh;
};

/* what goes to the database; text fields are borrowed for the call */
enum idfw_record_kind {
	IDFW_REC_LOGIN,
	IDFW_REC_LOGOUT,
	IDFW_REC_DECISION, /* groups of a session resolved or changed */
	IDFW_REC_PUSH,
	IDFW_REC_PUSH_FAILED,
	IDFW_REC_ENFORCED,
	IDFW_REC_KICK,
	IDFW_REC_POLICY,
	IDFW_REC_GUEST_UP,
	IDFW_REC_GUEST_DOWN,
	IDFW_REC_REFUSED,      /* a claim that was not accepted */
	IDFW_REC_DIRECTORY,    /* up, down */
	IDFW_REC_ADDRESSES,    /* a VM's addresses changed; audit word "addresses" */
	IDFW_REC_SCAN,	       /* a verdict on a file */
	IDFW_REC_FIM,	       /* a watched path changed */
	IDFW_REC_PASSED,       /* a file was let through, or refused, without a verdict */
	IDFW_REC_SCAN_SERVICE, /* svm-scan itself */
	IDFW_REC_SCAN_COMMAND, /* an operator's restore, purge, scan */
	IDFW_REC_ISOLATED,
	IDFW_REC_RELEASED,
	IDFW_REC_LOST,	      /* a VM is away for longer than leases of its sessions' groups */
	IDFW_REC_FOUND_AGAIN, /* and is back */
	IDFW_REC_ACCOUNT,     /* an account is disabled, expired, ...; or well again */
	IDFW_REC_COLLISION,   /* a name is more than one account */
	IDFW_REC_ALARM,	      /* something is wrong with a VM's enforcement, or well again */
};

struct idfw_record {
	enum idfw_record_kind kind;
	uint64_t time_ms; /* ours */
	const char *vm;	  /* "" none */
	const uint8_t
		*boot_id; /* 16 bytes: the VM's boot that @seq belongs to; NULL only without a VM */
	const struct idfw_session *session; /* NULL none */
	enum _Idfw__EndReason end_reason;   /* LOGOUT */
	uint64_t end_ms;		    /* LOGOUT: guest's clock */
	uint64_t seq; /* event number that caused it, 0 none: acknowledged to the agent when durable
		       */
	const char *detail; /* one JSON object as text, "" none: groups, generation, error, ... */
	/* a session that is over: its row and user; used when @session is NULL */
	uint64_t db_id;				/* 0 none */
	const char *user;			/* NULL none */
	const struct idfw_isolation *isolation; /* ISOLATED, RELEASED */
	const uint8_t *outbox; /* 16 bytes: svm-scan's, when a ScanRecord caused it; else NULL */
	uint64_t outbox_seq;   /* its number there: durable with this record */
	const char *scanner;   /* CN of svm-scan's certificate, with @outbox */
};

struct idfw_out { /* all must be set but hurry; @arg first */
	void *arg;
	void (*send)(void *arg, struct idfw_vm *vm, const Idfw__Envelope *e);
	/* pushes: all of it is queued, or nothing and negative (tried again later as a whole state)
	 */
	int (*send_state)(void *arg, struct idfw_vm *vm, const struct fw_state *s);
	int (*send_delta)(void *arg, struct idfw_vm *vm, const struct fw_delta *d);
	/* ends the guest's connection; never calls back into the engine (no guest_down follows) */
	void (*close_guest)(void *arg, struct idfw_vm *vm, const char *why);
	/* answer, later: idfw_engine_principal(); negative: not asked, tried again */
	int (*lookup)(void *arg, struct idfw_principal *p);
	/* it is being looked up, and now a login waits for it; NULL: that makes no difference */
	void (*hurry)(void *arg, const struct idfw_principal *p);
	/* @r->session->db_id is set by the engine; negative (-GI_EFULL): not taken */
	int (*store)(void *arg, const struct idfw_record *r);
};

struct idfw_limits { /* what one VM has of its own; 0: as for everybody */
	const char *vm;
	uint32_t sessions_max, events_max;
	const char *directory; /* of names without a domain there; NULL or "": as for everybody */
};

struct idfw_engine_conf {
	uint32_t min_uid;
	uint64_t ready_timeout_ms;	     /* SessionReady DEGRADED after this; 2000 */
	uint32_t sessions_max;		     /* of one VM; 0: IDFW_SESSIONS_VM_MAX */
	uint32_t events_max;		     /* of one VM, a second; 0: any */
	const struct idfw_limits *vm_limits; /* borrowed; of some VMs, instead */
	size_t n_vm_limits;
	uint64_t push_deadline_ms; /* a VM that applies nothing for so long is behind; 0: never */
	uint32_t isolate_max; /* verdicts isolate so often an hour, then they are only recorded */
	const char *const *never_isolate; /* borrowed; names of VMs */
	size_t n_never_isolate;
	uint64_t seed[2]; /* random: keys the hash tables and where marks begin; 0 0 in tests */
	struct pol_domains domains; /* of the directories; without: no name with one is anybody's */
	/* optional: directory of names without a domain on a VM that has none of its own; NULL none
	 */
	const char *(*vm_directory)(const void *arg, const char *vm);
	const void *vm_directory_arg;
};

struct idfw_store_recent { /* a session that is over, as the database has it */
	uint8_t boot_id[16];
	uint64_t id, db_id, cgroup;
	uint32_t uid;
	bool left;	  /* no service, not nested, not ended with its cgroup or boot */
	const char *user; /* borrowed */
};

GI_MUST_CHECK int idfw_engine_new(
	const struct idfw_engine_conf *conf, const struct idfw_out *out, struct idfw_engine **ret);
void idfw_engine_free(struct idfw_engine *e);
/* before any event: the clock of this round; monotonic for deadlines, real for records */
void idfw_engine_clock(struct idfw_engine *e, uint64_t mono_ms, uint64_t real_ms);
uint64_t idfw_engine_tick(
	struct idfw_engine *e); /* runs what is due; returns mono ms of the next deadline, 0 none */
/* at the end of each loop round: gathered changes go out, one delta a VM; acknowledgements too */
void idfw_engine_flush(struct idfw_engine *e);

/* other limits from here on, of VMs that are connected too; sessions that are live stay, and are of
 * the account that their name means on that VM now.
 * @vms: borrowed until the next call; instead of those in idfw_engine_conf */
void idfw_engine_limits(struct idfw_engine *e, uint32_t sessions_max, uint32_t events_max,
	const struct idfw_limits *vms, size_t n);

/* the directory of names without a domain on this VM: "" none; NULL: nobody knows such a VM */
const char *idfw_engine_names_in(struct idfw_engine *e, const char *vm);

/* start: what the database knew (before the first guest) */
GI_MUST_CHECK int idfw_engine_restore_vm(
	struct idfw_engine *e, const char *vm, const uint8_t boot_id[16], uint64_t seq);
GI_MUST_CHECK int idfw_engine_restore_session(struct idfw_engine *e, const char *vm,
	const Idfw__Session *s, const uint8_t boot_id[16], uint64_t db_id, uint64_t seen_ms,
	bool kicked);
GI_MUST_CHECK int idfw_engine_restore_principal(
	struct idfw_engine *e, const struct idfw_principal *p); /* copies */
void idfw_engine_next_db_id(struct idfw_engine *e, uint64_t next);
/* the session that @s was opened in, as a row of the store; 0: none, or not known any more */
uint64_t idfw_engine_parent_of(struct idfw_engine *e, const struct idfw_session *s);

/* @i's texts are copied; its vm is not looked at */
GI_MUST_CHECK int idfw_engine_restore_isolation(
	struct idfw_engine *e, const char *vm, const struct idfw_isolation *i);
/* a session that is over, oldest first */
GI_MUST_CHECK int idfw_engine_restore_recent(
	struct idfw_engine *e, const char *vm, const struct idfw_store_recent *r);
/* one whose user is isolated, when it may have left processes behind; after the isolations and VMs
 */
GI_MUST_CHECK int idfw_engine_restore_left(struct idfw_engine *e, const char *vm,
	const uint8_t boot_id[16], uint64_t db_id, uint32_t uid, uint64_t cgroup);
GI_MUST_CHECK int idfw_engine_restore_outbox(
	struct idfw_engine *e, const uint8_t outbox[16], uint64_t seq);

/* policy: takes @p; generation must be higher than before; every VM gets a new ruleset, flows are
 * re-judged */
GI_MUST_CHECK int idfw_engine_policy(
	struct idfw_engine *e, struct pol_policy *p, uint64_t generation);
/* would it be taken? Borrows @p, changes nothing: asked before the policy is written to disk */
GI_MUST_CHECK int idfw_engine_policy_check(
	struct idfw_engine *e, struct pol_policy *p, uint64_t generation);

/* guests; a negative return means: drop that guest, @ret_why (static text) says why */
GI_MUST_CHECK int idfw_engine_guest_up(struct idfw_engine *e, const char *vm, const char *mux,
	const Idfw__VmUp *up, struct idfw_vm **ret);
GI_MUST_CHECK int idfw_engine_guest_message(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Envelope *m, const char **ret_why);
void idfw_engine_guest_down(struct idfw_engine *e, struct idfw_vm *vm, const char *why);

/* directory; groups etc. are copied */
void idfw_engine_principal(
	struct idfw_engine *e, const char *key, const struct idfw_principal *found);
struct idfw_changes {	       /* all borrowed */
	const char *directory; /* label: accounts of others are not concerned by @all; NULL any */
	/* but those of these, which may be in its groups; labels */
	const char *const *trusted_by;
	size_t n_trusted_by;
	bool all;
	const char *const *sids;       /* accounts, as S-1-... */
	const uint8_t (*accounts)[16]; /* by their unique ids */
	const uint8_t (*groups)[16];   /* everybody who was in it when last looked up */
	size_t n_sids, n_accounts, n_groups;
};
void idfw_engine_directory_changed(struct idfw_engine *e, const struct idfw_changes *c);
/* dirs.c: the blocks of the configuration, before the first of these; -GI_ELIMIT */
GI_MUST_CHECK int idfw_engine_directory_add(struct idfw_engine *e, const char *label);
/* @label: "" without several; one that was not added is */
void idfw_engine_directory_state(
	struct idfw_engine *e, const char *label, bool up, const char *why);
/* somebody asked for a full comparison: recorded; @label: "" the only one */
void idfw_engine_directory_sync(struct idfw_engine *e, const char *label, const char *by);
enum idfw_dir_state { IDFW_DIR_UNKNOWN, IDFW_DIR_UP, IDFW_DIR_DOWN };
struct idfw_directory {
	char label[GI_NAME_MAX + 1];
	enum idfw_dir_state state;
	char why[512];	   /* WIRE_DIR_WHY_MAX */
	uint64_t since_ms; /* real time; 0: it has not spoken yet */
};
const struct idfw_directory *idfw_engine_directories(const struct idfw_engine *e, size_t *ret_n);

/* store: every record up to and including this event of this boot is on disk */
void idfw_engine_durable(
	struct idfw_engine *e, struct idfw_vm *vm, const uint8_t boot_id[16], uint64_t seq);

/*
 * svm-scan: its records, each taken once by (outbox, number)
 * _hello: what is durable of this outbox goes to @ret_acked
 * _record: -GI_EFULL: nothing was taken, it must come again; -GI_ESTATE: records are missing
 * before it; -GI_ELIMIT: too many outboxes. @scanner: CN of svm-scan's certificate
 * _durable: as told by the store; false: the engine does not know this outbox
 */
GI_MUST_CHECK int idfw_engine_scan_hello(
	struct idfw_engine *e, const uint8_t outbox[16], uint64_t *ret_acked);
GI_MUST_CHECK int idfw_engine_scan_record(struct idfw_engine *e, const uint8_t outbox[16],
	const char *scanner, const Idfw__ScanRecord *r);
bool idfw_engine_scan_durable(struct idfw_engine *e, const uint8_t outbox[16], uint64_t seq);

/*
 * Isolation by an operator (docs/adr/0013)
 * Errors: -GI_ENOTFOUND (no such live session or VM), -EEXIST (it is), -EPERM (never-isolate),
 * -GI_ESTATE (a system user's session: it has no access by identity), -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int idfw_engine_isolate_session(struct idfw_engine *e, uint64_t db_id, const char *by,
	const char *why, const struct idfw_isolation **ret);
GI_MUST_CHECK int idfw_engine_isolate_vm(struct idfw_engine *e, const char *vm, const char *by,
	const char *why, const struct idfw_isolation **ret);
/* of the session that it began with, or of one that has lost its network with it; NULL none */
const struct idfw_isolation *idfw_engine_isolation_of(struct idfw_engine *e, uint64_t db_id);
/* does it take this session's network? Nested ones lose it with the session they are in */
bool idfw_isolation_hits(const struct idfw_isolation *i, const struct idfw_session *s);
/* what takes a live session's network away: its VM's, its own, or NULL */
const struct idfw_isolation *idfw_session_isolation(const struct idfw_session *s);
/* frees @i; -GI_EFULL: the database takes no records now, it stays */
GI_MUST_CHECK int idfw_engine_release(
	struct idfw_engine *e, const struct idfw_isolation *i, const char *by, const char *why);

/* control */
GI_MUST_CHECK int idfw_engine_kick(struct idfw_engine *e, uint64_t db_id, const char *by,
	const char *reason);				/* -GI_ENOTFOUND */
struct idfw_vm *idfw_engine_vms(struct idfw_engine *e); /* uthash head, by name */
struct idfw_vm *idfw_engine_vm(struct idfw_engine *e, const char *name);
struct idfw_principal *idfw_engine_principals(struct idfw_engine *e); /* uthash head */
/* the account that sessions of @user have where bare names are @names_in's; NULL: none is known */
const struct idfw_principal *idfw_engine_principal_of(
	const struct idfw_engine *e, const char *user, const char *names_in);
const struct pol_policy *idfw_engine_policy_now(
	const struct idfw_engine *e, uint64_t *ret_generation);

/* ---- explain.c: what is open to a session by its groups, and until when ---- */
struct idfw_open {
	const char *group; /* borrowed; of the policy */
	size_t index;	   /* the same */
	bool forbids;	   /* rules with it only forbid: it stays as long as anything does */
	uint32_t lease_s;  /* as it counts for this session; 0: for good */
	uint32_t step;	   /* which of the session's marks it goes with: 0 first */
	uint64_t ends_ms;  /* real time, at the latest; 0: renewed, or for good */
	bool ended;	   /* that is over */
	bool lost;	   /* for other VMs it does not count any more */
};
/* how many there are; up to @max of them in @ret */
size_t idfw_engine_opens(
	struct idfw_engine *e, struct idfw_session *s, struct idfw_open *ret, size_t max);
/* as pol_reasons(), of the account that the session, or the one it was opened in, has */
size_t idfw_engine_reasons(struct idfw_engine *e, const struct idfw_session *s, size_t group,
	struct pol_reason *ret, size_t max);
/* the same: until when (real time) what was taken away and still runs may finish */
size_t idfw_engine_drains(struct idfw_engine *e, struct idfw_session *s, uint64_t *ret, size_t max);
/* real time since which its VM's leases are not renewed, at the latest; 0: they are */
uint64_t idfw_engine_unrenewed(const struct idfw_engine *e, const struct idfw_vm *vm);
struct idfw_session *idfw_engine_session(struct idfw_engine *e, uint64_t db_id); /* or NULL */

/* ---- account.c ---- */
/* its groups count for nothing, by the state of the account; never of a system service */
bool idfw_account_cut(const struct idfw_principal *p);
/* ---- age.c ---- */
#define IDFW_AGE_OLD_MS (UINT64_C(24) * 60 * 60 * 1000)
/* when (real time) the directory last confirmed what is known of it; now, while it answers; 0 never
 */
uint64_t idfw_engine_confirmed(
	const struct idfw_engine *e, const struct idfw_principal *p, uint64_t *ret_age_ms);
/* until when all live accounts of a directory were confirmed: those with sessions before this one
 */
struct idfw_as_of {
	char directory[GI_NAME_MAX + 1]; /* label; "" of all (databases before version 6) */
	uint64_t real_ms, next_db_id;
};
#define IDFW_AS_OF_MAX (2 * IDFW_DIRS_MAX) /* of blocks that are not configured any more, too */
/* to be kept for a restart; borrowed, each stays where it is in the list */
const struct idfw_as_of *idfw_engine_as_of(const struct idfw_engine *e, size_t *ret_n);
/* first of all; over IDFW_AS_OF_MAX: not taken, accounts are older then */
void idfw_engine_restore_as_of(struct idfw_engine *e, const struct idfw_as_of *as_of);
struct idfw_ages {	    /* of accounts with sessions */
	uint64_t as_of_ms;  /* real time, of the directory that was confirmed first; 0 never */
	uint64_t oldest_ms; /* age */
	size_t unconfirmed;
	size_t old;	/* for IDFW_AGE_OLD_MS, and no on-stale will end that */
	size_t revoked; /* by their state */
};
void idfw_engine_ages(const struct idfw_engine *e, struct idfw_ages *ret);

/* "disabled,locked": the states that count now; "" well; returns @buf */
const char *idfw_account_words(uint32_t state, char buf[IDFW_ACCT_WHY_MAX]);
/* "account alice is disabled in the directory"; "" well; returns @buf */
const char *idfw_account_why(const struct idfw_principal *p, char buf[IDFW_ACCT_WHY_MAX]);

/* its VM is away, and some of its groups do not count for others any more */
bool idfw_session_lost(const struct idfw_engine *e, const struct idfw_session *s);
/* what an alarm is called in records and rows */
const char *idfw_alarm_word(const struct idfw_alarm *a);

struct idfw_stats {
	uint64_t logins, logouts, duplicates, gaps, refused, pushes, deltas, push_failures, lookups,
		kicks;
	uint64_t scan_records, scan_duplicates;
	uint64_t isolations_capped; /* verdicts that would have isolated: over isolate-max */
	uint64_t isolations_spared; /* the same: the VM is in never-isolate */
	size_t isolated_sessions, isolated_vms, alarms;
	uint64_t leases;     /* heartbeats sent */
	uint64_t regrouped;  /* accounts that an answer brought into other groups of the policy */
	uint64_t unrecorded; /* records that the store did not take and no event waits for */
	size_t sessions, principals, vms, vms_connected;
	bool directory_up;	 /* all of them */
	bool directory_some;	 /* one at least */
	char directory_why[512]; /* of several: who is down, and why */
};
void idfw_engine_stats(const struct idfw_engine *e, struct idfw_stats *ret);

#endif
