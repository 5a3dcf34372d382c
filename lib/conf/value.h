/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * value.h - one configuration value: text to a typed, checked field of the daemon's struct
 *
 * Between conf.c (which knows where the text stood) and the table (which says what is allowed).
 * Only lib/conf includes this. Defaults of the table take the same way as the user's text.
 */
#ifndef CONF_VALUE_H
#define CONF_VALUE_H

#include "lib/conf/conf.h"

/*
 * conf_value_store - check one text against @item and put it into @base + item->offset
 * @why: untouched but on -GI_ESYNTAX: what is wrong, without position
 * Lists append; the count is checked by conf_value_check_list() at the end.
 *
 * Errors:  -GI_ESYNTAX, -ENOMEM
 */
GI_MUST_CHECK int conf_value_store(
	const struct conf_item *item, const char *text, void *base, char why[CONF_WHY_MAX]);
GI_MUST_CHECK int conf_value_check_list(
	const struct conf_item *item, const void *base, char why[CONF_WHY_MAX]);
/* the table's default; a bad one is our bug and trips an assert. -ENOMEM */
GI_MUST_CHECK int conf_value_default(const struct conf_item *item, void *base);
/* frees what the field owns and zeroes it */
void conf_value_free(const struct conf_item *item, void *base);
/* the word for the type in help and messages: NUMBER, PATH, ... */
const char *conf_value_type_name(enum conf_type type);

#endif
