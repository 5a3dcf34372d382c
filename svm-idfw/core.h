/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * core.h - what the engine's own files share; engine.h is what everybody else sees
 *
 *   engine.c     life, clock, policy, records, flush
 *   vm.c         a guest's connection and its numbered events
 *   snapshot.c   all sessions of a guest as of an event
 *   addr.c       whose address is it
 *   session.c    sessions begin and end
 *   identity.c   whose a session is: principal and subject
 *   principal.c  directory accounts: cache, lookups
 *   age.c        how long ago the directory confirmed them
 *   account.c    their state: disabled, expired, locked; what that takes away, and when
 *   group.c      directory groups, each once
 *   news.c       the directory changed: who is looked up again
 *   dirstates.c  the directories that have them: up or down
 *   limits.c     how much one guest may ask for
 *   lease.c      how long things outlast us: heartbeats, VMs that are away
 *   alarm.c      what is wrong with the enforcement on a VM
 *   ready.c      who waits for which acknowledgement
 *   service.c    system services, and who may log in where
 *   uid.c        services that the policy names by uid
 *   subject.c    one subject's marks: epochs, leases, lapses
 *   plan.c       who is a subject, with which groups, epochs (ADR 0008)
 *   adopt.c      marks of before our own restart
 *   isolate.c    sessions and VMs that lost their network
 *   remains.c    what isolated sessions left behind when they ended
 *   scanrec.c    svm-scan's records: each once, whose session, audit, isolation
 *   recent.c     sessions that ended, by the guest's number
 *   fan.c        what one VM's sessions and addresses mean for the others
 *   push.c       operations -> versions: deltas, whole states, acknowledgements
 *
 * An engine event (a message, an answer of the directory, a commit) changes the wanted state of
 * some VMs at once; plan_event_end() makes what it did to each VM one indivisible unit;
 * idfw_engine_flush() packs whole units into deltas.
 */
#ifndef SVM_IDFW_CORE_H
#define SVM_IDFW_CORE_H

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/text.h"
#include "svm-idfw/collide.h"
#include "svm-idfw/dirstates.h"
#include "svm-idfw/account.h"
#include "svm-idfw/engine.h"
#include "svm-idfw/identity.h"
#include "svm-idfw/intern.h"
#include "svm-idfw/news.h"

#define IDFW_INFLIGHT_MAX 8    /* versions sent and not acknowledged, a VM */
#define IDFW_BACKLOG_MAX 65536 /* operations that wait; more: the whole state */
#define IDFW_RETIRED_MAX 1024  /* marks of ended address subjects that are still judged again */
#define IDFW_RETIRED_MS 600000
#define IDFW_MARK_FIRST 0x100
#define IDFW_START_MS 2000     /* a guest's snapshot and marks are waited for so long */
#define IDFW_RESTART_MS 1000   /* between two whole states because a pusher restarted */
#define IDFW_SNAP_WAIT_MS 1000 /* a snapshot waits for the events before it so long */
#define IDFW_SNAP_BYTES_MAX (32u << 20)
#define IDFW_MARKS_MAX 1000000 /* elements that a guest may report */
#define IDFW_ADOPT_MS 10000    /* reported marks that nobody claims live so long */
/* nobody's flows are judged for late subjects each second at most, after so many each minute */
#define IDFW_REJUDGE_MS 1000
#define IDFW_REJUDGE_LONG_MS 60000
#define IDFW_REJUDGE_BURST 16
#define IDFW_ORPHAN_LOOK_MS 250 /* meanwhile: whether somebody is left who could */
#define IDFW_HOLD_MS 1000	/* the database is full: a guest's events are refused so long */
#define IDFW_HOLD_STORE "events could not be recorded; send them again"
#define IDFW_RETRY_MS 5000	/* lookups that failed are asked again, doubling */
#define IDFW_BACKOFF_MIN_MS 200 /* whole states after a refused one */
#define IDFW_BACKOFF_MAX_MS 30000
#define IDFW_MARKS_OF_MAX (IDFW_EPOCHS_MAX + 1 + FW_LAPSES_MAX) /* of one subject */
#define IDFW_CAUSE_MAX 160
#define IDFW_WHEEL 64	   /* seconds; more than between two heartbeats of a VM */
#define IDFW_READY_NAMES 8 /* VMs that an audit record of readiness names */

