/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dir_check.c - drives svm-idfw/dir.c by hand, for tests/ns/dir-*.sh
 *
 *   dir_check -c FILE [LABEL]
 * FILE has `directory LABEL { ... }` blocks and map-names; all of them, or the one. Standard
 * input: "NAME", "NAME SID", "NAME SID LABEL" or "in LABEL NAME" a line is a lookup (%20 in NAME is
 * a blank; the last one is NAME|LABEL in what is printed); its end, or "end", ends the program.
 * "say WORD" prints "said WORD": what was written before has been read.
 * Standard output, one line each, as it happens:
 *   state up|down WHY
 *   changed all | changed SID... account=ID... group=ID...
 *   concerns all | concerns NAME...   (behind it: accounts that were found, as the engine takes it)
 *   upn NAME UPN
 *   way NAME ... GROUP | cycle GROUP ... | traced NAME GROUPS WHY    (for a line "trace NAME")
 *   group NAME GROUPS DEPTH FLAGS REFS | nest GROUP ... | cycle GROUP ... | listed SHOW GROUPS WHY
 *                          (for a line "groups SHOW [REF...]", SHOW 0 to 3, references are names)
 *   synced FULL WAY PICTURE GROUPS CHANGED          (for a line "sync 0" or "sync 1": full)
 *   collision NAME LABEL LABEL
 *   in NAME LABEL          (of several blocks; state and changed have " @LABEL" then)
 *   account NAME STATE[,STATE...] EXPIRES_MS     (of one that is not well, or will expire)
 *   children max-rss KIB   (at the end: of the largest one)
 *   answer NAME found|not-found|unavailable SID NAME GROUP...   (groups sorted, spaces as _)
 * It is its own directory child, as svm-idfw is. DIR_CHECK_STATE: its state directory, if any.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/io/loop.h"
#include "svm-idfw/dirfind.h"
#include "svm-idfw/dirquery.h"
#include "svm-idfw/dirs.h"

struct check_conf {
	struct conf_list name_maps;
	struct conf_array directories;
};

struct known { /* an account that was found */
	char *key, *name;
	uint8_t id[16];
	uint8_t (*groups)[16];
	size_t n_groups;
	UT_hash_handle hh;
};

struct check {
	struct known *known;
	struct io_loop *loop;
	struct idfw_dirs *dirs;
	struct io_fd in;
	struct dir_queries queries;
	struct dir_query *query;
	struct io_timer sync;
	uint64_t sync_id;
	bool sync_full;
	char traced[512];
	size_t n_ways;
	char line[1024];
	size_t len;
	char *first; /* borrowed: label */
	bool several;
};

static const struct conf_item top[] = {
	{ "map-names", CONF_T_LIST, offsetof(struct check_conf, name_maps), "", 0, DIR_MAPS_MAX,
		"" },
};
static const struct conf_section sections[] = {
	{ .name = NULL,
		.items = top,
		.n_items = GI_ARRAY_SIZE(top),
		.size = sizeof(struct check_conf) },
	{ .name = "directory",
		.items = idfw_dir_conf_items,
		.n_items = IDFW_DIR_CONF_ITEMS,
		.size = sizeof(struct idfw_dir_conf),
		.offset = offsetof(struct check_conf, directories),
		.max = DIR_SET_MAX },
};
static const struct conf_table table = { .sections = sections,
	.n_sections = GI_ARRAY_SIZE(sections),
	.block_checks = idfw_dir_conf_checks,
	.n_block_checks = IDFW_DIR_CONF_CHECKS };

static void on_principal(void *arg, const char *key, const struct idfw_principal *p);
static void on_changed(void *arg, const char *label, const struct idfw_changes *c);
static void on_state(void *arg, const char *label, bool up, const char *why);
static void known_put(struct check *c, const char *key, const struct idfw_principal *p);
static void on_collision(
	void *arg, const char *name, const char *const labels[2], const char *const ids[2]);
static void on_input(struct io_fd *w, unsigned int events);
static struct idfw_dir_conf *conf_load(
	const char *path, const char *label, struct check_conf *ret, size_t *ret_n);
static void children_print(void);

