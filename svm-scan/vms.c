/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vms.c - what svm-scan knows of each VM, see vms.h
 *
 * One table, one lock, held for short: libepsec's thread is among the callers. Invariant: the
 * rules of each VM in the table are those of .conf.
 */
#define HASH_NONFATAL_OOM 1 /* a VM that has no memory has the rules for all, and no numbers */
#include "svm-scan/vms.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/io/loop.h"
#include "svm-scan/bound.h"

#define QUOTA_TOLD_MS 60000

struct vm {
	char name[EPS_VM_MAX + 1]; /* key */
	char *mux;		   /* owned, or NULL */
	bool connected;
	uint64_t connected_ms;
	uint8_t boot[WIRE_BOOT_ID_LEN];
	struct scan_rules rules;
	struct scan_quota quota;
	uint64_t quota_told_ms;
	struct scan_bound bound[SCAN_VM_SUMS];
	uint64_t counts[SCAN_VM_COUNTS];
	uint8_t *counters; /* owned, or NULL */
	size_t counters_len;
	UT_hash_handle hh;
};

struct scan_vms {
	pthread_mutex_t lock;
	const struct scan_conf *conf;
	struct scan_rules all; /* of VMs without a block */
	struct vm *vms;
};

static void rules_make(struct scan_vms *v, const char *vm, struct scan_rules *ret)
{
	char why[256];

	*ret = v->all;
	/* the configuration's check has made them once */
	(void)!scan_conf_rules(v->conf, vm, ret, why);
}

int scan_vms_new(const struct scan_conf *conf, struct scan_vms **ret)
{
	struct scan_vms *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	if (pthread_mutex_init(&v->lock, NULL) != 0) {
		free(v);
		return -ENOMEM;
	}
	scan_vms_conf(v, conf);
	*ret = v;
	return 0;
}

void scan_vms_free(struct scan_vms *v)
{
	struct vm *vm, *next;

	if (!v)
		return;
	HASH_ITER (hh, v->vms, vm, next) {
		HASH_DEL(v->vms, vm);
		free(vm->mux);
		free(vm->counters);
		for (size_t i = 0; i < SCAN_VM_SUMS; i++)
			scan_bound_fini(&vm->bound[i]);
		free(vm);
	}
	(void)pthread_mutex_destroy(&v->lock);
	free(v);
}

void scan_vms_conf(struct scan_vms *v, const struct scan_conf *conf)
{
	struct vm *vm, *next;

	(void)pthread_mutex_lock(&v->lock);
	v->conf = conf;
	rules_make(v, NULL, &v->all);
	HASH_ITER (hh, v->vms, vm, next)
		rules_make(v, vm->name, &vm->rules);
	(void)pthread_mutex_unlock(&v->lock);
}

/* locked; NULL: no memory, too many, no name */
static struct vm *vm_get(struct scan_vms *v, const char *name)
{
	struct vm *vm;

	HASH_FIND_STR(v->vms, name, vm);
	if (vm || strlen(name) > EPS_VM_MAX || HASH_COUNT(v->vms) >= SCAN_VMS_KNOWN_MAX)
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	(void)snprintf(vm->name, sizeof(vm->name), "%s", name);
	rules_make(v, name, &vm->rules);
	HASH_ADD_STR(v->vms, name, vm);
	if (vm->hh.tbl)
		return vm;
	free(vm);
	return NULL;
}

void scan_vms_rules(struct scan_vms *v, const char *vm, struct scan_rules *ret)
{
	struct vm *found;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	*ret = found ? found->rules : v->all;
	(void)pthread_mutex_unlock(&v->lock);
}

bool scan_vms_take(struct scan_vms *v, const char *vm, uint64_t events, uint64_t bytes,
	struct scan_rules *ret, bool *ret_first)
{
	uint64_t now = io_clock_mono_ms();
	bool first = false, within = true;
	struct vm *found;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	*ret = found ? found->rules : v->all;
	if (found)
		within = scan_quota_take(&found->quota, &found->rules, now, events, bytes);
	if (!within) {
		found->counts[SCAN_VM_QUOTA]++;
		first = !found->quota_told_ms || now - found->quota_told_ms >= QUOTA_TOLD_MS;
		if (first)
			found->quota_told_ms = now;
	}
	(void)pthread_mutex_unlock(&v->lock);
	*ret_first = first;
	return within;
}

bool scan_vms_records(struct scan_vms *v, const char *vm, uint64_t session, bool judged)
{
	struct vm *found;
	bool yes = true;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found) {
		yes = scan_bound_take(&found->bound[SCAN_VM_SUM_FINDINGS],
			found->rules.findings_per_h, io_clock_mono_ms(), session, judged);
		found->counts[yes ? SCAN_VM_RECORDS : SCAN_VM_SUMMED]++;
	}
	(void)pthread_mutex_unlock(&v->lock);
	return yes;
}

