/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_lex.c - any bytes through the lexer and the diagnostics
 *
 * Holds lex.h's promises: tokens stand in order inside the source, a token that is CONF_BAD comes
 * with a diagnostic, the end comes after at most one token a byte, rendering shows no control
 * characters.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/text.h"
#include "lib/conf/lex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_rendered(const struct conf_diags *diags)
{
	struct gi_buf out;
	const char *p;

	gi_buf_init(&out, 1 << 20);
	conf_diags_render(diags, &out);
	if (gi_buf_error(&out))
		abort();
	for (p = gi_buf_str(&out); *p; p++) {
		if (*p != '\n' && gi_text_is_control((uint8_t)*p) && (uint8_t)*p < 0x80)
			abort();
	}
	gi_buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conf_token tok;
	struct conf_lexer *lexer;
	struct conf_diags diags;
	struct conf_pos last = { 1, 1, 1, 1 };
	size_t n = 0, bad = 0;
	int kind;

	conf_diags_init(&diags, "fuzz", (const char *)data, size);
	if (conf_lexer_new((const char *)data, size, &diags, &lexer) < 0)
		abort();
	while ((kind = conf_lexer_next(lexer, &tok)) != CONF_EOF) {
		if (kind < 0 || kind != tok.kind || n++ > size)
			abort();
		if (tok.pos.line < last.end_line ||
			(tok.pos.line == last.end_line && tok.pos.col < last.end_col))
			abort();
		if (strlen(tok.text) > CONF_TOKEN_MAX)
			abort();
		bad += kind == CONF_BAD;
		last = tok.pos;
	}
	if (bad > 0 && diags.n_errors == 0)
		abort();
	check_rendered(&diags);
	conf_lexer_free(lexer);
	conf_diags_fini(&diags);
	return 0;
}
