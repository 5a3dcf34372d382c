/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limit.h - how often one guest may make us write a log line
 *
 * A bucket of MUX_LOG_BURST lines that refills by one each MUX_LOG_EVERY_MS. What is held back is
 * counted and said with the next line that gets through. Pure: the clock comes in.
 */
#ifndef MUX_LIMIT_H
#define MUX_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define MUX_LOG_BURST 5
#define MUX_LOG_EVERY_MS 5000

struct mux_limit {	    /* zeroed to begin */
	uint64_t filled_ms; /* when the bucket was last looked at */
	uint64_t spent_ms;  /* credit used up, in milliseconds of refill */
	uint64_t hidden;
};

/* true: write the line; *ret_hidden lines were held back before it */
bool mux_limit_pass(struct mux_limit *l, uint64_t now_ms, uint64_t *ret_hidden);

#endif
