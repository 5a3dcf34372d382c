/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.h - the parsing process of gi-netagent: what its parts share
 *
 * agent.c owns everything and decides; sessions are in open.c (how they begin) and life.c (record,
 * ends, restart), rulesets and deltas in rules.c. Runs as an unprivileged user behind a seccomp
 * filter.
 */
#ifndef NETAGENT_AGENT_H
#define NETAGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include "config.h"
#include "fw/fwwire.h"
#include "lib/io/loop.h"
#include "lib/io/spool.h"
#include "lib/wire/wire.h"
#include "netagent/addrs.h"
#include "netagent/alarm.h"
#include "netagent/cgroup.h"
#include "netagent/cgwatch.h"
#include "netagent/events.h"
#include "netagent/found.h"
#include "netagent/link.h"
#include "netagent/naconf.h"
#include "netagent/pamsock.h"
#include "netagent/place.h"
#include "netagent/push.h"
#include "netagent/sessfile.h"
#include "netagent/session.h"
#include "netagent/suspend.h"
#include "netagent/units.h"

struct na_agent {
	const struct na_conf *conf;
	struct io_loop *loop;
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
	struct na_sessions sessions;
	struct na_sessfile files;
	bool files_bad;	       /* said already */
	struct na_addrs addrs; /* as last reported */
	struct io_spool *spool;
	struct na_link *link;
	struct na_pam *pam; /* NULL until the keeper gave us its listener */
	struct na_place *place;
	struct na_cgroup_root cgroups; /* mount "": we see none */
	bool have_cgroups;	       /* the placer makes some; true until it says no */
	struct na_opening *openings;
	struct na_cgwatch *cgwatch;
	struct na_units units;
	struct na_found found;
	struct na_suspend *suspend;
	struct na_alarms alarms;
	struct na_push *push;
	struct na_addrs_watch *addrs_watch;
	struct fw_wire_reader *reader;
	struct io_fd keeper;
	int keeper_fd;
	struct io_timer spool_retry;
	bool spool_bad; /* said already */
	bool link_bad;	/* said already */
	bool marks_due; /* the SVM waits for Marks, no pusher yet */
	struct io_timer marks_timer;
	uint64_t lost_told;	    /* lost events that were reported to the log */
	struct io_spool *old_spool; /* of an earlier boot, while it is being sent */
	struct na_link *old_link;
	struct io_idle old_done;
	char old_dir[300];
};

/* the whole life of the process; returns the exit code */
int na_agent_run(const struct na_conf *conf, int keeper_fd);

/* connects for the present boot, once nothing of an earlier one is left; -errno, -ENOMEM */
GI_MUST_CHECK int na_agent_connect(struct na_agent *a);
#define NA_AGENT_SOFTWARE PACKAGE_NAME " gi-netagent " PACKAGE_VERSION

/* ---- boot.c ---- */

/* directory of a boot's spool, NUL-terminated */
void na_boot_dir(
	const struct na_agent *a, const uint8_t id[WIRE_BOOT_ID_LEN], char *buf, size_t size);
/*
 * sends what earlier boots left unacknowledged, deletes it, then calls na_agent_connect(): at once
 * when there is nothing. The SVM sees an earlier boot's id only before it sees ours, or it would
 * take our sessions for the past's.
 */
void na_boot_begin(struct na_agent *a);
void na_boot_stop(struct na_agent *a);

/* ---- open.c ---- */

/* EVENT=open of PAM */
void na_open_pam(struct na_agent *a, struct na_pam_conn *c, const struct na_pam_event *ev,
	struct na_pam_peer *peer);
/*
 * na_open_found - a login that PAM did not tell us of
 * @leader: takes its pidfd
 * @ret_placed: it gets a cgroup of ours, so its other processes may follow; else it is recorded
 * Returns its number.
 */
uint64_t na_open_found(struct na_agent *a, const struct na_pam_event *ev,
	const struct na_pam_peer *leader, uint64_t opened_ms, bool *ret_placed);
/* the login session, live or ended, in whose cgroup @path is; 0: none */
uint64_t na_open_session_of(const struct na_agent *a, const char *path);
/* EVENT=soon of PAM: the placer makes itself ready */
void na_open_soon(struct na_agent *a, struct na_pam_conn *c);
/* this leader's session waits for the placer */
bool na_open_waits(const struct na_agent *a, uint32_t leader_pid);
/* a close of a session that is not recorded yet: true, it ends as soon as it is */
bool na_open_close(struct na_agent *a, uint32_t leader_pid);
/* na_place_ops */
void na_open_placed(void *arg, uint64_t session, int err, uint64_t cgroup);
void na_open_place_ready(void *arg, int err);
void na_open_stop(struct na_agent *a);

/* ---- life.c ---- */

/* what the spool remembers, into the table: io_spool_ops.restore */
void na_life_restore(
	void *arg, enum io_spool_record type, uint64_t seq, const void *buf, size_t len);
void na_life_checkpoint(void *arg, struct gi_buf *out);
/* the cgroup that logind made for this session is at s->scope: it is looked after */
void na_life_scope(struct na_agent *a, const struct na_session *s);
/* some cgroup came or went: sessions whose scope is gone end */
void na_life_cgroups(struct na_agent *a);
/* after opening the spool: watch the leaders that live, end the sessions of those that do not */
void na_life_resume(struct na_agent *a);
void na_life_pam_event(
	void *arg, struct na_pam_conn *c, const struct na_pam_event *ev, struct na_pam_peer *peer);
/* into the spool; on failure the session is not there any more */
GI_MUST_CHECK int na_life_record_open(struct na_agent *a, struct na_session *s);
/* @pidfd: takes; false: its leader cannot be watched */
bool na_life_watch(struct na_agent *a, struct na_session *s, int pidfd);
void na_life_file(struct na_agent *a, const struct na_session *s);
void na_life_end(struct na_agent *a, struct na_session *s, Idfw__EndReason reason); /* frees @s */
void na_life_addresses(struct na_agent *a, const struct na_addrs *now);
void na_life_kick(struct na_agent *a, uint64_t id, const char *reason);
/* says once when the spool gets bad and once when it is good again */
void na_life_spool_check(struct na_agent *a);
/* after na_life_resume(): the sessions that live are the files in sessions-dir */
void na_life_files(struct na_agent *a);
void na_life_stop(struct na_agent *a); /* frees the watches */

/* ---- rules.c ---- */

/* RulesetBegin, RulesetPart, RulesetCommit, Delta */
void na_rules_message(struct na_agent *a, const Idfw__Envelope *e);
/* the link is open: Marks are due */
void na_rules_opened(struct na_agent *a);
/* a fresh pusher */
void na_rules_pusher(struct na_agent *a, int fd);
extern const struct na_push_ops na_rules_push_ops;

#endif
