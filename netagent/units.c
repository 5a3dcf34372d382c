/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * units.c - sessions of system services, see units.h
 *
 * One look walks all slices once and finds each unit's cgroup by its name. The walk sets the
 * watches (cgwatch.h) that will ask for the next look. Nothing here trusts a name: it is compared,
 * or appended to a path below cgroup-root that has no "..".
 */
#include "netagent/units.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "netagent/agent.h"

#define DEPTH_MAX 8

struct walk {
	struct na_agent *a;
	uint64_t *cgroups; /* for each unit */
	unsigned int slices;
};

/* ---- what is there ---- */

static bool is_path(const char *unit)
{
	return strchr(unit, '/') != NULL;
}

/* no part of it is "..", and it can be a name in a directory */
static bool is_good(const char *unit)
{
	for (const char *p = unit; *p; p += strcspn(p, "/")) {
		p += *p == '/';
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || !p[2]))
			return false;
	}
	return unit[0] && strcmp(unit, ".") != 0;
}

static void path_of(const struct na_agent *a, const char *sub, char ret[NA_CGROUP_PATH_MAX])
{
	snprintf(ret, NA_CGROUP_PATH_MAX, "%s%s%s", a->cgroups.base, sub[0] == '/' ? "" : "/", sub);
}

static void watch_dir(struct na_agent *a, const char *path)
{
	char dir[NA_CGROUP_ROOT_MAX + NA_CGROUP_PATH_MAX];

	snprintf(dir, sizeof(dir), "%s%s", a->cgroups.mount, path);
	na_cgwatch_add(a->cgwatch, dir);
}

/* a path is watched from the root down: any part of it may come */
static uint64_t look_at_path(struct na_agent *a, const char *unit)
{
	char path[NA_CGROUP_PATH_MAX];
	uint64_t cgroup = 0;
	size_t base = strlen(a->cgroups.base);

	path_of(a, unit, path);
	for (char *p = path + base; p && *p; p = strchr(p + 1, '/')) {
		*p = '\0';
		watch_dir(a, path);
		*p = '/';
	}
	if (na_cgroup_id(&a->cgroups, path, &cgroup) < 0)
		return 0;
	return cgroup;
}

static void take_entry(struct walk *w, const char *dir, const char *name)
{
	char path[NA_CGROUP_PATH_MAX];

	for (size_t i = 0; i < w->a->units.n; i++) {
		if (w->cgroups[i] || strcmp(w->a->units.list[i].name, name) != 0)
			continue;
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path))
			(void)!na_cgroup_id(&w->a->cgroups, path, &w->cgroups[i]);
	}
}

static void walk_slice(struct walk *w, const char *path, unsigned int depth);

static bool is_slice(const char *name)
{
	size_t len = strlen(name);

	return len > 6 && strcmp(name + len - 6, ".slice") == 0;
}

static void walk_entries(struct walk *w, DIR *d, const char *path, unsigned int depth)
{
	char below[NA_CGROUP_PATH_MAX];
	const struct dirent *e;

	while ((e = readdir(d))) {
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		take_entry(w, path, e->d_name);
		if (is_slice(e->d_name) && (size_t)snprintf(below, sizeof(below), "%s/%s", path,
						   e->d_name) < sizeof(below))
			walk_slice(w, below, depth + 1);
	}
}

static void walk_slice(struct walk *w, const char *path, unsigned int depth)
{
	char dir[NA_CGROUP_ROOT_MAX + NA_CGROUP_PATH_MAX];
	DIR *d;

	if (depth > DEPTH_MAX || w->slices++ >= NA_SLICES_MAX)
		return;
	watch_dir(w->a, path); /* first the ear, then the look */
	snprintf(dir, sizeof(dir), "%s%s", w->a->cgroups.mount, path);
	d = opendir(dir);
	if (!d)
		return;
	walk_entries(w, d, path, depth);
	closedir(d);
}

static void look_at_names(struct na_agent *a, uint64_t *cgroups)
{
	struct walk w = { .a = a, .cgroups = cgroups };
	char system[NA_CGROUP_PATH_MAX];

	path_of(a, "system.slice", system);
	walk_slice(&w, system, 0); /* it goes before all others */
	walk_slice(&w, a->cgroups.base, 0);
}

/* ---- sessions ---- */

