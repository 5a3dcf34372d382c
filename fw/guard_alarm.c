/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * guard_alarm.c - which alarms are on, and when they are told: begun, changed, over
 *
 * Runs in gi-netagent's pusher process, for guard.c, which gives the time: nothing here looks at a
 * clock. An alarm of one kind is told at most once a second, with its latest text. One that happens
 * is over after ten quiet minutes, one that lasts when its cause is. At the start each kind counts
 * as told: a predecessor may have done it and not lived to say that it is over.
 */
#include "fw/guard_int.h"

#include <string.h>

#define TELL_MS 1000

void fw_alarms_init(struct fw_alarms *a, fw_guard_tell *tell, void *arg, uint64_t now_ms)
{
	*a = (struct fw_alarms){ .tell = tell, .arg = arg };
	for (int kind = 1; kind < FW_ALARM_COUNT; kind++) {
		a->of[kind].on = true;
		a->of[kind].last_ms = now_ms;
	}
	a->of[FW_ALARM_FOREIGN_CHAIN].lasting = true;
	a->of[FW_ALARM_NOT_OWNED].lasting = true;
}

static void tell_now(struct fw_alarms *a, enum fw_alarm kind, uint64_t now_ms)
{
	a->of[kind].due = false;
	a->of[kind].told = true;
	a->of[kind].told_ms = now_ms;
	a->tell(a->arg, kind, false, a->of[kind].text);
}

void fw_alarms_over(struct fw_alarms *a, enum fw_alarm kind)
{
	if (!a->of[kind].on)
		return;
	a->of[kind].on = a->of[kind].due = false;
	a->tell(a->arg, kind, true, a->of[kind].text);
}

/* names in @text are others' */
void fw_alarms_on(struct fw_alarms *a, enum fw_alarm kind, const char *text, uint64_t now_ms)
{
	struct fw_alarm_state *s = &a->of[kind];
	char clean[FW_ALARM_TEXT_LEN];
	size_t n = 0;

	for (; text[n] && n < sizeof(clean) - 1; n++)
		clean[n] = text[n] >= 0x20 && text[n] < 0x7f ? text[n] : '?';
	clean[n] = '\0';
	s->last_ms = now_ms;
	if (s->on && strcmp(s->text, clean) == 0)
		return;
	if (s->lasting && s->text[0])
		fw_alarms_over(a, kind); /* this one is another */
	s->on = true;
	memcpy(s->text, clean, sizeof(clean));
	s->due = true;
	if (!s->told || now_ms - s->told_ms >= TELL_MS)
		tell_now(a, kind, now_ms);
}

uint64_t fw_alarms_work(struct fw_alarms *a, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX;

	for (int kind = 1; kind < FW_ALARM_COUNT; kind++) {
		struct fw_alarm_state *s = &a->of[kind];
		uint64_t at = s->due ? s->told_ms + TELL_MS : s->last_ms + FW_GUARD_QUIET_MS;

		if (!s->on || (s->lasting && !s->due))
			continue;
		if (now_ms >= at && s->due)
			tell_now(a, (enum fw_alarm)kind, now_ms);
		else if (now_ms >= at)
			fw_alarms_over(a, (enum fw_alarm)kind);
		if (!s->on)
			continue;
		at = s->due ? s->told_ms + TELL_MS : s->last_ms + FW_GUARD_QUIET_MS;
		if (!s->lasting || s->due)
			next = at < next ? at : next;
	}
	return next;
}
