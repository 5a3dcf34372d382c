/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * store_dir.c - the database file: what the directory said of accounts, each group once
 *
 * A row of an account has the numbers of its groups, not the groups: 100,000 accounts are 18 MB
 * instead of 480. The writer (its thread) knows the number of each group by a keyed hash of all of
 * it, so that an account costs no query; what it knows is dropped when a transaction was rolled
 * back, and read anew. Groups that nobody is in any more go when it reads them, once a start.
 * Invariant: a number in a row is one of directory_group; rows come in the same transaction.
 */
#include "svm-idfw/store_sqlint.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "lib/base/hash.h"

#define DIR_IDS_BYTES_MAX (1u << 18) /* of one account: some 30,000 groups */

struct id_slot {
	uint64_t hash[2];
	int64_t id; /* 0: empty */
};

struct store_dir {
	uint64_t key[2][2];
	struct id_slot *slots; /* owned; open addressing, at most three quarters used */
	size_t cap, n;
	bool loaded, dirty; /* dirty: as of a transaction that is not committed */
	struct gi_buf ids;  /* of the account that is being written */
};

struct id_row { /* while the groups are read */
	int64_t id;
	uint64_t hash[2];
	bool used;
};

struct read_group {
	int64_t id;
	struct idfw_group g; /* all texts in one allocation, which begins with the name */
};

static const char *text_of(sqlite3_stmt *st, int i)
{
	const unsigned char *s = sqlite3_column_text(st, i);

	return s ? (const char *)s : "";
}

/* the next of "1 22 3": 1, 0 at the end, -EBADF */
static int id_next(const char **at, int64_t *ret)
{
	char *end;
	long long id;

	if (!**at)
		return 0;
	id = strtoll(*at, &end, 10);
	if (!isdigit((unsigned char)**at) || id <= 0 || id == LLONG_MAX || (*end && *end != ' '))
		return -EBADF;
	*at = *end ? end + 1 : end;
	*ret = id;
	return 1;
}

/* @rows: sorted, their first member is the number */
static void *row_of(int64_t id, void *rows, size_t n, size_t size)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		uint8_t *row = (uint8_t *)rows + mid * size;
		int64_t at;

		memcpy(&at, row, sizeof(at));
		if (at == id)
			return row;
		if (at < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* one more element behind @n: the array may move; -ENOMEM */
static int room(void **rows, size_t n, size_t size)
{
	void *more;

	if (n & (n - 1) || (n && n < 64)) /* full at powers of two, from 64 on */
		return 0;
	more = reallocarray(*rows, n ? 2 * n : 64, size);
	if (!more)
		return -ENOMEM;
	*rows = more;
	return 0;
}

/* ---- the writer's: which number a group has ---- */

static void ids_drop(struct store_dir *d)
{
	free(d->slots);
	d->slots = NULL;
	d->cap = d->n = 0;
	d->loaded = d->dirty = false;
}

/* where it is, or would be */
static struct id_slot *slot_of(const struct store_dir *d, const uint64_t hash[2])
{
	size_t at = hash[0] & (d->cap - 1);

	while (d->slots[at].id &&
		(d->slots[at].hash[0] != hash[0] || d->slots[at].hash[1] != hash[1]))
		at = (at + 1) & (d->cap - 1);
	return &d->slots[at];
}

static int ids_put(struct store_dir *d, const uint64_t hash[2], int64_t id)
{
	struct store_dir had = *d;

	if (4 * (d->n + 1) > 3 * d->cap) {
		d->cap = d->cap ? 2 * d->cap : 256;
		d->slots = calloc(d->cap, sizeof(*d->slots));
		if (!d->slots) {
			*d = had;
			return SQLITE_NOMEM;
		}
		for (size_t i = 0; i < had.cap; i++)
			if (had.slots[i].id)
				*slot_of(d, had.slots[i].hash) = had.slots[i];
		free(had.slots);
	}
	*slot_of(d, hash) = (struct id_slot){ { hash[0], hash[1] }, id };
	d->n++;
	return SQLITE_OK;
}

static void hash_of(const struct store_dir *d, const void *packed, size_t len, uint64_t ret[2])
{
	ret[0] = gi_siphash(d->key[0], packed, len);
	ret[1] = gi_siphash(d->key[1], packed, len);
}

/* all groups that there are, by number */
static int rows_read(struct store_sql *db, struct id_row **ret, size_t *ret_n)
{
	struct gi_buf packed;
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->db,
		"SELECT id,name,dn,sid,guid,directory FROM directory_group ORDER BY id", -1, &st,
		NULL);
	void *rows = NULL;
	size_t n = 0;

	gi_buf_init(&packed, 1u << 20);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct id_row row = { .id = sqlite3_column_int64(st, 0) };

		gi_buf_reset(&packed);
		for (int i = 1; i <= 5; i++)
			gi_buf_append(&packed, text_of(st, i), strlen(text_of(st, i)) + 1);
		rc = SQLITE_NOMEM;
		if (gi_buf_error(&packed) || room(&rows, n, sizeof(row)) < 0)
			break;
		hash_of(db->dir, packed.data, packed.len, row.hash);
		((struct id_row *)rows)[n++] = row;
		rc = SQLITE_OK;
	}
	gi_buf_fini(&packed);
	(void)sqlite3_finalize(st);
	*ret = rows;
	*ret_n = n;
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int rows_mark(struct store_sql *db, struct id_row *rows, size_t n)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db->db, "SELECT groups FROM principal", -1, &st, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		const char *at = text_of(st, 0);
		struct id_row *row;
		int64_t id;
		int r;

		while ((r = id_next(&at, &id)) > 0) {
			row = row_of(id, rows, n, sizeof(*rows));
			if (row)
				row->used = true;
		}
		rc = r < 0 ? SQLITE_CORRUPT : SQLITE_OK;
	}
	(void)sqlite3_finalize(st);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* in a transaction: what nobody is in goes, the rest is known from now on */
