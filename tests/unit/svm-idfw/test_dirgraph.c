/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_dirgraph.c - nesting, cycles and ways, in small graphs by hand and in large ones by a rule
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "svm-idfw/dirgraph.h"

struct edge {
	uint32_t member, group;
};

static struct dir_graph *graph(uint32_t nodes, const struct edge *e, size_t n)
{
	struct dir_graph *g = NULL;
	uint32_t node;

	assert_int_equal(dir_graph_new(nodes, n, &g), 0);
	for (uint32_t i = 0; i < nodes; i++) {
		assert_int_equal(dir_graph_node(g, &node), 0);
		assert_int_equal(node, i);
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(dir_graph_edge(g, e[i].member, e[i].group), 0);
	assert_int_equal(dir_graph_seal(g), 0);
	return g;
}

/* 0 in 1 in 2 in 3, and 0 in 3 */
static void test_climb_takes_the_shortest_way(void **state)
{
	static const struct edge e[] = { { 2, 3 }, { 1, 2 }, { 0, 1 }, { 0, 3 }, { 0, 1 } };
	struct dir_graph *g = graph(5, e, 5);
	uint32_t *by = NULL, path[8];
	size_t n;

	(void)state;
	assert_int_equal(dir_graph_climb(g, 0, &by), 0);
	assert_int_equal(dir_graph_path(by, 0, 2, path, 8), 3);
	assert_int_equal(path[0], 0);
	assert_int_equal(path[1], 1);
	assert_int_equal(path[2], 2);
	assert_int_equal(dir_graph_path(by, 0, 3, path, 8), 2);
	assert_int_equal(dir_graph_path(by, 0, 0, path, 8), 1);
	assert_int_equal(dir_graph_path(by, 0, 4, path, 8), 0); /* not reached */
	(void)dir_graph_groups(g, 0, &n);
	assert_int_equal(n, 2); /* told twice, there once */
	assert_int_equal(dir_graph_depth(g, 3), 3);
	assert_int_equal(dir_graph_depth(g, 0), 0);
	assert_int_equal(dir_graph_chain(g, 3, path, 8), 4);
	assert_int_equal(path[0], 3);
	assert_int_equal(path[3], 0);
	assert_int_equal(dir_graph_chain(g, 3, path, 2), 2);
	free(by);
	dir_graph_free(g);
}

/* 1 -> 2 -> 3 -> 1 and 3 -> 4 -> 3; 0 below, 5 above; 6 in itself */
static void test_cycles_are_found_and_stepped_over(void **state)
{
	static const struct edge e[] = { { 0, 1 }, { 1, 2 }, { 2, 3 }, { 3, 1 }, { 3, 4 }, { 4, 3 },
		{ 2, 5 }, { 6, 6 } };
	struct dir_graph *g = graph(7, e, 8);
	uint32_t way[8], cycle, *by = NULL;
	size_t n, nodes;

	(void)state;
	assert_int_equal(dir_graph_cycles(g), 2);
	assert_int_equal(dir_graph_cycle_of(g, 0), DIR_GRAPH_NONE);
	assert_int_equal(dir_graph_cycle_of(g, 5), DIR_GRAPH_NONE);
	cycle = dir_graph_cycle_of(g, 1);
	assert_int_not_equal(cycle, DIR_GRAPH_NONE);
	assert_int_equal(dir_graph_cycle_of(g, 4), cycle);
	assert_int_equal(dir_graph_cycle(g, cycle, way, 8, &n, &nodes), 0);
	assert_int_equal(nodes, 4);
	assert_true(n == 2 || n == 3); /* a shortest one through whichever node it begins at */
	cycle = dir_graph_cycle_of(g, 6);
	assert_int_equal(dir_graph_cycle(g, cycle, way, 8, &n, &nodes), 0);
	assert_int_equal(n, 1);
	assert_int_equal(nodes, 1);
	assert_int_equal(way[0], 6);
	assert_int_equal(dir_graph_depth(g, 1), 1); /* all of the cycle is one level */
	assert_int_equal(dir_graph_depth(g, 4), 1);
	assert_int_equal(dir_graph_depth(g, 5), 2);
	assert_int_equal(dir_graph_chain(g, 5, way, 8), 3);
	assert_int_equal(dir_graph_climb(g, 0, &by), 0);
	assert_int_equal(dir_graph_path(by, 0, 4, way, 8), 5);
	assert_int_equal(dir_graph_path(by, 0, 6, way, 8), 0);
	free(by);
	dir_graph_free(g);
}

static void test_mark_members_reaches_all_below(void **state)
{
	static const struct edge e[] = { { 0, 1 }, { 1, 2 }, { 2, 1 }, { 3, 2 }, { 2, 4 },
		{ 5, 6 } };
	struct dir_graph *g = graph(7, e, 6);
	uint8_t marked[7] = { 0, 1 };
	static const uint8_t want[7] = { 1, 1, 1, 1, 0, 0, 0 };

	(void)state;
	assert_int_equal(dir_graph_mark_members(g, marked), 0);
	assert_memory_equal(marked, want, sizeof(want));
	dir_graph_free(g);
}

static void test_limits_are_told(void **state)
{
	struct dir_graph *g = NULL;
	uint32_t node;

	(void)state;
	assert_int_equal(dir_graph_new(2, 1, &g), 0);
	assert_int_equal(dir_graph_node(g, &node), 0);
	assert_int_equal(dir_graph_edge(g, 0, 1), -EINVAL);
	assert_int_equal(dir_graph_node(g, &node), 0);
	assert_int_equal(dir_graph_node(g, &node), -GI_ELIMIT);
	assert_int_equal(dir_graph_edge(g, 0, 1), 0);
	assert_int_equal(dir_graph_edge(g, 1, 0), -GI_ELIMIT);
	dir_graph_free(g);
	dir_graph_free(NULL);
	assert_int_equal(dir_graph_new(1, 1, &g), 0);
	assert_int_equal(dir_graph_seal(g), 0); /* nothing in it */
	assert_int_equal(dir_graph_nodes(g), 0);
	assert_int_equal(dir_graph_cycles(g), 0);
	dir_graph_free(g);
}

/* a chain as long as there may be groups: nothing may recurse; its end in its beginning: a cycle */
static void test_depth_of_the_largest_chain(void **state)
{
	struct dir_graph *g = NULL;
	uint32_t node, *by = NULL, path[64];
	size_t n, nodes;

	for (int ring = 0; ring < 2; ring++) {
		assert_int_equal(dir_graph_new(DIR_GRAPH_NODES_MAX, DIR_GRAPH_EDGES_MAX, &g), 0);
		for (uint32_t i = 0; i < DIR_GRAPH_NODES_MAX; i++)
			assert_int_equal(dir_graph_node(g, &node), 0);
		for (uint32_t i = 0; i + 1 < DIR_GRAPH_NODES_MAX; i++)
			assert_int_equal(dir_graph_edge(g, i, i + 1), 0);
		if (ring)
			assert_int_equal(dir_graph_edge(g, DIR_GRAPH_NODES_MAX - 1, 0), 0);
		assert_int_equal(dir_graph_seal(g), 0);
		assert_int_equal(dir_graph_depth(g, DIR_GRAPH_NODES_MAX - 1),
			ring ? 0 : DIR_GRAPH_NODES_MAX - 1);
		assert_int_equal(dir_graph_cycles(g), ring);
		if (ring) {
			assert_int_equal(dir_graph_cycle(g, 0, path, 64, &n, &nodes), 0);
			assert_int_equal(n, DIR_GRAPH_NODES_MAX);
			assert_int_equal(nodes, DIR_GRAPH_NODES_MAX);
		}
		assert_int_equal(dir_graph_climb(g, 0, &by), 0);
		assert_int_equal(dir_graph_path(by, 0, DIR_GRAPH_NODES_MAX - 1, path, 64), 64);
		assert_int_equal(path[0], 0);
		assert_int_equal(path[31], 31);
		assert_int_equal(path[32], DIR_GRAPH_NONE); /* the middle is left out */
		assert_int_equal(path[33], DIR_GRAPH_NODES_MAX - 31);
		assert_int_equal(path[63], DIR_GRAPH_NODES_MAX - 1);
		free(by);
		dir_graph_free(g);
	}
	(void)state;
}

/* against the definition: in one cycle means that each is reached from the other */
static void test_random_graphs_against_the_definition(void **state)
{
	enum { N = 12 };
	uint32_t seed = 7;

	(void)state;
	for (int round = 0; round < 300; round++) {
		bool reach[N][N] = { { false } };
		struct edge e[24];
		struct dir_graph *g;
		size_t n = 6 + (size_t)round % 18;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525u + 1013904223u;
			e[i] = (struct edge){ (seed >> 8) % N, (seed >> 20) % N };
			reach[e[i].member][e[i].group] = true;
		}
		for (int k = 0; k < N; k++)
			for (int i = 0; i < N; i++)
				for (int j = 0; j < N; j++)
					reach[i][j] |= reach[i][k] && reach[k][j];
		g = graph(N, e, n);
		for (uint32_t i = 0; i < N; i++) {
			uint32_t *by = NULL;

			assert_int_equal(dir_graph_cycle_of(g, i) != DIR_GRAPH_NONE, reach[i][i]);
			assert_int_equal(dir_graph_climb(g, i, &by), 0);
			for (uint32_t j = 0; j < N; j++) {
				assert_int_equal(by[j] != DIR_GRAPH_NONE, i == j || reach[i][j]);
				if (i != j && reach[i][i] && reach[j][j])
					assert_int_equal(dir_graph_cycle_of(g, i) ==
								 dir_graph_cycle_of(g, j),
						reach[i][j] && reach[j][i]);
				if (reach[i][j] && !reach[j][i])
					assert_true(dir_graph_depth(g, j) > dir_graph_depth(g, i));
			}
			free(by);
		}
		dir_graph_free(g);
	}
}