struct plan_lapse { /* stands in for a subject's mark when that one's lease has ended */
	uint32_t mark, lease_s;
};

struct plan_lease { /* how many marks of a VM have it */
	uint32_t lease_s;
	size_t n;
};

struct plan_subject {
	struct fw_key
		key; /* its element in CG_MARK, UID_MARK, ADDR*_MARK; hashed from key.len on */
	uint8_t n_old, n_lapses;
	bool is_service; /* a uid that the policy names; it has no session then */
	uint16_t n_groups;
	uint32_t mark;	    /* 0: judged as nobody */
	uint32_t lease_s;   /* of the mark; 0: for good */
	uint32_t n_counted; /* of this VM: sessions that give it groups */
	uint32_t *old;	    /* owned; earlier marks, oldest first, up to IDFW_(BASE_)EPOCHS_MAX */
	uint16_t *groups;   /* owned; of the ruleset, ascending */
	struct plan_lapse *lapses;		/* owned; in the order in which they stand in */
	uint64_t unit;				/* that changed it last */
	struct idfw_session *sessions;		/* of this VM: list by s_next */
	const struct idfw_isolation *isolation; /* of this VM: its mark is not live; or NULL */
	uint64_t remains;     /* remains.c: row of an isolated session that is over; 0 none */
	uint32_t remains_uid; /* its uid */
	struct plan_subject *prev, *next; /* all with an isolation */
	UT_hash_handle hh;
};

struct plan_ready {
	struct idfw_session *session;	/* NULL: it ended */
	uint64_t began_ms, deadline_ms; /* monotonic */
	uint32_t waiting;		/* acknowledgements, and 1 while its groups are not known */
	bool resolving, sent, listed;
	bool late; /* it was told of when PAM may have let it go on already */
	uint32_t n_vms;
	const struct idfw_vm *vms[IDFW_READY_NAMES];
	struct plan_ready *prev, *next; /* all that have a deadline, in its order */
};

struct plan_wait {
	struct plan_ready *ready;
	uint64_t unit;
	struct plan_wait *next;
};

struct plan_op {
	struct fw_op op;
	uint64_t unit;
};

struct plan_sent {
	uint64_t version, unit, at_ms;
};

struct plan_drain {	   /* a mark that what ran may finish by: live, not renewed */
	struct fw_key key; /* whose it was */
	uint32_t mark;
	uint64_t until_ms;
};

struct plan_retired {
	uint32_t mark;
	uint64_t until_ms;
};

struct plan_reported {	       /* what the guest's kernel held when it connected */
	struct fw_elem *elems; /* owned */
	size_t n, cap;
};

struct plan_orphan {	 /* a subject's marks of before our start; nobody has claimed them yet */
	uint8_t id[18];	 /* of its key: set, length, data */
	uint8_t n_marks; /* what its flows can have by now: its own mark first, then its lapses */
	uint32_t n_old;	 /* what was to be judged again, oldest first */
	uint32_t *old;	 /* owned */
	uint32_t marks[1 + FW_LAPSES_MAX];
	UT_hash_handle hh;
};

enum plan_phase { PLAN_OFF, PLAN_HELLO, PLAN_STARTING, PLAN_RUNNING };