int main(int argc, char **argv)
{
	static char out[1u << 20];
	static const struct idfw_dirs_ops ops = { on_principal, on_changed, on_state,
		on_collision };
	bool discover = argc >= 5 && strcmp(argv[1], "--directory-discover") == 0;
	bool child = discover || (argc >= 5 && (strcmp(argv[1], "--directory") == 0 ||
						       strcmp(argv[1], "--directory-query") == 0));
	const char *file = child ? argv[4] : argc >= 3 ? argv[2] : NULL;
	struct check_conf conf = { .directories = { NULL, 0 } };
	struct check c = { .len = 0 };
	struct idfw_dir_conf *d;
	size_t n = 0;
	int rc = 0;

	gi_log_init("dir_check", GI_LOG_INFO);
	(void)setvbuf(stdout, out, _IOLBF, sizeof(out)); /* a reader sees no half lines */
	if (!file)
		return 2;
	d = conf_load(file, child ? argv[2] : argc > 3 ? argv[3] : NULL, &conf, &n);
	if (!d)
		return 78;
	c.first = d->label;
	c.several = n > 1;
	for (size_t i = 0; i < n; i++)
		d[i].state_dir = getenv("DIR_CHECK_STATE");
	d->query = child && strcmp(argv[1], "--directory-query") == 0;
	if (discover) {
		rc = idfw_dir_discover_main(d, argc > 5 ? argv[5] : "");
	} else if (child) {
		rc = idfw_dir_child_main(d, argc > 5 ? argv[5] : NULL);
	} else if (io_loop_new(&c.loop) == 0 &&
		   idfw_dirs_new(c.loop, file, d, n, &conf.name_maps, &ops, &c, &c.dirs) == 0) {
		dir_queries_init(&c.queries, c.loop);
		(void)fcntl(0, F_SETFL, O_NONBLOCK);
		io_fd_start(c.loop, &c.in, 0, IO_READ, on_input, &c);
		io_loop_run(c.loop);
		io_timer_stop(c.loop, &c.sync);
		dir_query_free(c.query);
		dir_queries_fini(&c.queries);
		idfw_dirs_free(c.dirs);
		io_loop_free(c.loop);
		children_print();
	} else {
		rc = 1;
	}
	conf_free(&table, &conf);
	return rc;
}

static void children_print(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_CHILDREN, &u) == 0)
		(void)printf("children max-rss %ld\n", u.ru_maxrss);
}

static struct idfw_dir_conf *conf_load(
	const char *path, const char *label, struct check_conf *ret, size_t *ret_n)
{
	char set_why[CONF_WHY_MAX];
	struct idfw_dir_conf *list;
	struct conf_diags diags;
	struct gi_buf out;
	const char *why = "no such block";
	char *text = NULL;
	size_t len = 0, i;

	if (conf_read_file(path, 1u << 20, &text, &len) < 0)
		return NULL;
	conf_diags_init(&diags, path, text, len);
	if (conf_parse(&table, text, len, &diags, ret) < 0) {
		gi_buf_init(&out, 1u << 20);
		conf_diags_render(&diags, &out);
		(void)fputs(gi_buf_str(&out), stderr);
		gi_buf_fini(&out);
	}
	conf_diags_fini(&diags);
	free(text);
	list = ret->directories.elems;
	if (dir_route_check(list, ret->directories.n, set_why) < 0) {
		(void)fprintf(stderr, "%s: %s\n", path, set_why);
		return NULL;
	}
	*ret_n = label ? 1 : ret->directories.n;
	for (i = 0; i < ret->directories.n; i++)
		if (idfw_dir_conf_check(&list[i], &why) < 0)
			label = "";
	for (i = 0; i < ret->directories.n; i++)
		if (!label || strcmp(list[i].label, label) == 0)
			return &list[i];
	(void)fprintf(stderr, "%s: %s\n", path, why);
	return NULL;
}

/* "NAME SID": known with that SID in the first block; "NAME SID LABEL": in that one */
static int ask(struct check *c, const char *name, char *sid)
{
	char *label = strchr(sid, ' ');
	struct idfw_principal known = { .sid = sid,
		.presence = *sid ? IDFW_P_FOUND : IDFW_P_PENDING };

	if (label)
		*label++ = '\0';
	known.directory = label ? label : c->first;
	return idfw_dirs_lookup(c->dirs, name, name, "", &known);
}

/* "in LABEL NAME": a VM whose names without a domain are of that block */
static int ask_in(struct check *c, char *label)
{
	char *name = strchr(label, ' '), key[IDFW_KEY_MAX + 1];

	if (!name)
		return -EINVAL;
	*name++ = '\0';
	(void)snprintf(key, sizeof(key), "%s|%s", name, label);
	return idfw_dirs_lookup(c->dirs, key, name, label, NULL);
}

