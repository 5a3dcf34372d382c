/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * command_int.h - what the verbs of an operator's commands share
 *
 * command.c keeps the commands and their rows until the link takes them, and has the quarantine's
 * verbs; cmdscan.c SCAN, cmdexplain.c EXPLAIN, cmdtest.c TEST. One command is one struct; its verb
 * ends it by fa_cmd_end(), once, or is stopped by its stop().
 */
#ifndef FILEAGENT_COMMAND_INT_H
#define FILEAGENT_COMMAND_INT_H

#include "fileagent/faconf.h"
#include "fileagent/json.h"
#include "fileagent/worker.h"

#define FA_CMDS_MAX 8		   /* at once; one more is told to come again */
#define FA_CMD_ROWS_MAX (1u << 20) /* bytes of rows that wait for the link */
#define FA_CMD_EXIT_NO 1	   /* exit codes of idfwctl, docs/control.md */
#define FA_CMD_EXIT_NOT_FOUND 4

struct fa_cmd {
	struct fa_cmd *next, **pp;
	struct fa_commands *all;
	struct fa_worker *worker;
	uint64_t id;
	Idfw__FileCommand__Verb verb;
	bool ended;
	struct gi_buf row;		/* scratch */
	void *state;			/* the verb's; freed by stop() */
	void (*stop)(struct fa_cmd *c); /* nothing more of it comes; also at the end */
	char path[WIRE_PATH_MAX + 1];
};

/* begins a row in c->row; fa_json_end() and fa_cmd_send() end it */
void fa_cmd_row(struct fa_cmd *c, struct fa_json *j, const char *type); /* type NULL: none */
void fa_cmd_send(struct fa_cmd *c);
/* false: as many rows wait as may: whoever makes them is to pause until fa_cmd_room */
bool fa_cmd_has_room(const struct fa_cmd *c);
/* the last one; @text: NULL with status 0. @c is freed soon, not at once; stop() is called */
void fa_cmd_end(struct fa_cmd *c, uint32_t status, const char *text);

/* the verbs; each ends its command, now or later */
void fa_cmd_scan(struct fa_cmd *c);
void fa_cmd_scan_room(struct fa_cmd *c);
void fa_cmd_explain(struct fa_cmd *c);
void fa_cmd_test(struct fa_cmd *c);

#endif
