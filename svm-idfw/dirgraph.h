/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgraph.h - which groups are in which: nesting, cycles, how one is reached
 *
 * Pure; runs in the query child (dirreport.h). Nodes are numbers, 0 first; an edge says that
 * one is a direct member of another. What the nodes are called is the caller's. Nothing recurses:
 * the directory decides how deep it is. Filled first, then sealed, then asked.
 * Source: R. Tarjan, Depth-first search and linear graph algorithms, 1972.
 */
#ifndef SVM_IDFW_DIRGRAPH_H
#define SVM_IDFW_DIRGRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define DIR_GRAPH_NODES_MAX 200000
#define DIR_GRAPH_EDGES_MAX 5000000
#define DIR_GRAPH_NONE UINT32_MAX

struct dir_graph;

GI_MUST_CHECK int dir_graph_new(size_t max_nodes, size_t max_edges, struct dir_graph **ret);
void dir_graph_free(struct dir_graph *g); /* NULL is fine */
/* -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int dir_graph_node(struct dir_graph *g, uint32_t *ret);
/* @member is in @group; the same edge twice is one. -EINVAL (no such node), -GI_ELIMIT, -ENOMEM */
GI_MUST_CHECK int dir_graph_edge(struct dir_graph *g, uint32_t member, uint32_t group);
/* no more nodes or edges; then the rest may be asked. -ENOMEM */
GI_MUST_CHECK int dir_graph_seal(struct dir_graph *g);

size_t dir_graph_nodes(const struct dir_graph *g);
/* direct groups of a node, and its direct members; borrowed, ascending */
const uint32_t *dir_graph_groups(const struct dir_graph *g, uint32_t node, size_t *ret_n);
const uint32_t *dir_graph_members(const struct dir_graph *g, uint32_t node, size_t *ret_n);
/* levels of nodes below it; those of one cycle are one level */
uint32_t dir_graph_depth(const struct dir_graph *g, uint32_t node);

/*
 * dir_graph_climb - by which member each node is reached from @from, on a shortest way
 * @ret_by: returned owned, an entry a node: DIR_GRAPH_NONE not reached; @from itself for @from
 */
GI_MUST_CHECK int dir_graph_climb(const struct dir_graph *g, uint32_t from, uint32_t **ret_by);
/*
 * dir_graph_path - @from ... @to along @by, at most @max; a longer one loses its middle
 * @ret_cut: DIR_GRAPH_NONE stands there (among the @max)
 * Returns how many; 0: not reached
 */
size_t dir_graph_path(const uint32_t *by, uint32_t from, uint32_t to, uint32_t *ret, size_t max);
/* @marked and all nodes that are in a marked one, through others too. @marked: one byte a node */
GI_MUST_CHECK int dir_graph_mark_members(const struct dir_graph *g, uint8_t *marked);
/* a longest way down from @node through its members, cycles stepped over; how many, node included
 */
size_t dir_graph_chain(const struct dir_graph *g, uint32_t node, uint32_t *ret, size_t max);

size_t dir_graph_cycles(const struct dir_graph *g);
/* number of its cycle, 0 first; DIR_GRAPH_NONE: it is in none */
uint32_t dir_graph_cycle_of(const struct dir_graph *g, uint32_t node);
/*
 * dir_graph_cycle - a shortest way around, each node a member of the next, the last of the first
 * @ret_nodes: that are strongly connected with it; may be more than the way has
 * Returns how many there are on the way, of which up to @max are in @ret; -ENOMEM
 */
GI_MUST_CHECK int dir_graph_cycle(const struct dir_graph *g, uint32_t cycle, uint32_t *ret,
	size_t max, size_t *ret_n, size_t *ret_nodes);
/*
 * dir_graph_rings - shortest ways around until each node that is in a cycle was on one
 * @max: so many at most
 * @ring: called with a way as above, a longer one than DIR_GRAPH_WAY_MAX cut, and how many nodes
 *	are connected with it; negative ends
 * @ret_left: nodes that were on none, since there are more than @max
 * Errors: -ENOMEM, those of @ring
 */
#define DIR_GRAPH_WAY_MAX 64
GI_MUST_CHECK int dir_graph_rings(const struct dir_graph *g, size_t max,
	int (*ring)(void *arg, const uint32_t *way, size_t n, size_t nodes), void *arg,
	size_t *ret_left);

#endif
