/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c - what every daemon's main does first: options, configuration, diagnostics
 *
 * The only code of lib/conf that prints: before the daemon's own log exists, to the person who
 * started it. One set of options for all daemons, so that one man page section fits all.
 */
#include "config.h"

#include "lib/conf/conf.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include "lib/conf/lex.h"

#define MAIN_TEXT_MAX (1u << 20)
#define MAIN_EXIT_USAGE 2
#define MAIN_EXIT_CONFIG 78 /* EX_CONFIG of sysexits.h */

struct main_opts {
	const char *file;
	bool test, debug;
};

static const struct option main_long[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "test", no_argument, NULL, 't' },
	{ "debug", no_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "help-config", no_argument, NULL, 'H' },
	{ 0 },
};

static void main_usage(FILE *to, const char *prog, const char *summary, const struct conf_table *t)
{
	(void)fprintf(to,
		"usage: %s [-c FILE] [-t] [-d] [-h] [-V] [--help-config]\n"
		"%s\n\n"
		"  -c, --config FILE  configuration, default %s/%s.conf\n"
		"  -t, --test         check the configuration and exit\n"
		"  -d, --debug        log what happens in detail\n"
		"  -h, --help         this text\n"
		"  -V, --version      version\n"
		"      --help-config  what the configuration file may say\n",
		prog, summary, IDFW_SYSCONFDIR, prog);
	if (t->more_options)
		(void)fputs(t->more_options, to);
}

static void main_help_config(const struct conf_table *t)
{
	struct gi_buf out;

	gi_buf_init(&out, MAIN_TEXT_MAX);
	conf_help(t, &out);
	(void)fputs(gi_buf_str(&out), stdout);
	gi_buf_fini(&out);
}

/* the whole configuration, checked; what is wrong with it is appended to @out */
static int main_load(const char *path, const struct conf_table *t, void *into, struct gi_buf *out)
{
	struct conf_diags diags;
	char *text = NULL, why[256] = "";
	size_t len = 0;
	int err = conf_read_file(path, CONF_SOURCE_MAX, &text, &len);

	if (err < 0) {
		gi_buf_printf(out, "%s: %s\n", path, gi_strerror(err));
		return err;
	}
	conf_diags_init(&diags, path, text, len);
	err = conf_parse(t, text, len, &diags, into);
	conf_diags_render(&diags, out);
	if (err < 0 && err != -GI_ESYNTAX)
		gi_buf_printf(out, "%s: %s\n", path, gi_strerror(err));
	if (err == 0 && t->check && t->check(into, why) < 0) {
		gi_buf_printf(out, "%s: error: %s\n", path, why);
		conf_free(t, into);
		err = -GI_ESYNTAX;
	}
	conf_diags_fini(&diags);
	free(text);
	return err;
}

/* 0 go on, 1 with *ret_exit */
static int main_options(int argc, char **argv, const char *prog, const char *summary,
	const struct conf_table *t, struct main_opts *o, int *ret_exit)
{
	int c;

	optind = 1;
	while ((c = getopt_long(argc, argv, "c:tdhV", main_long, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 't':
			o->test = true;
			break;
		case 'd':
			o->debug = true;
			break;
		case 'h':
			main_usage(stdout, prog, summary, t);
			*ret_exit = 0;
			return 1;
		case 'V':
			(void)printf("%s (idfw) %s\n", prog, PACKAGE_VERSION);
			*ret_exit = 0;
			return 1;
		case 'H':
			main_help_config(t);
			*ret_exit = 0;
			return 1;
		default:
			main_usage(stderr, prog, summary, t);
			*ret_exit = MAIN_EXIT_USAGE;
			return 1;
		}
	}
	if (optind == argc)
		return 0;
	(void)fprintf(stderr, "%s: unexpected argument \"%s\"\n", prog, argv[optind]);
	*ret_exit = MAIN_EXIT_USAGE;
	return 1;
}

static const char *main_file(const struct main_opts *o, const char *prog, char path[512])
{
	if (o->file)
		return o->file;
	(void)snprintf(path, 512, "%s/%s.conf", IDFW_SYSCONFDIR, prog);
	return path;
}

int conf_again(int argc, char **argv, const char *prog, const struct conf_table *t, void *into,
	struct gi_buf *out)
{
	struct main_opts o = { 0 };
	char path[512];
	int code = 0;

	/* they were good at the start, and nothing was printed then either */
	if (main_options(argc, argv, prog, "", t, &o, &code))
		return -EINVAL;
	return main_load(main_file(&o, prog, path), t, into, out);
}

int conf_main(int argc, char **argv, const char *prog, const char *summary,
	const struct conf_table *t, void *into, bool *ret_debug, int *ret_exit)
{
	struct main_opts o = { 0 };
	struct gi_buf out;
	char path[512];
	int err;

	if (main_options(argc, argv, prog, summary, t, &o, ret_exit))
		return 1;
	gi_buf_init(&out, MAIN_TEXT_MAX);
	err = main_load(main_file(&o, prog, path), t, into, &out);
	(void)fputs(gi_buf_str(&out), stderr);
	gi_buf_fini(&out);
	if (err < 0) {
		*ret_exit = MAIN_EXIT_CONFIG;
		return 1;
	}
	*ret_debug = o.debug;
	if (!o.test)
		return 0;
	conf_free(t, into);
	*ret_exit = 0;
	return 1;
}
