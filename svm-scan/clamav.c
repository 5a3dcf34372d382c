/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clamav.c - the ClamAV engine: the only file that knows libclamav
 *
 * In the worker. Options are clamd's defaults, with three differences: a limit that was reached is
 * reported (clamd calls such a file clean; we say FAILED, and nobody remembers it), bytecode is
 * interpreted (the sandbox maps nothing executable), and its cache of clean files is off (it is
 * keyed by MD5, for which anybody can make two files). Source: clamav.h, clamd.conf(5).
 */
#include "svm-scan/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <clamav.h>
#include "lib/base/log.h"

#define CLAMAV_FEW 5000 /* signatures; docs/performance.md */
#define LIMITS_PREFIX "Heuristics.Limits.Exceeded."

struct clamav {
	struct cl_engine *engine;
	struct cl_scan_options options;
};

static void clamav_msg(enum cl_msg severity, const char *full, const char *msg, void *context)
{
	(void)full;
	(void)context;
	gi_log(severity == CL_MSG_ERROR	  ? GI_LOG_ERR
		: severity == CL_MSG_WARN ? GI_LOG_WARN
					  : GI_LOG_DEBUG,
		"libclamav: %.*s", (int)strcspn(msg, "\n"), msg);
}

static void clamav_close(void *self)
{
	struct clamav *c = self;

	if (c->engine)
		(void)cl_engine_free(c->engine);
	free(c);
}

/*
 * Few signatures: all of them in one matcher (Aho-Corasick), so that content is walked over once
 * and not twice. The same is found; with many of them the trie costs more than the second walk.
 */
static bool clamav_is_small(const char *path)
{
	unsigned int n = 0;

	return cl_countsigs(path, CL_COUNTSIGS_ALL, &n) == CL_SUCCESS && n <= CLAMAV_FEW;
}

static int clamav_set(
	struct cl_engine *e, const struct scan_engines_conf *conf, const char *tmp_dir)
{
	const struct {
		enum cl_engine_field field;
		long long value;
	} set[] = {
		{ CL_ENGINE_MAX_FILESIZE, (long long)conf->max_file_bytes },
		{ CL_ENGINE_MAX_SCANSIZE, (long long)conf->max_scan_bytes },
		{ CL_ENGINE_MAX_RECURSION, conf->max_recursion },
		{ CL_ENGINE_MAX_FILES, conf->max_files },
		{ CL_ENGINE_MAX_SCANTIME, conf->max_scan_ms },
		{ CL_ENGINE_BYTECODE_MODE, CL_BYTECODE_MODE_INTERPRETER },
		{ CL_ENGINE_DISABLE_CACHE, 1 },
		{ CL_ENGINE_DISABLE_PE_STATS, 1 },
		{ CL_ENGINE_AC_ONLY, clamav_is_small(conf->clamav) },
	};
	cl_error_t rc = CL_SUCCESS;

	for (size_t i = 0; rc == CL_SUCCESS && i < GI_ARRAY_SIZE(set); i++)
		rc = cl_engine_set_num(e, set[i].field, set[i].value);
	if (rc == CL_SUCCESS)
		rc = cl_engine_set_str(e, CL_ENGINE_TMPDIR, tmp_dir);
	return (int)rc;
}

static int clamav_load(struct clamav *c, const struct scan_engines_conf *conf, const char *tmp_dir,
	unsigned int *ret_count)
{
	int rc = (int)cl_init(CL_INIT_DEFAULT);

	if (rc == CL_SUCCESS)
		c->engine = cl_engine_new();
	if (rc == CL_SUCCESS && !c->engine)
		rc = CL_EMEM;
	if (rc == CL_SUCCESS)
		rc = clamav_set(c->engine, conf, tmp_dir);
	if (rc == CL_SUCCESS)
		rc = (int)cl_load(conf->clamav, c->engine, ret_count, CL_DB_STDOPT);
	if (rc == CL_SUCCESS)
		rc = (int)cl_engine_compile(c->engine);
	return rc;
}