/* ---- ways around: each node of a cycle is on one ---- */

struct rings {
	char text[512];
	size_t n, nodes;
	int err;
};

static int on_ring(void *arg, const uint32_t *way, size_t n, size_t nodes)
{
	struct rings *r = arg;
	size_t at = strlen(r->text);

	for (size_t i = 0; i < n && at + 16 < sizeof(r->text); i++)
		at += (size_t)snprintf(
			r->text + at, sizeof(r->text) - at, "%s%u", i ? ">" : "", way[i]);
	(void)snprintf(r->text + at, sizeof(r->text) - at, " ");
	r->n++;
	r->nodes = nodes;
	return r->err;
}

/* 0 <-> 1 and 0 <-> 2 share 0; 3 is in itself; 4 > 5 > 6 > 4; 7 is in 0 and in nothing else */
static void test_rings_show_every_node_of_a_cycle(void **state)
{
	static const struct edge e[] = { { 0, 1 }, { 1, 0 }, { 0, 2 }, { 2, 0 }, { 3, 3 }, { 4, 5 },
		{ 5, 6 }, { 6, 4 }, { 7, 0 } };
	struct dir_graph *g = graph(8, e, 9);
	struct rings r = { .n = 0 };
	size_t left = 9;

	(void)state;
	assert_int_equal(dir_graph_rings(g, 10, on_ring, &r, &left), 0);
	assert_string_equal(r.text, "0>1 2>0 3 4>5>6 ");
	assert_int_equal(left, 0);
	assert_int_equal(r.nodes, 3);
	r = (struct rings){ .n = 0 };
	assert_int_equal(dir_graph_rings(g, 1, on_ring, &r, &left), 0);
	assert_string_equal(r.text, "0>1 ");
	assert_int_equal(r.nodes, 3); /* two cycles that share a group */
	assert_int_equal(left, 5);    /* 2, 3, 4, 5, 6 */
	r = (struct rings){ .err = -ECANCELED };
	assert_int_equal(dir_graph_rings(g, 10, on_ring, &r, &left), -ECANCELED);
	assert_int_equal(r.n, 1);
	dir_graph_free(g);
}

