/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conf.c - daemon configuration from one table a program
 *
 * Tokens of lex.l are matched against the table; values go through value.c. Runs in every daemon
 * at start and on reload. Invariants: after a mistake parsing goes on behind the next ';' or '}',
 * so that one run shows all mistakes; a struct is either filled whole or left zeroed.
 */
#include "lib/conf/conf.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/base/text.h"
#include "lib/conf/lex.h"
#include "lib/conf/value.h"

struct conf_parser {
	const struct conf_table *table;
	struct conf_diags *diags;
	struct conf_lexer *lexer;
	struct conf_token tok; /* the one that is looked at */
	const void *top;       /* the struct that is filled */
	int err;	       /* sticky: -ENOMEM */
};

struct conf_text { /* one value as it stood */
	struct conf_pos pos;
	bool quoted;
	char text[CONF_TOKEN_MAX + 1];
};

static void parse_block(struct conf_parser *p, const struct conf_section *s, void *base, void *top);
static void parse_section(struct conf_parser *p, const struct conf_section *s, void *top);
static void parse_item(struct conf_parser *p, const struct conf_item *item, void *base, bool *seen);
static bool parse_text(struct conf_parser *p, struct conf_text *ret);
static void parse_unknown(struct conf_parser *p, const struct conf_section *s, bool top);
static void parse_skip(struct conf_parser *p);
static void parse_missing(struct conf_parser *p, const struct conf_section *s, void *base,
	const bool *seen, const struct conf_pos *at);
static void free_items(const struct conf_section *s, void *base);

static int parse_next(struct conf_parser *p)
{
	int kind = conf_lexer_next(p->lexer, &p->tok);

	if (kind < 0 && !p->err)
		p->err = kind;
	return p->tok.kind;
}

int conf_parse(const struct conf_table *t, const char *text, size_t len, struct conf_diags *diags,
	void *into)
{
	struct conf_parser p = { .table = t, .diags = diags, .top = into };
	const struct conf_pos first = { 1, 1, 1, 1 };
	size_t before = diags->n_errors;
	int err = conf_lexer_new(text, len, diags, &p.lexer);

	if (err == -GI_ELIMIT) {
		conf_diag_add(
			diags, CONF_ERROR, &first, "file is larger than %u bytes", CONF_SOURCE_MAX);
		return -GI_ESYNTAX;
	}
	if (err < 0)
		return err;
	parse_next(&p);
	parse_block(&p, &t->sections[0], into, into);
	conf_lexer_free(p.lexer);
	err = p.err ? p.err : diags->n_errors > before ? -GI_ESYNTAX : 0;
	if (err < 0)
		conf_free(t, into);
	return err;
}

int conf_read_file(const char *path, size_t max, char **ret_text, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	struct gi_buf b;
	char part[16384];
	ssize_t n;

	if (fd < 0)
		return -errno;
	gi_buf_init(&b, max);
	gi_buf_append(&b, "", 0);
	for (;;) {
		n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		gi_buf_append(&b, part, (size_t)n);
		if (gi_buf_error(&b))
			break;
	}
	err = n < 0 ? -errno : gi_buf_error(&b);
	(void)close(fd);
	if (err == 0 && !b.data) {
		b.data = calloc(1, 1); /* an empty file is a text, too */
		err = b.data ? 0 : -ENOMEM;
	}
	if (err < 0) {
		gi_buf_fini(&b);
		return err;
	}
	*ret_text = (char *)b.data;
	*ret_len = b.len;
	return 0;
}

void conf_free(const struct conf_table *t, void *into)
{
	for (size_t i = 1; i < t->n_sections; i++) {
		const struct conf_section *s = &t->sections[i];
		struct conf_array *a = (void *)((char *)into + s->offset);

		for (size_t k = 0; k < a->n; k++) {
			char *elem = (char *)a->elems + k * s->size;

			free_items(s, elem);
			free(*(char **)(void *)elem);
		}
		free(a->elems);
		*a = (struct conf_array){ 0 };
	}
	free_items(&t->sections[0], into);
}

/* "; 10 to 60000", "; at least 1 item": only what the table says */
static void help_range(const struct conf_item *item, struct gi_buf *out)
{
	const char *of = item->type == CONF_T_NUMBER ? ""
			 : item->type == CONF_T_LIST ? " items"
						     : " bytes";

	if (item->max && item->min)
		gi_buf_printf(out, "; %llu to %llu%s", (unsigned long long)item->min,
			(unsigned long long)item->max, of);
	else if (item->max)
		gi_buf_printf(out, "; at most %llu%s", (unsigned long long)item->max, of);
	else if (item->min)
		gi_buf_printf(out, "; at least %llu%s", (unsigned long long)item->min, of);
}

static void help_items(const struct conf_section *s, const char *indent, struct gi_buf *out)
{
	for (size_t i = 0; i < s->n_items; i++) {
		const struct conf_item *item = &s->items[i];

		gi_buf_printf(out, "%s%s %s;\n%s\t%s", indent, item->name,
			conf_value_type_name(item->type), indent, item->help);
		if (!item->def)
			gi_buf_printf(out, "; must be given");
		else if (*item->def)
			gi_buf_printf(out, "; default %s", item->def);
		help_range(item, out);
		gi_buf_printf(out, "\n");
	}
}

