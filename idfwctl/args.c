/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * args.c - the command line: options for all before or behind the verb, the verb's own behind it
 *
 * Nothing is abbreviated and nothing is guessed: what is not known is refused with the nearest
 * word that is.
 */
#include "idfwctl/cli.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>
#include "lib/base/text.h"
#include "lib/conf/diag.h"

#define VERBS_MAX 32
#define MS_PER_SEC 1000ULL

struct args {
	int argc, at;
	char **argv;
	struct ctl_cli *cli;
};

static int usage(const char *fmt, ...) GI_PRINTF(1, 2);

static int usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "idfwctl: ");
	(void)vfprintf(stderr, fmt, ap);
	fprintf(stderr, "; see idfwctl --help\n");
	va_end(ap);
	return CTL_EXIT_USAGE;
}

static int unknown(
	const char *what, const char *word, const char *const *words, size_t n, const char *dashes)
{
	const char *near = NULL;

	for (size_t i = 0; i < n && word[0] && !near; i++) {
		if (strncmp(words[i], word, strlen(word)) == 0)
			near = words[i];
	}
	if (!near)
		near = conf_suggest(word, words, n);
	fprintf(stderr, "idfwctl: no %s \"%s%s\"", what, dashes, word);
	if (near)
		fprintf(stderr, "; did you mean \"%s%s\"?\n", dashes, near);
	else
		fprintf(stderr, "; see idfwctl --help\n");
	return CTL_EXIT_USAGE;
}

/* the value behind an option: "=value" in the same word (@inline_value), or the next word */
static int value(struct args *a, const char *name, const char *inline_value, const char **ret)
{
	if (!inline_value && a->at + 1 >= a->argc)
		return usage("--%s needs a value", name);
	*ret = inline_value ? inline_value : a->argv[++a->at];
	return 0;
}

static int own_option(struct args *a, const char *name, const char *inline_value)
{
	const struct ctl_option *options = a->cli->verb ? a->cli->verb->options : NULL;
	const char *words[CTL_OPTIONS_MAX + 5] = { "socket", "scan-socket", "json", "help",
		"version" };
	size_t n = 5;

	for (size_t i = 0; options && options[i].name; i++) {
		if (strcmp(options[i].name, name) != 0) {
			words[n++] = options[i].name;
			continue;
		}
		if (options[i].value)
			return value(a, name, inline_value, &a->cli->opt[i]);
		if (inline_value)
			return usage("--%s takes no value", name);
		a->cli->opt[i] = "";
		return 0;
	}
	return unknown("option", name, words, n, "--");
}

/* @letter: a short option, 0 for a long one with this name */
static int option(struct args *a, char letter, const char *name, const char *inline_value)
{
	struct ctl_cli *cli = a->cli;

	if (letter == 's' || strcmp(name, "socket") == 0)
		return value(a, "socket", inline_value, &cli->socket);
	if (strcmp(name, "scan-socket") == 0)
		return value(a, "scan-socket", inline_value, &cli->scan_socket);
	if (inline_value && (strcmp(name, "json") == 0 || strcmp(name, "help") == 0))
		return usage("--%s takes no value", name);
	if (letter == 'j' || strcmp(name, "json") == 0)
		cli->json = true;
	else if (letter == 'h' || strcmp(name, "help") == 0)
		cli->help = true;
	else if (letter == 'V' || strcmp(name, "version") == 0)
		cli->version = true;
	else
		return own_option(a, name, inline_value);
	return 0;
}

static int option_word(struct args *a, const char *word)
{
	const char *equals = strchr(word, '=');
	char name[32];
	size_t len;

	if (word[1] != '-') {
		if (word[2] != '\0' || !strchr("sjhV", word[1]))
			return usage("no option \"%s\"", word);
		return option(a, word[1], "", NULL);
	}
	len = equals ? (size_t)(equals - word) - 2 : strlen(word) - 2;
	if (len == 0 || len >= sizeof(name))
		return usage("no option \"%s\"", word);
	memcpy(name, word + 2, len);
	name[len] = '\0';
	return option(a, 0, name, equals ? equals + 1 : NULL);
}