/* for cl_fmap_open_handle(): a file larger than the content's buffer */
static off_t clamav_pread(void *handle, void *buf, size_t count, off_t offset)
{
	int64_t n = offset < 0 ? -EINVAL : scan_content_pread(handle, buf, count, (uint64_t)offset);

	if (n >= 0)
		return (off_t)n;
	errno = EIO; /* the content keeps the reason */
	return -1;
}

static void clamav_failed(struct scan_finding *ret, const char *what, const char *which)
{
	ret->outcome = SCAN_FAILED;
	(void)snprintf(ret->text, sizeof(ret->text), "%s%s", what, which);
}

static void clamav_judge(cl_error_t rc, const char *virus, struct scan_finding *ret)
{
	const char *limit = NULL;

	if (rc == CL_VIRUS && virus && strncmp(virus, LIMITS_PREFIX, strlen(LIMITS_PREFIX)) == 0)
		limit = virus + strlen(LIMITS_PREFIX);
	if (rc == CL_ETIMEOUT || (limit && strcmp(limit, "MaxScanTime") == 0)) {
		clamav_failed(ret, "out of time", "");
	} else if (limit) {
		clamav_failed(ret, "over the limit ", limit);
	} else if (rc == CL_VIRUS) {
		ret->outcome = SCAN_FOUND;
		(void)snprintf(ret->signature, sizeof(ret->signature), "%s",
			virus && virus[0] ? virus : "unnamed");
	} else if (rc == CL_CLEAN) {
		ret->outcome = SCAN_CLEAN;
	} else {
		clamav_failed(ret, "", cl_strerror(rc));
	}
}

static void clamav_scan(
	void *self, struct scan_content *content, uint32_t ms, struct scan_finding *ret)
{
	struct clamav *c = self;
	unsigned long scanned = 0;
	const char *virus = NULL;
	cl_fmap_t *map;
	cl_error_t rc;

	map = content->have == content->size
		      ? cl_fmap_open_memory(content->buf, (size_t)content->size)
		      : cl_fmap_open_handle(content, 0, (size_t)content->size, clamav_pread, 0);
	if (!map) {
		clamav_failed(ret, "no memory for the file", "");
		return;
	}
	(void)cl_engine_set_num(c->engine, CL_ENGINE_MAX_SCANTIME, ms);
	/* no name: what is found counts for every file with this content */
	rc = cl_scanmap_callback(map, NULL, &virus, &scanned, c->engine, &c->options, NULL);
	clamav_judge(rc, virus, ret);
	cl_fmap_close(map);
}

int scan_clamav_open(const struct scan_engines_conf *conf, const char *tmp_dir,
	char why[SCAN_WHY_MAX], struct scan_engine *ret)
{
	struct clamav *c = calloc(1, sizeof(*c));
	unsigned int count = 0;
	int rc;

	if (!c)
		return -ENOMEM;
	cl_set_clcb_msg(clamav_msg);
	c->options = (struct cl_scan_options){ .general = CL_SCAN_GENERAL_HEURISTICS,
		.parse = ~0u,
		.heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX };
	rc = clamav_load(c, conf, tmp_dir, &count);
	if (rc != CL_SUCCESS || count == 0) {
		(void)snprintf(why, SCAN_WHY_MAX, "clamav: %s: %s", conf->clamav,
			rc != CL_SUCCESS ? cl_strerror((cl_error_t)rc) : "no signatures");
		clamav_close(c);
		return -GI_ESTATE;
	}
	*ret = (struct scan_engine){ .name = "clamav",
		.self = c,
		.scan = clamav_scan,
		.close = clamav_close,
		.version = cl_retflevel() };
	(void)snprintf(
		ret->label, sizeof(ret->label), "clamav %s (%u signatures)", cl_retver(), count);
	return 0;
}