/* %20 is a blank, and so on */
static void unescape(char *s)
{
	char *to = s;
	unsigned int byte;

	for (; *s; s++, to++) {
		*to = *s;
		if (*s != '%' || sscanf(s + 1, "%2x", &byte) != 1)
			continue;
		*to = (char)byte;
		s += 2;
	}
	*to = '\0';
}

/* ---- trace NAME ---- */

static void say(const char *word, char *const *names, size_t n)
{
	(void)printf("%s", word);
	for (size_t i = 0; i < n; i++) {
		(void)putchar(' ');
		for (const char *s = names[i]; *s; s++)
			(void)putchar(*s == ' ' ? '_' : *s);
	}
	(void)putchar('\n');
}

static void trace_end(struct check *c, const char *why)
{
	(void)printf("traced %s %zu %s\n", c->traced, c->n_ways, why);
	dir_query_free(c->query);
	c->query = NULL;
}

static void trace_ready(void *arg)
{
	struct check *c = arg;

	if (dir_query_lookup(c->query, c->traced) < 0)
		abort();
}

static void trace_result(void *arg, const Idfw__DirResult *r)
{
	Idfw__DirQuery ask = IDFW__DIR_QUERY__INIT;
	Idfw__DirGroup account = IDFW__DIR_GROUP__INIT;
	struct check *c = arg;

	if (!r->last)
		return;
	if (r->status != IDFW__DIR_RESULT__STATUS__OK) {
		trace_end(c, r->text);
		return;
	}
	account.dn = r->dn;
	account.guid = r->guid;
	account.sid = r->sid;
	account.name = r->name;
	ask.what = IDFW__DIR_QUERY__WHAT__TRACE;
	ask.account = &account;
	ask.last = true;
	if (dir_query_ask(c->query, &ask) < 0)
		abort();
}

static void trace_report(void *arg, const Idfw__DirReport *r)
{
	struct check *c = arg;

	for (size_t i = 0; i < r->n_node; i++, c->n_ways++)
		say("way", r->node[i]->path, r->node[i]->n_path);
	for (size_t i = 0; i < r->n_cycle; i++)
		say("cycle", r->cycle[i]->group, r->cycle[i]->n_group);
	if (r->last)
		trace_end(c, r->text);
}

static void trace_failed(void *arg, const char *why)
{
	trace_end(arg, why);
}

static void trace(struct check *c, const char *name)
{
	static const struct dir_query_ops ops = { trace_ready, trace_result, trace_report,
		trace_failed };
	struct idfw_dir_place place;

	idfw_dir_place(idfw_dirs_get(c->dirs, 0), &place);
	(void)snprintf(c->traced, sizeof(c->traced), "%s", name);
	c->n_ways = 0;
	if (c->query || dir_query_new(&c->queries, &place, &ops, c, &c->query) < 0)
		(void)printf("refused %s\n", name);
}

/* ---- groups SHOW [REF...] ---- */

static void list_end(struct check *c, const char *why)
{
	(void)printf("listed %.1s %zu %s\n", c->traced, c->n_ways, why);
	dir_query_free(c->query);
	c->query = NULL;
}

static void list_ready(void *arg)
{
	Idfw__DirRef ref[16], *list[16];
	Idfw__DirQuery ask = IDFW__DIR_QUERY__INIT;
	struct check *c = arg;
	char words[sizeof(c->traced)], *word, *rest = words;

	memcpy(words, c->traced, sizeof(words));
	word = strsep(&rest, " ");
	ask.what = IDFW__DIR_QUERY__WHAT__GROUPS;
	ask.show = (Idfw__DirQuery__Show)(word[0] - '0');
	ask.ref = list;
	while (ask.n_ref < 16 && (word = strsep(&rest, " ")) != NULL) {
		idfw__dir_ref__init(&ref[ask.n_ref]);
		ref[ask.n_ref].text = word;
		list[ask.n_ref] = &ref[ask.n_ref];
		ask.n_ref++;
	}
	ask.last = true;
	if (dir_query_ask(c->query, &ask) < 0)
		abort();
}

static void list_result(void *arg, const Idfw__DirResult *r)
{
	(void)arg;
	(void)r;
	abort();
}