struct idfw_plan {
	/* groups */
	uint32_t *count;      /* owned; by policy group: counted sessions here that are members */
	struct pol_set named; /* policy groups that this VM is in by name */
	uint8_t *deny;	      /* owned; by ruleset group: in a rule that does not accept */
	uint32_t *lease;      /* owned; by ruleset group: see fan.c lease_new() */
	uint8_t *caps;	      /* owned; by ruleset group: allows and forbids: nothing outlasts it */
	bool has_out;	      /* some rule looks at the user */
	/* subjects */
	struct plan_subject base, *users, *peers; /* users: of this VM, by cgroup or uid */
	struct plan_subject *isolated;		  /* list of those users */
	size_t n_remains;			  /* cgroups of sessions that are over */
	struct plan_orphan *orphans;
	uint64_t orphans_until_ms;
	struct plan_retired *retired; /* owned; a queue, oldest first */
	size_t n_retired;
	uint32_t next_mark;
	struct fw_key *revoked; /* owned; who ended before the marks of a first connection came */
	size_t n_revoked;
	struct plan_drain *drains; /* owned; a queue, the first to end first */
	size_t n_drains, cap_drains;
	/* leases */
	struct plan_lease *leases; /* owned; shortest first */
	size_t n_leases;
	uint64_t beat_at_s; /* monotonic, its slot in the wheel; 0: in none */
	uint64_t away_ms;   /* monotonic; since when it is not connected */
	uint32_t lost_s;    /* groups with leases up to here do not count for others; 0 all do */
	/* this event */
	uint64_t stamp;
	uint64_t watch; /* hash of what ServiceWatch said last */
	bool touched, rejudge;
	bool rejudge_base;     /* nobody's flows, some of which are somebody's by now */
	uint64_t base_due_ms;  /* monotonic; not before that */
	uint64_t base_paid_ms; /* monotonic; a minute for each time, so many are used up */
	struct idfw_vm *touched_next;
	/* pushing */
	bool broken; /* the wanted state could not be kept: nothing is pushed until the next policy
		      */
	bool dirty;
	struct idfw_vm *dirty_next;
	struct plan_op *ops; /* owned */
	size_t n_ops, cap_ops;
	uint64_t unit, acked_unit; /* the open one; the last acknowledged */
	struct plan_sent sent[IDFW_INFLIGHT_MAX];
	size_t n_sent;
	bool need_full;
	uint64_t full_at_ms;
	unsigned int n_bad;  /* refused in a row */
	uint64_t ignore_to;  /* refusals of versions up to here are old news */
	uint64_t restart_ms; /* monotonic; when the agent may next say that its pusher restarted */
	char cause[IDFW_CAUSE_MAX];
	unsigned int n_causes;
	struct plan_wait *wait_head, *wait_tail;
	/* the connection */
	enum plan_phase phase;
	bool fresh; /* nothing was sent since our own start */
	bool snap_done, marks_done, ack_due;
	bool unwatched; /* some sessions began without an event: nobody waits for them */
	uint64_t start_deadline_ms;
	uint32_t snap;
	uint8_t **parts; /* owned; a snapshot that waits for the events before it, packed */
	size_t *part_lens;
	size_t n_parts, parts_bytes;
	uint64_t parts_seq, parts_deadline_ms;
	bool parts_last, snap_open;
	struct plan_reported reported;
	uint64_t hold_until_ms; /* its events are not taken; 0 no */
	const char *hold_why;	/* static */
	uint64_t held_note_ms;	/* monotonic; the last record about it; 0 none */
	uint64_t spent_us;	/* limits.c: until then its messages have used up its share */
	size_t snap_refused;	/* sessions of this snapshot */
	uint64_t claimed_us;	/* limits.c: the same, for new sessions in greetings' snapshots */
	uint64_t behind_ms;	/* since when something that was sent is not applied; 0: nothing */
	bool behind_closed, behind_told;
	struct gi_addr *claims; /* owned; what the guest says, accepted or not */
	size_t n_claims;
};

struct plan_ref { /* one use of a policy group by a VM's ruleset */
	struct idfw_vm *vm;
	uint16_t group; /* of the ruleset */
	uint8_t use;	/* enum pol_use */
};

struct plan_refs {
	struct plan_ref *list; /* owned */
	size_t n, cap;
};

struct idfw_owner {	 /* an address belongs to one VM */
	uint8_t key[17]; /* family, bytes */
	struct idfw_vm *vm;
	UT_hash_handle hh;
};

struct idfw_outbox { /* svm-scan's records, numbered */
	uint8_t id[16];
	uint64_t seq, acked_seq; /* taken; durable */
	bool greeted; /* no record since its Hello: a hole is not this connection's fault */
	UT_hash_handle hh;
};

struct idfw_uid {
	uint32_t uid;
	struct pol_set groups;
};

struct idfw_uids {	       /* that the policy names */
	struct idfw_uid *list; /* owned; ascending */
	size_t n;
	struct pol_set any; /* groups that one of them is in */
};

