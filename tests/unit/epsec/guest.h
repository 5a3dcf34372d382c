/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guest.h - plays a mux and its guests' agents towards a scan service, over real TLS
 *
 * For tests and benchmarks of libepsec and of what is built on it. One struct tg is one mux's
 * connection with a thread of its own; guests are names on it, files are memory. It answers
 * FileRead, FileWrite and pings by itself; what a hostile guest would send goes out by tg_send().
 * Every wait is bounded by TG_WAIT_MS and ends the program when it is over: a test never hangs.
 */
#ifndef TEST_EPSEC_GUEST_H
#define TEST_EPSEC_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "epsec/epsec.h"
#include "lib/wire/wire.h"

#define TG_WAIT_MS 60000
#define TG_VMS_MAX 64
#define TG_EVENTS 65536 /* ids are remembered for so many later ones */

/* a directory with certificates, and a place to listen */
struct tg_bed {
	char dir[64];
	char listen[96];		/* unix:DIR/s */
	char ca[96], cert[96], key[96]; /* the service's */
	const char *mux_names[2];	/* "host1", "host2": DIR/host1.pem, .key */
};
void tg_bed_init(struct tg_bed *b);
void tg_bed_fini(struct tg_bed *b); /* removes the directory */
/* listen, certificates, names; version, epoch: all that eps_open() wants */
void tg_bed_conf(const struct tg_bed *b, struct eps_conf *ret);

struct tg_file { /* the caller's, until its verdict */
	const char *path;
	const uint8_t *data;
	size_t len;
	uint64_t size; /* what the event says; 0: len */
	uint32_t deadline_ms;
	int read_err;	    /* errno of every read */
	int write_err;	    /* errno of every write */
	int last_err;	    /* errno of the last write */
	bool silent;	    /* answers no FileRead, no FileWrite */
	bool small;	    /* answers ranges in pieces of 1000 bytes */
	int done;	    /* FileDone.result to send after a verdict that has one; 0: none */
	uint32_t actor_uid; /* not 0: the event comes with an actor */
};

struct tg_verdict {
	int kind; /* Idfw__FileVerdictKind */
	bool failed, until_change;
	char engine[WIRE_ENGINE_MAX + 1], signature[WIRE_SIGNATURE_MAX + 1];
	char reason[WIRE_TEXT_MAX + 1];
	uint8_t epoch[WIRE_EPOCH_MAX];
	size_t epoch_len, sha256_len;
	uint8_t *content; /* of REPLACE, owned by the tg until the next event of that slot */
	size_t content_len;
	bool content_last;
};

struct tg_vm { /* what the service said to a guest */
	char name[64];
	bool up, closed;
	char why[WIRE_TEXT_MAX + 1]; /* VmClose */
	uint8_t epoch[WIRE_EPOCH_MAX];
	size_t epoch_len;
	uint32_t credits, ops, head_bytes;
	uint64_t max_bytes, hello_acked, report_acked;
	unsigned int n_settings, n_pongs;
	uint64_t command; /* id of the last FileCommand */
	int command_verb;
	uint8_t boot_id[WIRE_BOOT_ID_LEN];
};

struct tg;
struct tg_conf {
	const char *endpoint, *ca, *cert, *key, *server_name;
	/*
	 * Not NULL: it is no mux but that guest's agent, which speaks to a real one at @endpoint;
	 * no TLS. Connected means then: settled.
	 */
	const char *agent;
	/* from its thread, for each verdict; may call tg_event() */
	void (*on_verdict)(void *arg, struct tg *t, uint64_t id);
	void *arg;
};

/* connects, says Hello as mux @name of the bed; returns when the service answered or hung up */
struct tg *tg_new(const struct tg_bed *b, const char *name);
struct tg *tg_new_conf(const struct tg_conf *c);
void tg_free(struct tg *t); /* cuts the connection */

void tg_up(struct tg *t, const char *vm);      /* VmUp, Hello; waits for its ScanSettings */
void tg_up_only(struct tg *t, const char *vm); /* VmUp, Hello; waits for nothing */
void tg_down(struct tg *t, const char *vm);
/* returns the id of its FileEvent */
uint64_t tg_event(struct tg *t, const char *vm, enum eps_op op, const struct tg_file *f);
void tg_send(struct tg *t, const char *vm, const Idfw__Envelope *e);
void tg_send_frame(struct tg *t, const void *routed, size_t len);
uint64_t tg_last_id(struct tg *t);

/* waits; the answer is @ret */
void tg_verdict(struct tg *t, uint64_t id, struct tg_verdict *ret);
bool tg_has_verdict(struct tg *t, uint64_t id); /* does not wait */
/* waits until @is says so of the VM */
void tg_wait_vm(struct tg *t, const char *vm, bool (*is)(const struct tg_vm *v, const void *arg),
	const void *arg, struct tg_vm *ret);
void tg_wait_closed(struct tg *t, const char *vm, char why[WIRE_TEXT_MAX + 1]); /* by VmClose */
void tg_wait_cut(struct tg *t); /* the service ended the link */
bool tg_is_cut(struct tg *t);
uint64_t tg_reads(struct tg *t); /* FileReads so far */

#endif
