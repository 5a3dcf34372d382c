/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroups_world.c - a small directory in memory, of either kind, and one that looks at it
 *
 * For tests of dirgroups.c and both back ends, on fakeldap.h. Invariant: after the set-up all
 * groups are known, and nothing is left to be told.
 */
#include "tests/unit/svm-idfw/dirgroups_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void server(const char *csn)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "contextCSN: %s", csn);
	fake_entry(CONTEXT, "dc=corp", "objectClass: domain", text, NULL);
}

void person(unsigned int id, const char *name)
{
	char dn[64], uid[64];

	(void)snprintf(dn, sizeof(dn), "cn=%s," PEOPLE, name);
	(void)snprintf(uid, sizeof(uid), "uid: %s", name);
	fake_entry(id, dn, "objectClass: inetOrgPerson", "hasSubordinates: FALSE", uid, NULL);
}

/* members are names, "" none */
void group(unsigned int id, const char *name, const char *csn, const char *a, const char *b)
{
	char dn[64], cn[64], text[64], m[2][96];

	(void)snprintf(dn, sizeof(dn), "cn=%s," GROUPS, name);
	(void)snprintf(cn, sizeof(cn), "cn: %s", name);
	(void)snprintf(text, sizeof(text), "entryCSN: %s", csn);
	(void)snprintf(m[0], sizeof(m[0]), "%s: cn=%s," PEOPLE, *a ? "member" : "none", a);
	(void)snprintf(m[1], sizeof(m[1]), "%s: cn=%s," PEOPLE, *b ? "member" : "none", b);
	fake_entry(id, dn, "objectClass: groupOfNames", "hasSubordinates: FALSE", cn, text, m[0],
		m[1], NULL);
}

void back_new(struct t *t, const struct dir_back_ops *ops, const char *base)
{
	*t = (struct t){ .conf = { .uri = "ldaps://ldap.example",
				 .base = (char *)(uintptr_t)base,
				 .schema = (char *)"rfc2307bis",
				 .page = 500,
				 .range = 1500 } };
	t->b = (struct dir_back){ .ops = ops, .conf = &t->conf, .page = 500 };
	assert_int_equal(dir_groups_new(&t->b.groups), 0);
	assert_int_equal(dir_seen_new(100, &t->b.seen), 0);
	assert_int_equal(dir_cache_new(100, &t->b.cache), 0);
	assert_int_equal(dir_memo_new(1u << 16, &t->b.memo), 0);
}

int teardown(void **state)
{
	struct t *t = *state;

	while (t->b.n_nc)
		free(t->b.nc[--t->b.n_nc]);
	dir_groups_free(t->b.groups);
	dir_seen_free(t->b.seen);
	dir_cache_free(t->b.cache);
	dir_memo_free(t->b.memo);
	dir_changes_fini(&t->ch);
	fake_reset();
	return 0;
}

static int by_number(const void *a, const void *b)
{
	return memcmp(a, b, 16);
}

static void told_ids(char *out, size_t size, const char *word, struct dir_ids *ids)
{
	size_t at = strlen(out);

	if (ids->n)
		qsort(ids->list, ids->n, sizeof(*ids->list), by_number);
	for (size_t i = 0; i < ids->n; i++)
		if (i == 0 || memcmp(ids->list[i - 1], ids->list[i], 16) != 0)
			at += (size_t)snprintf(out + at, size - at, "%s%u ", word, ids->list[i][0]);
}

/* what was found is told: "all", or "a10 g20 " */
const char *told(struct t *t)
{
	t->told[0] = '\0';
	dir_groups_between(&t->b, &t->ch);
	if (t->ch.all)
		(void)snprintf(t->told, sizeof(t->told), "all");
	else
		told_ids(t->told, sizeof(t->told), "a", &t->ch.accounts);
	if (!t->ch.all)
		told_ids(t->told, sizeof(t->told), "g", &t->ch.groups);
	dir_changes_fini(&t->ch);
	return t->told;
}