static int ids_load(struct store_sql *db)
{
	struct store_dir *d = db->dir;
	struct id_row *rows = NULL;
	size_t n = 0;
	int rc = rows_read(db, &rows, &n);

	if (rc == SQLITE_OK)
		rc = rows_mark(db, rows, n);
	for (size_t i = 0; rc == SQLITE_OK && i < n; i++) {
		if (rows[i].used) {
			rc = ids_put(d, rows[i].hash, rows[i].id);
			continue;
		}
		sql_int(db->st[S_GROUP_GONE], 1, (uint64_t)rows[i].id);
		rc = sql_run(db->st[S_GROUP_GONE]);
	}
	free(rows);
	d->loaded = rc == SQLITE_OK;
	if (rc != SQLITE_OK)
		ids_drop(d);
	return rc;
}

/* @packed: of one group, with all five NULs; an SQLITE_ code, or -GI_ELIMIT */
static int group_id(struct store_sql *db, const char *packed, size_t len, int64_t *ret)
{
	sqlite3_stmt *st = db->st[S_GROUP];
	struct store_dir *d = db->dir;
	const struct id_slot *slot;
	uint64_t hash[2];
	int rc;

	hash_of(d, packed, len, hash);
	slot = d->cap ? slot_of(d, hash) : NULL;
	if (slot && slot->id) {
		*ret = slot->id;
		return SQLITE_OK;
	}
	if (d->n >= STORE_GROUPS_MAX)
		return -GI_ELIMIT;
	for (int i = 1; i <= 5; i++) {
		sql_text(st, i, packed);
		packed += strlen(packed) + 1;
	}
	d->dirty = true;
	rc = sql_run(st);
	if (rc != SQLITE_OK)
		return rc;
	*ret = sqlite3_last_insert_rowid(db->db);
	return ids_put(d, hash, *ret);
}

static struct store_dir *dir_new(void)
{
	struct store_dir *d = calloc(1, sizeof(*d));

	if (d && getrandom(d->key, sizeof(d->key), 0) != sizeof(d->key)) {
		free(d);
		return NULL;
	}
	if (d)
		gi_buf_init(&d->ids, DIR_IDS_BYTES_MAX);
	return d;
}

/* the numbers of the record's groups, in dir->ids */
static int ids_of(struct store_sql *db, const struct store_rec *r)
{
	struct gi_buf *b = &db->dir->ids;
	const char *at = r->groups, *end;
	int64_t id = 0;
	int rc = SQLITE_OK;

	gi_buf_reset(b);
	for (size_t i = 0; rc == SQLITE_OK && i < r->n_groups; i++) {
		end = store_group_end(at);
		rc = group_id(db, at, (size_t)(end - at), &id);
		gi_buf_printf(b, "%s%lld", i ? " " : "", (long long)id);
		at = end;
	}
	if (rc == SQLITE_OK && gi_buf_error(b))
		rc = gi_buf_error(b) == -GI_ELIMIT ? -GI_ELIMIT : SQLITE_NOMEM;
	return rc;
}

int store_dir_write(struct store_sql *db, const struct store_rec *r)
{
	sqlite3_stmt *st = db->st[S_PRINCIPAL];
	int rc = SQLITE_OK;

	if (!db->dir)
		db->dir = dir_new();
	if (!db->dir)
		return SQLITE_NOMEM;
	if (!db->dir->loaded)
		rc = ids_load(db);
	if (rc == SQLITE_OK)
		rc = ids_of(db, r);
	if (rc != SQLITE_OK)
		return rc;
	sql_text(st, 1, r->key);
	sql_text(st, 2, r->name);
	sql_text(st, 3, r->upn);
	sql_text(st, 4, r->dn);
	sql_text(st, 5, r->sid);
	(void)sqlite3_bind_blob(st, 6, r->guid, sizeof(r->guid), SQLITE_STATIC);
	sql_int(st, 7, (uint64_t)r->presence);
	sql_int(st, 8, r->resolved_ms);
	sql_text(st, 9, gi_buf_str(&db->dir->ids));
	sql_int(st, 10, r->account.state);
	sql_int(st, 11, r->account.revokes);
	sql_int(st, 12, r->account.expires_ms);
	sql_text(st, 13, r->directory);
	return sql_run(st);
}

