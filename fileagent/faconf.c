/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faconf.c - the table of gi-fileagent.conf, see faconf.h
 *
 * Runs in the supervisor (start, SIGHUP) and in the worker (FA_OP_CONF). Invariant: a struct
 * fa_conf that left fa_conf_parse() or conf_main() needs no more checks of its words.
 */
#include "fileagent/faconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fileagent/fan.h"
#include "fileagent/inflight.h"
#include "lib/base/text.h"

#define ITEM(field) offsetof(struct fa_conf, field)
#define WATCH(field) offsetof(struct fa_watch_conf, field)
#define FIM(field) offsetof(struct fa_fim_conf, field)

static const struct conf_item items[] = {
	{ "mux", CONF_T_ENDPOINT, ITEM(mux), "vsock:2:5006", 1, 150,
		"the host's mux: vsock:2:5006, or unix:/run/idfw-host/NAME.sock_5006" },
	{ "user", CONF_T_STRING, ITEM(user), "_idfw", 1, 32,
		"whom the worker becomes; it keeps no capability" },
	{ "boot-id-file", CONF_T_PATH, ITEM(boot_id_file), "/proc/sys/kernel/random/boot_id", 1,
		200, "a UUID that is another one after each boot" },
	{ "state-dir", CONF_T_PATH, ITEM(state_dir), IDFW_STATEDIR "/fileagent", 1, 150,
		"reports that are not acknowledged yet, and the integrity baseline" },
	{ "run-dir", CONF_T_PATH, ITEM(run_dir), IDFW_RUNDIR, 1, 80,
		"fileagent.sock and fileagent.lock (one agent, and its handover), sessions/" },
	{ "on-failure", CONF_T_LIST, ITEM(on_failure), "allow", 1, 3,
		"without a verdict: allow (and scan later) or deny; open=... and exec=... alone" },
	{ "on-block", CONF_T_STRING, ITEM(on_block), "EPERM", 1, 8,
		"error of who opens an infected file: EPERM EIO EBUSY ETXTBSY EAGAIN" },
	{ "deadline-base", CONF_T_NUMBER, ITEM(deadline_base_ms), "1s", 10, 60000,
		"an opener waits so long for a verdict, and longer for a large file" },
	{ "deadline-rate", CONF_T_NUMBER, ITEM(deadline_rate), "20000000", 1000, 0,
		"bytes a second that a scan is expected to do" },
	{ "deadline-max", CONF_T_NUMBER, ITEM(deadline_max_ms), "30s", 10, 600000,
		"the longest that an opener waits" },
	{ "max-scan", CONF_T_NUMBER, ITEM(max_scan_bytes), "0", 0, 0,
		"larger files are not scanned: on-failure decides; 0: the service's bound" },
	{ "write-scan-delay", CONF_T_NUMBER, ITEM(write_delay_ms), "1s", 0, 60000,
		"what was written is scanned when nothing is opened or written, or after that" },
	{ "cache-entries", CONF_T_NUMBER, ITEM(cache_entries), "65536", 1024, 4194304,
		"verdicts that the agent remembers until the file changes" },
	{ "threads", CONF_T_NUMBER, ITEM(threads), "2", 1, 64, "that read files for the service" },
	{ "held-max", CONF_T_NUMBER, ITEM(held_max), "512", 8, FA_HELD_MAX,
		"openers that wait at once; more stay in the kernel's queue" },
	{ "exclude-paths", CONF_T_LIST, ITEM(exclude_paths), "", 0, FA_LIST_MAX,
		"files and directories (with all below) that nobody looks at" },
	{ "exclude-fs-types", CONF_T_LIST, ITEM(exclude_fs_types),
		"proc, sysfs, devtmpfs, devpts, cgroup2, bpf, tracefs, debugfs, securityfs, "
		"pstore, mqueue, hugetlbfs, configfs, fusectl, binfmt_misc, autofs",
		0, FA_LIST_MAX, "file systems that are never watched, as in /proc/filesystems" },
	{ "exclude-uids", CONF_T_LIST, ITEM(exclude_uids), "", 0, FA_LIST_MAX,
		"users (numbers) whose opens are let through" },
	{ "include-uids", CONF_T_LIST, ITEM(include_uids), "", 0, FA_LIST_MAX,
		"only these users' opens are looked at; none: everybody's" },
	{ "exclude-programs", CONF_T_LIST, ITEM(exclude_programs), "", 0, FA_LIST_MAX,
		"programs (absolute paths) whose opens are let through" },
	{ "include-programs", CONF_T_LIST, ITEM(include_programs), "", 0, FA_LIST_MAX,
		"only these programs' opens are looked at; none: those of all" },
	{ "debug-level", CONF_T_NUMBER, ITEM(debug_level), "5", 0, 7,
		"most detailed lines that are logged, as in syslog(3): 7 is all" },
	{ "debug-dest", CONF_T_STRING, ITEM(debug_dest), "stderr", 1, 16,
		"stderr, syslog (the guest's), or mux (the host's log)" },
	{ "debug-rate", CONF_T_NUMBER, ITEM(debug_rate), "50", 1, 100000,
		"lines a second that are logged at most" },
	{ "quarantine-dir", CONF_T_PATH, ITEM(quarantine_dir), IDFW_STATEDIR "/quarantine", 1, 150,
		"where quarantined files are kept, root only" },
	{ "quarantine-max", CONF_T_NUMBER, ITEM(quarantine_max_bytes), "1GiB", 4096, 0,
		"most bytes in quarantine-dir; when full, files stay denied where they are" },
	{ "allow-root-filesystem", CONF_T_BOOL, ITEM(allow_root_filesystem), "no", 0, 0,
		"a watch may be on the file system of /, if --i-know-it-is-the-root says so too" },
};

