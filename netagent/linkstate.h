/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * linkstate.h - the life of the connection to the mux as a table: state x input -> state, actions
 *
 * Pure; link.c does the actions. After every connection: Hello, HelloAck, the events that the SVM
 * has not acknowledged, the Snapshot, then events as they come.
 */
#ifndef NETAGENT_LINKSTATE_H
#define NETAGENT_LINKSTATE_H

enum na_link_state {
	NA_LINK_DOWN, /* waiting for the backoff timer */
	NA_LINK_CONNECTING,
	NA_LINK_HELLO,	/* Hello is sent */
	NA_LINK_REPLAY, /* HelloAck came; spooled events are being sent */
	NA_LINK_OPEN,
	NA_LINK_STATES,
};

enum na_link_input {
	NA_LINK_IN_TIMER, /* backoff is over */
	NA_LINK_IN_READY, /* the channel is connected */
	NA_LINK_IN_HELLO_ACK,
	NA_LINK_IN_MESSAGE,  /* any other good message */
	NA_LINK_IN_REFUSED,  /* the peer said so, and will close */
	NA_LINK_IN_DRY,	     /* no event is left to be sent */
	NA_LINK_IN_DEADLINE, /* the peer took too long */
	NA_LINK_IN_RESYNC,   /* an event was lost: only a new Snapshot tells the truth */
	NA_LINK_IN_CLOSED,   /* the channel is gone, or the peer sent a bad message */
	NA_LINK_INPUTS,
};

enum na_link_action {
	NA_LINK_CONNECT = 1,
	NA_LINK_SEND_HELLO = 2,
	NA_LINK_ACKED = 4, /* HelloAck's number is the spool's */
	NA_LINK_PUMP = 8,  /* send what there is to send */
	NA_LINK_SEND_SNAPSHOT = 16,
	NA_LINK_HANDLE = 32,   /* the message is to be acted upon */
	NA_LINK_CLOSE = 64,    /* close the channel if it is open */
	NA_LINK_BACKOFF = 128, /* start the timer */
	NA_LINK_BACKOFF_LONG = 256,
	NA_LINK_BACKOFF_RESET = 512,
};

struct na_link_step {
	enum na_link_state next;
	unsigned int actions; /* enum na_link_action */
};

/* what does not make sense in a state changes nothing: the step is then (state, 0) */
struct na_link_step na_link_step(enum na_link_state s, enum na_link_input in);
const char *na_link_state_name(enum na_link_state s);

#endif
