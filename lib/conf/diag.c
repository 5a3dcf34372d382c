/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * diag.c - the user's mistakes, collected with their positions
 *
 * Filled by the lexer, by the configuration parser and by policy's grammar and checks; shown by
 * the program, all at once. Invariants: at most CONF_DIAG_MAX entries and one that says so; a
 * note stays behind the error that it belongs to; what is quoted from the source cannot move a
 * terminal's cursor.
 */
#include "lib/conf/diag.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/base/text.h"

#define DIAG_TEXT_MAX 512  /* bytes of one message */
#define DIAG_QUOTE_MAX 160 /* bytes of a quoted source line */
#define SUGGEST_WORD_MAX 64
#define SUGGEST_DISTANCE 2

struct diag_order {
	const struct conf_diag *diag;
	const struct conf_pos *key; /* the error's position, also for its notes */
	size_t index;
};

static int diag_order_cmp(const void *a, const void *b);
static void diag_render_one(
	const struct conf_diags *d, const struct conf_diag *diag, struct gi_buf *out);
static void diag_quote(const struct conf_diags *d, const struct conf_pos *pos, struct gi_buf *out);
static size_t diag_distance(const char *a, const char *b);

void conf_diags_init(struct conf_diags *d, const char *file, const char *source, size_t len)
{
	*d = (struct conf_diags){ .file = file, .source = source, .source_len = len };
}

void conf_diags_fini(struct conf_diags *d)
{
	for (size_t i = 0; i < d->n; i++)
		free(d->list[i].text);
	free(d->list);
	conf_diags_init(d, NULL, NULL, 0);
}

/* without memory the message is lost, but never the fact that there was an error */
void conf_diag_add(struct conf_diags *d, enum conf_severity s, const struct conf_pos *pos,
	const char *fmt, ...)
{
	char text[DIAG_TEXT_MAX];
	struct conf_diag *list;
	va_list ap;

	if (s == CONF_ERROR)
		d->n_errors++;
	if (d->n > CONF_DIAG_MAX)
		return;
	list = reallocarray(d->list, d->n + 1, sizeof(*list));
	if (!list)
		return;
	d->list = list;
	va_start(ap, fmt);
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	list[d->n] = (struct conf_diag){ .severity = s, .pos = *pos };
	if (d->n == CONF_DIAG_MAX) {
		list[d->n].severity = CONF_NOTE;
		(void)snprintf(text, sizeof(text), "too many errors, the rest is not shown");
	}
	list[d->n].text = strdup(text);
	if (list[d->n].text)
		d->n++;
}

void conf_diags_render(const struct conf_diags *d, struct gi_buf *out)
{
	struct diag_order *order;
	const struct conf_pos *key = NULL;

	if (d->n == 0)
		return;
	order = calloc(d->n, sizeof(*order));
	if (!order) {
		out->err = out->err ? out->err : -ENOMEM;
		return;
	}
	for (size_t i = 0; i < d->n; i++) {
		if (d->list[i].severity != CONF_NOTE || !key)
			key = &d->list[i].pos;
		order[i] = (struct diag_order){ &d->list[i], key, i };
	}
	/* the note at the limit closes the text, it belongs to no error */
	qsort(order, d->n > CONF_DIAG_MAX ? CONF_DIAG_MAX : d->n, sizeof(*order), diag_order_cmp);
	for (size_t i = 0; i < d->n; i++)
		diag_render_one(d, order[i].diag, out);
	free(order);
}

const char *conf_suggest(const char *word, const char *const *words, size_t n)
{
	size_t best = SUGGEST_DISTANCE + 1;
	const char *found = NULL;

	for (size_t i = 0; i < n; i++) {
		size_t d = diag_distance(word, words[i]);

		/* a word that shares nothing with the other is no suggestion */
		if (d < best && d < strlen(word)) {
			best = d;
			found = words[i];
		}
	}
	return found;
}

static int diag_order_cmp(const void *a, const void *b)
{
	const struct diag_order *x = a, *y = b;

	if (x->key->line != y->key->line)
		return x->key->line < y->key->line ? -1 : 1;
	if (x->key->col != y->key->col)
		return x->key->col < y->key->col ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* one character at a time: what is not clean becomes '?' ('\t': a space, so that the caret fits) */
static size_t diag_put_clean(struct gi_buf *out, const char *text, size_t len)
{
	uint32_t cp = 0;
	size_t n = gi_text_utf8(text, len, &cp);

	if (n > 0 && !gi_text_is_control(cp)) {
		gi_buf_append(out, text, n);
		return n;
	}
	gi_buf_append(out, *text == '\t' ? " " : "?", 1);
	return n ? n : 1;
}

static void diag_render_one(
	const struct conf_diags *d, const struct conf_diag *diag, struct gi_buf *out)
{
	static const char *const words[] = {
		[CONF_ERROR] = "error", [CONF_WARNING] = "warning", [CONF_NOTE] = "note"
	};
	size_t len = strlen(diag->text);

	if (d->file)
		gi_buf_printf(out, "%s:", d->file);
	if (diag->pos.line > 0)
		gi_buf_printf(out, "%d:%d:", diag->pos.line, diag->pos.col);
	gi_buf_printf(out, "%s%s: ", out->len && out->data[out->len - 1] == ':' ? " " : "",
		words[diag->severity]);
	for (size_t i = 0; i < len;)
		i += diag_put_clean(out, diag->text + i, len - i);
	gi_buf_append(out, "\n", 1);
	if (diag->pos.line > 0 && d->source)
		diag_quote(d, &diag->pos, out);
}

/* the source line and a caret under the token; tokens over several lines end with their first */
static void diag_quote(const struct conf_diags *d, const struct conf_pos *pos, struct gi_buf *out)
{
	const char *p = d->source, *end = d->source + d->source_len, *nl;
	size_t len, mark = (size_t)pos->col - 1, stop, marks = 0;

	for (int line = 1; p && line < pos->line; line++) {
		nl = memchr(p, '\n', (size_t)(end - p));
		p = nl ? nl + 1 : NULL;
	}
	if (!p)
		return;
	nl = memchr(p, '\n', (size_t)(end - p));
	len = (size_t)((nl ? nl : end) - p);
	if (len > 0 && p[len - 1] == '\r')
		len--;
	if (mark > len || len > DIAG_QUOTE_MAX)
		return;
	stop = pos->end_line == pos->line && pos->end_col > pos->col ? (size_t)pos->end_col - 1
								     : len;
	gi_buf_printf(out, "    ");
	for (size_t i = 0; i < len;)
		i += diag_put_clean(out, p + i, len - i);
	gi_buf_printf(out, "\n    ");
	for (size_t i = 0; i < len || i <= mark;) {
		uint32_t cp;
		size_t n = i < len ? gi_text_utf8(p + i, len - i, &cp) : 1;

		if (i >= mark && marks > 0 && i >= stop)
			break;
		gi_buf_append(out, i < mark ? " " : marks++ == 0 ? "^" : "~", 1);
		i += n ? n : 1;
	}
	gi_buf_append(out, "\n", 1);
}

/* edit distance with swaps of neighbours counted as one; words that are too long are far away */
static size_t diag_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t row[3][SUGGEST_WORD_MAX + 1];

	if (la > SUGGEST_WORD_MAX || lb > SUGGEST_WORD_MAX)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t best = up[j - 1] + (a[i - 1] != b[j - 1]);

			if (up[j] + 1 < best)
				best = up[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				up2[j - 2] + 1 < best)
				best = up2[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[la % 3][lb];
}
