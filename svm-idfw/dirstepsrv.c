/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstepsrv.c - a directory is tried step by step: what the server is, holds and tells
 *
 * Runs as `svm-idfw --test-server`, behind dirstep.c, on the same code as the directory child: the
 * same begin(), the same check of the base, a lookup as at a login. Source: RFC 4512 5.1 (root
 * DSE), RFC 3045 (vendor), MS-ADTS 3.1.1.3.2 (rootDSE attributes), 3.1.1.3.4.1 (controls).
 */
#include "svm-idfw/dirstep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/io/loop.h"
#include "svm-idfw/dirad.h"
#include "svm-idfw/dirbase.h"
#include "svm-idfw/dirgroups.h"

#define STEP_GROUPS_SHOWN 8
#define STEP_CACHE_MAX 1000
#define STEP_MEMO_BYTES (16u << 20)

struct step_root {
	struct dir_step *s;
	char vendor[80], version[80], host[128], domain[200], first[200];
};

static bool step_is(const uint8_t *value, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(value, text, len) == 0;
}

static int step_control(void *arg, const uint8_t *value, size_t len)
{
	struct dir_step *s = arg;

	s->paging = s->paging || step_is(value, len, "1.2.840.113556.1.4.319");
	s->notifies = s->notifies || step_is(value, len, "1.2.840.113556.1.4.528");
	s->extended_dn = s->extended_dn || step_is(value, len, "1.2.840.113556.1.4.529");
	s->dirsync = s->dirsync || step_is(value, len, "1.2.840.113556.1.4.841");
	s->syncrepl = s->syncrepl || step_is(value, len, "1.3.6.1.4.1.4203.1.9.1.1");
	return 0;
}

static int step_capability(void *arg, const uint8_t *value, size_t len)
{
	struct dir_step *s = arg;

	s->ad = s->ad || step_is(value, len, "1.2.840.113556.1.4.800");
	return 0;
}

static int step_root_entry(void *arg, struct dldap_entry *e)
{
	struct step_root *r = arg;

	(void)dldap_entry_text(e, "vendorName", r->vendor, sizeof(r->vendor));
	(void)dldap_entry_text(e, "vendorVersion", r->version, sizeof(r->version));
	(void)dldap_entry_text(e, "dnsHostName", r->host, sizeof(r->host));
	(void)dldap_entry_text(e, "defaultNamingContext", r->domain, sizeof(r->domain));
	(void)dldap_entry_text(e, "namingContexts", r->first, sizeof(r->first));
	(void)dldap_entry_each(e, "supportedControl", step_control, r->s);
	(void)dldap_entry_each(e, "supportedCapabilities", step_capability, r->s);
	return 0;
}

static const char *step_word(bool yes)
{
	return yes ? "yes" : "no";
}

static int step_root(struct dir_step *s, char why[DIR_WHY_MAX])
{
	static const char *const attrs[] = { "vendorName", "vendorVersion", "dnsHostName",
		"defaultNamingContext", "namingContexts", "supportedControl",
		"supportedCapabilities", NULL };
	struct step_root r = { .s = s };
	const struct dldap_query q = { .base = "",
		.filter = "(objectClass=*)",
		.scope = DLDAP_BASE,
		.attrs = attrs,
		.max = 1,
		.entry = step_root_entry,
		.arg = &r };
	int err;

	dir_step_begin(s, "server");
	err = dldap_search(s->back.look, &q, why);
	if (err == 0 && s->ad != (strcmp(s->conf->type, "ad") == 0)) {
		dir_why(why, "this is %s Active Directory, and type says %.20s: change type",
			s->ad ? "an" : "no", s->conf->type);
		err = -GI_EPROTO;
	}
	if (err < 0)
		return err;
	dir_step_ok(s,
		"%s%s%.80s%s%.80s%s%.100s, domain %.120s; paging %s, extended DN %s, syncrepl %s, "
		"notification %s, DirSync %s",
		s->ad ? "Active Directory" : "LDAP", r.vendor[0] ? ", " : "", r.vendor,
		r.version[0] ? ", " : "", r.version, r.host[0] ? ", " : "", r.host,
		r.domain[0] ? r.domain : r.first, step_word(s->paging), step_word(s->extended_dn),
		step_word(s->syncrepl), step_word(s->notifies), step_word(s->dirsync));
	return 0;
}