static void list_report(void *arg, const Idfw__DirReport *r)
{
	struct check *c = arg;

	for (size_t i = 0; i < r->n_node; i++, c->n_ways++) {
		const Idfw__DirNode *n = r->node[i];

		(void)printf("group %s %u %u %u", n->group->name, n->groups, n->depth, n->flags);
		for (size_t k = 0; k < n->n_ref; k++)
			(void)printf(" %u", n->ref[k]);
		(void)putchar('\n');
		if (n->n_path)
			say("nest", n->path, n->n_path);
	}
	for (size_t i = 0; i < r->n_cycle; i++)
		say("cycle", r->cycle[i]->group, r->cycle[i]->n_group);
	if (r->last)
		list_end(c, r->text);
}

static void list_failed(void *arg, const char *why)
{
	list_end(arg, why);
}

static void list(struct check *c, const char *words)
{
	static const struct dir_query_ops ops = { list_ready, list_result, list_report,
		list_failed };
	struct idfw_dir_place place;

	idfw_dir_place(idfw_dirs_get(c->dirs, 0), &place);
	(void)snprintf(c->traced, sizeof(c->traced), "%s", words);
	c->n_ways = 0;
	if (c->query || dir_query_new(&c->queries, &place, &ops, c, &c->query) < 0)
		(void)printf("refused groups\n");
}

/* ---- sync 0|1 ---- */

static void sync_cb(struct io_timer *w)
{
	static const char *const ways[] = { "not-yet", "usn", "syncrepl", "csn", "blind" };
	static const char *const pictures[] = { "reading", "whole", "refused" };
	struct check *c = w->arg;
	struct idfw_dir_info in;

	if (!idfw_dir_synced(idfw_dirs_get(c->dirs, 0), c->sync_full, c->sync_id))
		return;
	io_timer_stop(c->loop, &c->sync);
	idfw_dir_info(idfw_dirs_get(c->dirs, 0), &in);
	(void)printf("synced %d %s %s %llu %llu\n", c->sync_full, ways[in.picture.seen],
		pictures[in.picture.picture], (unsigned long long)in.picture.groups,
		(unsigned long long)in.picture.changed);
}

static void sync_now(struct check *c, bool full)
{
	bool joined = false;

	c->sync_full = full;
	if (idfw_dir_sync(idfw_dirs_get(c->dirs, 0), full, &c->sync_id, &joined) < 0)
		(void)printf("refused sync\n");
	else
		io_timer_start(c->loop, &c->sync, 10, 10, sync_cb, c);
	if (joined)
		(void)printf("joined\n");
}

static void on_input(struct io_fd *w, unsigned int events)
{
	struct check *c = w->arg;
	ssize_t n = read(0, c->line + c->len, sizeof(c->line) - 1 - c->len);
	char *end, *sid;

	(void)events;
	if (n <= 0) {
		if (n == 0 || errno != EAGAIN)
			io_loop_stop(c->loop);
		return;
	}
	c->len += (size_t)n;
	c->line[c->len] = '\0';
	while ((end = strchr(c->line, '\n')) != NULL) {
		*end = '\0';
		sid = strchr(c->line, ' ');
		if (sid)
			*sid++ = '\0';
		if (!sid && strcmp(c->line, "end") == 0)
			io_loop_stop(c->loop);
		else if (sid && strcmp(c->line, "say") == 0)
			(void)printf("said %s\n", sid);
		else if (sid && strcmp(c->line, "trace") == 0)
			trace(c, sid);
		else if (sid && strcmp(c->line, "in") == 0)
			(void)ask_in(c, sid);
		else if (sid && strcmp(c->line, "groups") == 0)
			list(c, sid);
		else if (sid && strcmp(c->line, "sync") == 0)
			sync_now(c, sid[0] == '1');
		else if (unescape(c->line),
			ask(c, c->line, sid ? sid : c->line + strlen(c->line)) < 0)
			(void)printf("refused %s\n", c->line);
		c->len -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->len + 1);
	}
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void on_principal(void *arg, const char *key, const struct idfw_principal *p)
{
	static const char *const word[] = { "pending", "found", "not-found", "unavailable" };
	static const char *const states[] = { "disabled", "expired", "locked", "must-change" };
	const char **names = calloc(p->n_groups + 1, sizeof(*names));
	struct check *c = arg;
	size_t i;

	known_put(c, key, p);
	if (!names)
		abort();
	for (i = 0; i < p->n_groups; i++) {
		names[i] = p->groups[i].name[0] ? p->groups[i].name : p->groups[i].sid;
	}
	qsort(names, p->n_groups, sizeof(*names), by_text);
	if (p->account.state || p->account.expires_ms) {
		(void)printf("account %s ", key);
		for (i = 0; i < GI_ARRAY_SIZE(states); i++)
			if (p->account.state >> i & 1)
				(void)printf("%s%s", p->account.state & ((1u << i) - 1) ? "," : "",
					states[i]);
		(void)printf(" %llu\n", (unsigned long long)p->account.expires_ms);
	}
	if (p->upn && p->upn[0])
		(void)printf("upn %s %s\n", key, p->upn);
	if (c->several && p->directory && *p->directory)
		(void)printf("in %s %s\n", key, p->directory);
	(void)printf("answer %s %s %s %s", key, word[p->presence],
		p->sid && p->sid[0] ? p->sid : "-", p->name && p->name[0] ? p->name : "-");
	for (i = 0; i < p->n_groups; i++) {
		const char *s;

		(void)putchar(' ');
		for (s = names[i]; *s; s++)
			(void)putchar(*s == ' ' ? '_' : *s);
	}
	(void)putchar('\n');
	free(names);
}