static const struct conf_item watch_items[] = {
	{ "path", CONF_T_PATH, WATCH(path), NULL, 1, 1024,
		"a directory; events elsewhere on its file system are let through at once" },
	{ "submounts", CONF_T_BOOL, WATCH(submounts), "no", 0, 0,
		"watch what is mounted below path, too" },
	{ "events", CONF_T_LIST, WATCH(events), "open, exec, close", 1, 3,
		"open, exec: hold the opener; close: look at what was written" },
	{ "on-failure", CONF_T_LIST, WATCH(on_failure), "", 0, 3,
		"here instead of the general one" },
	{ "on-block", CONF_T_STRING, WATCH(on_block), "", 0, 8, "here instead of the general one" },
	{ "exclude", CONF_T_LIST, WATCH(exclude), "", 0, FA_LIST_MAX,
		"files and directories below path that are let through" },
};

static const struct conf_item fim_items[] = {
	{ "paths", CONF_T_LIST, FIM(paths), NULL, 1, FA_LIST_MAX,
		"files and directories whose changes are recorded" },
	{ "exclude", CONF_T_LIST, FIM(exclude), "", 0, FA_LIST_MAX, "but not these" },
};

static const struct conf_section sections[] = {
	{ .name = NULL, .items = items, .n_items = GI_ARRAY_SIZE(items), .max = 1 },
	{ .name = "watch",
		.items = watch_items,
		.n_items = GI_ARRAY_SIZE(watch_items),
		.size = sizeof(struct fa_watch_conf),
		.offset = ITEM(watches),
		.max = FA_WATCH_MAX },
	{ .name = "fim",
		.items = fim_items,
		.n_items = GI_ARRAY_SIZE(fim_items),
		.size = sizeof(struct fa_fim_conf),
		.offset = ITEM(fims),
		.max = FA_FIM_MAX },
};

static int conf_check(const void *conf, char ret_why[256]);

const struct conf_table fa_conf_table = {
	.sections = sections, .n_sections = GI_ARRAY_SIZE(sections), .check = conf_check
};

int fa_conf_parse(const char *name, const char *text, size_t len, struct gi_buf *ret_words,
	struct fa_conf *ret)
{
	struct conf_diags diags;
	char why[256] = "";
	int err;

	*ret = (struct fa_conf){ 0 };
	conf_diags_init(&diags, name, text, len);
	err = conf_parse(&fa_conf_table, text, len, &diags, ret);
	conf_diags_render(&diags, ret_words);
	conf_diags_fini(&diags);
	if (err == 0 && conf_check(ret, why) < 0) {
		gi_buf_printf(ret_words, "%s: error: %s\n", name, why);
		conf_free(&fa_conf_table, ret);
		err = -GI_ESYNTAX;
	}
	if (err < 0)
		*ret = (struct fa_conf){ 0 };
	return err;
}

