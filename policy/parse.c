/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * parse.c - from text to a checked policy, the one way in
 *
 * All stages run on the whole text even after errors, so that one run shows every mistake; a
 * policy is handed out only when there was none.
 */
#include "policy/tree.h"

#include <stdlib.h>

#include "policy/grammar.h"

static int run(struct pol_policy *p, const char *text, size_t len, struct conf_diags *diags)
{
	struct pol_parser c = { .p = p, .diags = diags, .section = POL_S_UNKNOWN };
	int err;

	err = conf_lexer_new(text, len, diags, &c.lex);
	if (err)
		return err;
	(void)pol_yyparse(&c); /* what it found is in diags and c.err */
	conf_lexer_free(c.lex);
	if (c.err)
		return c.err;
	err = pol_service_builtins(p);
	return err ? err : pol_check(p, diags);
}

int pol_parse(const char *text, size_t len, struct conf_diags *diags, struct pol_policy **ret)
{
	struct pol_policy *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	err = run(p, text, len, diags);
	if (err == 0 && diags->n_errors)
		err = -GI_ESYNTAX;
	if (err) {
		pol_free(p);
		return err;
	}
	*ret = p;
	return 0;
}
