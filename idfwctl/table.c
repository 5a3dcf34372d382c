/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * table.c - aligned columns, times and colours for a human's terminal
 */
#include "idfwctl/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/base/text.h"

#define CELL_MAX (64u << 10)

/* what turns the direction of the text around it, or ends a line: "nimda" may be read as admin */
static bool turns(uint32_t cp)
{
	return cp == 0x61c || cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

void ctl_clean(struct gi_buf *out, const char *text, size_t len, bool lines)
{
	for (size_t i = 0; i < len;) {
		uint32_t cp = 0;
		size_t n = gi_text_utf8(text + i, len - i, &cp);
		bool space = lines && n == 1 && (text[i] == '\n' || text[i] == '\t');

		if (n && (space || !(gi_text_is_control(cp) || turns(cp))))
			gi_buf_append(out, text + i, n);
		else
			gi_buf_append(out, "?", 1);
		i += n ? n : 1;
	}
}

void ctl_table_init(struct ctl_table *t, const char *const *heads, size_t n_columns)
{
	*t = (struct ctl_table){ .heads = heads, .n_columns = n_columns };
}

void ctl_table_fini(struct ctl_table *t)
{
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i].text);
	free(t->cells);
	ctl_table_init(t, NULL, 0);
}

static int grow(struct ctl_table *t)
{
	size_t cap = t->cap ? 2 * t->cap : 64;
	struct ctl_cell *cells;

	if (t->n_cells < t->cap)
		return 0;
	cells = reallocarray(t->cells, cap, sizeof(cells[0]));
	if (!cells)
		return -ENOMEM;
	t->cells = cells;
	t->cap = cap;
	return 0;
}

void ctl_table_add(struct ctl_table *t, enum ctl_tone tone, const char *text)
{
	struct gi_buf clean;

	if (t->err == 0)
		t->err = grow(t);
	if (t->err)
		return;
	gi_buf_init(&clean, CELL_MAX);
	if (text)
		ctl_clean(&clean, text, strlen(text), false);
	t->cells[t->n_cells] = (struct ctl_cell){ strdup(gi_buf_str(&clean)), tone };
	t->err = t->cells[t->n_cells].text ? gi_buf_error(&clean) : -ENOMEM;
	t->n_cells++;
	gi_buf_fini(&clean);
}

void ctl_table_addf(struct ctl_table *t, enum ctl_tone tone, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ctl_table_add(t, tone, text);
}

static size_t width_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

static bool is_number(const char *head)
{
	return head[0] == '#';
}

static const char *head_text(const char *head)
{
	return is_number(head) ? head + 1 : head;
}

static void print_cell(const char *text, enum ctl_tone tone, size_t width, bool right, bool last,
	bool color, FILE *to)
{
	size_t have = width_of(text), pad = width > have ? width - have : 0;

	if (right)
		fprintf(to, "%*s", (int)pad, "");
	fprintf(to, "%s%s%s", ctl_tone_on(tone, color), text, ctl_tone_off(tone, color));
	if (!last)
		fprintf(to, "%*s", (int)(right ? 2 : pad + 2), "");
}

/* how far a row is filled: empty cells at its end leave no white space */
static size_t row_end(const struct ctl_table *t, size_t row)
{
	size_t n = t->n_columns;

	while (n > 1 && t->cells[row * t->n_columns + n - 1].text[0] == '\0')
		n--;
	return n;
}

int ctl_table_print(const struct ctl_table *t, bool color, FILE *to)
{
	size_t widths[CTL_COLUMNS_MAX] = { 0 };
	size_t n_rows = t->n_cells / t->n_columns;

	if (t->err || n_rows == 0)
		return t->err;
	for (size_t c = 0; c < t->n_columns; c++)
		widths[c] = width_of(head_text(t->heads[c]));
	for (size_t i = 0; i < n_rows * t->n_columns; i++) {
		size_t w = width_of(t->cells[i].text);

		if (w > widths[i % t->n_columns])
			widths[i % t->n_columns] = w;
	}
	for (size_t c = 0; c < t->n_columns; c++)
		print_cell(head_text(t->heads[c]), CTL_HEAD, widths[c], is_number(t->heads[c]),
			c + 1 == t->n_columns, color, to);
	fputc('\n', to);
	for (size_t r = 0; r < n_rows; r++) {
		size_t end = row_end(t, r);

		for (size_t c = 0; c < end; c++) {
			const struct ctl_cell *cell = &t->cells[r * t->n_columns + c];

			print_cell(cell->text, cell->tone, widths[c], is_number(t->heads[c]),
				c + 1 == end, color, to);
		}
		fputc('\n', to);
	}
	return 0;
}

const char *ctl_tone_on(enum ctl_tone tone, bool color)
{
	static const char *const codes[] = { [CTL_PLAIN] = "",
		[CTL_GOOD] = "\033[32m",
		[CTL_BAD] = "\033[1;31m",
		[CTL_DIM] = "\033[2m",
		[CTL_HEAD] = "\033[1m" };

	return color ? codes[tone] : "";
}

const char *ctl_tone_off(enum ctl_tone tone, bool color)
{
	return color && tone != CTL_PLAIN ? "\033[0m" : "";
}

const char *ctl_time_format(uint64_t ms, char buf[CTL_TIME_STRLEN])
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (ms == 0 || !localtime_r(&t, &tm) ||
		strftime(buf, CTL_TIME_STRLEN, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		(void)snprintf(buf, CTL_TIME_STRLEN, "-");
	return buf;
}

const char *ctl_span_format(uint64_t ms, char buf[CTL_TIME_STRLEN])
{
	unsigned long long s = ms / 1000;

	if (s < 60)
		(void)snprintf(buf, CTL_TIME_STRLEN, "%llu s", s);
	else if (s < 3600)
		(void)snprintf(buf, CTL_TIME_STRLEN, "%llu m %llu s", s / 60, s % 60);
	else if (s < 86400)
		(void)snprintf(buf, CTL_TIME_STRLEN, "%llu h %llu m", s / 3600, s / 60 % 60);
	else
		(void)snprintf(buf, CTL_TIME_STRLEN, "%llu d %llu h", s / 86400, s / 3600 % 24);
	return buf;
}