static void unit_begin(struct na_agent *a, struct na_unit *u)
{
	struct na_origin from = {
		.opened_ms = io_clock_real_ms(), .cgroup = u->cgroup, .is_service = true
	};
	struct na_pam_event ev = { .kind = NA_PAM_OPEN };
	struct na_session *s;
	int err;

	snprintf(ev.user, sizeof(ev.user), "%s", u->name);
	snprintf(ev.service, sizeof(ev.service), "unit");
	err = na_sessions_open(&a->sessions, &ev, &from, &s);
	if (err == 0)
		err = na_life_record_open(a, s);
	if (err < 0) { /* tried again with the next look */
		gi_err("service %s cannot be recorded: %s", u->name, gi_strerror(err));
		return;
	}
	u->session = s->id;
	gi_info("session %" PRIu64 " is service %s (cgroup %" PRIu64 ")", s->id, u->name,
		u->cgroup);
}

static void unit_end(struct na_agent *a, struct na_unit *u, Idfw__EndReason reason)
{
	struct na_session *s = u->session ? na_sessions_find(&a->sessions, u->session) : NULL;

	if (s)
		na_life_end(a, s, reason);
	u->session = 0;
}

static void unit_update(struct na_agent *a, struct na_unit *u, uint64_t cgroup)
{
	/* kicked: not before it is started again */
	if (u->session && !na_sessions_find(&a->sessions, u->session) && u->cgroup == cgroup)
		return;
	if (u->cgroup != cgroup)
		unit_end(a, u, IDFW__END_REASON__END_CGROUP);
	u->cgroup = cgroup;
	if (cgroup && !u->session)
		unit_begin(a, u);
}

void na_units_look(struct na_agent *a)
{
	uint64_t *cgroups;
	bool names = false;

	if (!a->units.n || !a->cgroups.mount[0])
		return;
	cgroups = calloc(a->units.n, sizeof(*cgroups));
	if (!cgroups)
		return;
	for (size_t i = 0; i < a->units.n; i++) {
		if (is_path(a->units.list[i].name))
			cgroups[i] = look_at_path(a, a->units.list[i].name);
		else
			names = true;
	}
	if (names)
		look_at_names(a, cgroups);
	for (size_t i = 0; i < a->units.n; i++)
		unit_update(a, &a->units.list[i], cgroups[i]);
	free(cgroups);
}

/* ---- the list ---- */

static struct na_unit *unit_find(const struct na_units *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++) {
		if (strcmp(u->list[i].name, name) == 0)
			return &u->list[i];
	}
	return NULL;
}

static int unit_add(struct na_units *u, const char *name, const struct na_unit *known)
{
	struct na_unit *list;

	if (unit_find(u, name) || u->n >= WIRE_UNITS_MAX)
		return 0;
	list = reallocarray(u->list, u->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	u->list = list;
	list[u->n] = known ? *known : (struct na_unit){ .session = 0 };
	snprintf(list[u->n].name, sizeof(list[u->n].name), "%s", name);
	u->n++;
	return 0;
}

void na_units_set(struct na_agent *a, char *const *names, size_t n)
{
	struct na_units old = a->units, now = { .n = 0 };
	int err = 0;

	for (size_t i = 0; i < n && err == 0; i++) {
		if (is_good(names[i]))
			err = unit_add(&now, names[i], unit_find(&old, names[i]));
		else
			gi_warn("\"%s\" is no name of a unit", names[i]);
	}
	if (err < 0) {
		gi_err("out of memory: the services that are watched stay as they were");
		na_units_fini(&now);
		return;
	}
	for (size_t i = 0; i < old.n; i++) {
		if (!unit_find(&now, old.list[i].name))
			unit_end(a, &old.list[i], IDFW__END_REASON__END_CLOSE);
	}
	na_units_fini(&old);
	a->units = now;
	na_units_look(a);
}

void na_units_resume(struct na_agent *a)
{
	for (struct na_session *s = a->sessions.by_id; s; s = s->hh.next) {
		struct na_unit u = { .session = s->id, .cgroup = s->cgroup };

		if (s->is_service && unit_add(&a->units, s->user, &u) < 0)
			gi_err("out of memory: service %s is not watched", s->user);
	}
	na_units_look(a);
}

void na_units_fini(struct na_units *u)
{
	free(u->list);
	*u = (struct na_units){ .n = 0 };
}
