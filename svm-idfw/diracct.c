/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diracct.c - the state of an account, as its directory writes it: disabled, expired, locked
 *
 * Runs in the directory child. Active Directory has flags and times of its own; elsewhere the
 * schema names attributes for each state, and the values tell by their form what they are: TRUE,
 * days since 1970 (shadow), or a generalizedTime. Pure but for reading entries.
 */
#include "svm-idfw/diracct.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/text.h"
#include "svm-idfw/dirback.h"

#define AD_ACCOUNTDISABLE 0x2u
#define AD_LOCKOUT 0x10u
#define AD_DONT_EXPIRE_PASSWORD 0x10000u
#define AD_PASSWORD_EXPIRED 0x800000u
#define AD_NEVER INT64_MAX
#define AD_EPOCH_MS UINT64_C(11644473600000) /* 1601 to 1970 */
#define ACCT_DAY_MS UINT64_C(86400000)
#define ACCT_DAYS_MAX 3650000 /* larger numbers are no days */
#define ACCT_FOREVER "000001010000Z"

/* a decimal that may be negative, as 32 or 64 bits are shown; false: it is none */
static bool acct_number(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t n;

	if (gi_text_u64(text + negative, 0, INT64_MAX, &n) < 0)
		return false;
	*ret = negative ? -(int64_t)n : (int64_t)n;
	return true;
}

static uint32_t acct_flags(const char *text)
{
	int64_t n = 0;

	return acct_number(text, &n) ? (uint32_t)n : 0;
}

static void acct_expires(struct dir_acct *a, uint64_t ms, uint64_t now_ms)
{
	if (!a->expires_ms || ms < a->expires_ms)
		a->expires_ms = ms ? ms : 1;
	if (a->expires_ms <= now_ms)
		a->state |= IDFW_ACCT_EXPIRED;
}

void dir_acct_ad(struct dir_acct *ret, const struct dir_acct_ad *v, uint64_t now_ms)
{
	uint32_t uac = acct_flags(v->uac), computed = acct_flags(v->computed);
	struct dir_acct a = { .state = 0 };
	int64_t n;

	if (uac & AD_ACCOUNTDISABLE)
		a.state |= IDFW_ACCT_DISABLED;
	/* lockoutTime stays when the lockout has ended: only where the server does not compute */
	if (v->computed[0] ? computed & AD_LOCKOUT : acct_number(v->lockout, &n) && n > 0)
		a.state |= IDFW_ACCT_LOCKED;
	if (computed & AD_PASSWORD_EXPIRED ||
		(acct_number(v->pwd_set, &n) && n == 0 && !(uac & AD_DONT_EXPIRE_PASSWORD)))
		a.state |= IDFW_ACCT_MUST_CHANGE;
	if (acct_number(v->expires, &n) && n > 0 && n != AD_NEVER) {
		uint64_t ms = (uint64_t)n / 10000;

		acct_expires(&a, ms > AD_EPOCH_MS ? ms - AD_EPOCH_MS : 1, now_ms);
	}
	*ret = a;
}

void dir_acct_read_ad(struct dir_acct *ret, struct dldap_entry *e, uint64_t now_ms)
{
	static const char *const attrs[] = { DIR_ACCT_AD_ATTRS };
	struct dir_acct_ad v;
	char *const to[] = { v.uac, v.expires, v.lockout, v.pwd_set, v.computed };

	_Static_assert(GI_ARRAY_SIZE(attrs) == GI_ARRAY_SIZE(to), "a place for each");
	for (size_t i = 0; i < GI_ARRAY_SIZE(attrs); i++)
		(void)dldap_entry_text(e, attrs[i], to[i], sizeof(v.uac));
	dir_acct_ad(ret, &v, now_ms);
}

/* ---- other directories ---- */

/* @n digits at @at; false: they are none */
static bool acct_digits(const char *at, size_t n, int *ret)
{
	int value = 0;

	for (size_t i = 0; i < n; i++) {
		if (at[i] < '0' || at[i] > '9')
			return false;
		value = value * 10 + (at[i] - '0');
	}
	*ret = value;
	return true;
}

