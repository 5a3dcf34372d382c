/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirlist.c - the list of servers at run time: DNS named others, or nobody
 *
 * Runs in svm-idfw's loop, between dirfind.c (what DNS says) and dir.c (whose children speak to
 * servers by their index in the list). Invariants: whoever answers goes on answering, in the list
 * or not, until one that is preferred to it does; no child speaks to a server that has no index.
 */
#include "svm-idfw/dir_int.h"

#include <stdio.h>
#include <string.h>

#include "svm-idfw/dirfind.h"

static bool list_take(struct idfw_dir *d, const struct dir_srv_list *l);
static void list_servers(void *arg, const struct dir_srv_list *l);
static void list_nobody(void *arg, const char *why);
static void list_news(void *arg);

int dir_list_start(struct idfw_dir *d, const char *conf_file)
{
	static const struct dir_find_ops ops = { list_servers, list_nobody, list_news };
	int err;

	if (!d->conf->discover)
		return 0;
	err = dir_find_new(d->loop, conf_file, d->conf, &ops, d, &d->find);
	if (err < 0)
		return err;
	d->unready_ms =
		io_clock_mono_ms(); /* lookups wait for the first server, but not for long */
	(void)list_take(d, dir_find_list(d->find));
	return 0;
}

/* false: it is the same list */
static bool list_take(struct idfw_dir *d, const struct dir_srv_list *l)
{
	int moved[DIR_SERVERS_MAX], busy = -1;
	const char *uris[DIR_SERVERS_MAX];
	size_t n = 0;

	while (n < l->n && n < DIR_SERVERS_MAX) {
		uris[n] = l->item[n].uri;
		n++;
	}
	if (d->main->child.pid > 0 && !d->main->killed)
		busy = (int)d->main->server;
	if (!dir_servers_replace(&d->servers, uris, n, busy, moved))
		return false;
	for (size_t i = 0; i < GI_ARRAY_SIZE(d->kid); i++) {
		struct dir_kid *k = &d->kid[i];
		int at = k->server < DIR_SERVERS_MAX ? moved[k->server] : -1;

		if (at < 0 && k->child.pid > 0 && !k->killed)
			dir_kid_end(k);
		k->server = at < 0 ? 0 : (size_t)at;
	}
	return true;
}

static void list_servers(void *arg, const struct dir_srv_list *l)
{
	struct idfw_dir *d = arg;

	if (!list_take(d, l))
		return;
	if (d->main->child.pid <= 0)
		dir_main_start(d);
	if (d->main->ready)
		dir_say_up(d);
}

static void list_nobody(void *arg, const char *why)
{
	struct idfw_dir *d = arg;
	char text[DIR_WHY_MAX];

	(void)why;
	dir_find_text(d->find, text);
	dir_set_state(d, DIR_DOWN, text);
	dir_pump(d);
}

static void list_news(void *arg)
{
	struct idfw_dir *d = arg;

	if (d->main->ready)
		dir_say_up(d);
}

void dir_list_text(const struct idfw_dir *d, char text[DIR_WHY_MAX])
{
	char more[DIR_WHY_MAX];
	size_t len = strlen(text);

	if (!d->find)
		return;
	dir_find_text(d->find, more);
	if (more[0])
		(void)snprintf(text + len, DIR_WHY_MAX - len, "%s%s", len ? "; " : "", more);
}
