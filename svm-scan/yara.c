/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * yara.c - the YARA engine: the only file that knows libyara
 *
 * In the worker. Rules are compiled from source before the sandbox is shut; each file is a
 * namespace of its own, so that two files may have rules of one name. Scans one buffer, once; the
 * first rule that matches is the finding. No signal handlers of YARA's: our buffer is memory, not a
 * mapped file, and a crash is to end the process. Source: YARA C API.
 */
#include "svm-scan/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yara.h>

struct yara_rules {
	YR_RULES *rules;
};

struct yara_why { /* first error of the compiler */
	char *text;
	bool set;
};

static void yara_close(void *self)
{
	struct yara_rules *y = self;

	if (y->rules)
		(void)yr_rules_destroy(y->rules);
	(void)yr_finalize();
	free(y);
}

static void yara_complain(
	int level, const char *file, int line, const YR_RULE *rule, const char *message, void *arg)
{
	struct yara_why *w = arg;

	(void)rule;
	if (level != YARA_ERROR_LEVEL_ERROR || w->set)
		return;
	w->set = true;
	(void)snprintf(
		w->text, SCAN_WHY_MAX, "yara: %s:%d: %s", file ? file : "rules", line, message);
}

static int yara_compile(
	const struct scan_sigfiles *files, YR_COMPILER *compiler, struct yara_why *w)
{
	for (size_t i = 0; i < files->n; i++) {
		const char *name = files->names[i];
		int fd = scan_sigfiles_open(files, i), bad;

		if (fd < 0)
			return fd;
		bad = yr_compiler_add_fd(compiler, fd, name, name);
		(void)close(fd);
		if (bad != 0) {
			if (!w->set)
				(void)snprintf(
					w->text, SCAN_WHY_MAX, "yara: %s: %d errors", name, bad);
			return -GI_ESTATE;
		}
	}
	return 0;
}

static int yara_load(struct yara_rules *y, const char *path, char why[SCAN_WHY_MAX])
{
	struct yara_why w = { .text = why };
	struct scan_sigfiles files = { 0 };
	YR_COMPILER *compiler = NULL;
	int err = scan_sigfiles_list(path, scan_yara_suffixes, &files);

	if (err == 0 && yr_compiler_create(&compiler) != ERROR_SUCCESS)
		err = -ENOMEM;
	if (err == 0) {
		yr_compiler_set_callback(compiler, yara_complain, &w);
		yr_compiler_set_include_callback(compiler, NULL, NULL, NULL);
		err = yara_compile(&files, compiler, &w);
	}
	if (err == 0 && yr_compiler_get_rules(compiler, &y->rules) != ERROR_SUCCESS)
		err = -ENOMEM;
	if (err < 0 && err != -GI_ESTATE)
		(void)snprintf(why, SCAN_WHY_MAX, "yara: %s: %s", path, gi_strerror(err));
	if (compiler)
		yr_compiler_destroy(compiler);
	scan_sigfiles_fini(&files);
	return err;
}

static int yara_match(YR_SCAN_CONTEXT *context, int message, void *data, void *arg)
{
	struct scan_finding *f = arg;

	(void)context;
	if (message != CALLBACK_MSG_RULE_MATCHING)
		return CALLBACK_CONTINUE;
	f->outcome = SCAN_FOUND;
	(void)snprintf(
		f->signature, sizeof(f->signature), "%s", ((const YR_RULE *)data)->identifier);
	return CALLBACK_ABORT;
}

static void yara_scan(void *self, struct scan_content *c, uint32_t ms, struct scan_finding *ret)
{
	struct yara_rules *y = self;
	int rc;

	ret->outcome = SCAN_CLEAN;
	rc = yr_rules_scan_mem(y->rules, c->buf, (size_t)c->have,
		SCAN_FLAGS_FAST_MODE | SCAN_FLAGS_NO_TRYCATCH | SCAN_FLAGS_REPORT_RULES_MATCHING,
		yara_match, ret, (int)(ms / 1000 + 1));
	if (ret->outcome == SCAN_FOUND)
		return;
	if (rc != ERROR_SUCCESS)
		ret->outcome = SCAN_FAILED;
	if (rc == ERROR_SCAN_TIMEOUT) {
		(void)snprintf(ret->text, sizeof(ret->text), "out of time");
	} else if (rc != ERROR_SUCCESS) {
		(void)snprintf(ret->text, sizeof(ret->text), "yara: error %d", rc);
	} else if (c->have < c->size) {
		(void)snprintf(ret->text, sizeof(ret->text),
			"yara saw the first %llu of %llu bytes", (unsigned long long)c->have,
			(unsigned long long)c->size);
	}
}

int scan_yara_open(
	const struct scan_engines_conf *conf, char why[SCAN_WHY_MAX], struct scan_engine *ret)
{
	struct yara_rules *y = calloc(1, sizeof(*y));
	unsigned int count = 0;
	YR_RULE *rule;
	int err;

	if (!y)
		return -ENOMEM;
	if (yr_initialize() != ERROR_SUCCESS) {
		free(y);
		return -ENOMEM;
	}
	err = yara_load(y, conf->yara, why);
	if (err < 0) {
		yara_close(y);
		return err == -ENOMEM ? err : -GI_ESTATE;
	}
	yr_rules_foreach(y->rules, rule) count++;
	*ret = (struct scan_engine){ .name = "yara",
		.self = y,
		.scan = yara_scan,
		.close = yara_close,
		.version = YR_VERSION_HEX };
	(void)snprintf(ret->label, sizeof(ret->label), "yara %s (%u rules)", YR_VERSION, count);
	return 0;
}
