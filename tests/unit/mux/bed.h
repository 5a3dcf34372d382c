/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bed.h - a real gi-mux process between guests and a service VM that the test plays
 *
 * The service VM is a TLS server on a unix socket in the test's directory, guests are plain
 * clients of the mux's listeners. One loop drives all of them; the mux is a child process. A
 * second bed of the same mux (bed_file_init) is the lane of the files: its service is the scan
 * service, its guests are file agents; mux and log belong to the first.
 */
#ifndef TESTS_UNIT_MUX_BED_H
#define TESTS_UNIT_MUX_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <cmocka.h>
#include "lib/base/buf.h"
#include "lib/io/chan.h"
#include "lib/io/tls.h"
#include "lib/wire/wire.h"

#define BED_WAIT_MS 60000
#define BED_SEEN_MAX 8192
#define BED_GUESTS 4

struct seen { /* one message that arrived */
	char vm[64];
	int body;  /* of Routed (service VM) or Envelope (guest) */
	int inner; /* body of the Envelope in a Routed */
	uint64_t token, seq;
	size_t len;
	char text[128]; /* why, transport or Refused's text */
	size_t n_allowed;
	uint64_t turned_away;
};

struct bed_guest {
	struct bed *bed;
	struct io_chan *chan; /* NULL: not connected */
	bool closed;
	struct seen seen[64];
	size_t n_seen;
	void (*on_frame)(struct bed_guest *g, const Idfw__Envelope *e);
};

struct bed_kind { /* of a lane */
	const char *sock, *port;
	enum wire_sender agent, service;
};

struct bed {
	const struct bed_kind *kind;
	bool files; /* the configuration has a scan service */
	char dir[64];
	struct io_loop *loop;
	struct io_tls_ctx *tls;
	int listen_fd; /* -1: the service VM is not there */
	struct io_fd listen_watch;
	struct io_chan *link; /* NULL: no mux connected */
	bool greeted;	      /* Hello answered */
	bool mute;	      /* no Pong */
	uint32_t ack_version; /* 0: no answer to Hello; UINT32_MAX: Refused */
	unsigned int links;   /* mux connections so far */
	struct seen seen[BED_SEEN_MAX];
	size_t n_seen;
	void (*on_routed)(struct bed *b, const Idfw__Routed *r);
	void *test; /* the test's own */
	struct bed_guest guests[BED_GUESTS];
	pid_t mux;
	int mux_status; /* of waitpid, once it ended */
};

/* @san: name in the service VM's certificate; the mux expects svm.test */
void bed_init(struct bed *b, const char *san);
void bed_fini(struct bed *b); /* also ends the mux */
/* the lane of the files of @of's mux, before that is started; bed_file_fini() comes first */
void bed_file_init(struct bed *b, struct bed *of);
void bed_file_fini(struct bed *b);
/* @extra: configuration lines in front; @vms: "vm" blocks, %s in them is the directory; NULL: the
 * usual two */
void bed_conf(struct bed *b, const char *extra, const char *vms);
void bed_mux_start(struct bed *b);
void bed_mux_signal(struct bed *b, int signum);
int bed_mux_wait(struct bed *b);		 /* exit code, or -signal */
int bed_mux_run(struct bed *b, const char *arg); /* gi-mux ARG -c ...; exit code */
bool bed_log_has(struct bed *b, const char *words);
/* SIGUSR1, then the number behind @name= in that VM's line; -1: no such */
long bed_counter(struct bed *b, const char *vm, const char *name);
void bed_svm_ping(struct bed *b);
void bed_svm_start(struct bed *b);
void bed_svm_stop(struct bed *b); /* closes listener and link, as kill -9 would */
void bed_up(struct bed *b);	  /* service VM, mux, handshake done */

/* @vm: its listener; the connection is made at once */
void bed_guest_connect(struct bed *b, struct bed_guest *g, const char *vm);
void bed_guest_drop(struct bed_guest *g);
void bed_guest_send(struct bed_guest *g, const Idfw__Envelope *e);
void bed_guest_raw(struct bed_guest *g, const void *bytes, size_t len);
void bed_guest_hello(struct bed_guest *g);
void bed_guest_ping(struct bed_guest *g, uint64_t token);
void bed_svm_send(struct bed *b, const char *vm, const Idfw__Envelope *e);
void bed_svm_hello_ack(struct bed *b, const char *vm);
void bed_svm_close(struct bed *b, const char *vm, const char *why);
/* connected, Hello up, HelloAck down */
void bed_guest_ready(struct bed *b, struct bed_guest *g, const char *vm);

/* how many messages of @body came for @vm ("" any); inner 0: any Envelope */
size_t bed_count(const struct bed *b, const char *vm, int body, int inner);
const struct seen *bed_last(const struct bed *b, const char *vm, int body);
size_t bed_guest_count(const struct bed_guest *g, int body);

/* rounds until @cond; fails when it does not come true */
#define bed_until(b, cond)                                        \
	do {                                                      \
		uint64_t end_ = io_clock_mono_ms() + BED_WAIT_MS; \
		while (!(cond) && io_clock_mono_ms() < end_)      \
			io_loop_run_once((b)->loop, 50);          \
		if (!(cond))                                      \
			fail_msg("never: %s", #cond);             \
	} while (0)

#endif
