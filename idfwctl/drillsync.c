/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * drillsync.c - is all in sync? What svm-idfw says of itself and of the VMs, for drills
 */
#include "idfwctl/drillsync.h"

#include <string.h>
#include "idfwctl/client.h"
#include "idfwctl/show.h"

#define WAIT_MS 2000

struct asked {
	struct drill_sync *s;
	const char *vm;
};

static void vm_row(struct asked *a, const json_t *row)
{
	bool in_sync = ctl_row_true(row, "in_sync");

	if (strcmp(ctl_row_text(row, "vm"), a->vm) == 0) {
		a->s->known = true;
		a->s->vm = ctl_row_true(row, "connected") && in_sync;
	}
	if (ctl_row_true(row, "connected")) {
		a->s->connected++;
		a->s->in_sync += in_sync;
	}
}

static int row_read(void *arg, const char *json)
{
	struct asked *a = arg;
	json_t *row = json_loads(json, 0, NULL);
	const char *type = ctl_row_text(row, "type");

	if (strcmp(type, "vm") == 0)
		vm_row(a, row);
	else if (strcmp(type, "svm") == 0)
		a->s->directory = strcmp(ctl_row_text(row, "directory"), "up") == 0;
	json_decref(row);
	return 0;
}

static int text_ignored(void *arg, const void *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	return 0;
}

int drill_sync_ask(
	const char *socket, const char *vm, struct drill_sync *ret, char ret_why[CTL_WHY_MAX])
{
	struct ctl_request rq = { .verb = "status" };
	struct asked a = { ret, vm };
	struct ctl_sink sink = { row_read, text_ignored, &a };
	struct ctl_client *c;
	unsigned int status;
	int err;

	*ret = (struct drill_sync){ 0 };
	ret_why[0] = '\0';
	err = ctl_client_open("svm-idfw", socket, WAIT_MS, &c, ret_why);
	if (err)
		return err;
	err = ctl_client_call(c, &rq, &sink, &status, ret_why);
	ctl_client_close(c);
	return err;
}

bool drill_sync_all(const struct drill_sync *s, size_t connected)
{
	return s->known && s->vm && s->directory && s->connected >= connected &&
	       s->in_sync == s->connected;
}
