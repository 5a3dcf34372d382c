/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reload.c - new signatures, another hash list, other rules, while files are being judged
 *
 * The configuration is read in the main thread; list and signatures in a thread of their own, since
 * loading takes seconds. Order: new workers are ready, then list and cache change, then the agents
 * are told the new epoch (eps_epoch_set): an answer that carries it was made with what it names.
 * On any mistake everything stays as it was, and .load_error says why.
 */
#include "svm-scan/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"

int scan_list_load(const char *path, struct gi_buf *out, struct scan_hashlist **ret)
{
	struct conf_diags diags;
	char *text = NULL;
	size_t len = 0;
	int err;

	*ret = NULL;
	if (!path)
		return 0;
	err = conf_read_file(path, SCAN_LIST_MAX, &text, &len);
	if (err < 0) {
		gi_buf_printf(out, "%s: %s\n", path, gi_strerror(err));
		return err;
	}
	conf_diags_init(&diags, path, text, len);
	err = scan_hashlist_parse(text, len, &diags, ret);
	conf_diags_render(&diags, out);
	conf_diags_fini(&diags);
	free(text);
	return err;
}

/* the thread: also what the start does once the pool is there (@load_signatures false) */
static int load(struct scan_service *s, bool load_signatures)
{
	struct scan_reload *r = &s->reload;
	struct scan_hashlist *list = NULL;
	char why[SCAN_WHY_MAX] = "";
	struct scan_epoch epoch;
	int err = scan_list_load(r->list_path, &r->text, &list);

	if (err == 0 && load_signatures) {
		err = scan_pool_reload(s->pool, why, &epoch);
		if (err < 0)
			gi_buf_printf(&r->text, "%s%s\n",
				*why ? "" : "signatures: ", *why ? why : gi_strerror(err));
	} else if (err == 0) {
		scan_pool_epoch(s->pool, &epoch);
	}
	if (err == 0)
		err = scan_judge_swap(s->judge, list, &epoch, r->epoch);
	if (err < 0)
		scan_hashlist_free(list);
	else
		err = eps_epoch_set(s->eps, r->epoch, sizeof(r->epoch));
	return err;
}

static void *reload_main(void *arg)
{
	struct scan_service *s = arg;

	s->reload.err = load(s, true);
	io_wake_send(s->loop, &s->reload.done);
	return NULL;
}

static void log_lines(const char *text)
{
	const char *end;

	for (; *text; text = *end ? end + 1 : end) {
		end = strchr(text, '\n');
		if (!end)
			end = text + strlen(text);
		gi_err("%.*s", (int)(end - text), text);
	}
}

/* in the main thread: what the status shows */
static void load_ended(struct scan_service *s)
{
	struct scan_reload *r = &s->reload;
	char engines[SCAN_WHY_MAX + 1], text[WIRE_TEXT_MAX + 1];
	const char *words = gi_buf_str(&r->text);
	struct scan_judge_stats st;

	log_lines(words);
	s->load_ms = io_clock_real_ms();
	if (r->err < 0) {
		words = *words ? words : gi_strerror(r->err);
		(void)snprintf(s->load_error, sizeof(s->load_error), "%.*s",
			(int)strcspn(words, "\n"), words);
		wire_text_sanitize(s->load_error, WIRE_TEXT_MAX);
		return;
	}
	s->load_error[0] = '\0';
	memcpy(s->epoch, r->epoch, sizeof(s->epoch));
	s->loaded_ms = s->load_ms;
	scan_pool_engines(s->pool, engines);
	scan_judge_stats(s->judge, &st);
	(void)snprintf(text, sizeof(text), "loaded: %.160s, list of %zu", engines, st.list_entries);
	scan_report_note(s->report, "", text);
}

static int list_path_set(struct scan_service *s)
{
	const struct scan_conf *c = s->live ? s->live : s->conf;

	free(s->reload.list_path);
	s->reload.list_path = c->hash_list ? strdup(c->hash_list) : NULL;
	return c->hash_list && !s->reload.list_path ? -ENOMEM : 0;
}

static void reload_done_cb(struct io_wake *w)
{
	struct scan_service *s = w->arg;

	if (!s->reload.running)
		return;
	(void)pthread_join(s->reload.thread, NULL);
	s->reload.running = false;
	load_ended(s);
	if (s->reload.again) { /* what was asked for meanwhile may have seen half of it */
		s->reload.again = false;
		if (scan_reload_start(s) == 0)
			return;
	}
	scan_control_reloaded(s->control, s->reload.err, gi_buf_str(&s->reload.text));
}

static void reload_wanted_cb(struct io_wake *w)
{
	gi_notice("a worker found other signatures on disk: loading them");
	if (scan_reload_start(w->arg) < 0)
		gi_err("the reload cannot begin; send SIGHUP again");
}

void scan_reload_init(struct scan_service *s)
{
	gi_buf_init(&s->reload.text, SCAN_LOAD_TEXT_MAX);
	io_wake_start(s->loop, &s->reload.done, reload_done_cb, s);
	io_wake_start(s->loop, &s->reload.wanted, reload_wanted_cb, s);
}

void scan_reload_fini(struct scan_service *s)
{
	if (s->reload.running)
		(void)pthread_join(s->reload.thread, NULL);
	s->reload.running = false;
	io_wake_stop(s->loop, &s->reload.done);
	io_wake_stop(s->loop, &s->reload.wanted);
	gi_buf_fini(&s->reload.text);
	free(s->reload.list_path);
}

void scan_reload_want(struct scan_service *s)
{
	io_wake_send(s->loop, &s->reload.wanted);
}

int scan_reload_first(struct scan_service *s)
{
	int err = list_path_set(s);

	if (err == 0)
		err = load(s, false);
	s->reload.err = err;
	load_ended(s);
	return err;
}

/* ---- configuration ---- */

/* items that only a restart changes are named */
static void conf_compare(const struct scan_conf *old, const struct scan_conf *new)
{
	const struct conf_section *top = &scan_conf_table.sections[0];

	for (size_t i = 0; i < top->n_items; i++) {
		const struct conf_item *item = &top->items[i];
		bool rule = item->offset >= offsetof(struct scan_conf, rules) &&
			    item->offset < offsetof(struct scan_conf, vms);

		if (!rule && strcmp(item->name, "hash-list") != 0 &&
			!conf_item_same(item, old, new))
			gi_warn("reload: %s: a restart is needed for it", item->name);
	}
}

static int conf_reload(struct scan_service *s)
{
	struct scan_conf *new = calloc(1, sizeof(*new));
	int err;

	if (!new)
		return -ENOMEM;
	err = conf_again(s->argc, s->argv, "svm-scan", &scan_conf_table, new, &s->reload.text);
	if (err < 0) {
		free(new);
		return err;
	}
	conf_compare(s->conf, new);
	scan_vms_conf(s->vms, new);
	if (s->live) {
		conf_free(&scan_conf_table, s->live);
		free(s->live);
	}
	s->live = new;
	scan_guests_settle(s);
	return 0;
}

int scan_reload_start(struct scan_service *s)
{
	struct scan_reload *r = &s->reload;
	int err;

	if (r->running) {
		r->again = true;
		return 0;
	}
	gi_buf_reset(&r->text);
	err = conf_reload(s);
	if (err == 0)
		err = list_path_set(s);
	if (err < 0)
		gi_err("reload: the new configuration is not usable; the old one goes on");
	if (err == 0)
		err = -pthread_create(&r->thread, NULL, reload_main, s);
	r->running = err == 0;
	if (err < 0) {
		r->err = err;
		load_ended(s);
	}
	return err;
}
