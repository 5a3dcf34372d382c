/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * addr.c - which addresses are a VM's: the guest claims, the inventory limits, one owner each
 *
 * Runs in svm-idfw's engine. A claim is accepted when the inventory allows it (or says nothing),
 * when it can be a VM's own address at all, and when no other VM holds it; what is not accepted
 * is recorded. When an address becomes free, VMs that claimed it in vain get it.
 */
#include "svm-idfw/core.h"

#include <stdlib.h>
#include <string.h>

struct idfw_vm *idfw_addr_owner(struct idfw_engine *e, const struct gi_addr *a)
{
	unsigned int h = idfw_hashv(e->conf.seed, a, sizeof(*a));
	struct idfw_owner *o;

	_Static_assert(sizeof(*a) == sizeof(o->key), "an address is its key");
	HASH_FIND_BYHASHVALUE(hh, e->owners, a, sizeof(*a), h, o);
	return o ? o->vm : NULL;
}

static bool owner_set(struct idfw_engine *e, const struct gi_addr *a, struct idfw_vm *vm)
{
	unsigned int h = idfw_hashv(e->conf.seed, a, sizeof(*a));
	struct idfw_owner *o = calloc(1, sizeof(*o));

	if (!o)
		return false;
	memcpy(o->key, a, sizeof(o->key));
	o->vm = vm;
	HASH_ADD_BYHASHVALUE(hh, e->owners, key, sizeof(o->key), h, o);
	return true;
}

static void owner_clear(struct idfw_engine *e, const struct gi_addr *a)
{
	unsigned int h = idfw_hashv(e->conf.seed, a, sizeof(*a));
	struct idfw_owner *o;

	HASH_FIND_BYHASHVALUE(hh, e->owners, a, sizeof(*a), h, o);
	if (!o)
		return;
	HASH_DEL(e->owners, o);
	free(o);
}

void idfw_owners_free(struct idfw_engine *e)
{
	struct idfw_owner *o, *next;

	HASH_ITER (hh, e->owners, o, next) {
		HASH_DEL(e->owners, o);
		free(o);
	}
}