void conf_help(const struct conf_table *t, struct gi_buf *out)
{
	help_items(&t->sections[0], "", out);
	for (size_t i = 1; i < t->n_sections; i++) {
		gi_buf_printf(out, "%s NAME { ... }\n\tat most %zu\n", t->sections[i].name,
			t->sections[i].max);
		help_items(&t->sections[i], "\t", out);
	}
}

/* up to '}' (left to the caller) or the end; @top is the whole struct, == @base at the top */
static void parse_block(struct conf_parser *p, const struct conf_section *s, void *base, void *top)
{
	struct conf_pos at = p->tok.pos;
	bool *seen = calloc(s->n_items + 1, sizeof(*seen));

	if (!seen) {
		p->err = -ENOMEM;
		return;
	}
	while (!p->err && p->tok.kind != CONF_EOF && (base == top || p->tok.kind != '}')) {
		const struct conf_section *block = NULL;
		size_t i = s->n_items;

		if (p->tok.kind == CONF_WORD) {
			for (i = 0; i < s->n_items; i++) {
				if (strcmp(s->items[i].name, p->tok.text) == 0)
					break;
			}
			for (size_t k = 1; base == top && k < p->table->n_sections; k++) {
				if (strcmp(p->table->sections[k].name, p->tok.text) == 0)
					block = &p->table->sections[k];
			}
		}
		if (i < s->n_items)
			parse_item(p, &s->items[i], base, &seen[i]);
		else if (block)
			parse_section(p, block, top);
		else
			parse_unknown(p, s, base == top);
	}
	parse_missing(p, s, base, seen, &at);
	free(seen);
}

/* an element at the end of the array; the label is its first member */
static void *section_add(struct conf_parser *p, const struct conf_section *s, struct conf_array *a)
{
	char *label, *elem;
	void *elems;

	for (size_t i = 0; i < a->n; i++) {
		if (strcmp(*(char **)(void *)((char *)a->elems + i * s->size), p->tok.text) == 0) {
			conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "%s %s is repeated",
				s->name, p->tok.text);
			break;
		}
	}
	if (a->n == s->max)
		conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "at most %zu blocks %s", s->max,
			s->name);
	elems = reallocarray(a->elems, a->n + 1, s->size);
	label = strdup(p->tok.text);
	if (elems)
		a->elems = elems;
	if (!elems || !label) {
		free(label);
		p->err = -ENOMEM;
		return NULL;
	}
	elem = (char *)elems + a->n++ * s->size;
	memset(elem, 0, s->size);
	*(char **)(void *)elem = label;
	return elem;
}

static void parse_section(struct conf_parser *p, const struct conf_section *s, void *top)
{
	struct conf_array *a = (void *)((char *)top + s->offset);
	void *elem;

	parse_next(p);
	if ((p->tok.kind != CONF_WORD && p->tok.kind != CONF_STRING) ||
		!gi_text_is_name(p->tok.text, GI_NAME_MAX)) {
		conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos,
			"%s needs a name: letters, digits, _ and -, at most %d", s->name,
			GI_NAME_MAX);
		parse_skip(p);
		return;
	}
	if (a->n > s->max) { /* told already */
		parse_skip(p);
		return;
	}
	elem = section_add(p, s, a);
	if (!elem)
		return;
	if (parse_next(p) != '{') {
		conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "expected { behind %s", s->name);
		parse_skip(p);
		return;
	}
	parse_next(p);
	parse_block(p, s, elem, top);
	if (p->tok.kind == '}')
		parse_next(p);
	else if (!p->err)
		conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "} of %s is missing", s->name);
}

/* what the table's own function says of a value */
static int check_text(const struct conf_parser *p, const struct conf_item *item, const char *text,
	const void *base, char why[CONF_WHY_MAX])
{
	bool top = base == p->top;
	const struct conf_check *c = top ? p->table->checks : p->table->block_checks;
	size_t n = top ? p->table->n_checks : p->table->n_block_checks;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(c[i].item, item->name) == 0 && c[i].check(text, why) < 0)
			return -GI_ESYNTAX;
	}
	return 0;
}

/* false: a mistake (told) or no memory */
static bool store_text(
	struct conf_parser *p, const struct conf_item *item, const struct conf_text *v, void *base)
{
	char why[CONF_WHY_MAX] = "";
	int err;

	if (v->quoted && (item->type == CONF_T_NUMBER || item->type == CONF_T_BOOL)) {
		conf_diag_add(
			p->diags, CONF_ERROR, &v->pos, "%s is written without quotes", item->name);
		return false;
	}
	err = check_text(p, item, v->text, base, why);
	if (err == 0)
		err = conf_value_store(item, v->text, base, why);
	if (err == -GI_ESYNTAX)
		conf_diag_add(p->diags, CONF_ERROR, &v->pos, "%s", why);
	else if (err < 0)
		p->err = err;
	return err == 0;
}