int fa_conf_read_fd(int fd, struct gi_buf *ret_words, struct fa_conf *ret)
{
	struct gi_buf text;
	char part[4096];
	off_t at = 0;
	ssize_t n;
	int err;

	gi_buf_init(&text, FA_CONF_TEXT_MAX);
	gi_buf_append(&text, "", 0);
	while ((n = pread(fd, part, sizeof(part), at)) > 0 || (n < 0 && errno == EINTR)) {
		if (n < 0)
			continue;
		gi_buf_append(&text, part, (size_t)n);
		at += n;
		if (gi_buf_error(&text))
			break;
	}
	err = n < 0 ? -errno : gi_buf_error(&text);
	if (err == 0)
		err = fa_conf_parse("configuration", gi_buf_str(&text), text.len, ret_words, ret);
	gi_buf_fini(&text);
	return err;
}

uint64_t fa_conf_deadline_ms(const struct fa_conf *c, uint64_t size)
{
	uint64_t rate = c->deadline_rate ? c->deadline_rate : 1;
	uint64_t sec = size / rate, ms;

	if (sec > c->deadline_max_ms / 1000)
		return c->deadline_max_ms;
	ms = c->deadline_base_ms + sec * 1000 + size % rate * 1000 / rate;
	return ms < c->deadline_max_ms ? ms : c->deadline_max_ms;
}

int fa_conf_errno(const char *word, int *ret_errno)
{
	static const struct {
		const char *word;
		int err;
	} known[] = { { "EPERM", EPERM }, { "EIO", EIO }, { "EBUSY", EBUSY },
		{ "ETXTBSY", ETXTBSY }, { "EAGAIN", EAGAIN }, { "ENOSPC", ENOSPC },
		{ "EDQUOT", EDQUOT } };

	for (size_t i = 0; i < GI_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].word, word) == 0) {
			*ret_errno = known[i].err;
			return 0;
		}
	}
	return -EINVAL;
}

int fa_conf_events(const struct conf_list *l, uint32_t *ret_what)
{
	uint32_t what = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->items[i], "open") == 0)
			what |= FAN_EV_OPEN;
		else if (strcmp(l->items[i], "exec") == 0)
			what |= FAN_EV_EXEC;
		else if (strcmp(l->items[i], "close") == 0)
			what |= FAN_EV_CLOSE_WRITE;
		else
			return -EINVAL;
	}
	*ret_what = what;
	return 0;
}

int fa_conf_strict(const struct conf_list *l, uint32_t base, uint32_t *ret, const char **ret_bad)
{
	uint32_t strict = base;

	/* the general word first, wherever it stands: "exec=deny, allow" */
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->items[i], "deny") == 0)
			strict = FAN_EV_OPEN | FAN_EV_EXEC;
		else if (strcmp(l->items[i], "allow") == 0)
			strict = 0;
	}
	for (size_t i = 0; i < l->n; i++) {
		const char *w = l->items[i], *eq = strchr(w, '=');
		uint32_t bit = strncmp(w, "open=", 5) == 0   ? FAN_EV_OPEN
			       : strncmp(w, "exec=", 5) == 0 ? FAN_EV_EXEC
							     : 0;

		if (!eq && (strcmp(w, "deny") == 0 || strcmp(w, "allow") == 0))
			continue;
		if (bit && eq && strcmp(eq + 1, "deny") == 0) {
			strict |= bit;
		} else if (bit && eq && strcmp(eq + 1, "allow") == 0) {
			strict &= ~bit;
		} else {
			*ret_bad = w;
			return -EINVAL;
		}
	}
	*ret = strict;
	return 0;
}

/* ---- what one item alone cannot show ---- */

