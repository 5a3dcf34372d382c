/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * alarm.h - what is wrong with the enforcement on this VM, told to the SVM (message Alarm)
 *
 * Runs in gi-netagent's parsing process. An alarm that lasts is told when it begins and when it is
 * over, and again on each new connection while it lasts; each change is one line in the log.
 */
#ifndef NETAGENT_ALARM_H
#define NETAGENT_ALARM_H

#include <stdbool.h>
#include "lib/wire/wire.h"

#define NA_ALARM_KINDS (IDFW__ALARM__KIND__NO_CGROUPS + 1)

struct na_agent;

struct na_alarms {
	struct {
		bool on;
		char text[WIRE_TEXT_MAX + 1];
	} lasting[NA_ALARM_KINDS];
};

/* it lasts from now on, until na_alarm_over(); said anew when @text changed */
void na_alarm_begin(struct na_agent *a, Idfw__Alarm__Kind kind, const char *text);
void na_alarm_over(struct na_agent *a, Idfw__Alarm__Kind kind);
/* it happened; told once, to whoever is connected */
void na_alarm_event(struct na_agent *a, Idfw__Alarm__Kind kind, const char *text);
/* a connection is open: what lasts */
void na_alarm_opened(struct na_agent *a);
/* how the last attempt at a cgroup went: 0 or why not */
void na_alarm_cgroups(struct na_agent *a, int err);

#endif
