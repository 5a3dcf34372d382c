/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * value.c - one configuration value: text to a typed, checked field
 *
 * Called by conf.c for each value of a file and for each default of a table. One function a type;
 * a new type is one row in value_types. Invariant: a field is only written when its text is good.
 */
#include "lib/conf/value.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/text.h"

struct value_type {
	const char *name;
	int (*store)(const struct conf_item *item, const char *text, void *field, char *why);
};

static int value_string(const struct conf_item *, const char *, void *, char *);
static int value_number(const struct conf_item *, const char *, void *, char *);
static int value_bool(const struct conf_item *, const char *, void *, char *);
static int value_endpoint(const struct conf_item *, const char *, void *, char *);
static int value_path(const struct conf_item *, const char *, void *, char *);
static int value_list(const struct conf_item *, const char *, void *, char *);

static const struct value_type value_types[] = {
	[CONF_T_STRING] = { "STRING", value_string },
	[CONF_T_NUMBER] = { "NUMBER", value_number },
	[CONF_T_BOOL] = { "yes|no", value_bool },
	[CONF_T_ENDPOINT] = { "ENDPOINT", value_endpoint },
	[CONF_T_PATH] = { "PATH", value_path },
	[CONF_T_LIST] = { "LIST", value_list },
};

static const struct {
	const char *name;
	uint64_t factor;
} value_units[] = {
	{ "", 1 },
	{ "ms", 1 },
	{ "s", 1000 },
	{ "m", 60 * 1000 },
	{ "h", 60 * 60 * 1000 },
	{ "KiB", 1 << 10 },
	{ "MiB", 1 << 20 },
	{ "GiB", 1 << 30 },
};

static uint64_t value_max(const struct conf_item *item)
{
	return item->max ? item->max : UINT64_MAX;
}

int conf_value_store(
	const struct conf_item *item, const char *text, void *base, char why[CONF_WHY_MAX])
{
	return value_types[item->type].store(item, text, (char *)base + item->offset, why);
}

int conf_value_check_list(const struct conf_item *item, const void *base, char why[CONF_WHY_MAX])
{
	const struct conf_list *list = (const void *)((const char *)base + item->offset);

	if (list->n >= item->min)
		return 0;
	(void)snprintf(why, CONF_WHY_MAX, "%s needs at least %llu items", item->name,
		(unsigned long long)item->min);
	return -GI_ESYNTAX;
}

int conf_value_default(const struct conf_item *item, void *base)
{
	char why[CONF_WHY_MAX] = "", part[CONF_WHY_MAX];
	const char *p = item->def, *comma;
	int err = 0;

	if (!p || !*p)
		return 0;
	if (item->type != CONF_T_LIST) {
		err = conf_value_store(item, p, base, why);
		assert(err != -GI_ESYNTAX);
		return err;
	}
	for (; err == 0 && p; p = comma ? comma + 1 + strspn(comma + 1, " ") : NULL) {
		size_t n;

		comma = strchr(p, ',');
		n = comma ? (size_t)(comma - p) : strlen(p);
		assert(n < sizeof(part));
		memcpy(part, p, n);
		part[n] = '\0';
		err = conf_value_store(item, part, base, why);
		assert(err != -GI_ESYNTAX);
	}
	return err;
}

void conf_value_free(const struct conf_item *item, void *base)
{
	void *field = (char *)base + item->offset;
	struct conf_list *list;

	switch (item->type) {
	case CONF_T_NUMBER:
		*(uint64_t *)field = 0;
		break;
	case CONF_T_BOOL:
		*(bool *)field = false;
		break;
	case CONF_T_LIST:
		list = field;
		for (size_t i = 0; i < list->n; i++)
			free(list->items[i]);
		free(list->items);
		*list = (struct conf_list){ 0 };
		break;
	case CONF_T_STRING:
	case CONF_T_ENDPOINT:
	case CONF_T_PATH:
		free(*(char **)field);
		*(char **)field = NULL;
		break;
	}
}

const char *conf_value_type_name(enum conf_type type)
{
	return value_types[type].name;
}

