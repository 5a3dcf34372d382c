/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirreport.c - an operator's question, in the directory child: parts in, parts out
 *
 * The post's thread gathers the parts of the question (dir_asked_put), the thread that has the
 * watch connection answers it with that connection: a child for a question has nothing else to look
 * for. Everything blocks but for one message a second at least, by which the parent knows that it
 * lives. Invariants: what is sent fits a frame and the limits of lib/wire; the last part has
 * `last`; no more is made than the parent takes (dir_post_room).
 */
#include "svm-idfw/dirreport.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/io/loop.h"

#define ASKED_PARTS_MAX 256
#define REPORT_NODES 32
#define REPORT_PART_BYTES (40u << 10)
#define REPORT_PROGRESS_MS 500

struct dir_report {
	struct dir_post *post;
	const struct dir_back *b;
	uint64_t began_ms, said_ms, groups, memberships;
	Idfw__DirNode node[REPORT_NODES], *nodes[REPORT_NODES];
	Idfw__DirGroup group[REPORT_NODES];
	uint32_t refs[REPORT_NODES][WIRE_DIR_NODE_REFS_MAX];
	char *names[REPORT_NODES][WIRE_DIR_PATH_MAX];
	char sids[REPORT_NODES][WIRE_DIR_PATH_MAX][SID_TEXT_MAX]; /* names of those without one */
	size_t n, bytes;
};

struct dir_asked {
	pthread_mutex_t lock;
	Idfw__Envelope *parts[ASKED_PARTS_MAX]; /* owned */
	size_t n;
	bool whole;
};

static char *mute(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* ---- out ---- */

static void report_send(struct dir_report *r, Idfw__DirReport *m)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;

	m->node = r->nodes;
	m->n_node = r->n;
	m->requests = dldap_requests(r->b->look);
	m->took_ms = (uint32_t)(io_clock_mono_ms() - r->began_ms);
	m->groups = r->groups;
	m->memberships = r->memberships;
	m->server = mute(r->b->conf->uri);
	e.body_case = IDFW__ENVELOPE__BODY_DIR_REPORT;
	e.dir_report = m;
	dir_post_room(r->post);
	dir_post_send(r->post, &e);
	r->n = r->bytes = 0;
	r->said_ms = io_clock_mono_ms();
}

void dir_report_flush(struct dir_report *r)
{
	Idfw__DirReport m = IDFW__DIR_REPORT__INIT;

	report_send(r, &m);
}

/* the names of nodes into @to; a NONE is what was left out. How many */
static size_t report_names(struct dir_report *r, const struct dir_net *net, const uint32_t *nodes,
	size_t n, char *to[WIRE_DIR_PATH_MAX], char sids[WIRE_DIR_PATH_MAX][SID_TEXT_MAX])
{
	for (size_t i = 0; i < n && i < WIRE_DIR_PATH_MAX; i++) {
		to[i] = mute(nodes[i] == DIR_GRAPH_NONE
				     ? "..."
				     : dir_net_name(net->nodes[nodes[i]], sids[i]));
		r->bytes += strlen(to[i]) + 8;
	}
	return n < WIRE_DIR_PATH_MAX ? n : WIRE_DIR_PATH_MAX;
}

void dir_report_node(struct dir_report *r, const struct dir_net *net, const struct net_node *n,
	const struct dir_report_more *more, const uint32_t *path, size_t n_path)
{
	Idfw__DirNode *m = &r->node[r->n];
	Idfw__DirGroup *g = &r->group[r->n];

	idfw__dir_node__init(m);
	idfw__dir_group__init(g);
	g->dn = mute(n->g.dn && gi_text_is_clean(n->g.dn, DIR_DN_MAX - 1) ? n->g.dn : "");
	g->name = mute(n->g.name && gi_text_is_clean(n->g.name, DIR_NAME_MAX) ? n->g.name : "");
	g->guid = (ProtobufCBinaryData){ .len = n->g.has_guid ? 16 : 0,
		.data = (uint8_t *)(uintptr_t)n->g.guid };
	g->sid = (ProtobufCBinaryData){ .len = n->g.sid_len,
		.data = (uint8_t *)(uintptr_t)n->g.sid };
	m->group = g;
	m->flags = n->flags;
	if (more) {
		m->groups = more->groups;
		m->depth = more->depth;
		memcpy(r->refs[r->n], more->refs, sizeof(more->refs));
		m->ref = r->refs[r->n];
		m->n_ref = more->n_refs;
	}
	m->n_path = report_names(r, net, path, n_path, r->names[r->n], r->sids[r->n]);
	m->path = r->names[r->n];
	r->nodes[r->n] = m;
	r->bytes += strlen(g->dn) + strlen(g->name) + 192;
	if (++r->n == REPORT_NODES || r->bytes > REPORT_PART_BYTES)
		dir_report_flush(r);
}