/* one that is longer than what is said of it: its beginning, and its nodes are not said again */
static void test_rings_of_a_long_cycle_are_cut(void **state)
{
	enum { N = 3 * DIR_GRAPH_WAY_MAX };
	struct edge e[N];
	struct rings r = { .n = 0 };
	struct dir_graph *g;
	size_t left;

	(void)state;
	for (uint32_t i = 0; i < N; i++)
		e[i] = (struct edge){ i, (i + 1) % N };
	g = graph(N, e, N);
	assert_int_equal(dir_graph_rings(g, 10, on_ring, &r, &left), 0);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.nodes, N);
	assert_int_equal(left, 0);
	assert_memory_equal(r.text, "0>1>2>", 6);
	dir_graph_free(g);
}

/* 20 levels, the innermost in the outermost too; and one more way of 3 */
static void test_twenty_levels_are_the_longest_way(void **state)
{
	struct edge e[24];
	struct dir_graph *g;
	uint32_t way[32];
	size_t n = 0;

	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		e[n++] = (struct edge){ i, i + 1 };
	e[n++] = (struct edge){ 0, 20 };
	e[n++] = (struct edge){ 21, 22 };
	e[n++] = (struct edge){ 22, 20 };
	g = graph(23, e, n);
	assert_int_equal(dir_graph_depth(g, 20), 20);
	assert_int_equal(dir_graph_chain(g, 20, way, 32), 21);
	for (uint32_t i = 0; i <= 20; i++)
		assert_int_equal(way[i], 20 - i);
	assert_int_equal(dir_graph_cycles(g), 0);
	dir_graph_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_climb_takes_the_shortest_way),
		cmocka_unit_test(test_cycles_are_found_and_stepped_over),
		cmocka_unit_test(test_mark_members_reaches_all_below),
		cmocka_unit_test(test_limits_are_told),
		cmocka_unit_test(test_depth_of_the_largest_chain),
		cmocka_unit_test(test_random_graphs_against_the_definition),
		cmocka_unit_test(test_rings_show_every_node_of_a_cycle),
		cmocka_unit_test(test_rings_of_a_long_cycle_are_cut),
		cmocka_unit_test(test_twenty_levels_are_the_longest_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
