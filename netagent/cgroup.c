/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cgroup.c - paths and ids of cgroups, see cgroup.h
 */
#include "netagent/cgroup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/text.h"
#include "lib/conf/conf.h"

#define PROC_TEXT_MAX (1u << 20)
#define LOGIND_DIR "/run/systemd/sessions"
#define SCOPE_PREFIX "session-"
#define SCOPE_SUFFIX ".scope"
#define MANAGER_PREFIX "user@"
#define MANAGER_SUFFIX ".service"

/* ---- the mount ---- */

/* the @n-th word (from 0) of a line, not beyond its end; NULL: there are fewer */
static const char *word(const char *line, const char *end, int n, size_t *ret_len)
{
	const char *p = line, *stop;

	for (; n > 0; n--) {
		p = memchr(p, ' ', (size_t)(end - p));
		if (!p)
			return NULL;
		p++;
	}
	stop = memchr(p, ' ', (size_t)(end - p));
	*ret_len = (size_t)((stop ? stop : end) - p);
	return p;
}

/* "36 35 98:0 ROOT POINT opts [tags] - cgroup2 source opts" */
static bool is_cgroup2(const char *line, const char *end, const char **ret_point, size_t *ret_len)
{
	static const char type[] = " - cgroup2 ";
	const char *dash = memmem(line, (size_t)(end - line), type, sizeof(type) - 1), *root;
	size_t len;

	if (!dash)
		return false;
	root = word(line, end, 3, &len);
	if (!root || len != 1 || *root != '/')
		return false;
	*ret_point = word(line, end, 4, ret_len);
	/* an octal escape: nobody has blanks there */
	return *ret_point && *ret_len > 1 && !memchr(*ret_point, '\\', *ret_len);
}

/* does @wanted lie in @point? then what is behind it */
static const char *below(const char *wanted, const char *point, size_t len)
{
	if (strncmp(wanted, point, len) != 0 || (wanted[len] && wanted[len] != '/'))
		return NULL;
	return wanted[len] && wanted[len + 1] ? wanted + len : "";
}

static int take_mount(const char *point, size_t len, const char *base, struct na_cgroup_root *ret)
{
	size_t base_len = strlen(base);

	while (base_len && base[base_len - 1] == '/')
		base_len--;
	if (len >= sizeof(ret->mount) || base_len >= sizeof(ret->base))
		return -GI_ELIMIT;
	memcpy(ret->mount, point, len);
	ret->mount[len] = '\0';
	memcpy(ret->base, base, base_len);
	ret->base[base_len] = '\0';
	return 0;
}

int na_cgroup_root_parse(const char *mountinfo, const char *wanted, struct na_cgroup_root *ret)
{
	struct na_cgroup_root r;
	int err = -ENODEV;

	for (const char *line = mountinfo, *next; *line; line = next) {
		const char *end = strchrnul(line, '\n'), *point, *base = "";
		size_t len;

		next = *end ? end + 1 : end;
		if (!is_cgroup2(line, end, &point, &len))
			continue;
		if (wanted[0])
			base = below(wanted, point, len);
		if (base) /* what is mounted later lies on top */
			err = take_mount(point, len, base, &r);
	}
	if (err == 0)
		*ret = r;
	return err;
}

int na_cgroup_root_find(const char *wanted, struct na_cgroup_root *ret)
{
	char *text;
	size_t len;
	int err = conf_read_file("/proc/self/mountinfo", PROC_TEXT_MAX, &text, &len);

	if (err < 0)
		return err;
	err = na_cgroup_root_parse(text, wanted, ret);
	free(text);
	return err;
}

/* ---- a process ---- */

int na_cgroup_parse(const char *text, char ret[NA_CGROUP_PATH_MAX])
{
	const char *line = text, *end;
	size_t len;

	while (strncmp(line, "0::/", 4) != 0) {
		line = strchr(line, '\n');
		if (!line)
			return -ENODEV;
		line++;
	}
	line += 3;
	end = strchrnul(line, '\n');
	len = (size_t)(end - line);
	if (len >= NA_CGROUP_PATH_MAX)
		return -GI_ELIMIT;
	if (len >= 3 && memcmp(line, "/..", 3) == 0) /* outside our namespace */
		return -ENODEV;
	memcpy(ret, line, len);
	ret[len] = '\0';
	return 0;
}

