/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linkstate.c - the table of linkstate.h
 */
#include "netagent/linkstate.h"

#include <stdbool.h>

#define END                                                         \
	{                                                           \
		true, NA_LINK_DOWN, NA_LINK_CLOSE | NA_LINK_BACKOFF \
	}
#define REFUSED                                                          \
	{                                                                \
		true, NA_LINK_DOWN, NA_LINK_CLOSE | NA_LINK_BACKOFF_LONG \
	}

static const struct {
	bool known;
	enum na_link_state next;
	unsigned int actions;
} steps[NA_LINK_STATES][NA_LINK_INPUTS] = {
	[NA_LINK_DOWN] = {
		[NA_LINK_IN_TIMER] = { true, NA_LINK_CONNECTING, NA_LINK_CONNECT },
	},
	[NA_LINK_CONNECTING] = {
		[NA_LINK_IN_READY] = { true, NA_LINK_HELLO, NA_LINK_SEND_HELLO },
		[NA_LINK_IN_DEADLINE] = END,
		[NA_LINK_IN_CLOSED] = END,
	},
	[NA_LINK_HELLO] = {
		[NA_LINK_IN_HELLO_ACK] = { true, NA_LINK_REPLAY, NA_LINK_ACKED | NA_LINK_PUMP },
		[NA_LINK_IN_MESSAGE] = END,
		[NA_LINK_IN_REFUSED] = REFUSED,
		[NA_LINK_IN_DEADLINE] = END,
		[NA_LINK_IN_CLOSED] = END,
	},
	[NA_LINK_REPLAY] = {
		[NA_LINK_IN_HELLO_ACK] = END,
		[NA_LINK_IN_MESSAGE] = { true, NA_LINK_REPLAY, NA_LINK_HANDLE },
		[NA_LINK_IN_REFUSED] = REFUSED,
		[NA_LINK_IN_DRY] = { true, NA_LINK_OPEN,
			NA_LINK_SEND_SNAPSHOT | NA_LINK_BACKOFF_RESET | NA_LINK_PUMP },
		[NA_LINK_IN_DEADLINE] = END,
		[NA_LINK_IN_CLOSED] = END,
	},
	[NA_LINK_OPEN] = {
		[NA_LINK_IN_HELLO_ACK] = END,
		[NA_LINK_IN_MESSAGE] = { true, NA_LINK_OPEN, NA_LINK_HANDLE },
		[NA_LINK_IN_REFUSED] = REFUSED,
		[NA_LINK_IN_DEADLINE] = END,
		[NA_LINK_IN_RESYNC] = END,
		[NA_LINK_IN_CLOSED] = END,
	},
};

struct na_link_step na_link_step(enum na_link_state s, enum na_link_input in)
{
	if (!steps[s][in].known)
		return (struct na_link_step){ s, 0 };
	return (struct na_link_step){ steps[s][in].next, steps[s][in].actions };
}

const char *na_link_state_name(enum na_link_state s)
{
	static const char *const names[NA_LINK_STATES] = { "down", "connecting", "hello", "replay",
		"open" };

	return names[s];
}