/* Z, or how far that clock is ahead of UTC */
static bool acct_zone(const char *at, int *ret_s)
{
	int h, m = 0, sign = *at == '-' ? -1 : 1;
	size_t len = strlen(at);

	*ret_s = 0;
	if (*at == 'Z')
		return len == 1;
	if ((*at != '+' && *at != '-') || (len != 3 && len != 5) || !acct_digits(at + 1, 2, &h) ||
		(len == 5 && !acct_digits(at + 3, 2, &m)) || h > 23 || m > 59)
		return false;
	*ret_s = sign * (h * 3600 + m * 60);
	return true;
}

bool dir_acct_time(const char *text, uint64_t *ret_ms)
{
	struct tm t = { .tm_mday = 1 };
	size_t at = 10, fraction;
	int year, zone;
	time_t s;

	if (!acct_digits(text, 4, &year) || !acct_digits(text + 4, 2, &t.tm_mon) ||
		!acct_digits(text + 6, 2, &t.tm_mday) || !acct_digits(text + 8, 2, &t.tm_hour))
		return false;
	if (acct_digits(text + at, 2, &t.tm_min)) {
		at += 2;
		if (acct_digits(text + at, 2, &t.tm_sec))
			at += 2;
	}
	if (text[at] == '.' || text[at] == ',') {
		fraction = strspn(text + at + 1, "0123456789");
		at += fraction ? 1 + fraction : 0;
	}
	if (t.tm_mon < 1 || t.tm_mon > 12 || t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour > 23 ||
		t.tm_min > 59 || t.tm_sec > 60 || !acct_zone(text + at, &zone))
		return false;
	t.tm_year = year - 1900;
	t.tm_mon--;
	s = timegm(&t) - zone;
	*ret_ms = s > 0 ? (uint64_t)s * 1000 : 1;
	return true;
}

static bool acct_true(const char *value)
{
	return strcasecmp(value, "TRUE") == 0 || strcmp(value, "1") == 0;
}

void dir_acct_value(struct dir_acct *a, uint32_t state, const char *value, uint64_t now_ms)
{
	bool past, is_time;
	uint64_t ms = 0;

	if (state == IDFW_ACCT_EXPIRED) {
		if (dir_acct_time(value, &ms))
			acct_expires(a, ms, now_ms);
		else if (gi_text_u64(value, 1, ACCT_DAYS_MAX, &ms) == 0)
			acct_expires(a, ms * ACCT_DAY_MS, now_ms);
		else if (acct_true(value))
			a->state |= IDFW_ACCT_EXPIRED;
		return;
	}
	is_time = dir_acct_time(value, &ms);
	past = is_time && ms <= now_ms;
	if (state == IDFW_ACCT_LOCKED && strncmp(value, ACCT_FOREVER, 12) == 0)
		a->state |= IDFW_ACCT_DISABLED; /* no wrong password did that: an administrator */
	else if (past || (!is_time && acct_true(value)))
		a->state |= state;
}

struct acct_reading {
	struct dir_acct *acct;
	uint32_t state;
	uint64_t now_ms;
};

static int acct_each(void *arg, const uint8_t *value, size_t len)
{
	const struct acct_reading *r = arg;
	char text[64];

	if (len >= sizeof(text) || memchr(value, '\0', len))
		return 0;
	memcpy(text, value, len);
	text[len] = '\0';
	dir_acct_value(r->acct, r->state, text, r->now_ms);
	return 0;
}

void dir_acct_read(
	struct dir_acct *ret, struct dldap_entry *e, const struct dir_schema *s, uint64_t now_ms)
{
	const struct {
		const char *const *attrs;
		uint32_t state;
	} rows[] = {
		{ s->account_disabled, IDFW_ACCT_DISABLED },
		{ s->account_expires, IDFW_ACCT_EXPIRED },
		{ s->account_locked, IDFW_ACCT_LOCKED },
		{ s->account_must_change, IDFW_ACCT_MUST_CHANGE },
	};
	struct dir_acct a = { .state = 0 };

	for (size_t i = 0; i < GI_ARRAY_SIZE(rows); i++) {
		struct acct_reading r = { &a, rows[i].state, now_ms };

		for (const char *const *attr = rows[i].attrs; *attr; attr++)
			(void)dldap_entry_each(e, *attr, acct_each, &r);
	}
	*ret = a;
}