int na_cgroup_of(uint32_t pid, char ret[NA_CGROUP_PATH_MAX])
{
	char path[32], *text;
	size_t len;
	int err;

	snprintf(path, sizeof(path), "/proc/%u/cgroup", pid);
	err = conf_read_file(path, PROC_TEXT_MAX, &text, &len);
	if (err < 0)
		return err == -ENOENT ? -ESRCH : err;
	err = na_cgroup_parse(text, ret);
	free(text);
	return err;
}

int na_cgroup_id(const struct na_cgroup_root *r, const char *path, uint64_t *ret)
{
	char dir[NA_CGROUP_ROOT_MAX + NA_CGROUP_PATH_MAX];
	struct stat st;

	snprintf(dir, sizeof(dir), "%s%s", r->mount, path);
	if (lstat(dir, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOENT;
	*ret = st.st_ino;
	return 0;
}

/* ---- ours ---- */

void na_cgroup_ours(const struct na_cgroup_root *r, uint64_t session, char ret[NA_CGROUP_PATH_MAX])
{
	int n = snprintf(ret, NA_CGROUP_PATH_MAX, "%s/" NA_CGROUP_DIR, r->base);

	if (session)
		snprintf(ret + n, NA_CGROUP_PATH_MAX - (size_t)n, "/s%llu",
			(unsigned long long)session);
}

uint64_t na_cgroup_session(const struct na_cgroup_root *r, const char *path)
{
	char ours[NA_CGROUP_PATH_MAX], number[24];
	uint64_t id;
	size_t len;

	na_cgroup_ours(r, 0, ours);
	len = strlen(ours);
	if (strncmp(path, ours, len) != 0 || strncmp(path + len, "/s", 2) != 0)
		return 0;
	path += len + 2;
	len = strcspn(path, "/");
	if (len >= sizeof(number))
		return 0;
	memcpy(number, path, len);
	number[len] = '\0';
	return gi_text_u64(number, 1, UINT64_MAX, &id) < 0 ? 0 : id;
}

/* ---- logind's ---- */

static bool is_like(const char *name, size_t len, const char *prefix, const char *suffix)
{
	size_t p = strlen(prefix), s = strlen(suffix);

	return len > p + s && memcmp(name, prefix, p) == 0 &&
	       memcmp(name + len - s, suffix, s) == 0;
}

enum na_logind na_cgroup_logind(const char *path, size_t *ret_len)
{
	for (const char *name = path; *name == '/';) {
		size_t len = strcspn(++name, "/");

		*ret_len = (size_t)(name - path) + len;
		if (is_like(name, len, SCOPE_PREFIX, SCOPE_SUFFIX))
			return NA_LOGIND_SCOPE;
		if (is_like(name, len, MANAGER_PREFIX, MANAGER_SUFFIX))
			return NA_LOGIND_MANAGER;
		name += len;
	}
	return NA_LOGIND_NONE;
}

uint32_t na_cgroup_scope_leader(const char *path)
{
	const char *name = strrchr(path, '/') + 1 + strlen(SCOPE_PREFIX), *p;
	size_t len = strlen(name) - strlen(SCOPE_SUFFIX);
	char file[128], number[24], *text;
	uint64_t pid = 0;

	if (len > 64)
		return 0;
	snprintf(file, sizeof(file), LOGIND_DIR "/%.*s", (int)len, name);
	if (conf_read_file(file, PROC_TEXT_MAX, &text, &len) < 0)
		return 0;
	p = strstr(text, "\nLEADER=");
	if (p) {
		p += strlen("\nLEADER=");
		len = strcspn(p, "\n");
		snprintf(number, sizeof(number), "%.*s", len < 20 ? (int)len : 0, p);
		if (gi_text_u64(number, 1, UINT32_MAX, &pid) < 0)
			pid = 0;
	}
	free(text);
	return (uint32_t)pid;
}
