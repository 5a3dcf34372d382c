/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dircsn.c - OpenLDAP's change sequence numbers: how far changes are known
 *
 * Pure; runs in the directory child. 20221122104512.123456Z#000000#001#000000: time, count, server,
 * count within the operation; of fixed width, so that those of one server are in the order of their
 * text. Invariant: a set never says more than the server did.
 */
#include "svm-idfw/dircsn.h"

#include <string.h>

#define CSN_FORM "dddddddddddddd.ddddddZ#hhhhhh#hhh#hhhhhh"
#define CSN_LEN (sizeof(CSN_FORM) - 1)
#define CSN_SERVER 30 /* three digits from there */

static bool csn_is(const char *text, size_t len)
{
	size_t i;

	if (len != CSN_LEN)
		return false;
	for (i = 0; i < len; i++) {
		char want = CSN_FORM[i], c = text[i];
		bool digit = c >= '0' && c <= '9';

		if (want == 'd'	      ? !digit
			: want == 'h' ? !digit && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
				      : c != want)
			return false;
	}
	return true;
}

/* the one of the same server */
static const char *csn_of(const char *set, const char *csn)
{
	for (; strlen(set) >= CSN_LEN; set += CSN_LEN, set += strspn(set, " "))
		if (memcmp(set + CSN_SERVER, csn + CSN_SERVER, 3) == 0)
			return set;
	return NULL;
}

static void csn_put(char set[DIR_CSN_SET_MAX], const char *csn, size_t len)
{
	size_t at = strlen(set);
	const char *old;

	if (!csn_is(csn, len))
		return;
	old = csn_of(set, csn);
	if (old && memcmp(old, csn, len) < 0) {
		memcpy(set + (old - set), csn, len);
	} else if (!old && at + len + 2 <= DIR_CSN_SET_MAX) {
		memcpy(set + at, csn, len);
		memcpy(set + at + len, " ", 2);
	}
}

void dir_csn_cookie(char set[DIR_CSN_SET_MAX], const char *cookie, size_t len)
{
	static const char word[] = "csn=";
	const char *end = cookie + len, *comma, *part;

	for (; cookie < end; cookie = comma + 1) {
		comma = memchr(cookie, ',', (size_t)(end - cookie));
		comma = comma ? comma : end;
		if ((size_t)(comma - cookie) < sizeof(word) ||
			memcmp(cookie, word, sizeof(word) - 1) != 0)
			continue;
		for (cookie += sizeof(word) - 1; cookie < comma; cookie = part + 1) {
			part = memchr(cookie, ';', (size_t)(comma - cookie));
			part = part ? part : comma;
			csn_put(set, cookie, (size_t)(part - cookie));
		}
	}
}

bool dir_csn_covers(const char *set, const char *csn)
{
	const char *have;
	size_t len;

	csn += strspn(csn, " ");
	if (!*csn)
		return false;
	for (; *csn; csn += len, csn += strspn(csn, " ")) {
		len = strcspn(csn, " ");
		have = csn_is(csn, len) ? csn_of(set, csn) : NULL;
		if (!have || memcmp(have, csn, len) < 0)
			return false;
	}
	return true;
}

bool dir_csn_follows(const char *now, const char *before)
{
	return strcspn(before, " ") == CSN_LEN &&
	       before[CSN_LEN + strspn(before + CSN_LEN, " ")] == 0 &&
	       strcspn(now, " ") == CSN_LEN && now[CSN_LEN + strspn(now + CSN_LEN, " ")] == 0 &&
	       dir_csn_covers(now, before);
}

/* digits up to the microsecond, without the century: they fit 64 bits */
static uint64_t csn_number(const char *text)
{
	uint64_t n = 0;
	int digits = 0;

	for (text += strlen(text) > 2 ? 2 : 0; *text && *text != '#' && digits < 18; text++) {
		if (*text < '0' || *text > '9')
			continue;
		n = n * 10 + (uint64_t)(*text - '0');
		digits++;
	}
	return n;
}

uint64_t dir_csn_number(const char *set)
{
	uint64_t max = 0, n;

	for (; *set; set += strcspn(set, " "), set += strspn(set, " ")) {
		n = csn_number(set);
		max = n > max ? n : max;
	}
	return max;
}
