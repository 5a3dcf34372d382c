/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * lex.h - the one lexer of all idfw text: daemon configuration and policy
 *
 * Tokens: words [A-Za-z_][A-Za-z0-9_.-]*, numbers (decimal), addresses and prefixes, strings
 * "..." with \" \\ \n \t, punctuation { } ( ) , ; = : / ! -, comments from # to the end of line.
 * Newlines are not tokens: statements end with ; or a block. At most CONF_SOURCE_MAX bytes of
 * source, CONF_TOKEN_MAX bytes a token; NUL and invalid UTF-8 are errors with a position.
 */
#ifndef CONF_LEX_H
#define CONF_LEX_H

#include <stddef.h>
#include <stdint.h>
#include "lib/base/addr.h"
#include "lib/conf/diag.h"

#define CONF_SOURCE_MAX (4u << 20)
#define CONF_TOKEN_MAX 1024

enum conf_tok { CONF_EOF = 0, CONF_WORD = 256, CONF_NUMBER, CONF_STRING, CONF_PREFIX, CONF_BAD };
/* single punctuation characters are their own code */

struct conf_token {
	int kind; /* enum conf_tok or the character */
	struct conf_pos pos;
	char text[CONF_TOKEN_MAX + 1]; /* as it stands in the source; string: after unescaping */
	uint64_t number;
	struct gi_prefix prefix; /* a bare address is /32, /128 */
};

struct conf_lexer; /* flex inside */

/* -GI_ELIMIT over CONF_SOURCE_MAX, -ENOMEM; @text: borrows for the call, @diags: until free */
GI_MUST_CHECK int conf_lexer_new(
	const char *text, size_t len, struct conf_diags *diags, struct conf_lexer **ret);
void conf_lexer_free(struct conf_lexer *l);
/*
 * conf_lexer_next - next token; returns its kind (also in ret->kind), or -ENOMEM (kind CONF_EOF)
 * Errors go to diags, the token is then CONF_BAD and lexing goes on behind it. CONF_EOF repeats.
 * Tokens that touch each other (pos.end_* of one = pos of the next) are still two tokens:
 * 300ms is number and word, unix:/run/x is word ':' '/' word '/' word.
 */
int conf_lexer_next(struct conf_lexer *l, struct conf_token *ret);

#endif