/* absolute, and each part a name: filter.c compares bytes, so that "/a/../b" would never match */
static bool path_is_plain(const char *path)
{
	const char *p = path;

	if (*p != '/')
		return false;
	while (*p) {
		const char *end;

		p += strspn(p, "/");
		end = p + strcspn(p, "/");
		if ((end - p == 1 && *p == '.') || (end - p == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p = end;
	}
	return true;
}

static int check_paths(const char *where, const char *item, const struct conf_list *l, char *why)
{
	for (size_t i = 0; i < l->n; i++) {
		if (path_is_plain(l->items[i]))
			continue;
		(void)snprintf(why, 256,
			"%s%s: \"%.120s\" is not an absolute path without . and ..", where, item,
			l->items[i]);
		return -EINVAL;
	}
	return 0;
}

static int check_uids(const char *item, const struct conf_list *l, char *why)
{
	uint64_t uid;

	for (size_t i = 0; i < l->n; i++) {
		if (gi_text_u64(l->items[i], 0, UINT32_MAX - 1, &uid) == 0)
			continue;
		(void)snprintf(why, 256, "%s: \"%.60s\" is not a user's number", item, l->items[i]);
		return -EINVAL;
	}
	return 0;
}

static int check_policy(
	const char *where, const struct conf_list *on_failure, const char *on_block, char *why)
{
	const char *bad = "";
	uint32_t strict;
	int e;

	if (fa_conf_strict(on_failure, 0, &strict, &bad) < 0) {
		(void)snprintf(why, 256,
			"%son-failure: \"%.60s\" is neither allow nor deny, nor open=... or "
			"exec=... with one of them",
			where, bad);
		return -EINVAL;
	}
	if (*on_block && fa_conf_errno(on_block, &e) < 0) {
		(void)snprintf(why, 256,
			"%son-block: \"%.8s\" is none of EPERM EIO EBUSY ETXTBSY EAGAIN ENOSPC "
			"EDQUOT",
			where, on_block);
		return -EINVAL;
	}
	return 0;
}

static int check_blocks(const struct fa_conf *c, char *why)
{
	char where[GI_NAME_MAX + 16];
	uint32_t what;

	for (size_t i = 0; i < c->watches.n; i++) {
		const struct fa_watch_conf *w = fa_conf_watch(c, i);
		struct conf_list path = { .items = (char **)&w->path, .n = 1 };

		(void)snprintf(where, sizeof(where), "watch %.47s: ", w->label);
		/* conf.c leaves "" as no value at all */
		if (check_policy(where, &w->on_failure, w->on_block ? w->on_block : "", why) < 0 ||
			check_paths(where, "path", &path, why) < 0 ||
			check_paths(where, "exclude", &w->exclude, why) < 0)
			return -EINVAL;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(fa_conf_watch(c, k)->path, w->path) == 0) {
				(void)snprintf(why, 256, "%spath is that of watch %.47s, too",
					where, fa_conf_watch(c, k)->label);
				return -EINVAL;
			}
		}
		if (fa_conf_events(&w->events, &what) < 0) {
			(void)snprintf(
				why, 256, "%sevents are some of open, exec and close", where);
			return -EINVAL;
		}
	}
	for (size_t i = 0; i < c->fims.n; i++) {
		const struct fa_fim_conf *f = fa_conf_fim(c, i);

		(void)snprintf(where, sizeof(where), "fim %.47s: ", f->label);
		if (check_paths(where, "paths", &f->paths, why) < 0 ||
			check_paths(where, "exclude", &f->exclude, why) < 0)
			return -EINVAL;
	}
	return 0;
}

static int conf_check(const void *conf, char ret_why[256])
{
	const struct fa_conf *c = conf;

	if (strcmp(c->debug_dest, "stderr") != 0 && strcmp(c->debug_dest, "syslog") != 0 &&
		strcmp(c->debug_dest, "mux") != 0) {
		(void)snprintf(ret_why, 256, "debug-dest is stderr, syslog or mux");
		return -EINVAL;
	}
	if (c->deadline_max_ms < c->deadline_base_ms) {
		(void)snprintf(ret_why, 256, "deadline-max is shorter than deadline-base");
		return -EINVAL;
	}
	if (check_policy("", &c->on_failure, c->on_block, ret_why) < 0 ||
		check_paths("", "exclude-paths", &c->exclude_paths, ret_why) < 0 ||
		check_paths("", "exclude-programs", &c->exclude_programs, ret_why) < 0 ||
		check_paths("", "include-programs", &c->include_programs, ret_why) < 0 ||
		check_uids("exclude-uids", &c->exclude_uids, ret_why) < 0 ||
		check_uids("include-uids", &c->include_uids, ret_why) < 0)
		return -EINVAL;
	return check_blocks(c, ret_why);
}