/* "policy", "scan", "quarantine" wait for their second word */
static int verb_word(struct args *a, const char *word, const char **pending)
{
	const char *words[VERBS_MAX];
	const struct ctl_verb *verbs;
	char full[64];
	size_t n_verbs, n = 0;

	verbs = ctl_verb_table(&n_verbs);
	snprintf(full, sizeof(full), "%s%s%s", *pending ? *pending : "", *pending ? " " : "", word);
	for (size_t i = 0; i < n_verbs; i++) {
		if (strcmp(verbs[i].name, full) == 0) {
			a->cli->verb = &verbs[i];
			return 0;
		}
		words[n++] = verbs[i].name;
	}
	a->cli->family = *pending ? NULL : ctl_family_find(word);
	if (a->cli->family) {
		*pending = word;
		return 0;
	}
	return unknown("verb", full, words, n, "");
}

static int check_count(const struct ctl_cli *cli)
{
	const struct ctl_verb *v = cli->verb;

	if (cli->n_pos >= v->min_args)
		return 0;
	return usage("\"%s\" needs %s", v->name, v->args);
}

int ctl_args_parse(int argc, char **argv, struct ctl_cli *ret)
{
	struct args a = { .argc = argc, .argv = argv, .cli = ret };
	const char *pending = NULL;
	bool only_words = false;
	int rc = 0;

	for (a.at = 1; rc == 0 && a.at < argc; a.at++) {
		const char *word = argv[a.at];

		if (!only_words && strcmp(word, "--") == 0)
			only_words = true;
		else if (!only_words && word[0] == '-' && word[1] != '\0')
			rc = option_word(&a, word);
		else if (!ret->verb)
			rc = verb_word(&a, word, &pending);
		else if (ret->n_pos < ret->verb->max_args)
			ret->pos[ret->n_pos++] = word;
		else
			rc = usage("\"%s\" is one word too many for \"%s\"", word, ret->verb->name);
	}
	if (rc || ret->version || ret->help)
		return rc;
	if (pending && !ret->verb)
		return usage("\"%s\" needs %s", pending, ret->family->rest);
	if (!ret->verb)
		return usage("no verb");
	return check_count(ret);
}

const char *ctl_args_option(const struct ctl_cli *cli, const char *name)
{
	for (size_t i = 0; cli->verb->options[i].name; i++) {
		if (strcmp(cli->verb->options[i].name, name) == 0)
			return cli->opt[i];
	}
	return NULL;
}

/* 15m, 2h: so long before now */
static int parse_ago(const char *text, unsigned long long now_ms, unsigned long long *ret_ms)
{
	static const struct {
		char unit;
		unsigned long long ms;
	} units[] = { { 's', MS_PER_SEC }, { 'm', 60 * MS_PER_SEC }, { 'h', 3600 * MS_PER_SEC },
		{ 'd', 86400 * MS_PER_SEC } };
	size_t len = strlen(text);
	char number[16];
	uint64_t n;

	if (len < 2 || len > sizeof(number))
		return -EINVAL;
	memcpy(number, text, len - 1);
	number[len - 1] = '\0';
	if (gi_text_u64(number, 0, 1000000000, &n) != 0)
		return -EINVAL;
	for (size_t i = 0; i < GI_ARRAY_SIZE(units); i++) {
		if (units[i].unit != text[len - 1])
			continue;
		*ret_ms = n * units[i].ms < now_ms ? now_ms - n * units[i].ms : 0;
		return 0;
	}
	return -EINVAL;
}

static int parse_local(const char *text, unsigned long long *ret_ms)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S" };

	for (size_t i = 0; i < GI_ARRAY_SIZE(forms); i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, forms[i], &tm);
		time_t t;

		if (!end || *end)
			continue;
		tm.tm_isdst = -1;
		t = mktime(&tm);
		if (t < 0)
			return -EINVAL;
		*ret_ms = (unsigned long long)t * MS_PER_SEC;
		return 0;
	}
	return -EINVAL;
}

int ctl_time_parse(const char *text, unsigned long long now_ms, unsigned long long *ret_ms)
{
	uint64_t ms;

	if (gi_text_u64(text, 0, UINT64_MAX, &ms) == 0) {
		*ret_ms = ms;
		return 0;
	}
	if (parse_ago(text, now_ms, ret_ms) == 0)
		return 0;
	return parse_local(text, ret_ms);
}