struct idfw_engine {
	struct idfw_engine_conf conf;
	struct idfw_out out;
	uint64_t mono_ms, real_ms;
	uint64_t next_due_ms; /* 0 none */
	struct idfw_strtab strings;
	struct idfw_group_table groups;
	struct idfw_vm *vms;
	struct idfw_principal *principals, *units; /* units: system services, by their names */
	struct idfw_session *sessions;
	struct idfw_owner *owners;
	uint64_t next_db_id;
	/* the file path */
	struct idfw_outbox *outboxes;
	struct idfw_recent *recents, *recent_head, *recent_tail;
	uint64_t *isolate_until_ms; /* owned ring of conf.isolate_max: when each counts no more */
	size_t isolate_at;
	/* policy */
	struct pol_policy *policy;
	uint64_t generation;
	size_t n_groups;
	struct plan_refs *refs; /* owned; by policy group */
	uint32_t *lease;	/* owned; by policy group */
	struct idfw_uids uids;
	struct idfw_vm *wheel[IDFW_WHEEL]; /* lists: heartbeats by second */
	uint64_t beat_s;		   /* the second up to which they are sent */
	size_t n_beats;
	/* this event */
	uint64_t stamp;
	struct idfw_vm *touched, *dirty;
	struct plan_ready *ready; /* pushes are made because of it; or NULL */
	char cause[IDFW_CAUSE_MAX];
	size_t *changed; /* owned; scratch: policy groups whose count began or ended */
	size_t n_changed;
	uint16_t *scratch;  /* owned; FW_GROUPS_MAX */
	struct gi_buf json; /* scratch for record details */
	/* waiting */
	struct plan_ready *ready_head, *ready_tail;
	uint32_t drain_s; /* while the policy or the directory takes access away: for so long; or 0
			   */
	bool watch_all;	  /* which services matter to which VM may have changed */
	struct idfw_as_of as_of[IDFW_AS_OF_MAX]; /* age.c */
	size_t n_as_of;
	uint64_t mark_ms;		     /* monotonic: when it is moved on */
	struct idfw_principal *accounts_due; /* heap: whose state is another one by itself next */
	uint64_t retry_ms;		     /* failed lookups are tried again; 0 none */
	struct idfw_directory dirs[IDFW_DIRS_MAX];
	size_t n_dirs;
	struct idfw_news news;
	struct idfw_collide collide;
	struct idfw_stats stats;
};

/* ---- engine.c ---- */
/* a record; -GI_EFULL etc. is counted; for events the caller decides */
GI_MUST_CHECK int idfw_record(struct idfw_engine *e, enum idfw_record_kind kind,
	const struct idfw_vm *vm, const struct idfw_session *s, uint64_t seq, const char *detail);
/* the same where nothing depends on it: a record that is not taken is counted */
void idfw_note(struct idfw_engine *e, enum idfw_record_kind kind, const struct idfw_vm *vm,
	const struct idfw_session *s, const char *detail);
void idfw_due(struct idfw_engine *e, uint64_t mono_ms);
void idfw_cause(struct idfw_engine *e, const char *fmt, ...) GI_PRINTF(2, 3);
/* JSON text into a buffer, quoted and escaped */
void idfw_json(struct gi_buf *b, const char *text);
/* {"why": why, name: value}; value NULL: without; borrowed until the next call */
const char *idfw_json_why(
	struct idfw_engine *e, const char *why, const char *name, const char *value);

/* ---- vm.c ---- */
GI_MUST_CHECK int idfw_vm_get(
	struct idfw_engine *e, const char *name, struct idfw_vm **ret); /* or makes it */
