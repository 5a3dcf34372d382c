/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirmemo.c - groups that were found for a set of groups: the climb does not ask twice
 *
 * Runs in the directory child, in the threads that look up. A value is flat: for each group a
 * struct memo_head, SID, then name, DN and DNs it points to, each with its NUL; so it is copied
 * under the lock and read outside. Invariant: what is kept was asked for behind the last
 * dir_memo_clear().
 */
#include "svm-idfw/dirmemo.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct memo_head {
	uint32_t n_points;
	uint8_t guid[16];
	uint8_t sid_len;
	bool has_guid;
};

struct memo_entry {
	UT_hash_handle hh;
	size_t key_len, len;
	uint8_t bytes[]; /* key, value */
};

struct dir_memo {
	pthread_mutex_t lock; /* of all of it */
	struct memo_entry *by_key;
	size_t bytes, max_bytes;
	uint64_t epoch; /* moves with each clear from outside */
};

static void memo_clear(struct dir_memo *m);

int dir_memo_new(size_t max_bytes, struct dir_memo **ret)
{
	struct dir_memo *m = calloc(1, sizeof(*m));

	if (!m || pthread_mutex_init(&m->lock, NULL) != 0) {
		free(m);
		return -ENOMEM;
	}
	m->max_bytes = max_bytes;
	*ret = m;
	return 0;
}

void dir_memo_free(struct dir_memo *m)
{
	if (!m)
		return;
	memo_clear(m);
	(void)pthread_mutex_destroy(&m->lock);
	free(m);
}

void dir_memo_clear(struct dir_memo *m)
{
	(void)pthread_mutex_lock(&m->lock);
	m->epoch++;
	memo_clear(m);
	(void)pthread_mutex_unlock(&m->lock);
}

size_t dir_memo_bytes(struct dir_memo *m)
{
	size_t n;

	(void)pthread_mutex_lock(&m->lock);
	n = m->bytes;
	(void)pthread_mutex_unlock(&m->lock);
	return n;
}

bool dir_memo_get(struct dir_memo *m, const void *key, size_t len, struct dir_memo_note *note,
	uint64_t *ret_epoch)
{
	struct memo_entry *e = NULL;

	(void)pthread_mutex_lock(&m->lock);
	HASH_FIND(hh, m->by_key, key, len, e);
	if (e) {
		gi_buf_reset(&note->bytes);
		gi_buf_append(&note->bytes, e->bytes + e->key_len, e->len);
	}
	*ret_epoch = m->epoch;
	(void)pthread_mutex_unlock(&m->lock);
	return e && gi_buf_error(&note->bytes) == 0;
}

void dir_memo_put(struct dir_memo *m, const void *key, size_t len, const struct dir_memo_note *n,
	uint64_t epoch)
{
	size_t bytes = sizeof(struct memo_entry) + len + n->bytes.len;
	struct memo_entry *e, *old = NULL;

	if (gi_buf_error(&n->bytes) < 0 || bytes > m->max_bytes)
		return;
	e = malloc(bytes);
	if (!e)
		return;
	e->key_len = len;
	e->len = n->bytes.len;
	memcpy(e->bytes, key, len);
	if (e->len)
		memcpy(e->bytes + len, n->bytes.data, e->len);
	(void)pthread_mutex_lock(&m->lock);
	HASH_FIND(hh, m->by_key, key, len, old);
	if (m->epoch == epoch && !old) {
		if (m->bytes + bytes > m->max_bytes)
			memo_clear(m);
		HASH_ADD_KEYPTR(hh, m->by_key, e->bytes, len, e);
		m->bytes += bytes;
		e = NULL;
	}
	(void)pthread_mutex_unlock(&m->lock);
	free(e);
}

static void memo_clear(struct dir_memo *m)
{
	struct memo_entry *e, *next;

	HASH_ITER (hh, m->by_key, e, next) {
		HASH_DELETE(hh, m->by_key, e);
		free(e);
	}
	m->bytes = 0;
}

/* ---- values ---- */

void dir_memo_note_init(struct dir_memo_note *n)
{
	gi_buf_init(&n->bytes, DIR_MEMO_ONE_MAX);
	n->head = 0;
}

void dir_memo_note_fini(struct dir_memo_note *n)
{
	gi_buf_fini(&n->bytes);
}

void dir_memo_note_group(struct dir_memo_note *n, const struct dir_group *g)
{
	struct memo_head h;

	memset(&h, 0, sizeof(h));
	memcpy(h.guid, g->guid, sizeof(h.guid));
	h.sid_len = (uint8_t)g->sid_len; /* at most SID_BYTES_MAX */
	h.has_guid = g->has_guid;
	n->head = n->bytes.len;
	gi_buf_append(&n->bytes, &h, sizeof(h));
	gi_buf_append(&n->bytes, g->sid, g->sid_len);
	gi_buf_append(&n->bytes, g->name, strlen(g->name) + 1);
	gi_buf_append(&n->bytes, g->dn, strlen(g->dn) + 1);
}

void dir_memo_note_point(struct dir_memo_note *n, const void *dn, size_t len)
{
	struct memo_head h;

	gi_buf_append(&n->bytes, dn, len);
	gi_buf_append(&n->bytes, "", 1);
	if (gi_buf_error(&n->bytes) < 0)
		return;
	memcpy(&h, n->bytes.data + n->head, sizeof(h));
	h.n_points++;
	memcpy(n->bytes.data + n->head, &h, sizeof(h));
}

bool dir_memo_next(const struct dir_memo_note *n, size_t *at, struct dir_group *ret,
	const char **ret_points, size_t *ret_n)
{
	struct memo_head h;
	char *text;
	size_t i;

	if (*at >= n->bytes.len)
		return false;
	memcpy(&h, n->bytes.data + *at, sizeof(h));
	text = (char *)n->bytes.data + *at + sizeof(h);
	*ret = (struct dir_group){ .sid_len = h.sid_len, .has_guid = h.has_guid };
	memcpy(ret->guid, h.guid, sizeof(ret->guid));
	memcpy(ret->sid, text, h.sid_len);
	ret->name = text + h.sid_len;
	ret->dn = ret->name + strlen(ret->name) + 1;
	text = ret->dn + strlen(ret->dn) + 1;
	*ret_points = text;
	*ret_n = h.n_points;
	for (i = 0; i < h.n_points; i++)
		text += strlen(text) + 1;
	*at = (size_t)(text - (char *)n->bytes.data);
	return true;
}