bool scan_vms_report_room(struct scan_vms *v, const char *vm, enum scan_vm_sum what)
{
	struct vm *found;
	bool yes = true;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found)
		yes = scan_bound_room(
			&found->bound[what], found->rules.reports_per_h, io_clock_mono_ms());
	(void)pthread_mutex_unlock(&v->lock);
	return yes;
}

void scan_vms_report_summed(struct scan_vms *v, const char *vm, enum scan_vm_sum what)
{
	struct vm *found;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found) {
		scan_bound_count(&found->bound[what], io_clock_mono_ms());
		found->counts[SCAN_VM_REPORTS_SUMMED]++;
	}
	(void)pthread_mutex_unlock(&v->lock);
}

uint64_t scan_vms_sum(
	struct scan_vms *v, enum scan_vm_sum what, bool all, char ret_vm[EPS_VM_MAX + 1])
{
	uint64_t now = io_clock_mono_ms(), n = 0;
	struct vm *vm, *next;

	(void)pthread_mutex_lock(&v->lock);
	HASH_ITER (hh, v->vms, vm, next) {
		n = scan_bound_sum(&vm->bound[what], now, all);
		if (n > 0) {
			memcpy(ret_vm, vm->name, sizeof(vm->name));
			break;
		}
	}
	(void)pthread_mutex_unlock(&v->lock);
	return n;
}

void scan_vms_count(struct scan_vms *v, const char *vm, enum scan_vm_count what)
{
	struct vm *found;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found)
		found->counts[what]++;
	(void)pthread_mutex_unlock(&v->lock);
}

void scan_vms_up(
	struct scan_vms *v, const char *vm, const char *mux, const uint8_t boot[WIRE_BOOT_ID_LEN])
{
	char *copy = strdup(mux);
	struct vm *found;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found) {
		char *old = found->mux;

		found->mux = copy;
		copy = old;
		found->connected = true;
		found->connected_ms = io_clock_real_ms();
		memcpy(found->boot, boot, sizeof(found->boot));
	}
	(void)pthread_mutex_unlock(&v->lock);
	free(copy);
}

void scan_vms_down(struct scan_vms *v, const char *vm)
{
	struct vm *found;

	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found)
		found->connected = false;
	(void)pthread_mutex_unlock(&v->lock);
}

void scan_vms_counters(struct scan_vms *v, const char *vm, const uint8_t *packed, size_t len)
{
	uint8_t *copy = len && len <= SCAN_COUNTERS_MAX ? malloc(len) : NULL, *old = NULL;
	struct vm *found;

	if (!copy)
		return;
	memcpy(copy, packed, len);
	(void)pthread_mutex_lock(&v->lock);
	found = vm_get(v, vm);
	if (found) {
		old = found->counters;
		found->counters = copy;
		found->counters_len = len;
	} else {
		old = copy;
	}
	(void)pthread_mutex_unlock(&v->lock);
	free(old);
}

bool scan_vms_info(struct scan_vms *v, const char *vm, struct scan_vm_info *ret)
{
	struct vm *found;

	memset(ret, 0, sizeof(*ret));
	(void)pthread_mutex_lock(&v->lock);
	HASH_FIND_STR(v->vms, vm, found);
	if (found) {
		memcpy(ret->name, found->name, sizeof(ret->name));
		(void)snprintf(ret->mux, sizeof(ret->mux), "%s", found->mux ? found->mux : "");
		ret->connected = found->connected;
		ret->connected_ms = found->connected_ms;
		memcpy(ret->boot, found->boot, sizeof(ret->boot));
		ret->rules = found->rules;
		memcpy(ret->counts, found->counts, sizeof(ret->counts));
		ret->counters = found->counters_len ? malloc(found->counters_len) : NULL;
		if (ret->counters) {
			memcpy(ret->counters, found->counters, found->counters_len);
			ret->counters_len = found->counters_len;
		}
	}
	(void)pthread_mutex_unlock(&v->lock);
	return found != NULL;
}

bool scan_vms_next(struct scan_vms *v, const char *after, char ret[EPS_VM_MAX + 1])
{
	struct vm *vm, *next, *best = NULL;

	(void)pthread_mutex_lock(&v->lock);
	HASH_ITER (hh, v->vms, vm, next) {
		if (strcmp(vm->name, after) > 0 && (!best || strcmp(vm->name, best->name) < 0))
			best = vm;
	}
	if (best)
		memcpy(ret, best->name, sizeof(best->name));
	(void)pthread_mutex_unlock(&v->lock);
	return best != NULL;
}
