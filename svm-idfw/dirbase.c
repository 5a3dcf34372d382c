/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirbase.c - is `base` there, and can we read accounts below it?
 *
 * Runs in the directory child at each new connection: two searches, the second ends with its first
 * entry. Source: RFC 4511 4.5; MS-ADTS 3.1.1.4.6 (an account without rights sees no entries).
 */
#include "svm-idfw/dirbase.h"

#include <string.h>

struct base_found {
	const struct dir_schema *schema;
	unsigned int entries;
	char name[DIR_NAME_MAX + 1];
};

static int base_entry(void *arg, struct dldap_entry *e)
{
	struct base_found *f = arg;

	f->entries++;
	for (size_t i = 0; f->schema && f->schema->user_name[i] && f->name[0] == '\0'; i++)
		(void)dldap_entry_text(e, f->schema->user_name[i], f->name, sizeof(f->name));
	return f->schema ? -ECANCELED : 0; /* one is enough */
}

static int base_is_there(struct dir_back *b, struct dldap *d, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "objectClass", NULL };
	struct base_found f = { .schema = NULL };
	const struct dldap_query q = { .base = b->conf->base,
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = base_entry,
		.arg = &f };
	int err = dldap_search(d, &q, why);

	if (err < 0 && err != -GI_ENOTFOUND)
		return err;
	if (err == 0 && f.entries)
		return 0;
	dir_why(why,
		"base \"%.160s\" is not in this directory, or the account may not see "
		"it" DIR_WHY_TRY "ldapsearch -x -H %.80s -s base -b '' namingContexts",
		b->conf->base, b->conf->uri);
	return -GI_ENOTFOUND;
}

static int base_filter(struct gi_buf *out, const struct dir_schema *s, bool ad)
{
	gi_buf_printf(out, ad ? "(&(objectCategory=person)(objectClass=user)(|" : "(&(|");
	for (size_t i = 0; s->user_name[i]; i++)
		gi_buf_printf(out, "(%s=*)", s->user_name[i]);
	gi_buf_printf(out, ad ? "))" : ")(objectClass=*))");
	return gi_buf_error(out);
}

int dir_base_check(
	struct dir_back *b, struct dldap *d, char ret_name[DIR_NAME_MAX + 1], char why[DIR_WHY_MAX])
{
	const bool ad = b->ops == &dir_back_ad;
	struct base_found f = { .schema = ad ? &dir_schema_ad : &b->schema };
	struct gi_buf filter;
	int err = base_is_there(b, d, why);

	if (err < 0)
		return err;
	gi_buf_init(&filter, 4096);
	err = base_filter(&filter, f.schema, ad);
	if (err == 0) {
		const struct dldap_query q = { .base = b->conf->base,
			.filter = gi_buf_str(&filter),
			.scope = DLDAP_SUBTREE,
			.attrs = f.schema->user_name,
			.page = 1,
			.max = 1,
			.entry = base_entry,
			.arg = &f };

		err = dldap_search(d, &q, why);
	}
	gi_buf_fini(&filter);
	if (err == -ECANCELED || err == -GI_ENOTFOUND)
		err = 0;
	if (err == 0 && f.entries == 0) {
		dir_why(why,
			"no account with %.40s is found below base \"%.120s\": may it read there, "
			"is "
			"the base right, is the schema" DIR_WHY_TRY
			"ldapsearch -H %.70s -b '%.90s' "
			"'(%.40s=*)'",
			f.schema->user_name[0], b->conf->base, b->conf->uri, b->conf->base,
			f.schema->user_name[0]);
		err = -GI_ENOTFOUND;
	}
	if (err == 0 && ret_name)
		memcpy(ret_name, f.name, sizeof(f.name));
	return err;
}