void idfw_vm_free(struct idfw_engine *e, struct idfw_vm *vm);
void idfw_vm_due(struct idfw_engine *e, struct idfw_vm *vm); /* deadlines; asks for the next */
void idfw_vm_drop(struct idfw_engine *e, struct idfw_vm *vm, const char *why); /* we close it */
/* its events are not taken for a moment, then it has to come again; @why: static */
void idfw_vm_hold(struct idfw_engine *e, struct idfw_vm *vm, const char *why);
/* addr.c: the guest's whole list; seq 0: from a snapshot */
GI_MUST_CHECK int idfw_vm_addresses(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Addresses *a, uint64_t seq);
struct idfw_vm *idfw_addr_owner(struct idfw_engine *e, const struct gi_addr *a);
void idfw_owners_free(struct idfw_engine *e);
/* snapshot.c */
GI_MUST_CHECK int idfw_vm_snapshot(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Snapshot *s, const char **ret_why);
/* a snapshot that waited: its time has come when the events before it are in, or @now */
GI_MUST_CHECK int idfw_vm_snapshot_late(struct idfw_engine *e, struct idfw_vm *vm, bool now);
void idfw_vm_snapshot_drop(struct idfw_vm *vm);

/* ---- session.c ---- */
struct idfw_session *idfw_session_find(
	struct idfw_engine *e, struct idfw_vm *vm, uint64_t id, const uint8_t boot_id[16]);
/* the session that @s was opened in, at the end of the chain; itself; NULL: one of them is over */
struct idfw_session *idfw_session_outer(struct idfw_engine *e, struct idfw_session *s);
/* -GI_EFULL: the record was not taken, nothing changed; seq 0: from a snapshot, nobody waits */
GI_MUST_CHECK int idfw_session_open(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Session *ws, uint64_t seq);
/* with its record; -GI_EFULL: access is gone, the session stays until it can be recorded */
GI_MUST_CHECK int idfw_session_end(struct idfw_engine *e, struct idfw_session *s,
	Idfw__EndReason reason, uint64_t end_ms, uint64_t seq);
void idfw_session_end_all(struct idfw_engine *e, struct idfw_vm *vm, Idfw__EndReason reason);
void idfw_session_free(struct idfw_engine *e, struct idfw_session *s); /* unlinks; no record */
/* groups came, went or changed (@had: of its principal before): what this session gives follows */
void idfw_session_sync(struct idfw_engine *e, struct idfw_session *s, const struct pol_set *had);
/* the guest knows it by another cgroup now, or as opened in another session; -ENOMEM */
GI_MUST_CHECK int idfw_session_move(
	struct idfw_engine *e, struct idfw_session *s, uint64_t cgroup, uint64_t parent);
/* the same where nothing is pushed: a commit makes everything anew afterwards */
void idfw_session_recount(struct idfw_session *s);
void idfw_session_kicks_again(struct idfw_engine *e, struct idfw_vm *vm); /* a guest is back */
void idfw_session_decision(struct idfw_engine *e, const struct idfw_session *s, const char *reason);

/* what the directory says of its account, as far as it is known now; @reason: of the record */
void idfw_session_resolve(struct idfw_engine *e, struct idfw_session *s, const char *reason);

/* ---- alarm.c ---- */
void idfw_alarm_heard(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Alarm *m);
void idfw_alarms_drop(struct idfw_vm *vm); /* another boot */
/* an agent greets: it tells what lasts before its marks; then what it did not tell is over */
void idfw_alarms_hello(struct idfw_vm *vm);
void idfw_alarms_greeted(struct idfw_engine *e, struct idfw_vm *vm);
/* has it not applied what it was sent for push_deadline_ms? */
bool idfw_behind(const struct idfw_engine *e, const struct idfw_vm *vm);
void idfw_behind_sent(struct idfw_engine *e, struct idfw_vm *vm);
void idfw_behind_acked(struct idfw_engine *e, struct idfw_vm *vm);
void idfw_behind_due(struct idfw_engine *e, struct idfw_vm *vm);

/* ---- lease.c ---- */
/* a LIVE element came, went or changed (NULL: is not there) */
void lease_changed(struct idfw_plan *p, const struct fw_elem *was, const struct fw_elem *is);
void lease_reset(struct idfw_plan *p);				/* all elements are gone */
void lease_schedule(struct idfw_engine *e, struct idfw_vm *vm); /* its leases may be others now */
void lease_now(struct idfw_engine *e, struct idfw_vm *vm); /* a heartbeat, and the next later */
void lease_stop(struct idfw_engine *e, struct idfw_vm *vm);
uint64_t lease_tick(struct idfw_engine *e);		      /* when to come again; 0 never */
uint32_t lease_of(const struct idfw_engine *e, size_t group); /* of a policy group */
bool lease_lost(const struct idfw_engine *e, const struct idfw_vm *vm, size_t group);
void lease_lost_now(struct idfw_engine *e, struct idfw_vm *vm); /* leases are others now */
void lease_away(struct idfw_engine *e, struct idfw_vm *vm);	/* is it away for too long? */
void lease_back(struct idfw_engine *e, struct idfw_vm *vm);

