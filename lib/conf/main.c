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

static void main_usage(FILE *to, const char *prog, const char *summary)
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
}

static void main_help_config(const struct conf_table *t)
{
	struct gi_buf out;

	gi_buf_init(&out, MAIN_TEXT_MAX);
	conf_help(t, &out);
	(void)fputs(gi_buf_str(&out), stdout);
	gi_buf_fini(&out);
}

static int main_load(const char *path, const struct conf_table *t, void *into)
{
	struct conf_diags diags;
	struct gi_buf out;
	char *text = NULL;
	size_t len = 0;
	int err = conf_read_file(path, CONF_SOURCE_MAX, &text, &len);

	if (err < 0) {
		(void)fprintf(stderr, "%s: %s\n", path, gi_strerror(err));
		return err;
	}
	conf_diags_init(&diags, path, text, len);
	err = conf_parse(t, text, len, &diags, into);
	gi_buf_init(&out, MAIN_TEXT_MAX);
	conf_diags_render(&diags, &out);
	(void)fputs(gi_buf_str(&out), stderr);
	if (err < 0 && err != -GI_ESYNTAX)
		(void)fprintf(stderr, "%s: %s\n", path, gi_strerror(err));
	gi_buf_fini(&out);
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
			main_usage(stdout, prog, summary);
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
			main_usage(stderr, prog, summary);
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

int conf_main(int argc, char **argv, const char *prog, const char *summary,
	const struct conf_table *t, void *into, bool *ret_debug, int *ret_exit)
{
	struct main_opts o = { 0 };
	char path[512], why[256] = "";

	if (main_options(argc, argv, prog, summary, t, &o, ret_exit))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/%s.conf", IDFW_SYSCONFDIR, prog);
	if (!o.file)
		o.file = path;
	if (main_load(o.file, t, into) < 0) {
		*ret_exit = MAIN_EXIT_CONFIG;
		return 1;
	}
	if (t->check && t->check(into, why) < 0) {
		(void)fprintf(stderr, "%s: error: %s\n", o.file, why);
		conf_free(t, into);
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
