/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgraph.c - which groups are in which: nesting, cycles, how one is reached
 *
 * Runs in the query child. Edges are gathered as pairs, sorted and made unique by dir_graph_seal(),
 * which lays them out twice: groups of a node, members of a node. Then one pass of Tarjan's
 * algorithm, along the members, with stacks of its own: it ends a component after all that is
 * below it, so depths are known in the same pass. Invariant: no call depends on the depth of the
 * graph with more than memory, and that is a few words a node.
 */
#include "svm-idfw/dirgraph.h"

#include <stdlib.h>
#include <string.h>

struct pair {
	uint32_t member, group;
};

struct lists { /* of all nodes: those of n are at [from[n], from[n + 1]) */
	uint32_t *from, *to;
};

struct dir_graph {
	size_t n, max_nodes;
	struct pair *pairs;
	size_t n_pairs, cap_pairs, max_pairs;
	struct lists up, down; /* groups; members */
	uint32_t *component;   /* of each node */
	uint32_t *depth;       /* of each node */
	uint32_t *next_down;   /* a member that the depth comes from; NONE: 0 */
	uint32_t *cycle_of;    /* of each component */
	uint32_t *cycles;      /* a node of each cycle; n_cycles */
	size_t n_components, n_cycles;
};

int dir_graph_new(size_t max_nodes, size_t max_edges, struct dir_graph **ret)
{
	struct dir_graph *g = calloc(1, sizeof(*g));

	if (!g)
		return -ENOMEM;
	g->max_nodes = max_nodes;
	g->max_pairs = max_edges;
	*ret = g;
	return 0;
}

void dir_graph_free(struct dir_graph *g)
{
	if (!g)
		return;
	free(g->pairs);
	free(g->up.from);
	free(g->up.to);
	free(g->down.from);
	free(g->down.to);
	free(g->component);
	free(g->depth);
	free(g->next_down);
	free(g->cycle_of);
	free(g->cycles);
	free(g);
}

int dir_graph_node(struct dir_graph *g, uint32_t *ret)
{
	if (g->n >= g->max_nodes)
		return -GI_ELIMIT;
	*ret = (uint32_t)g->n++;
	return 0;
}

