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

#define SAMPLES 25
#define ROUTED_SAMPLES 9

void samples_init(struct sample ret[SAMPLES]);
void routed_samples_init(struct routed_sample ret[ROUTED_SAMPLES]);

#endif