/* ---- isolate.c ---- */
/* the isolation that this session falls under, whatever it has done yet; NULL none */
const struct idfw_isolation *idfw_isolation_for(const struct idfw_session *s);
/* the session's subject loses its network, if it has it */
void idfw_isolate_subject(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *su,
	const struct idfw_isolation *i);
/* a session has left the subject: is there still one that makes it isolated? */
void idfw_isolate_again(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *su);
enum idfw_isolate_result {
	IDFW_ISOLATE_DONE,
	IDFW_ISOLATE_ALREADY,
	IDFW_ISOLATE_SPARED, /* never-isolate */
	IDFW_ISOLATE_CAPPED, /* over isolate-max */
	IDFW_ISOLATE_FULL,   /* not recorded, hence not done */
	IDFW_ISOLATE_FAILED,
};
/* by a verdict: bounded and recorded, or not done */
enum idfw_isolate_result idfw_isolate_auto(struct idfw_engine *e, struct idfw_vm *vm,
	const struct idfw_isolation
		*from); /* @from: copied, but its vm; see idfw_isolation_scope() */
/* uid, session, spares and user of what is isolated because of a live session; false: nothing is */
bool idfw_isolation_scope(
	struct idfw_engine *e, struct idfw_session *s, struct idfw_isolation *ret);
void idfw_isolations_free(struct idfw_vm *vm);
void idfw_outboxes_free(struct idfw_engine *e);

/* ---- principal.c ---- */
struct idfw_principal *idfw_principal_find(struct idfw_engine *e, const char *key);
/* @names_in: directory that a name without a domain is one of; "" none */
GI_MUST_CHECK int idfw_principal_get(
	struct idfw_engine *e, const char *user, const char *names_in, struct idfw_principal **ret);
void idfw_principal_free(struct idfw_engine *e, struct idfw_principal *p);
void idfw_principal_lookup(struct idfw_engine *e, struct idfw_principal *p);
/* is a login of this account served from what is known, or must the directory be asked first? */
void idfw_principal_login(struct idfw_engine *e, struct idfw_principal *p);
bool idfw_principal_grants(const struct idfw_principal *p);
GI_MUST_CHECK int idfw_principal_groups(const struct idfw_engine *e, const struct pol_policy *pol,
	const struct idfw_principal *p, struct pol_set *ret);
void idfw_principal_retry(struct idfw_engine *e);
/* has sessions, and the directory may say more than what is known */
bool idfw_principal_wanting(const struct idfw_principal *p);
void idfw_principal_served(struct idfw_engine *e, struct idfw_principal *p);
GI_MUST_CHECK int idfw_unit_get(
	struct idfw_engine *e, const char *unit, struct idfw_principal **ret);
void idfw_units_free(struct idfw_engine *e);

/* what it may have was looked at anew (its state): its sessions follow */
void idfw_principal_judge(struct idfw_engine *e, struct idfw_principal *p);

/* ---- service.c ---- */
/* why a session of kind SERVICE is not taken; or NULL */
const char *service_refusal(
	const struct idfw_engine *e, const struct idfw_vm *vm, const Idfw__Session *ws);
/* tells the agent which services matter, when they are others than it knows, or @anew */
void service_watch(struct idfw_engine *e, struct idfw_vm *vm, bool anew);
void service_watch_all(struct idfw_engine *e);
/* does the policy let the session in? When that changed it is recorded and told */
void service_login(struct idfw_engine *e, struct idfw_session *s);

