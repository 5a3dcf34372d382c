/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world.h - everything around the engine, faked: clock, agents with kernels, directory, store
 *
 * Used by the scenario runner (replay.c), the property test and the fuzz target. Pushes travel as
 * real wire messages; each agent applies them to a kernel of its own, which judges flows as ADR
 * 0003 says. What comes out of the engine is also a log of text lines that tests look into:
 *   record KIND VM user=U session=N seq=N DETAIL     VM ready ID enforced     VM helloack N
 *   VM eventack N    VM kick ID REASON    VM refused TEXT    VM closed WHY    lookup KEY
 *   (KEY with a | between a name and the directory of bare names on its VM)
 *   VM state gG vV N elements    VM delta gG vV N ops
 */
#ifndef TESTS_SVM_WORLD_H
#define TESTS_SVM_WORLD_H

#include "fw/fwwire.h"
#include "svm-idfw/recent.h"

#define WORLD_VMS 16
#define WORLD_FLOWS 32

struct push {			/* on its way to an agent */
	struct fw_state *state; /* or */
	struct fw_delta *delta;
	struct push *next;
};

struct flow {
	char name[32];
	struct fw_key subject; /* uid or address that began it */
	bool is_static;	       /* allowed to everybody by a rule */
	char group[48];	       /* else: allowed to members */
	uint32_t mark;	       /* conntrack's; 0: was not accepted */
};

struct agent {
	char name[48];
	uint8_t boot[16];
	struct fw_state *kernel;      /* owned; NULL: nothing loaded */
	uint64_t generation, version; /* kernel's */
	struct push *first, *last;
	struct flow flows[WORLD_FLOWS];
	size_t n_flows;
};

struct world {
	struct idfw_engine *e;
	uint64_t mono_ms, real_ms;
	bool no_ack; /* agents wait until told */
	bool store_full, push_full, lookup_full;
	struct agent agents[WORLD_VMS];
	size_t n_agents;
	char **log; /* owned lines; NULL: found already */
	size_t n_log, cap_log;
	char *policy; /* text */
	uint64_t generation;
	uint64_t seed[2];
	uint32_t isolate_max;		      /* 20 */
	uint32_t sessions_max, events_max;    /* 0: none */
	struct idfw_limits limits[WORLD_VMS]; /* of single VMs; names owned */
	size_t n_limits;
	struct {
		char label[48], domain[64];
	} claims[WORLD_VMS]; /* of directories, for names in the policy */
	size_t n_claims;
	uint64_t push_deadline_ms; /* 0: none */
	uint64_t turned_away;	   /* what the next guest_up says */
	const char *spared;	   /* never-isolate: this VM; or NULL */
	bool quiet;		   /* no log: the property test */
	/* told what agents say, before the engine is; or NULL */
	void (*heard)(struct world *w, const char *vm, const Idfw__Envelope *env);
	void *heard_arg;
};

void world_init(struct world *w);
void world_fini(struct world *w);
/* world_names.c */
void world_limits_free(struct world *w);
struct pol_domains world_domains(const struct world *w);    /* whose are names with a domain? */
struct agent *world_agent(struct world *w, const char *vm); /* or makes it */
/* ends a step: tick, flush, agents answer (unless no_ack), everything is checked; NULL or what is
 * wrong */
const char *world_settle(struct world *w);
/* 0 or what the engine says; diagnostics on stderr */
int world_policy(struct world *w, const char *text);
/* the engine dies; a new one is given what a database would know, or nothing (@lost) but the policy
 */
int world_restart(struct world *w, bool lost);

int world_up(struct world *w, const char *vm, const char *allowed, size_t n_allowed,
	const struct gi_prefix *list);
/* an agent's message; the guest is dropped when the engine says so; returns what it said */
int world_say(struct world *w, const char *vm, const Idfw__Envelope *env);
int world_hello(struct world *w, const char *vm, uint8_t boot, uint32_t version);
/* the same of an agent that has given out numbers up to @last_seq */
int world_hello_last(
	struct world *w, const char *vm, uint8_t boot, uint32_t version, uint64_t last_seq);
int world_marks(struct world *w, const char *vm); /* what its kernel holds */
/* answers the oldest push; result: IDFW__APPLIED__RESULT__*; -ENOENT: none waits */
/* Applied STALE that answers nothing: the agent's pusher is a new one */
int world_pusher_restarted(struct world *w, const char *vm);
int world_ack(struct world *w, const char *vm, int result);

/* the first line of the log that has all words, in order; it is not found again */
bool world_log_take(struct world *w, const char *const *words, size_t n);
bool world_log_has(const struct world *w, const char *const *words, size_t n);
void world_log_clear(struct world *w);

/* a new flow, judged; then later: is it still let through? */
bool world_flow_new(struct world *w, const char *vm, const char *name, const struct fw_key *subject,
	const char *group);
bool world_flow_alive(struct world *w, const char *vm, const char *name);
/* would a new flow of this subject match a rule `from group`? */
bool world_member(struct world *w, const char *vm, const struct fw_key *subject, const char *group);

/* so many seconds without a heartbeat: the VM's kernel ends marks by itself */
void world_lapse(struct world *w, const char *vm, uint32_t after_s);

/* a ScanRecord of the world's outbox; what the engine says */
int world_scan(struct world *w, const Idfw__ScanRecord *r);

/* naive.c: vm->want recomputed from sessions, principals, addresses and policy; NULL or what
 * differs */
const char *world_naive(struct world *w, struct idfw_vm *vm);
int world_recent_restore(struct world *w, const struct idfw_recent *rec); /* as store_load.c does */

#endif
