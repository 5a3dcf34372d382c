/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.h - daemon configuration from one table a program
 *
 *   name value;                  one item
 *   section label { ... }        a block with items of its own, may repeat (vm jump01 { ... })
 *
 * The table says name, type, range, default and one line of help; parsing, checking, -t, the
 * "--help-config" text and the man page's list all derive from it. Unknown, repeated, missing
 * and out-of-range items are diagnostics with positions, all in one run.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/conf/diag.h"

#define CONF_WHY_MAX 200

enum conf_type {
	CONF_T_STRING,	 /* char *, owned */
	CONF_T_NUMBER,	 /* uint64_t; with unit suffix: ms s m h (stored in ms), KiB MiB GiB (bytes)
			  */
	CONF_T_BOOL,	 /* bool: yes/no */
	CONF_T_ENDPOINT, /* char *, owned; checked by io later, kept as text */
	CONF_T_PATH,	 /* char *, owned; absolute */
	CONF_T_LIST,	 /* struct conf_list: comma separated words/strings/addresses as text */
};

struct conf_list {
	char **items; /* owned */
	size_t n;
};

struct conf_item {
	const char *name;
	enum conf_type type;
	size_t offset;	   /* into the struct that is filled */
	const char *def;   /* default as text; NULL: must be given; "" for none */
	uint64_t min, max; /* numbers: value; strings: length; lists: count */
	const char *help;
};

struct conf_section {
	const char *name; /* NULL: the top level */
	const struct conf_item *items;
	size_t n_items;
	size_t size; /* of the element struct (sections); its first member is char *label, owned */
	size_t offset; /* of the struct conf_array in the top-level struct */
	size_t max;    /* most blocks */
};

struct conf_array {
	void *elems; /* owned */
	size_t n;
};

/* a value that has a language of its own; negative with words in @ret_why when it is not good */
struct conf_check {
	const char *item; /* each value of a list */
	int (*check)(const char *text, char ret_why[CONF_WHY_MAX]);
};

struct conf_table {
	const struct conf_section *sections; /* [0] is the top level */
	size_t n_sections;
	const struct conf_check *checks; /* mistakes are told where they stand */
	size_t n_checks;
	const struct conf_check
		*block_checks; /* the same for items of blocks; checks: of the top */
	size_t n_block_checks;
	const char *more_options; /* lines of --help: what the program takes itself; NULL none */
	/*
	 * What one item alone cannot show; for conf_main(), after a parse without errors. NULL:
	 * nothing. Negative with words in @ret_why when the whole is not usable.
	 */
	int (*check)(const void *conf, char ret_why[256]);
};

/* @into: zeroed struct; filled only when there is no error. 0, -GI_ESYNTAX (see diags), -ENOMEM */
GI_MUST_CHECK int conf_parse(const struct conf_table *t, const char *text, size_t len,
	struct conf_diags *diags, void *into);
/* whole file; -errno of open/read, then as conf_parse; @ret_text (owned) keeps the source for diags
 */
GI_MUST_CHECK int conf_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len);
void conf_free(const struct conf_table *t, void *into);
/* @a, @b: two structs that @item's offset counts from: is its value the same in both? */
bool conf_item_same(const struct conf_item *item, const void *a, const void *b);
void conf_help(const struct conf_table *t, struct gi_buf *out);

/*
 * conf_main - what every daemon's main does first, one way to do it:
 *   PROG [-c FILE] [-t] [-d] [-h|--help] [-V|--version] [--help-config]
 * Reads FILE (default IDFW_SYSCONFDIR/PROG.conf), prints diagnostics to stderr.
 * Returns 0 go on; 1 the program should exit with *ret_exit (0 after -h/-V/-t, 2 usage,
 * 78 EX_CONFIG on configuration errors, the table's check among them). -d sets *ret_debug.
 */
GI_MUST_CHECK int conf_main(int argc, char **argv, const char *prog, const char *summary,
	const struct conf_table *t, void *into, bool *ret_debug, int *ret_exit);
/*
 * conf_again - the configuration that conf_main() read, as it is on disk now: for SIGHUP
 * @argc, @argv, @prog, @t: as conf_main() had them
 * @into: zeroed; filled only when all is well
 * @out: appended: what is wrong, for people; nothing is printed
 * Errors: -GI_ESYNTAX, -errno of open and read, -ENOMEM
 */
GI_MUST_CHECK int conf_again(int argc, char **argv, const char *prog, const struct conf_table *t,
	void *into, struct gi_buf *out);

#endif
