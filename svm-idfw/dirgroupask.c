/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroupask.c - asking a directory whether accounts are still there, many with one search
 *
 * Runs in the directory child's main thread, for dirgroups.c, on the watch connection: an ordinary
 * account is not told of deletions by every server. Who is not found is gone.
 */
#include "svm-idfw/dirgroups.h"

#include <string.h>

/* ---- accounts that may be gone ---- */

struct ask {
	struct dir_back *b;
	uint8_t (*ids)[16];
	size_t n;
};

static int ask_entry(void *arg, struct dldap_entry *e)
{
	struct ask *a = arg;
	uint8_t id[16];
	size_t i;

	if (!dir_entry_guid(e, dir_groups_schema(a->b), id))
		return 0;
	for (i = 0; i < a->n; i++)
		if (memcmp(a->ids[i], id, sizeof(id)) == 0)
			memset(a->ids[i], 0, sizeof(id));
	return 0;
}

static void ask_id(struct gi_buf *f, const struct dir_back *b, const uint8_t id[16])
{
	const char *const *attr = dir_groups_schema(b)->unique_id;

	for (; *attr; attr++) {
		gi_buf_printf(f, "(%s=", *attr);
		if ((b->ops == &dir_back_ad))
			dir_filter_escape(f, id, 16);
		else
			for (size_t i = 0; i < 16; i++)
				gi_buf_printf(f,
					i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x",
					id[i]);
		gi_buf_append(f, ")", 1);
	}
}

int dir_groups_ask(struct dir_back *b, uint8_t (*ids)[16], size_t n, char why[DIR_WHY_MAX])
{
	struct ask a = { .b = b, .ids = ids, .n = n };
	const char *attrs[DIR_ATTRS_MAX + 1];
	struct gi_buf filter;
	size_t i;
	int err;

	for (i = 0; dir_groups_schema(b)->unique_id[i]; i++)
		attrs[i] = dir_groups_schema(b)->unique_id[i];
	attrs[i] = NULL;
	gi_buf_init(&filter, 256u << 10);
	gi_buf_printf(&filter, "(|");
	for (i = 0; i < n; i++)
		ask_id(&filter, b, ids[i]);
	gi_buf_append(&filter, ")", 1);
	err = gi_buf_error(&filter);
	if (err == 0) {
		const struct dldap_query q = { .base = b->root,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = attrs,
			.max = 2 * DIR_SEEN_ASK,
			.entry = ask_entry,
			.arg = &a };

		err = dldap_search(b->watch, &q, why);
	}
	gi_buf_fini(&filter);
	return err;
}
