/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * flat.c - a ruleset's text as single commands, the only form that fills a table with an owner
 *
 * Runs in gi-netagent's pusher. A `table { }` block makes nft 1.0.6 send the table itself once
 * more, with flags that it does not know all of, and the kernel refuses the whole transaction. So
 * the block becomes `add chain` for each chain, since rules may jump to any, then `add rule` for
 * each rule; and the table is made by netlink before (push_own.c).
 * The text is our own: one line opens a chain, one a rule, deeper ones go on with it.
 */
#include "fw/render_int.h"

#include <string.h>

#define ADD_TABLE "add table inet " FW_TABLE
#define BLOCK "table inet " FW_TABLE " {"

struct line {
	const char *at;
	size_t len; /* with its end */
};

static bool next_line(const char **text, struct line *ret)
{
	const char *end;

	if (!**text)
		return false;
	end = strchr(*text, '\n');
	ret->at = *text;
	ret->len = end ? (size_t)(end + 1 - *text) : strlen(*text);
	*text += ret->len;
	return true;
}

static bool starts(const struct line *l, const char *with)
{
	size_t n = strlen(with);

	return l->len >= n && memcmp(l->at, with, n) == 0;
}

static bool is(const struct line *l, const char *all)
{
	return starts(l, all) && l->len == strlen(all) + 1;
}

/* one pass over the lines of a block, from behind its first to behind its last */
static int pass(const char **text, bool rules, struct gi_buf *out)
{
	struct line l, chain = { NULL, 0 };

	while (next_line(text, &l)) {
		if (starts(&l, "\tchain ") && !chain.at) {
			chain.at = l.at + strlen("\tchain ");
			chain.len = strcspn(chain.at, " \n");
			if (!rules)
				gi_buf_printf(out, "add chain inet " FW_TABLE " %.*s",
					(int)chain.len, chain.at);
		} else if (chain.at && starts(&l, "\t\ttype ")) {
			if (!rules)
				gi_buf_printf(out, " { %.*s }", (int)l.len - 3, l.at + 2);
		} else if (chain.at && is(&l, "\t}")) {
			chain.at = NULL;
			if (!rules)
				gi_buf_printf(out, "\n");
		} else if (chain.at && starts(&l, "\t\t")) {
			if (rules && !starts(&l, "\t\t\t") && !starts(&l, "\t\t}"))
				gi_buf_printf(out, "add rule inet " FW_TABLE " %.*s ",
					(int)chain.len, chain.at);
			if (rules)
				gi_buf_append(out, l.at + 2, l.len - 2);
		} else if (!chain.at && is(&l, "}")) {
			return 0;
		} else {
			return -EINVAL;
		}
	}
	return -EINVAL; /* no end */
}

int fw_flat(const char *text, struct gi_buf *out)
{
	struct line l;

	while (next_line(&text, &l)) {
		const char *again = text;

		if (is(&l, ADD_TABLE))
			continue;
		if (!is(&l, BLOCK)) {
			gi_buf_append(out, l.at, l.len);
			continue;
		}
		if (pass(&again, false, out) < 0 || pass(&text, true, out) < 0)
			return -EINVAL;
	}
	return gi_buf_error(out);
}
