/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alarm.c - alarms to the SVM, see alarm.h
 */
#include "netagent/alarm.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "netagent/agent.h"

static void send_alarm(struct na_agent *a, Idfw__Alarm__Kind kind, bool over, const char *text)
{
	Idfw__Envelope env = IDFW__ENVELOPE__INIT;
	Idfw__Alarm alarm = IDFW__ALARM__INIT;

	alarm.kind = kind;
	alarm.over = over;
	alarm.text = (char *)text; /* protobuf-c has no const */
	env.body_case = IDFW__ENVELOPE__BODY_ALARM;
	env.alarm = &alarm;
	/* not open: what lasts is told by na_alarm_opened() */
	if (a->link)
		(void)!na_link_send(a->link, &env);
}

void na_alarm_begin(struct na_agent *a, Idfw__Alarm__Kind kind, const char *text)
{
	char *kept = a->alarms.lasting[kind].text;

	if (a->alarms.lasting[kind].on && strncmp(kept, text, WIRE_TEXT_MAX) == 0)
		return;
	snprintf(kept, sizeof(a->alarms.lasting[kind].text), "%s", text);
	a->alarms.lasting[kind].on = true;
	gi_err("alarm: %s", kept);
	send_alarm(a, kind, false, kept);
}

void na_alarm_over(struct na_agent *a, Idfw__Alarm__Kind kind)
{
	if (!a->alarms.lasting[kind].on)
		return;
	a->alarms.lasting[kind].on = false;
	gi_notice("alarm over: %s", a->alarms.lasting[kind].text);
	send_alarm(a, kind, true, ""); /* whatever text it had meanwhile */
}

void na_alarm_event(struct na_agent *a, Idfw__Alarm__Kind kind, const char *text)
{
	gi_err("alarm: %s", text);
	send_alarm(a, kind, false, text);
}

void na_alarm_opened(struct na_agent *a)
{
	for (int kind = 1; kind < NA_ALARM_KINDS; kind++) {
		if (a->alarms.lasting[kind].on)
			send_alarm(a, (Idfw__Alarm__Kind)kind, false, a->alarms.lasting[kind].text);
	}
}

void na_alarm_cgroups(struct na_agent *a, int err)
{
	char text[WIRE_TEXT_MAX + 1];
	const char *why = err == -ENODEV ? "cgroup v2 is not mounted" : gi_strerror(err);

	if (err == 0) {
		na_alarm_over(a, IDFW__ALARM__KIND__NO_CGROUPS);
		return;
	}
	if (err == -ETIMEDOUT)
		why = "the placer does not answer";
	snprintf(text, sizeof(text),
		"sessions are known by uid only: no cgroup can be made for them: %s", why);
	na_alarm_begin(a, IDFW__ALARM__KIND__NO_CGROUPS, text);
}
