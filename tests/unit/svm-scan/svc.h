/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * svc.h - the real svm-scan in a directory of its own, with a svm-idfw and an idfwctl played here
 *
 * Guests are those of tests/unit/epsec/guest.h. The receiver (svm-idfw) and the control clients run
 * in the test's loop: they move while the test waits in svc_wait(), and only then.
 */
#ifndef TEST_SCAN_SVC_H
#define TEST_SCAN_SVC_H

#include <jansson.h>
#include <sys/types.h>
#include "lib/io/chan.h"
#include "lib/io/tls.h"
#include "tests/unit/epsec/guest.h"

#define SVC_RECORDS_MAX 4096
#define SVC_CLIENTS_MAX 4

struct svc_record { /* what reached the receiver, once each */
	uint64_t seq;
	int kind, verdict, result, isolate, op;
	char vm[64], path[256], engine[80], signature[260], text[260], by[64], user[64];
	uint64_t session, took_us;
	size_t sha256_len, qid_len;
};

struct svc_client { /* one request of idfwctl */
	struct io_chan *chan;
	json_t *rows;
	char text[8192];
	bool ended, closed;
	uint32_t status;
	char why[1100];
};

struct svc {
	struct tg_bed bed;
	char conf[128], log[128], list[128], rules[128], ctl[128], audit[128];
	char extra[1024]; /* lines of the configuration */
	pid_t pid;
	struct io_loop *loop;
	/* the receiver */
	struct io_tls_ctx *tls;
	int listen_fd;
	struct io_fd listener;
	struct io_chan *link; /* svm-scan's, or NULL */
	enum wire_state link_state;
	bool mute; /* takes records, acknowledges nothing */
	bool deaf; /* does not accept */
	uint8_t outbox[WIRE_BOOT_ID_LEN];
	uint64_t acked;	      /* of that outbox */
	size_t hellos, twice; /* Hellos; records that came again */
	struct svc_record records[SVC_RECORDS_MAX];
	size_t n_records;
};

void svc_init(struct svc *s);  /* directory, certificates, signatures, receiver */
void svc_start(struct svc *s); /* writes the configuration; returns when it listens for idfwctl */
void svc_kill(struct svc *s, int signum); /* and reaps: asserts the exit of SIGTERM */
void svc_fini(struct svc *s);
int svc_setup(void **state); /* of a test: one of these on the heap */
int svc_teardown(void **state);
void svc_conf_write(struct svc *s);
void svc_list_write(struct svc *s, const char *text);
/* runs the loop until @is; asserts that this is within TG_WAIT_MS */
void svc_wait(struct svc *s, bool (*is)(struct svc *s, void *arg), void *arg);
void svc_wait_records(struct svc *s, size_t n);
/* the first of @kind from @from on, or NULL */
const struct svc_record *svc_record_of(struct svc *s, int kind, size_t from);
/* for svc_wait(); @arg: where the first of a verdict is put */
bool svc_has_verdict_record(struct svc *s, void *arg);
struct tg_file svc_file(const char *path, const char *content); /* its verdict is carried out */
/* of all threads of the service: its workers; how many, at most @max */
size_t svc_children(struct svc *s, pid_t *ret, size_t max);
bool svc_log_has(struct svc *s, const char *words);
void svc_run(struct svc *s, int ms); /* the loop, once */

/* a request and its whole answer; args end with NULL */
struct svc_client *svc_ask(struct svc *s, const char *verb, ...) __attribute__((sentinel));
struct svc_client *svc_ask_begin(struct svc *s, const char *verb, ...) __attribute__((sentinel));
void svc_ask_wait(struct svc *s, struct svc_client *c);
void svc_client_free(struct svc_client *c);
/* a number of the first row of scan-status */
uint64_t svc_stat(struct svc *s, const char *name);
/* the next FileCommand to a guest after @last; its id */
uint64_t svc_command(struct svc *s, struct tg *t, const char *vm, uint64_t last, int *ret_verb);
void svc_reply(struct tg *t, const char *vm, uint64_t id, const char *json, bool last,
	uint32_t status, const char *text);

#endif