/* name value; or name value, value; after the first mistake values are only skipped */
static void parse_item(struct conf_parser *p, const struct conf_item *item, void *base, bool *seen)
{
	struct conf_pos at = p->tok.pos;
	char why[CONF_WHY_MAX] = "";
	bool store = !*seen;
	struct conf_text v;

	if (*seen)
		conf_diag_add(p->diags, CONF_ERROR, &at, "%s is repeated", item->name);
	*seen = true;
	do {
		parse_next(p); /* the name, or a comma */
		if (!parse_text(p, &v)) {
			if (p->tok.kind != CONF_BAD)
				conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos,
					"expected a value for %s", item->name);
			parse_skip(p);
			return;
		}
		store = store && store_text(p, item, &v, base);
	} while (item->type == CONF_T_LIST && p->tok.kind == ',');
	if (p->tok.kind != ';') {
		if (p->tok.kind != CONF_BAD)
			conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos,
				"expected ; behind the value of %s", item->name);
		parse_skip(p);
		return;
	}
	parse_next(p);
	if (store && item->type == CONF_T_LIST && conf_value_check_list(item, base, why) < 0)
		conf_diag_add(p->diags, CONF_ERROR, &at, "%s", why);
}

/* what may stand in a bare value: unix:/run/x, 300ms, -1, 10.0.0.0/8 */
static bool is_value_part(int kind)
{
	return kind == CONF_WORD || kind == CONF_NUMBER || kind == CONF_PREFIX || kind == ':' ||
	       kind == '/' || kind == '-' || kind == '=';
}

/* one string, or tokens that touch each other; false: none, or a part is CONF_BAD */
static bool parse_text(struct conf_parser *p, struct conf_text *ret)
{
	size_t n = 0, len;

	ret->pos = p->tok.pos;
	ret->quoted = p->tok.kind == CONF_STRING;
	if (!ret->quoted && !is_value_part(p->tok.kind))
		return false;
	do {
		len = strlen(p->tok.text);
		if (len > CONF_TOKEN_MAX - n) {
			conf_diag_add(p->diags, CONF_ERROR, &ret->pos, "value is too long");
			p->tok.kind = CONF_BAD; /* told */
			return false;
		}
		memcpy(ret->text + n, p->tok.text, len + 1);
		n += len;
		ret->pos.end_line = p->tok.pos.end_line;
		ret->pos.end_col = p->tok.pos.end_col;
		parse_next(p);
	} while (!ret->quoted && is_value_part(p->tok.kind) &&
		 p->tok.pos.line == ret->pos.end_line && p->tok.pos.col == ret->pos.end_col);
	return p->tok.kind != CONF_BAD;
}

static void parse_unknown(struct conf_parser *p, const struct conf_section *s, bool top)
{
	const char **names, *near;
	size_t n = 0;

	if (p->tok.kind == '}') {
		conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "} without {");
		parse_next(p);
		return;
	}
	if (p->tok.kind != CONF_WORD) {
		if (p->tok.kind != CONF_BAD)
			conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "expected a name");
		parse_skip(p);
		return;
	}
	names = calloc(s->n_items + p->table->n_sections, sizeof(*names));
	if (!names) {
		p->err = -ENOMEM;
		return;
	}
	for (size_t i = 0; i < s->n_items; i++)
		names[n++] = s->items[i].name;
	for (size_t i = 1; top && i < p->table->n_sections; i++)
		names[n++] = p->table->sections[i].name;
	near = conf_suggest(p->tok.text, names, n);
	conf_diag_add(p->diags, CONF_ERROR, &p->tok.pos, "unknown name \"%s\"%s%s%s", p->tok.text,
		near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
	free(names);
	parse_skip(p);
}

/* behind the next ';' or the '}' of a block that opened on the way; stops at a '}' of the outer */
static void parse_skip(struct conf_parser *p)
{
	size_t depth = 0;

	while (!p->err && p->tok.kind != CONF_EOF) {
		if (p->tok.kind == '{')
			depth++;
		if (p->tok.kind == '}') {
			if (depth <= 1) {
				if (depth == 1)
					parse_next(p);
				return;
			}
			depth--;
		}
		if (p->tok.kind == ';' && depth == 0) {
			parse_next(p);
			return;
		}
		parse_next(p);
	}
}

static void parse_missing(struct conf_parser *p, const struct conf_section *s, void *base,
	const bool *seen, const struct conf_pos *at)
{
	int err;

	for (size_t i = 0; i < s->n_items && !p->err; i++) {
		if (seen[i])
			continue;
		if (!s->items[i].def) {
			conf_diag_add(p->diags, CONF_ERROR, at, "%s%s%s must be given",
				s->name ? s->name : "", s->name ? ": " : "", s->items[i].name);
			continue;
		}
		err = conf_value_default(&s->items[i], base);
		if (err < 0)
			p->err = err;
	}
}

static void free_items(const struct conf_section *s, void *base)
{
	for (size_t i = 0; i < s->n_items; i++)
		conf_value_free(&s->items[i], base);
}
