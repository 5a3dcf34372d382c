/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirline.c - what the verbs about directories share: ways from group to group, a line of progress
 *
 * What comes from a directory is cleaned before it is shown.
 */
#include "idfwctl/dir.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "idfwctl/show.h"

#define LINE_MAX_BYTES 200

void ctl_dir_way(const json_t *list, struct gi_buf *out)
{
	const json_t *it;
	size_t i;

	json_array_foreach(list, i, it)
		gi_buf_printf(out, "%s%s", i ? " -> " : "", json_string_value(it));
}

void ctl_dir_put_cycle(const char *before, const json_t *row)
{
	const json_t *list = json_object_get(row, "groups");
	uint64_t more = ctl_row_number(row, "n");
	struct gi_buf way;

	gi_buf_init(&way, 64u << 10);
	ctl_dir_way(list, &way);
	ctl_putf("%s%s -> %s", before, gi_buf_str(&way),
		json_string_value(json_array_get(list, 0)) ?: "");
	if (more > json_array_size(list))
		ctl_putf(", and %" PRIu64 " groups more in cycles with these",
			more - json_array_size(list));
	putchar('\n');
	gi_buf_fini(&way);
}

const char *ctl_dir_took(uint64_t ms, char buf[CTL_TIME_STRLEN])
{
	if (ms >= 1000)
		return ctl_span_format(ms, buf);
	(void)snprintf(buf, CTL_TIME_STRLEN, "%" PRIu64 " ms", ms);
	return buf;
}

void ctl_dir_line_init(struct ctl_dir_line *l, const struct ctl_cli *cli)
{
	*l = (struct ctl_dir_line){ .on = !cli->json && isatty(STDOUT_FILENO) };
}

/* a line that the terminal breaks could not be erased again */
static int columns(void)
{
	struct winsize ws;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) < 0 || ws.ws_col < 2)
		return 79;
	return ws.ws_col - 1;
}

void ctl_dir_line_put(struct ctl_dir_line *l, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (!l->on)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("\r\033[K");
	ctl_putf("%.*s", columns(), text);
	(void)fflush(stdout);
	l->drawn = true;
}

void ctl_dir_line_end(struct ctl_dir_line *l)
{
	if (l->drawn)
		printf("\r\033[K");
	l->drawn = false;
}
