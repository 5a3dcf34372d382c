/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reload.c - SIGHUP: the limits of VMs are read from the configuration anew
 *
 * Runs in svm-idfw's main process. sessions-max, events-max, vm-directory and the blocks vm NAME
 * are taken over at once, for VMs that are connected too (whose live sessions may be other
 * accounts' then); all else needs a restart, and is said when it differs. A configuration with a
 * mistake anywhere changes nothing. Invariant: s->limits and the names in s->conf.vms are what the
 * engine borrows.
 */
#include "svm-idfw/svm.h"

#include <stdlib.h>
#include <string.h>

#define DIAG_MAX (1u << 20)

int svm_limits_apply(struct svm *s)
{
	const struct svm_vm_conf *vms = s->conf.vms.elems;
	struct idfw_limits *limits = calloc(s->conf.vms.n + 1, sizeof(*limits));

	if (!limits)
		return -ENOMEM;
	for (size_t i = 0; i < s->conf.vms.n; i++)
		limits[i] = (struct idfw_limits){ .vm = vms[i].label,
			.sessions_max = (uint32_t)vms[i].sessions_max,
			.events_max = (uint32_t)vms[i].events_max,
			.directory = vms[i].directory };
	idfw_engine_limits(s->engine, (uint32_t)s->conf.sessions_max, (uint32_t)s->conf.events_max,
		limits, s->conf.vms.n);
	free(s->limits);
	s->limits = limits;
	return 0;
}

/* the first item that differs and is not taken over, or NULL */
static const char *other_item(const struct svm_conf *a, const struct svm_conf *b)
{
	const struct conf_section *top = &svm_conf_table.sections[0];

	for (size_t i = 0; i < top->n_items; i++) {
		const struct conf_item *item = &top->items[i];

		if (strcmp(item->name, "sessions-max") != 0 &&
			strcmp(item->name, "events-max") != 0 &&
			strcmp(item->name, "vm-directory") != 0 && !conf_item_same(item, a, b))
			return item->name;
	}
	if (a->directories.n != b->directories.n)
		return "directory";
	for (size_t k = 0; k < a->directories.n; k++) {
		const struct idfw_dir_conf *da = a->directories.elems, *db = b->directories.elems;

		for (size_t i = 0; i < IDFW_DIR_CONF_ITEMS; i++)
			if (!conf_item_same(&idfw_dir_conf_items[i], &da[k], &db[k]) ||
				strcmp(da[k].label, db[k].label) != 0)
				return "directory";
	}
	return NULL;
}

static void take(struct svm *s, struct svm_conf *new)
{
	const struct svm_conf old = s->conf;
	const char *other = other_item(&old, new);
	char why[CONF_WHY_MAX];

	if (svm_vms_check(new, &old, why) < 0) {
		gi_err("reload: %s among those of the start, restart for it; the old configuration "
		       "goes on",
			why);
		return;
	}

	if (other)
		gi_warn("reload: %s differs: only sessions-max, events-max, vm-directory and vm "
			"blocks are taken over; restart for the rest",
			other);
	s->conf.sessions_max = new->sessions_max;
	s->conf.events_max = new->events_max;
	s->conf.vms = new->vms;
	s->conf.vm_rules = new->vm_rules;
	svm_round(s);
	if (svm_limits_apply(s) < 0) {
		gi_err("reload: out of memory; the old limits go on");
		s->conf = old;
		return;
	}
	new->vms = old.vms; /* freed with it */
	new->vm_rules = old.vm_rules;
	gi_notice("reload: %zu VMs have limits of their own", s->conf.vms.n);
}

void svm_reload(struct svm *s)
{
	struct svm_conf new = { 0 };
	struct gi_buf out;
	int r;

	gi_buf_init(&out, DIAG_MAX);
	r = conf_again(s->argc, s->argv, "svm-idfw", &svm_conf_table, &new, &out);
	if (r == 0)
		take(s, &new);
	else
		gi_err("reload: the new configuration is not usable; the old one goes on: %s\n%s",
			gi_strerror(r), gi_buf_str(&out));
	if (r == 0)
		conf_free(&svm_conf_table, &new);
	gi_buf_fini(&out);
}