int work(struct t *t)
{
	bool more = false;
	int err;

	do {
		err = dir_groups_work(&t->b, &t->ch, &more, t->why);
	} while (err == 0 && more);
	return err;
}

void begin(struct t *t)
{
	assert_int_equal(t->b.ops->begin(&t->b, &t->ch, t->why), 0);
}

void look(struct t *t)
{
	fake.now_ms += 500;
	assert_int_equal(t->b.ops->poll(&t->b, &t->ch, t->why), 0);
}

void looked_up(struct t *t, unsigned int id)
{
	uint8_t bytes[16];

	fake_id(id, bytes);
	dir_seen_add(t->b.seen, bytes, fake.now_ms, fake.now_ms);
}

/* alice is in eng and ops; all groups are known, the search is at the present */
int setup(void **state)
{
	static struct t t;

	fake_reset();
	fake_entry(ROOT, "", "namingContexts: dc=corp",
		"supportedControl: 1.3.6.1.4.1.4203.1.9.1.1", NULL);
	server(CSN(1));
	person(ALICE, "alice");
	person(BOB, "bob");
	person(CARL, "carl");
	group(ENG, "eng", CSN(1), "alice", "");
	group(OPS, "ops", CSN(1), "alice", "");
	back_new(&t, &dir_back_openldap, "dc=corp");
	begin(&t);
	assert_string_equal(told(&t), "all");
	assert_int_equal(work(&t), 0);
	assert_true(t.b.groups->whole);
	fake_tell(FAKE_CURRENT, 0, COOKIE(1));
	look(&t);
	assert_string_equal(told(&t), "");
	*state = &t;
	return 0;
}

/* ---- Active Directory ---- */

void ad_server_of(const char *name, unsigned int usn)
{
	char text[64], server[64];

	(void)snprintf(text, sizeof(text), "highestCommittedUSN: %u", usn);
	(void)snprintf(server, sizeof(server), "dsServiceName: CN=%s", name);
	fake_entry(ROOT, "", server, "defaultNamingContext: DC=corp,DC=example",
		"configurationNamingContext: CN=Configuration,DC=corp,DC=example", text, NULL);
}

void ad_server(unsigned int usn)
{
	ad_server_of("DC1", usn);
}

void ad_person(const char *dn, unsigned int usn)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "uSNChanged: %u", usn);
	fake_entry(ALICE, dn, "objectClass: user", "sAMAccountName: alice",
		"tokenGroups: S-1-5-21-1-2-3-513", "objectSid: S-1-5-21-1-2-3-1001", text, NULL);
}

void ad_group(unsigned int usn, const char *a, const char *b)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "uSNChanged: %u", usn);
	fake_entry(ENG, "CN=eng,DC=corp,DC=example", "objectClass: group", "sAMAccountName: eng",
		"groupType: -2147483646", text, a, b, NULL);
}

void ad_ou(const char *name, unsigned int created, unsigned int usn)
{
	char dn[64], a[64], b[64];

	(void)snprintf(dn, sizeof(dn), "OU=%s,DC=corp,DC=example", name);
	(void)snprintf(a, sizeof(a), "uSNCreated: %u", created);
	(void)snprintf(b, sizeof(b), "uSNChanged: %u", usn);
	fake_entry(OU, dn, "objectClass: organizationalUnit", a, b, NULL);
	ad_server(usn);
}

int setup_ad(void **state)
{
	static struct t t;

	fake_reset();
	ad_server(100);
	ad_person("CN=alice," AD_PEOPLE, 50);
	ad_group(60, AD_ALICE, NULL);
	back_new(&t, &dir_back_ad, AD_PEOPLE);
	begin(&t);
	assert_string_equal(told(&t), "all");
	assert_int_equal(work(&t), 0);
	look(&t);
	assert_string_equal(told(&t), "");
	*state = &t;
	return 0;
}

const char *ad_look(struct t *t)
{
	look(t);
	assert_int_equal(work(t), 0);
	return told(t);
}
