/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzzops.h - operations of fuzz_engine's inputs; replay.c writes scenarios as such
 */
#ifndef TESTS_SVM_FUZZOPS_H
#define TESTS_SVM_FUZZOPS_H

enum fuzz_op {
	FUZZ_SAY,	/* VM; data: an envelope */
	FUZZ_UP,	/* VM */
	FUZZ_DOWN,	/* VM */
	FUZZ_ANSWER,	/* user | presence - 1 << 2; data: groups, one bit each */
	FUZZ_PASS,	/* tenths of a second */
	FUZZ_ACK,	/* VM | result << 2 */
	FUZZ_FLAGS,	/* no_ack, store, pushes, lookups full */
	FUZZ_POLICY,	/* number */
	FUZZ_DIRECTORY, /* 0 down, 1 up, 2 changed */
	FUZZ_RESTART,	/* 1: the database is lost */
	FUZZ_DURABLE,	/* VM */
	FUZZ_KICK,	/* n-th session */
	FUZZ_ISOLATE,	/* VM | 4: all of it, else its first session | 8: released */
	FUZZ_OPS,
};

#endif
