/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_load.c - what the database knows, into a fresh engine
 *
 * Runs once at start in svm-idfw's loop thread, before the first guest. A file of its own, so that
 * the store can be linked without the engine.
 */
#include "svm-idfw/store_sql.h"

static int load_vm(void *arg, const char *name, const uint8_t boot_id[16], uint64_t seq)
{
	return idfw_engine_restore_vm(arg, name, boot_id, seq);
}

static void load_as_of(void *arg, const struct idfw_as_of *as_of)
{
	idfw_engine_restore_as_of(arg, as_of);
}

static int load_principal(void *arg, const struct idfw_principal *p)
{
	return idfw_engine_restore_principal(arg, p);
}

static int load_session(void *arg, const char *vm, const Idfw__Session *s,
	const uint8_t boot_id[16], uint64_t db_id, uint64_t seen_ms, bool kicked)
{
	return idfw_engine_restore_session(arg, vm, s, boot_id, db_id, seen_ms, kicked);
}

static int load_isolation(void *arg, const char *vm, const struct idfw_isolation *i)
{
	return idfw_engine_restore_isolation(arg, vm, i);
}

static int load_left(void *arg, const char *vm, const struct idfw_store_recent *r)
{
	return idfw_engine_restore_left(arg, vm, r->boot_id, r->db_id, r->uid, r->cgroup);
}

static int load_recent(void *arg, const char *vm, const struct idfw_store_recent *r)
{
	return idfw_engine_restore_recent(arg, vm, r);
}

static int load_outbox(void *arg, const uint8_t id[16], uint64_t seq)
{
	return idfw_engine_restore_outbox(arg, id, seq);
}

static void load_next_db_id(void *arg, uint64_t next)
{
	idfw_engine_next_db_id(arg, next);
}

int idfw_store_load(struct idfw_store *s, struct idfw_engine *e)
{
	static const struct store_load_ops ops = { .vm = load_vm,
		.as_of = load_as_of,
		.principal = load_principal,
		.session = load_session,
		.isolation = load_isolation,
		.left = load_left,
		.recent = load_recent,
		.outbox = load_outbox,
		.next_db_id = load_next_db_id };

	return idfw_store_read(s, &ops, e);
}