/* loopback, link-local, multicast, unspecified: never somebody's own address */
static bool special(const struct gi_addr *a)
{
	static const uint8_t zero[16];
	const uint8_t *b = a->bytes;

	if (a->family == 4)
		return b[0] == 0 || b[0] == 127 || b[0] >= 224 || (b[0] == 169 && b[1] == 254);
	return !memcmp(b, zero, 15) || b[0] == 0xff || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

static const char *refusal(struct idfw_engine *e, const struct idfw_vm *vm, const struct gi_addr *a)
{
	const struct idfw_vm *owner = idfw_addr_owner(e, a);
	size_t i = 0;

	if (special(a))
		return "not a VM's own address";
	while (i < vm->n_allowed && !gi_prefix_contains(&vm->allowed[i], a))
		i++;
	if (vm->n_allowed && i == vm->n_allowed)
		return "address is not in the inventory";
	return owner && owner != vm ? "address belongs to another VM" : NULL;
}

static int addr_cmp(const void *a, const void *b)
{
	return gi_addr_cmp(a, b);
}

static bool has(const struct gi_addr *list, size_t n, const struct gi_addr *a)
{
	return n && bsearch(a, list, n, sizeof(*list), addr_cmp);
}

/* distinct, sorted */
static int claims_parse(const Idfw__Addresses *w, struct gi_addr **ret, size_t *ret_n)
{
	size_t n = w ? w->n_addr : 0, k = 0;
	struct gi_addr *list;

	if (n > WIRE_ADDRS_MAX)
		return -GI_ELIMIT;
	list = calloc(n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		if (gi_addr_from_bytes(w->addr[i].data, w->addr[i].len, &list[i]) < 0) {
			free(list);
			return -GI_EPROTO;
		}
	}
	qsort(list, n, sizeof(*list), addr_cmp);
	for (size_t i = 0; i < n; i++)
		if (!k || gi_addr_cmp(&list[k - 1], &list[i]))
			list[k++] = list[i];
	*ret = list;
	*ret_n = k;
	return 0;
}

static void refused_note(
	struct idfw_engine *e, const struct idfw_vm *vm, const struct gi_addr *a, const char *why)
{
	char text[GI_ADDR_STRLEN];

	e->stats.refused++;
	gi_warn("%s claims %s: refused: %s", vm->name, gi_addr_format(a, text), why);
	idfw_note(e, IDFW_REC_REFUSED, vm, NULL, idfw_json_why(e, why, "address", text));
}

static const char *addresses_json(struct idfw_engine *e, const struct gi_addr *list, size_t n)
{
	char text[GI_ADDR_STRLEN];

	gi_buf_reset(&e->json);
	gi_buf_printf(&e->json, "{\"addresses\":[");
	for (size_t i = 0; i < n; i++)
		gi_buf_printf(&e->json, "%s\"%s\"", i ? "," : "", gi_addr_format(&list[i], text));
	gi_buf_printf(&e->json, "]}");
	return gi_buf_str(&e->json);
}

/* takes @now (sorted): the accepted list */
static bool accept_list(struct idfw_engine *e, struct idfw_vm *vm, struct gi_addr *now, size_t n)
{
	struct gi_addr *old = vm->addrs;
	size_t n_old = vm->n_addrs;
	bool changed = false;

	vm->addrs = now;
	vm->n_addrs = n;
	for (size_t i = 0; i < n_old; i++) {
		if (has(now, n, &old[i]))
			continue;
		owner_clear(e, &old[i]);
		fan_addr_del(e, vm, &old[i]);
		changed = true;
	}
	for (size_t i = 0; i < n; i++) {
		if (has(old, n_old, &now[i]))
			continue;
		if (owner_set(e, &now[i], vm))
			fan_addr_add(e, vm, &now[i]);
		changed = true;
	}
	free(old);
	if (changed && fan_recompile(e, vm) < 0)
		gi_warn("%s: rules that name its addresses are as before", vm->name);
	return changed;
}

/* @freed: addresses that had an owner; those who claimed them in vain may have them now */
static void claims_again(struct idfw_engine *e, const struct idfw_vm *but,
	const struct gi_addr *freed, size_t n_freed)
{
	struct idfw_vm *vm, *next;

	HASH_ITER (hh, e->vms, vm, next) {
		for (size_t i = 0; vm != but && i < n_freed; i++) {
			struct gi_addr *now;

			if (!has(vm->plan->claims, vm->plan->n_claims, &freed[i]) ||
				idfw_addr_owner(e, &freed[i]) || refusal(e, vm, &freed[i]))
				continue;
			now = calloc(vm->n_addrs + 1, sizeof(*now));
			if (!now)
				return;
			if (vm->n_addrs)
				memcpy(now, vm->addrs, vm->n_addrs * sizeof(*now));
			now[vm->n_addrs] = freed[i];
			qsort(now, vm->n_addrs + 1, sizeof(*now), addr_cmp);
			(void)accept_list(e, vm, now, vm->n_addrs + 1);
			idfw_note(e, IDFW_REC_ADDRESSES, vm, NULL,
				addresses_json(e, vm->addrs, vm->n_addrs));
		}
	}
}

int idfw_vm_addresses(
	struct idfw_engine *e, struct idfw_vm *vm, const Idfw__Addresses *a, uint64_t seq)
{
	struct gi_addr *claims = NULL, *now = NULL, *freed = NULL;
	size_t n_claims = 0, n = 0, n_freed = 0;
	int r = claims_parse(a, &claims, &n_claims);

	if (r < 0)
		return r;
	now = calloc(n_claims + 1, sizeof(*now));
	freed = calloc(vm->n_addrs + 1, sizeof(*freed));
	if (!now || !freed) {
		r = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < n_claims; i++)
		if (!refusal(e, vm, &claims[i]))
			now[n++] = claims[i];
	if (seq) {
		r = idfw_record(e, IDFW_REC_ADDRESSES, vm, NULL, seq, addresses_json(e, now, n));
		if (r < 0)
			goto out;
	}
	for (size_t i = 0; i < n_claims; i++)
		if (!has(now, n, &claims[i]) &&
			!has(vm->plan->claims, vm->plan->n_claims, &claims[i]))
			refused_note(e, vm, &claims[i], refusal(e, vm, &claims[i]));
	for (size_t i = 0; i < vm->n_addrs; i++)
		if (!has(now, n, &vm->addrs[i]))
			freed[n_freed++] = vm->addrs[i];
	idfw_cause(e, "addresses of %s", vm->name);
	if (accept_list(e, vm, now, n) && !seq)
		idfw_note(
			e, IDFW_REC_ADDRESSES, vm, NULL, addresses_json(e, vm->addrs, vm->n_addrs));
	now = NULL;
	free(vm->plan->claims);
	vm->plan->claims = claims;
	vm->plan->n_claims = n_claims;
	claims = NULL;
	claims_again(e, vm, freed, n_freed);
	r = 0;
out:
	free(claims);
	free(now);
	free(freed);
	return r;
}