/* ---- uid.c ---- */
GI_MUST_CHECK int uid_list_new(const struct pol_policy *p, struct idfw_uids *ret);
void uid_list_free(struct idfw_uids *u);
/* do @u's addresses count for others as this group's because of a uid? Every VM's do */
bool uid_counts(const struct idfw_engine *e, const struct idfw_vm *u, size_t group);
/* of a subject that is a service's; NULL: it is none */
const struct pol_set *uid_groups(const struct idfw_engine *e, const struct plan_subject *s);
/* other rules: which services are subjects here; their marks are the caller's, plan_restart() */
void uid_restart(struct idfw_engine *e, struct idfw_vm *vm);
/* a session with this uid came, went or moved */
void uid_update(struct idfw_engine *e, struct idfw_vm *vm, uint32_t uid);
void uid_fan(struct idfw_engine *e, struct idfw_vm *vm); /* the VM's isolation began or ended */

/* ---- ready.c ---- */
GI_MUST_CHECK int ready_new(struct idfw_engine *e, struct idfw_session *s);
void ready_wait(struct idfw_engine *e, struct plan_ready *r, struct idfw_vm *vm, uint64_t unit);
void ready_acked(struct idfw_engine *e, struct idfw_vm *vm); /* up to plan->acked_unit */
void ready_vm_gone(struct idfw_engine *e, struct idfw_vm *vm);
/* groups are known (or never will be: @degraded) */
void ready_resolved(struct idfw_engine *e, struct idfw_session *s, bool degraded);
void ready_session_gone(struct idfw_engine *e, struct idfw_session *s);
void ready_due(struct idfw_engine *e);
void ready_send(struct idfw_engine *e, struct idfw_session *s, Idfw__SessionReady__State state);
void ready_refuse(struct idfw_engine *e, struct idfw_vm *vm, uint64_t id); /* not taken at all */

/* ---- subject.c ---- */
void plan_subject_fini(struct plan_subject *s);
/* another mark with these groups (of the ruleset); the marks before lead to it */
void plan_subject_epoch(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint16_t *groups, size_t n);
/* the same, when they are others than before, or it has no mark */
void plan_subject_set(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const uint16_t *groups, size_t n);
void plan_subject_revoke(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s);
void plan_subject_retire(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s);
/* its marks come into `live`, or leave it; nothing else changes */
void plan_subject_live(
	struct idfw_engine *e, struct idfw_vm *vm, const struct plan_subject *s, bool live);
bool plan_subject_old_add(
	struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s, uint32_t mark);
void plan_retire_mark(struct idfw_engine *e, struct idfw_vm *vm, uint32_t mark);
void plan_drains_due(struct idfw_engine *e, struct idfw_vm *vm);
void plan_drains_readd(struct idfw_engine *e, struct idfw_vm *vm); /* a new ruleset dropped all */
bool plan_draining(const struct idfw_plan *p, uint32_t mark);
/* at once after all: of this subject, or (NULL) all of them */
void plan_drains_cancel(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key);
/* from here to drain_end() what is taken away may finish, if the policy says so */
void plan_drain_begin(struct idfw_engine *e);
void plan_drain_end(struct idfw_engine *e);
void plan_retired_drop(struct idfw_engine *e, struct idfw_vm *vm, size_t n); /* the oldest */
void plan_retired_due(struct idfw_engine *e, struct idfw_vm *vm);

/* ---- plan.c ---- */
GI_MUST_CHECK int plan_new(struct idfw_engine *e, struct idfw_vm *vm);
void plan_free(struct idfw_vm *vm);
/* of a session's cgroup, else of its uid; made when there is none; NULL: memory */
struct plan_subject *plan_user(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key);
void plan_user_drop(
	struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s); /* no session left */
struct plan_subject *plan_find(
	struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key); /* or NULL */
/* marks of the session's subject, if it is nobody else's, oldest first; how many */
size_t plan_user_marks(const struct idfw_session *s, uint32_t ret[IDFW_MARKS_OF_MAX]);
/* groups of a cgroup or uid follow its counted sessions; none counted any more: hard revocation */
void plan_user_update(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s);
/* the subject's isolation begins: one element less; or ends (@i NULL): a mark without a past */
void plan_user_isolate(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s,
	const struct idfw_isolation *i);
/* groups of a remote address follow its owner's sessions (@u NULL: it has no owner now) */
void plan_peer_update(struct idfw_engine *e, struct idfw_vm *vm, const struct idfw_vm *u,
	const struct gi_addr *a);
