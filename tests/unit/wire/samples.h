/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * samples.h - one message of each kind with every field set, for tests and fuzz seeds
 */
#ifndef TESTS_UNIT_WIRE_SAMPLES_H
#define TESTS_UNIT_WIRE_SAMPLES_H

#include "lib/wire/wire.h"

struct sample {
	int body;
	enum wire_sender who;  /* one that may send it */
	enum wire_state state; /* when */
	Idfw__Envelope
		e; /* points into static storage; tests may change it, samples_init restores */
};

struct routed_sample {
	bool from_mux;
	enum wire_state state;
	Idfw__Routed r;
};

#define SAMPLES_FILE 22
#define SAMPLES (32 + SAMPLES_FILE)
#define ROUTED_SAMPLES 9

/* in samples.c and samples_file.c: the message in @var, at *s, which moves on */
#define SAMPLE(BODY, field, var, sender, when)                \
	do {                                                  \
		s->body = IDFW__ENVELOPE__BODY_##BODY;        \
		s->who = (sender);                            \
		s->state = (when);                            \
		idfw__envelope__init(&s->e);                  \
		s->e.body_case = IDFW__ENVELOPE__BODY_##BODY; \
		s->e.field = &var;                            \
		s++;                                          \
	} while (0)

void samples_init(struct sample ret[SAMPLES]);
void samples_file_init(struct sample ret[SAMPLES_FILE]); /* the last of them */
void routed_samples_init(struct routed_sample ret[ROUTED_SAMPLES]);

#endif
