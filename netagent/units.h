/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * units.h - system services that the policy names: each one's cgroup is a session of its own
 *
 * Runs in gi-netagent's parsing process. The SVM says which units matter (ServiceWatch); while a
 * unit's cgroup is there, a session of kind SERVICE is, with that cgroup and no leader. A unit
 * that is started again has another cgroup, so another session.
 * A unit is "NAME" (below system.slice, else below any slice) or a path with '/', both below
 * cgroup-root. Invariants: at most WIRE_UNITS_MAX; a walk looks at SLICES_MAX slices.
 */
#ifndef NETAGENT_UNITS_H
#define NETAGENT_UNITS_H

#include <stdint.h>
#include "lib/base/err.h"
#include "lib/wire/wire.h"

#define NA_SLICES_MAX 256

struct na_agent;

struct na_unit {
	char name[WIRE_UNIT_MAX + 1];
	uint64_t session; /* 0: none now */
	uint64_t cgroup;  /* as last seen */
};

struct na_units {
	struct na_unit *list; /* owned */
	size_t n;
};

/* the whole list, replaces the one before; sessions of units that are not in it end */
void na_units_set(struct na_agent *a, char *const *names, size_t n);
/* opens and ends sessions by what is there now */
void na_units_look(struct na_agent *a);
/* after a restart: the units of restored sessions are watched until the SVM says otherwise */
void na_units_resume(struct na_agent *a);
void na_units_fini(struct na_units *u);

#endif