int dir_graph_edge(struct dir_graph *g, uint32_t member, uint32_t group)
{
	if (member >= g->n || group >= g->n)
		return -EINVAL;
	if (g->n_pairs >= g->max_pairs)
		return -GI_ELIMIT;
	if (g->n_pairs == g->cap_pairs) {
		size_t cap = g->cap_pairs ? g->cap_pairs * 2 : 256;
		struct pair *grown = reallocarray(g->pairs, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		g->pairs = grown;
		g->cap_pairs = cap;
	}
	g->pairs[g->n_pairs++] = (struct pair){ member, group };
	return 0;
}

/* ---- sealing ---- */

static int pair_cmp(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;

	if (x->member != y->member)
		return x->member < y->member ? -1 : 1;
	return (x->group > y->group) - (x->group < y->group);
}

static void pairs_unique(struct dir_graph *g)
{
	size_t i, n = 0;

	if (g->n_pairs)
		qsort(g->pairs, g->n_pairs, sizeof(g->pairs[0]), pair_cmp);
	for (i = 0; i < g->n_pairs; i++)
		if (n == 0 || pair_cmp(&g->pairs[n - 1], &g->pairs[i]) != 0)
			g->pairs[n++] = g->pairs[i];
	g->n_pairs = n;
}

/* counting sort of the pairs by one end: since they are sorted, each list ascends */
static int lists_make(const struct dir_graph *g, struct lists *l, bool down)
{
	size_t i;

	l->from = calloc(g->n + 2, sizeof(l->from[0]));
	l->to = calloc(g->n_pairs + 1, sizeof(l->to[0]));
	if (!l->from || !l->to)
		return -ENOMEM;
	for (i = 0; i < g->n_pairs; i++)
		l->from[(down ? g->pairs[i].group : g->pairs[i].member) + 2]++;
	for (i = 2; i < g->n + 2; i++)
		l->from[i] += l->from[i - 1];
	for (i = 0; i < g->n_pairs; i++) {
		const struct pair *p = &g->pairs[i];

		l->to[l->from[(down ? p->group : p->member) + 1]++] = down ? p->member : p->group;
	}
	return 0;
}

struct tarjan {
	struct dir_graph *g;
	uint32_t *index, *low, *edge; /* of each node; index 0: not seen */
	uint32_t *stack, *call;
	size_t n_stack, n_call;
	uint32_t next;
	bool *on_stack;
};

static void tarjan_enter(struct tarjan *t, uint32_t node)
{
	t->index[node] = t->low[node] = ++t->next;
	t->edge[node] = t->g->down.from[node];
	t->stack[t->n_stack++] = node;
	t->on_stack[node] = true;
	t->call[t->n_call++] = node;
}

/* levels below a component whose nodes are on the stack from @first: all below are known */
static void tarjan_depth(struct tarjan *t, size_t first)
{
	struct dir_graph *g = t->g;
	uint32_t depth = 0, edge = DIR_GRAPH_NONE, node;
	size_t i, k;

	for (i = first; i < t->n_stack; i++) {
		node = t->stack[i];
		for (k = g->down.from[node]; k < g->down.from[node + 1]; k++) {
			uint32_t below = g->down.to[k];

			if (g->component[below] == g->component[node] ||
				g->depth[below] + 1 <= depth)
				continue;
			depth = g->depth[below] + 1;
			edge = below;
		}
	}
	for (i = first; i < t->n_stack; i++) {
		g->depth[t->stack[i]] = depth;
		g->next_down[t->stack[i]] = edge;
	}
}

static bool has_itself(const struct dir_graph *g, uint32_t node)
{
	size_t k;

	for (k = g->down.from[node]; k < g->down.from[node + 1]; k++)
		if (g->down.to[k] == node)
			return true;
	return false;
}

static void tarjan_component(struct tarjan *t, uint32_t root)
{
	struct dir_graph *g = t->g;
	uint32_t c = (uint32_t)g->n_components++, node;
	size_t first = t->n_stack;

	do {
		node = t->stack[--first];
		g->component[node] = c;
		t->on_stack[node] = false;
	} while (node != root);
	tarjan_depth(t, first);
	g->cycle_of[c] = DIR_GRAPH_NONE;
	if (t->n_stack - first > 1 || has_itself(g, root)) {
		g->cycle_of[c] = (uint32_t)g->n_cycles;
		g->cycles[g->n_cycles++] = root;
	}
	t->n_stack = first;
}

static void tarjan_walk(struct tarjan *t, uint32_t start)
{
	const struct lists *down = &t->g->down;
	uint32_t node, below;

	tarjan_enter(t, start);
	while (t->n_call) {
		node = t->call[t->n_call - 1];
		if (t->edge[node] < down->from[node + 1]) {
			below = down->to[t->edge[node]++];
			if (!t->index[below])
				tarjan_enter(t, below);
			else if (t->on_stack[below] && t->index[below] < t->low[node])
				t->low[node] = t->index[below];
			continue;
		}
		t->n_call--;
		if (t->n_call && t->low[node] < t->low[t->call[t->n_call - 1]])
			t->low[t->call[t->n_call - 1]] = t->low[node];
		if (t->low[node] == t->index[node])
			tarjan_component(t, node);
	}
}

static int tarjan_run(struct dir_graph *g)
{
	struct tarjan t = { .g = g };
	uint32_t *words = calloc(5 * g->n + 1, sizeof(*words));
	int err = -ENOMEM;
	size_t i;

	t.on_stack = calloc(g->n + 1, sizeof(*t.on_stack));
	if (!words || !t.on_stack)
		goto out;
	t.index = words;
	t.low = words + g->n;
	t.edge = words + 2 * g->n;
	t.stack = words + 3 * g->n;
	t.call = words + 4 * g->n;
	for (i = 0; i < g->n; i++)
		if (!t.index[i])
			tarjan_walk(&t, (uint32_t)i);
	err = 0;
out:
	free(words);
	free(t.on_stack);
	return err;
}

int dir_graph_seal(struct dir_graph *g)
{
	int err;

	pairs_unique(g);
	err = lists_make(g, &g->up, false);
	if (err == 0)
		err = lists_make(g, &g->down, true);
	if (err < 0)
		return err;
	free(g->pairs);
	g->pairs = NULL;
	g->cap_pairs = 0;
	g->component = calloc(g->n + 1, sizeof(*g->component));
	g->depth = calloc(g->n + 1, sizeof(*g->depth));
	g->next_down = calloc(g->n + 1, sizeof(*g->next_down));
	g->cycle_of = calloc(g->n + 1, sizeof(*g->cycle_of));
	g->cycles = calloc(g->n + 1, sizeof(*g->cycles));
	if (!g->component || !g->depth || !g->next_down || !g->cycle_of || !g->cycles)
		return -ENOMEM;
	memset(g->component, 0xff, (g->n + 1) * sizeof(*g->component));
	return tarjan_run(g);
}

/* ---- asking ---- */

size_t dir_graph_nodes(const struct dir_graph *g)
{
	return g->n;
}

static const uint32_t *list_of(const struct lists *l, uint32_t node, size_t *ret_n)
{
	*ret_n = l->from[node + 1] - l->from[node];
	return l->to + l->from[node];
}

const uint32_t *dir_graph_groups(const struct dir_graph *g, uint32_t node, size_t *ret_n)
{
	return list_of(&g->up, node, ret_n);
}

const uint32_t *dir_graph_members(const struct dir_graph *g, uint32_t node, size_t *ret_n)
{
	return list_of(&g->down, node, ret_n);
}

uint32_t dir_graph_depth(const struct dir_graph *g, uint32_t node)
{
	return g->depth[node];
}

/* breadth first from @from upwards; @component: only within it, unless NONE */
static int climb(const struct dir_graph *g, uint32_t from, uint32_t component, uint32_t **ret_by)
{
	uint32_t *by = calloc(g->n + 1, sizeof(*by)), *queue = calloc(g->n + 1, sizeof(*queue));
	size_t head = 0, tail = 0, k;

	if (!by || !queue) {
		free(by);
		free(queue);
		return -ENOMEM;
	}
	memset(by, 0xff, (g->n + 1) * sizeof(*by));
	by[from] = from;
	queue[tail++] = from;
	while (head < tail) {
		uint32_t node = queue[head++];

		for (k = g->up.from[node]; k < g->up.from[node + 1]; k++) {
			uint32_t group = g->up.to[k];

			if (by[group] != DIR_GRAPH_NONE ||
				(component != DIR_GRAPH_NONE && g->component[group] != component))
				continue;
			by[group] = node;
			queue[tail++] = group;
		}
	}
	free(queue);
	*ret_by = by;
	return 0;
}

int dir_graph_climb(const struct dir_graph *g, uint32_t from, uint32_t **ret_by)
{
	return climb(g, from, DIR_GRAPH_NONE, ret_by);
}

size_t dir_graph_path(const uint32_t *by, uint32_t from, uint32_t to, uint32_t *ret, size_t max)
{
	size_t len = 1, keep = max / 2, i;
	uint32_t at;

	if (by[to] == DIR_GRAPH_NONE || max < 3)
		return 0;
	for (at = to; at != from; at = by[at])
		len++;
	/* from the end; places [keep, len - (max - keep - 1)) are left out, one NONE for them */
	for (at = to, i = len; i-- > 0; at = by[at]) {
		if (len <= max || i < keep)
			ret[i] = at;
		else if (i >= len - (max - keep - 1))
			ret[i - (len - max)] = at;
		else
			ret[keep] = DIR_GRAPH_NONE;
	}
	return len <= max ? len : max;
}

int dir_graph_mark_members(const struct dir_graph *g, uint8_t *marked)
{
	uint32_t *stack = calloc(g->n + 1, sizeof(*stack));
	size_t n = 0, i, k;

	if (!stack)
		return -ENOMEM;
	for (i = 0; i < g->n; i++)
		if (marked[i])
			stack[n++] = (uint32_t)i;
	while (n) {
		uint32_t node = stack[--n];

		for (k = g->down.from[node]; k < g->down.from[node + 1]; k++) {
			if (marked[g->down.to[k]])
				continue;
			marked[g->down.to[k]] = 1;
			stack[n++] = g->down.to[k];
		}
	}
	free(stack);
	return 0;
}

size_t dir_graph_chain(const struct dir_graph *g, uint32_t node, uint32_t *ret, size_t max)
{
	size_t n = 0;

	for (; node != DIR_GRAPH_NONE && n < max; node = g->next_down[node])
		ret[n++] = node;
	return n;
}

/* ---- cycles ---- */

size_t dir_graph_cycles(const struct dir_graph *g)
{
	return g->n_cycles;
}

uint32_t dir_graph_cycle_of(const struct dir_graph *g, uint32_t node)
{
	return g->cycle_of[g->component[node]];
}

/* a shortest way around through @first; all of it is marked in @on, if there is such */
static int ring(const struct dir_graph *g, uint32_t first, uint32_t *ret, size_t max, size_t *ret_n,
	uint8_t *on)
{
	uint32_t *by = NULL, last = DIR_GRAPH_NONE, at;
	size_t len, shortest = 0, i, k;
	int err = climb(g, first, g->component[first], &by);

	if (err < 0)
		return err;
	/* who closes it: the member of the first that is reached by the shortest way */
	for (k = g->down.from[first]; k < g->down.from[first + 1]; k++) {
		uint32_t member = g->down.to[k];

		if (by[member] == DIR_GRAPH_NONE)
			continue;
		for (len = 1, at = member; at != first; at = by[at])
			len++;
		if (last == DIR_GRAPH_NONE || len < shortest) {
			last = member;
			shortest = len;
		}
	}
	for (at = last, i = shortest; i-- > 0; at = by[at]) {
		if (i < max)
			ret[i] = at;
		if (on)
			on[at] = 1;
	}
	free(by);
	*ret_n = shortest;
	return 0;
}

static size_t component_nodes(const struct dir_graph *g, uint32_t component)
{
	size_t nodes = 0;

	for (size_t i = 0; i < g->n; i++)
		nodes += g->component[i] == component;
	return nodes;
}

int dir_graph_cycle(const struct dir_graph *g, uint32_t cycle, uint32_t *ret, size_t max,
	size_t *ret_n, size_t *ret_nodes)
{
	uint32_t first = g->cycles[cycle];

	*ret_nodes = component_nodes(g, g->component[first]);
	return ring(g, first, ret, max, ret_n, NULL);
}

int dir_graph_rings(const struct dir_graph *g, size_t max,
	int (*cb)(void *arg, const uint32_t *way, size_t n, size_t nodes), void *arg,
	size_t *ret_left)
{
	uint8_t *on = calloc(g->n + 1, sizeof(*on));
	uint32_t way[DIR_GRAPH_WAY_MAX];
	size_t i, n, made = 0, left = 0;
	int err = on ? 0 : -ENOMEM;

	for (i = 0; err == 0 && i < g->n; i++) {
		if (on[i] || dir_graph_cycle_of(g, (uint32_t)i) == DIR_GRAPH_NONE)
			continue;
		if (made == max) {
			left++;
			continue;
		}
		err = ring(g, (uint32_t)i, way, DIR_GRAPH_WAY_MAX, &n, on);
		if (err == 0)
			err = cb(arg, way, n < DIR_GRAPH_WAY_MAX ? n : DIR_GRAPH_WAY_MAX,
				component_nodes(g, g->component[i]));
		made++;
	}
	free(on);
	if (err == 0)
		*ret_left = left;
	return err;
}
