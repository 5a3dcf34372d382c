/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit.h - how often one guest may make us do something: write a log line, take a connection or
 * a message
 *
 * A bucket of @burst that refills by one each @every_ms. What is held back is counted and said with
 * the next that gets through. Pure: the clock comes in.
 */
#ifndef MUX_LIMIT_H
#define MUX_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define MUX_LOG_BURST 5
#define MUX_LOG_EVERY_MS 5000
#define MUX_LINES_BURST 100 /* LogLines of an agent: 50 a second */
#define MUX_LINES_EVERY_MS 20
#define MUX_LINES_ALL_BURST 1000 /* of all agents: 500 a second, however many VMs a host has */
#define MUX_LINES_ALL_EVERY_MS 2
#define MUX_CONNECT_EVERY_MS 1000 /* behind connects-max at once */
#define MUX_FLOW_BURST_S 4	  /* messages-max: so many seconds' worth at once */

struct mux_limit {	    /* zeroed to begin */
	uint64_t filled_ms; /* when the bucket was last looked at */
	uint64_t spent_ms;  /* credit used up, in milliseconds of refill */
	uint64_t hidden;
};

/* true: do it; *ret_hidden times it was held back before */
bool mux_limit_pass(struct mux_limit *l, uint64_t now_ms, unsigned int burst, uint64_t every_ms,
	uint64_t *ret_hidden);

struct mux_flow {	 /* messages of one agent; zeroed to begin */
	uint64_t due_us; /* when all that was taken would have come at the steady rate */
};

/*
 * mux_flow_take - one more message was taken
 * Returns: for how many microseconds nothing more should be, 0: go on
 * @per_second: 0: no limit
 */
uint64_t mux_flow_take(struct mux_flow *f, uint64_t now_us, uint64_t per_second);

struct mux_lines { /* one agent's LogLines; zeroed to begin */
	struct mux_limit limit;
	uint64_t left_out; /* since the last that was written, here and by the agent itself */
};

/*
 * mux_lines_pass - may this LogLine be written?
 * @all: what all agents share
 * @dropped: lines that the agent left out before it, by its own word
 * @ret_left_out: on true: how many lines are missing before this one
 */
bool mux_lines_pass(struct mux_lines *one, struct mux_limit *all, uint64_t now_ms, uint64_t dropped,
	uint64_t *ret_left_out);

#endif