static int value_string(const struct conf_item *item, const char *text, void *field, char *why)
{
	size_t len = strlen(text);
	char *copy;

	if (len < item->min || len > value_max(item)) {
		(void)snprintf(why, CONF_WHY_MAX, "%s must have %llu to %llu bytes, has %zu",
			item->name, (unsigned long long)item->min,
			(unsigned long long)value_max(item), len);
		return -GI_ESYNTAX;
	}
	if (!gi_text_is_clean(text, len)) {
		(void)snprintf(why, CONF_WHY_MAX, "%s has control characters", item->name);
		return -GI_ESYNTAX;
	}
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

static int value_number(const struct conf_item *item, const char *text, void *field, char *why)
{
	size_t digits = strspn(text, "0123456789");
	char part[24];
	uint64_t n, factor = 0;

	for (size_t i = 0; i < GI_ARRAY_SIZE(value_units); i++) {
		if (strcmp(text + digits, value_units[i].name) == 0)
			factor = value_units[i].factor;
	}
	if (digits == 0 || factor == 0) {
		(void)snprintf(why, CONF_WHY_MAX,
			"%s must be a number, with ms s m h or KiB MiB GiB behind it or without",
			item->name);
		return -GI_ESYNTAX;
	}
	(void)snprintf(part, sizeof(part), "%.*s", digits < sizeof(part) ? (int)digits : 0, text);
	if (gi_text_u64(part, 0, UINT64_MAX, &n) < 0 || __builtin_mul_overflow(n, factor, &n) ||
		n < item->min || n > value_max(item)) {
		(void)snprintf(why, CONF_WHY_MAX, "%s must be between %llu and %llu", item->name,
			(unsigned long long)item->min, (unsigned long long)value_max(item));
		return -GI_ESYNTAX;
	}
	*(uint64_t *)field = n;
	return 0;
}

static int value_bool(const struct conf_item *item, const char *text, void *field, char *why)
{
	bool yes = strcmp(text, "yes") == 0;

	if (!yes && strcmp(text, "no") != 0) {
		(void)snprintf(why, CONF_WHY_MAX, "%s must be yes or no", item->name);
		return -GI_ESYNTAX;
	}
	*(bool *)field = yes;
	return 0;
}

static int value_endpoint(const struct conf_item *item, const char *text, void *field, char *why)
{
	if (strncmp(text, "unix:/", 6) != 0 && strncmp(text, "vsock:", 6) != 0 &&
		strncmp(text, "tcp:", 4) != 0) {
		(void)snprintf(why, CONF_WHY_MAX,
			"%s must be unix:/PATH, vsock:CID:PORT or tcp:ADDRESS:PORT", item->name);
		return -GI_ESYNTAX;
	}
	return value_string(item, text, field, why);
}

static int value_path(const struct conf_item *item, const char *text, void *field, char *why)
{
	if (text[0] != '/') {
		(void)snprintf(why, CONF_WHY_MAX, "%s must be an absolute path", item->name);
		return -GI_ESYNTAX;
	}
	return value_string(item, text, field, why);
}

static int value_list(const struct conf_item *item, const char *text, void *field, char *why)
{
	struct conf_list *list = field;
	char **items;

	if (list->n >= value_max(item)) {
		(void)snprintf(why, CONF_WHY_MAX, "%s takes at most %llu items", item->name,
			(unsigned long long)value_max(item));
		return -GI_ESYNTAX;
	}
	if (!*text || !gi_text_is_clean(text, strlen(text))) {
		(void)snprintf(why, CONF_WHY_MAX, "%s: an item is empty or has control characters",
			item->name);
		return -GI_ESYNTAX;
	}
	items = reallocarray(list->items, list->n + 1, sizeof(*items));
	if (!items)
		return -ENOMEM;
	list->items = items;
	items[list->n] = strdup(text);
	if (!items[list->n])
		return -ENOMEM;
	list->n++;
	return 0;
}

/* ---- two values ---- */

static bool text_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

bool conf_item_same(const struct conf_item *item, const void *a, const void *b)
{
	const char *pa = (const char *)a + item->offset, *pb = (const char *)b + item->offset;
	const struct conf_list *la, *lb;

	switch (item->type) {
	case CONF_T_NUMBER:
		return memcmp(pa, pb, sizeof(uint64_t)) == 0;
	case CONF_T_BOOL:
		return memcmp(pa, pb, sizeof(bool)) == 0;
	case CONF_T_LIST:
		la = (const void *)pa;
		lb = (const void *)pb;
		if (la->n != lb->n)
			return false;
		for (size_t i = 0; i < la->n; i++)
			if (!text_same(la->items[i], lb->items[i]))
				return false;
		return true;
	default:
		return text_same(
			*(char *const *)(const void *)pa, *(char *const *)(const void *)pb);
	}
}
