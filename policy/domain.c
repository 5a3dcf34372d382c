/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * domain.c - names with a domain: CORP\eng, eng@corp.example, CORP\alice
 *
 * Which domains there are is svm-idfw's configuration (struct pol_domains), not the policy's: so
 * whether they are known is asked apart from parsing, by whoever has the directories. A name
 * without a domain means all that are called so. `user "alice@corp.example"` is a principal name:
 * compared as a whole, and its suffix may be any.
 */
#include "policy/tree.h"

#include <stdio.h>
#include <string.h>

struct pol_name pol_name_split(enum pol_kind kind, const char *text)
{
	struct pol_name n = { .name = text, .name_len = strlen(text) };
	const char *at, *slash;

	if (kind != POL_K_DIRECTORY && kind != POL_K_USER)
		return n;
	slash = strchr(text, '\\');
	at = strrchr(text, '@');
	if (slash) {
		n.domain = text;
		n.domain_len = (size_t)(slash - text);
		n.name = slash + 1;
		n.name_len -= n.domain_len + 1;
	} else if (at) {
		n.domain = at + 1;
		n.domain_len = strlen(at + 1);
		n.upn = kind == POL_K_USER;
		n.name_len = n.upn ? n.name_len : (size_t)(at - text);
	}
	return n;
}

const char *pol_name_wrong(enum pol_kind kind, const char *text)
{
	struct pol_name n = pol_name_split(kind, text);

	if (!n.domain)
		return NULL;
	if (!n.domain_len)
		return "no domain stands at its \"\\\" or \"@\"";
	if (!n.name_len || text[0] == '@')
		return "only a domain; whose name?";
	return memchr(n.name, '\\', n.name_len) ? "a name has one \"\\\" at most" : NULL;
}

static bool check_one(
	const struct pol_member *m, const struct pol_domains *d, struct conf_diags *diags)
{
	struct pol_name n = pol_name_split(m->kind, m->text ? m->text : "");
	char domain[POL_TEXT_MAX + 1];

	if (!n.domain)
		return true;
	(void)snprintf(domain, sizeof(domain), "%.*s", (int)n.domain_len, n.domain);
	if (d->known(d->arg, domain))
		return true;
	if (n.upn)
		conf_diag_add(diags, CONF_WARNING, &m->pos,
			"no directory has the domain \"%s\" (its realm, or the dc parts of its "
			"base): it is whoever has this principal name, in any of them",
			domain);
	else
		conf_diag_add(diags, CONF_ERROR, &m->pos,
			"no directory has the domain \"%s\": that is its netbios, its realm, the "
			"dc parts of its base, or the name of its block in svm-idfw.conf%s",
			domain,
			m->kind == POL_K_DIRECTORY && !strchr(m->text, '\\')
				? "; a group with \"@\" in its name is meant by directory-dn"
				: "");
	return n.upn;
}

static size_t check_list(
	const struct pol_members *m, const struct pol_domains *d, struct conf_diags *diags)
{
	size_t wrong = 0;

	for (size_t i = 0; i < m->n; i++)
		wrong += !check_one(&m->list[i], d, diags);
	return wrong;
}

size_t pol_domains_check(
	const struct pol_policy *p, const struct pol_domains *d, struct conf_diags *diags)
{
	size_t wrong = 0;

	for (size_t i = 0; i < p->n_named; i++)
		wrong += check_list(&p->groups[i].members, d, diags);
	for (size_t i = 0; i < p->n_rules; i++) {
		wrong += check_list(&p->rules[i].from, d, diags);
		wrong += check_list(&p->rules[i].to, d, diags);
	}
	for (size_t i = 0; i < p->n_logins; i++)
		wrong += check_list(&p->logins[i].users, d, diags);
	return wrong;
}