/* as many as fit, and how many there are */
static void step_groups(const struct dir_answer *a, char out[DIR_WHY_MAX / 2])
{
	size_t at = 0, i;

	out[0] = '\0';
	for (i = 0; i < a->n_groups && i < STEP_GROUPS_SHOWN && at + 80 < DIR_WHY_MAX / 2; i++)
		at += (size_t)snprintf(out + at, DIR_WHY_MAX / 2 - at, "%s%.64s", i ? ", " : ": ",
			a->groups[i].name[0] ? a->groups[i].name : "(a SID without a name)");
	if (i < a->n_groups)
		(void)snprintf(out + at, DIR_WHY_MAX / 2 - at, ", ...");
}

static int step_account(struct dir_step *s, const char *name, char why[DIR_WHY_MAX])
{
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	char groups[DIR_WHY_MAX / 2];
	uint64_t began = io_clock_mono_ms();
	int err;

	dir_step_begin(s, "account");
	err = s->back.ops->lookup(&s->back, name, NULL, 0, &a, why);
	if (err == 0 && a.status != IDFW__DIR_RESULT__STATUS__OK) {
		dir_why(why, "%.100s: %.200s; is it below base, is that its name?", name,
			a.text[0] ? a.text : "there is no such account");
		err = -GI_ENOTFOUND;
	}
	if (err == 0) {
		step_groups(&a, groups);
		dir_step_ok(s, "%.100s (%.120s) is in %zu groups, %llu ms%s", a.name, a.upn,
			a.n_groups, (unsigned long long)(io_clock_mono_ms() - began), groups);
	}
	dir_answer_fini(&a);
	return err;
}

static void step_changes_ad(struct dir_step *s, unsigned long long poll)
{
	char text[DIR_INVOCATION_TEXT];

	dir_ad_invocation_text(&s->back.usn_of, text);
	if (text[0])
		dir_step_ok(s, "looked for every %llu ms by highestCommittedUSN; it counts as %s",
			poll, text);
	else
		dir_step_ok(s,
			"looked for every %llu ms by highestCommittedUSN; bind-user may not read "
			"its invocationId, so a restored backup may not be seen",
			poll);
}

static void step_changes(struct dir_step *s)
{
	unsigned long long poll = (unsigned long long)s->conf->poll_ms;

	dir_step_begin(s, "changes");
	if (s->back.told_by_fd)
		dir_step_ok(s, "told at once by syncrepl, and looked for every %llu ms", poll);
	else if (s->ad)
		step_changes_ad(s, poll);
	else if (s->back.csn[0])
		dir_step_ok(s, "looked for every %llu ms by contextCSN", poll);
	else
		dir_step_ok(s, "not told and no contextCSN (overlay syncprov): all accounts are "
			       "looked up again every 10 s");
}

static int step_begin(struct dir_step *s, const struct dldap_conf *ldap, char why[DIR_WHY_MAX])
{
	struct dir_changes ch = { .all = false };
	int err = dldap_open(ldap, why, &s->back.watch);

	if (err == 0)
		err = s->back.ops->begin(&s->back, &ch, why);
	dir_changes_fini(&ch);
	return err;
}

/* what a back end remembers in; as dirchild.c has it, smaller */
static int step_memory(struct dir_back *b)
{
	int err = dir_cache_new(STEP_CACHE_MAX, &b->cache);

	if (err == 0)
		err = dir_memo_new(STEP_MEMO_BYTES, &b->memo);
	if (err == 0)
		err = dir_groups_new(&b->groups);
	if (err == 0)
		err = dir_seen_new(STEP_CACHE_MAX, &b->seen);
	return err;
}

static void step_forget(struct dir_back *b)
{
	dir_groups_free(b->groups);
	dir_seen_free(b->seen);
	dir_cache_free(b->cache);
	dir_memo_free(b->memo);
	b->groups = NULL;
	b->seen = NULL;
	b->cache = NULL;
	b->memo = NULL;
}

int dir_step_server(struct dir_step *s, const struct dldap_conf *ldap, const char *account)
{
	char why[DIR_WHY_MAX] = "", sample[DIR_NAME_MAX + 1] = "";
	int err;

	s->back.conf = s->conf;
	s->back.ops = strcmp(s->conf->type, "ad") == 0 ? &dir_back_ad : &dir_back_openldap;
	s->back.page = (unsigned int)s->conf->page;
	err = step_memory(&s->back);
	if (err == 0)
		err = step_root(s, why);
	if (err == 0) {
		dir_step_begin(s, "base");
		err = step_begin(s, ldap, why);
	}
	if (err == 0)
		err = dir_base_check(&s->back, s->back.watch, sample, why);
	if (err == 0) {
		dir_step_ok(s, "%.200s can be read", s->conf->base);
		err = step_account(s, account[0] ? account : sample, why);
	}
	if (err == 0)
		step_changes(s);
	else
		dir_step_failed(s, why[0] ? why : gi_strerror(err));
	step_forget(&s->back);
	return err;
}
