/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * control_int.h - private to control.c, verbs.c and rows.c: one request of idfwctl
 *
 * A request makes rows into .out; what it asked agents stands in .commands until the last reply,
 * a guest that goes away, or silence. Main thread.
 */
#ifndef SVM_SCAN_CONTROL_INT_H
#define SVM_SCAN_CONTROL_INT_H

#include <jansson.h>
#include "lib/ctl/ctl.h"
#include "svm-scan/service.h"

#define CONTROL_SILENCE_MS 20000 /* an agent that says nothing for so long */
#define CONTROL_STEP_MS 10000	 /* scan-test: for what should have happened */
#define CONTROL_OUT_MAX 8192	 /* rows that wait for a client */
#define CONTROL_ARGS_MAX 256

struct scan_query;

struct control_verb {
	const char *name;
	size_t min_args, max_args;
	void (*begin)(struct scan_query *q);
	/* an agent's reply; NULL: rows pass, the last one's status is the answer's */
	void (*reply)(struct scan_query *q, const char *vm, const Idfw__FileReply *r);
	void (*tick)(struct scan_query *q); /* ten times a second, and when records moved */
	void (*more)(struct scan_query *q); /* makes the next row, or ends */
	/* a reload ended */
	void (*reloaded)(struct scan_query *q, int err, const char *text);
	bool adds_vm; /* to the agents' rows */
};

struct control_command { /* under way */
	uint64_t id;
	char vm[EPS_VM_MAX + 1];
	struct scan_query *query; /* NULL: its client went away; replies are dropped */
	struct control_command *prev, *next;
};

struct control_row {
	char *json; /* owned */
	struct control_row *prev, *next;
};

struct scan_query {
	struct scan_control *control;
	struct scan_service *svc;
	struct gi_ctl_client *client;
	const struct control_verb *verb;
	char *args[CONTROL_ARGS_MAX]; /* owned */
	size_t n_args;
	char by[64];
	struct control_row *out;
	size_t n_out, rows; /* waiting; made so far */
	struct gi_buf text; /* diagnostics, one CtlText */
	size_t n_commands;  /* under way */
	uint64_t heard_ms;  /* monotonic: begin, or the last reply */
	bool done;
	uint32_t status;
	char why[WIRE_CTL_TEXT_MAX + 1];
	/* of single verbs */
	char cursor[EPS_VM_MAX + 1]; /* scan-status */
	int stage;		     /* scan-test */
	uint64_t before, target;     /* scan-test: findings, number of the record */
	uint64_t summed;	     /* scan-test: findings without a record */
	uint8_t sha256[32];	     /* scan-explain */
	bool has_sha256;
	uint64_t scan_id; /* scan-now */
	struct scan_query *prev, *next;
};

extern const struct control_verb control_verbs[];
extern const size_t control_n_verbs;

/* ---- control.c ---- */
void control_row(struct scan_query *q, json_t *row); /* takes @row, also NULL (no memory) */
void control_end(struct scan_query *q, uint32_t status, const char *fmt, ...) GI_PRINTF(3, 4);
/* an agent's row, as it is (or with "vm") */
void control_row_pass(struct scan_query *q, const char *vm, const char *json);
/* sends it; false: the query has ended (4: the VM is not connected) */
bool control_command(
	struct scan_query *q, const char *vm, Idfw__FileCommand *cmd, uint64_t *ret_id);
/* a COMMAND record: who did what to which VM */
void control_audit(struct scan_query *q, const char *vm, const char *path, const char *text);

/* ---- rows.c ---- */
json_t *control_row_service(struct scan_service *s, bool *ret_ok);
json_t *control_row_vm(const struct scan_vm_info *vm);
json_t *control_row_rules(struct scan_service *s, const char *vm, const uint8_t *sha256);
json_t *control_row_step(const char *step, bool ok, const char *text);

#endif