void store_dir_end(struct store_sql *db, bool committed)
{
	if (!db->dir)
		return;
	if (!committed && db->dir->dirty)
		ids_drop(db->dir);
	db->dir->dirty = false;
}

void store_dir_free(struct store_sql *db)
{
	if (!db->dir)
		return;
	ids_drop(db->dir);
	gi_buf_fini(&db->dir->ids);
	free(db->dir);
	db->dir = NULL;
}

/* ---- the reader's, at start ---- */

static int group_read(sqlite3_stmt *st, struct read_group *ret)
{
	const char *text[5];
	size_t len = 0, at[5];
	char *to;

	for (int i = 0; i < 5; i++) {
		text[i] = text_of(st, i + 1);
		at[i] = len;
		len += strlen(text[i]) + 1;
	}
	to = malloc(len);
	if (!to)
		return -ENOMEM;
	for (int i = 0; i < 5; i++)
		memcpy(to + at[i], text[i], strlen(text[i]) + 1);
	ret->id = sqlite3_column_int64(st, 0);
	ret->g = (struct idfw_group){
		.name = to, .dn = to + at[1], .sid = to + at[2], .directory = to + at[4]
	};
	store_group_unhex(to + at[3], ret->g.id);
	return 0;
}

static int groups_read(struct store_sql *db, struct read_group **ret, size_t *ret_n)
{
	sqlite3_stmt *st = NULL;
	int err = 0, rc;
	void *rows = NULL;
	size_t n = 0;

	rc = sqlite3_prepare_v2(db->db,
		"SELECT id,name,dn,sid,guid,directory FROM directory_group ORDER BY id", -1, &st,
		NULL);
	while (rc == SQLITE_OK && err == 0 && sqlite3_step(st) == SQLITE_ROW) {
		err = room(&rows, n, sizeof(struct read_group));
		if (err == 0)
			err = group_read(st, &((struct read_group *)rows)[n]);
		n += err == 0;
	}
	rc = sqlite3_finalize(st);
	*ret = rows;
	*ret_n = n;
	return err < 0 ? err : rc == SQLITE_OK ? 0 : -EIO;
}

/* the groups of one row, in @list, which may move */
static int groups_of(
	const char *ids, struct read_group *groups, size_t n, void **list, size_t *list_n)
{
	const struct read_group *found;
	size_t got = 0;
	int64_t id;
	int r;

	while ((r = id_next(&ids, &id)) > 0) {
		found = row_of(id, groups, n, sizeof(*groups));
		r = found ? room(list, got, sizeof(struct idfw_group)) : -EBADF;
		if (r < 0)
			break;
		((struct idfw_group *)*list)[got++] = found->g;
	}
	*list_n = got;
	return r;
}

static int principal_read(sqlite3_stmt *st, struct idfw_principal *p)
{
	const void *guid = sqlite3_column_blob(st, 5);
	char *text[13];

	if (!guid || (size_t)sqlite3_column_bytes(st, 5) != sizeof(p->guid))
		return -EBADF;
	memcpy(p->guid, guid, sizeof(p->guid));
	for (int i = 0; i < 13; i++) /* borrowed until the next step */
		text[i] = i < 5 || i == 12 ? (char *)(uintptr_t)text_of(st, i) : NULL;
	p->key = text[0];
	p->name = text[1];
	p->upn = text[2];
	p->dn = text[3];
	p->sid = text[4];
	p->directory = text[12];
	p->presence = (enum idfw_presence)sqlite3_column_int(st, 6);
	p->resolved_ms = (uint64_t)sqlite3_column_int64(st, 7);
	p->account.state = (uint32_t)sqlite3_column_int64(st, 9);
	p->account.revokes = (uint32_t)sqlite3_column_int64(st, 10);
	p->account.expires_ms = (uint64_t)sqlite3_column_int64(st, 11);
	return 0;
}

int store_dir_read(struct store_sql *db, const struct store_load_ops *ops, void *arg)
{
	struct read_group *groups = NULL;
	sqlite3_stmt *st = NULL;
	void *list = NULL;
	size_t n = 0;
	int err, rc = SQLITE_OK;

	err = groups_read(db, &groups, &n);
	if (err == 0)
		rc = sqlite3_prepare_v2(db->db,
			"SELECT key,name,upn,dn,sid,guid,presence,resolved_ms,groups,account_state,"
			"revokes,expires_ms,directory FROM principal",
			-1, &st, NULL);
	while (rc == SQLITE_OK && err == 0 && sqlite3_step(st) == SQLITE_ROW) {
		struct idfw_principal p = { .key = NULL };

		err = principal_read(st, &p);
		if (err == 0)
			err = groups_of(text_of(st, 8), groups, n, &list, &p.n_groups);
		p.groups = list;
		if (err == 0)
			err = ops->principal(arg, &p);
	}
	if (rc == SQLITE_OK)
		rc = sqlite3_finalize(st);
	for (size_t i = 0; i < n; i++)
		free(groups[i].g.name);
	free(groups);
	free(list);
	return err < 0 ? err : rc == SQLITE_OK ? 0 : -EIO;
}
