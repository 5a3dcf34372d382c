/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * admin.c - what a service says besides verdicts: epochs, limits, acknowledgements, commands
 *
 * From any thread. Settings are only marked here: the library's thread sends ScanSettings to whom
 * they concern (core.c). Also eps_stats() and the words for errors.
 */
#include "config.h"

#include "epsec/eps_int.h"

#include <stdlib.h>
#include <string.h>

const char *eps_version(void)
{
	return PACKAGE_VERSION;
}

const char *eps_strerror(int err)
{
	static const struct {
		int err;
		const char *text;
	} own[] = {
		{ EPS_EGONE, "nobody waits for it any more" },
		{ EPS_ECHANGED, "the file is another by now" },
		{ EPS_EDONE, "already answered, or complete" },
		{ EPS_EVERSION, "this library does not speak that api_version" },
		{ EPS_ESTOPPED, "the service was stopped" },
		{ EPS_EINLOOP, "would block, in a callback" },
		{ EPS_EREFUSED, "the guest does not do that" },
		{ EPS_ELIMIT, "over a limit" },
	};

	for (size_t i = 0; i < GI_ARRAY_SIZE(own); i++)
		if (err == -own[i].err || err == own[i].err)
			return own[i].text;
	return gi_strerror(err > 0 ? -err : err);
}

static void unsettle_one(struct eps_node *n, void *arg)
{
	(void)arg;
	((struct eps_vm *)n)->unsettled = true;
}

int eps_epoch_set(struct eps *e, const uint8_t *epoch, size_t len)
{
	if (!epoch || len < 1 || len > EPS_EPOCH_MAX)
		return -EINVAL;
	pthread_mutex_lock(&e->lock);
	memcpy(e->epoch, epoch, len);
	e->epoch_len = len;
	e->unsettled = true;
	eps_table_each(&e->vms, unsettle_one, NULL);
	pthread_mutex_unlock(&e->lock);
	eps_wake(e);
	return 0;
}

int eps_guest_limits_set(struct eps *e, const char *name, uint32_t credits, uint64_t max_file_bytes)
{
	struct eps_vm *vm;
	bool wake = false;
	int err;

	if (credits > WIRE_CREDITS_MAX)
		return -EINVAL;
	pthread_mutex_lock(&e->lock);
	err = eps_vm_get(e, name, &vm);
	if (err == 0 && (vm->credits != credits || vm->max_file_bytes != max_file_bytes)) {
		vm->credits = credits;
		vm->max_file_bytes = max_file_bytes;
		vm->unsettled = e->unsettled = wake = true;
	}
	pthread_mutex_unlock(&e->lock);
	if (wake)
		eps_wake(e);
	return err;
}

static int report_ack(struct eps *e, struct eps_guest *g, uint64_t seq)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__FileReportAck m = IDFW__FILE_REPORT_ACK__INIT;
	bool last;
	int err;

	m.seq = seq;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_REPORT_ACK;
	env.file_report_ack = &m;
	err = eps_post(g, &env);
	pthread_mutex_lock(&e->lock);
	last = eps_guest_unref(g);
	pthread_mutex_unlock(&e->lock);
	if (last)
		eps_guest_free(g);
	return err == -EPS_EGONE ? 0 : err; /* it hears of it when it is back */
}

int eps_report_ack(struct eps *e, const char *name, const uint8_t boot_id[16], uint64_t seq)
{
	struct eps_guest *g = NULL;
	struct eps_vm *vm;
	int err;

	pthread_mutex_lock(&e->lock);
	err = eps_vm_get(e, name, &vm);
	if (err == 0) {
		if (memcmp(vm->boot_id, boot_id, sizeof(vm->boot_id)) != 0) {
			memcpy(vm->boot_id, boot_id, sizeof(vm->boot_id));
			vm->acked = 0;
		}
		if (seq > vm->acked)
			vm->acked = seq;
		g = vm->guest;
		if (g && (!g->link || g->state != WIRE_OPEN ||
				 memcmp(g->boot_id, boot_id, sizeof(g->boot_id)) != 0))
			g = NULL;
		if (g)
			g->refs++;
	}
	pthread_mutex_unlock(&e->lock);
	return g ? report_ack(e, g, seq) : err;
}

/* lock held: the guest, with a reference and a number for a command */
static int command_begin(struct eps *e, const char *name, struct eps_guest **ret, uint64_t *ret_id)
{
	struct eps_vm *vm = eps_vm_find(e, name);
	struct eps_guest *g = vm ? vm->guest : NULL;

	if (!g || !g->link || g->state != WIRE_OPEN)
		return -EPS_EGONE;
	if (g->n_commands == EPS_COMMANDS_MAX)
		return -ENOBUFS;
	g->refs++;
	*ret_id = ++e->next_command;
	g->commands[g->n_commands++] = *ret_id;
	*ret = g;
	return 0;
}

static void command_forget(struct eps_guest *g, uint64_t id)
{
	for (size_t i = 0; i < g->n_commands; i++)
		if (g->commands[i] == id) {
			g->commands[i] = g->commands[--g->n_commands];
			return;
		}
}

int eps_command(struct eps *e, const char *vm, const uint8_t *buf, size_t len, uint64_t *ret_id)
{
	Idfw__FileCommand *m =
		len <= WIRE_FRAME_MAX ? idfw__file_command__unpack(NULL, len, buf) : NULL;
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	struct eps_guest *g = NULL;
	bool last;
	int err;

	if (!m)
		return -EINVAL;
	pthread_mutex_lock(&e->lock);
	err = command_begin(e, vm, &g, &m->id);
	pthread_mutex_unlock(&e->lock);
	if (err < 0)
		goto out;
	env.body_case = IDFW__ENVELOPE__BODY_FILE_COMMAND;
	env.file_command = m;
	*ret_id = m->id; /* before a reply can come */
	err = eps_post(g, &env);
	pthread_mutex_lock(&e->lock);
	if (err < 0)
		command_forget(g, m->id);
	last = eps_guest_unref(g);
	pthread_mutex_unlock(&e->lock);
	if (last)
		eps_guest_free(g);
out:
	idfw__file_command__free_unpacked(m, NULL);
	return err;
}

void eps_stats(struct eps *e, struct eps_stats *ret)
{
	struct eps_stats s = { 0 };
	size_t size = ret->size && ret->size < sizeof(s) ? ret->size : sizeof(s);

	s.size = ret->size;
	s.events = EPS_GET(e->s_events);
	s.looked = EPS_GET(e->s_looked);
	s.answered = EPS_GET(e->s_answered);
	s.gone = EPS_GET(e->s_gone);
	s.failed = EPS_GET(e->s_failed);
	s.busy = EPS_GET(e->s_busy);
	s.read_requests = EPS_GET(e->s_read_requests);
	s.read_bytes = EPS_GET(e->s_read_bytes);
	s.ahead_bytes_wasted = EPS_GET(e->s_wasted);
	s.bad_frames = EPS_GET(e->s_bad_frames);
	s.refused_links = EPS_GET(e->s_refused_links);
	s.memory_bytes = EPS_GET(e->memory);
	pthread_mutex_lock(&e->lock);
	s.guests = e->n_guests;
	s.links = e->n_up;
	s.waiting = e->n_waiting;
	pthread_mutex_unlock(&e->lock);
	memcpy(ret, &s, size);
}