static void known_put(struct check *c, const char *key, const struct idfw_principal *p)
{
	struct known *k;
	size_t i;

	HASH_FIND_STR(c->known, key, k);
	if (p->presence == IDFW_P_UNAVAILABLE || (!k && p->presence != IDFW_P_FOUND))
		return;
	if (!k) {
		k = calloc(1, sizeof(*k));
		if (!k || !(k->key = strdup(key)))
			abort();
		HASH_ADD_KEYPTR(hh, c->known, k->key, strlen(k->key), k);
	}
	free(k->groups);
	k->groups = calloc(p->n_groups + 1, sizeof(*k->groups));
	if (!k->groups)
		abort();
	memcpy(k->id, p->guid, sizeof(k->id));
	free(k->name);
	k->name = strdup(p->name && p->name[0] ? p->name : key);
	if (!k->name)
		abort();
	k->n_groups = p->n_groups;
	for (i = 0; i < p->n_groups; i++)
		memcpy(k->groups[i], p->groups[i].id, sizeof(k->groups[i]));
}

static bool id_in(const uint8_t id[16], const uint8_t (*list)[16], size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (memcmp(id, list[i], 16) == 0)
			return true;
	return false;
}

static bool known_hit(const struct known *k, const struct idfw_changes *c)
{
	size_t i;

	for (i = 0; i < k->n_groups; i++)
		if (id_in(k->groups[i], c->groups, c->n_groups))
			return true;
	return id_in(k->id, c->accounts, c->n_accounts);
}

static void print_id(const char *word, const uint8_t id[16])
{
	size_t i;

	(void)printf(" %s=", word);
	for (i = 0; i < 16; i++)
		(void)printf("%02x", id[i]);
}

static const char *of_label(const struct check *c, const char *label, char buf[64])
{
	(void)snprintf(buf, 64, " @%.40s", label);
	return c->several ? buf : "";
}

static void on_changed(void *arg, const char *label, const struct idfw_changes *c)
{
	const struct known *k;
	char of[64];
	size_t i;

	(void)printf("changed%s%s", of_label(arg, label, of), c->all ? " all" : "");
	for (i = 0; i < c->n_sids; i++)
		(void)printf(" %s", c->sids[i]);
	for (i = 0; i < c->n_accounts; i++)
		print_id("account", c->accounts[i]);
	for (i = 0; i < c->n_groups; i++)
		print_id("group", c->groups[i]);
	(void)printf("\nconcerns%s", c->all ? " all" : "");
	for (k = ((struct check *)arg)->known; k && !c->all; k = k->hh.next)
		if (known_hit(k, c))
			(void)printf(" %s", k->name);
	(void)putchar('\n');
}

static void on_state(void *arg, const char *label, bool up, const char *why)
{
	char of[64];

	(void)printf("state%s %s %s\n", of_label(arg, label, of), up ? "up" : "down", why);
}

static void on_collision(
	void *arg, const char *name, const char *const labels[2], const char *const ids[2])
{
	(void)arg;
	(void)ids;
	(void)printf("collision %s %s %s\n", name, labels[0], labels[1]);
}