void plan_rejudge(
	struct idfw_engine *e, struct idfw_vm *vm); /* every flow, at the end of the event */
void plan_rejudge_now(struct idfw_engine *e, struct idfw_vm *vm);
/* nobody's flows: whose subject came late is found by their next packet (IDFW_REJUDGE_*) */
void plan_rejudge_base(struct idfw_engine *e, struct idfw_vm *vm);
void plan_rejudge_due(struct idfw_engine *e, struct idfw_vm *vm);
/* a new ruleset is in vm->want: every subject anew, old marks remapped */
void plan_restart(struct idfw_engine *e, struct idfw_vm *vm);
void plan_renew(struct idfw_engine *e,
	struct idfw_vm *vm); /* marks that no kernel has seen yet are given anew */
/* adopt.c */
GI_MUST_CHECK int plan_marks_add(struct idfw_vm *vm, const Idfw__Marks *m);
void plan_adopt(
	struct idfw_engine *e, struct idfw_vm *vm); /* the reported marks become old epochs */
void plan_orphan_drop(struct idfw_engine *e, struct idfw_vm *vm, const struct fw_key *key);
void plan_orphans_drop(struct idfw_engine *e, struct idfw_vm *vm); /* all of them */
void plan_orphan_claim(struct idfw_engine *e, struct idfw_vm *vm, struct plan_subject *s);
void plan_orphans_due(struct idfw_engine *e, struct idfw_vm *vm);
void plan_orphans_readd(struct idfw_engine *e, struct idfw_vm *vm);
void plan_orphans_free(struct idfw_vm *vm);

/* ---- fan.c ---- */
void fan_session(struct idfw_engine *e, struct idfw_vm *u, const struct pol_set *had,
	const struct pol_set *has);
/* e->changed: groups of u that count now, or do not any more */
void fan_changed(struct idfw_engine *e, struct idfw_vm *u);
void fan_addr_add(struct idfw_engine *e, struct idfw_vm *u, const struct gi_addr *a);
void fan_addr_del(struct idfw_engine *e, struct idfw_vm *u, const struct gi_addr *a);
void fan_from(struct idfw_engine *e, struct idfw_vm *u); /* all that u means for everybody */
void fan_to(struct idfw_engine *e, struct idfw_vm *w);	 /* all that everybody means for w */
/* compiles for one VM into vm->compiled, with its named groups and counts */
GI_MUST_CHECK int fan_compile(struct idfw_engine *e, struct idfw_vm *vm);
/* vm->compiled begins to hold: ruleset into vm->want, uses into the index, subjects anew */
void fan_install(struct idfw_engine *e, struct idfw_vm *vm);
void fan_recount(struct idfw_engine *e, struct idfw_vm *vm);
/* the VM's addresses changed: its rules may have; or its isolation. Errors: the old ones stay */
GI_MUST_CHECK int fan_recompile(struct idfw_engine *e, struct idfw_vm *vm);
/* the policy's rules for this VM; when it is isolated: nothing in, nothing out */
GI_MUST_CHECK int fan_compile_vm(const struct pol_policy *p, const struct idfw_vm *vm,
	uint64_t generation, struct pol_compiled **ret);

/* ---- push.c ---- */
void plan_emit(struct idfw_engine *e, struct idfw_vm *vm, bool del, const struct fw_elem *el);
void plan_touch(struct idfw_engine *e, struct idfw_vm *vm);
void plan_dirty(struct idfw_engine *e, struct idfw_vm *vm);
void plan_event_end(struct idfw_engine *e);
void plan_full(struct idfw_engine *e, struct idfw_vm *vm,
	uint64_t at_ms); /* the whole state is to be sent */
void plan_flush(struct idfw_engine *e, struct idfw_vm *vm);
void plan_applied(struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Applied *a);
void plan_push_stop(struct idfw_engine *e, struct idfw_vm *vm); /* the guest is gone */

static inline uint64_t pol_set_word(const struct pol_set *s, size_t w)
{
	return s->bits && w * 64 < s->n ? s->bits[w] : 0;
}

#endif