void dir_report_cycle(struct dir_report *r, const struct dir_net *net, const uint32_t *nodes,
	size_t n, size_t all)
{
	Idfw__DirReport m = IDFW__DIR_REPORT__INIT;
	Idfw__DirCycle c = IDFW__DIR_CYCLE__INIT, *list[1] = { &c };

	if (r->n)
		dir_report_flush(r); /* its place for names is free then */
	c.n_group = report_names(r, net, nodes, n, r->names[0], r->sids[0]);
	c.group = r->names[0];
	c.groups = (uint32_t)all;
	m.cycle = list;
	m.n_cycle = 1;
	report_send(r, &m);
}

void dir_report_progress(struct dir_report *r, uint64_t groups, uint64_t memberships)
{
	r->groups = groups;
	r->memberships = memberships;
	if (io_clock_mono_ms() - r->said_ms >= REPORT_PROGRESS_MS)
		dir_report_flush(r);
}

/* ---- in ---- */

int dir_asked_new(struct dir_asked **ret)
{
	struct dir_asked *a = calloc(1, sizeof(*a));

	if (!a || pthread_mutex_init(&a->lock, NULL) != 0) {
		free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void dir_asked_free(struct dir_asked *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n; i++)
		wire_envelope_free(a->parts[i]);
	(void)pthread_mutex_destroy(&a->lock);
	free(a);
}

bool dir_asked_put(struct dir_asked *a, Idfw__Envelope *e, bool *ret_whole)
{
	bool ok;

	(void)pthread_mutex_lock(&a->lock);
	ok = !a->whole && a->n < ASKED_PARTS_MAX;
	if (ok) {
		a->parts[a->n++] = e;
		a->whole = e->dir_query->last;
	}
	*ret_whole = ok && a->whole;
	(void)pthread_mutex_unlock(&a->lock);
	return ok;
}

static int report_run(struct dir_report *r, struct dir_back *b, Idfw__Envelope *const *parts,
	size_t n, char why[DIR_WHY_MAX])
{
	const Idfw__DirQuery *ask = parts[0]->dir_query;

	if (n == 1 && ask->what == IDFW__DIR_QUERY__WHAT__TRACE)
		return dir_trace(b, ask->account, r, why);
	if (ask->what == IDFW__DIR_QUERY__WHAT__GROUPS)
		return dir_listing(b, parts, n, r, why);
	return -GI_EPROTO;
}

void dir_asked_answer(
	struct dir_asked *a, struct dir_back *b, struct dir_post *p, bool up, const char *why)
{
	Idfw__DirReport last = IDFW__DIR_REPORT__INIT;
	struct dir_report *r = NULL;
	char text[DIR_WHY_MAX] = "";
	bool whole;
	int err = -ENOTCONN;

	(void)pthread_mutex_lock(&a->lock);
	whole = a->whole;
	(void)pthread_mutex_unlock(&a->lock);
	if (whole && up)
		r = calloc(1, sizeof(*r));
	if (!whole || (up && !r))
		return; /* without memory the parent finds that it is silent */
	if (!up) {	/* it says so by its DirState, too */
		dir_why(text, "%s", why);
		return;
	}
	r->post = p;
	r->b = b;
	r->began_ms = r->said_ms = io_clock_mono_ms();
	err = report_run(r, b, a->parts, a->n, text); /* nothing is put once it is whole */
	if (err < 0 && text[0] == '\0')
		dir_why(text, "%s", gi_strerror(err));
	r->n = 0; /* on an error: what they borrow is gone */
	last.text = text;
	last.last = true;
	report_send(r, &last);
	free(r);
	(void)pthread_mutex_lock(&a->lock);
	while (a->n)
		wire_envelope_free(a->parts[--a->n]);
	a->whole = false;
	(void)pthread_mutex_unlock(&a->lock);
}
