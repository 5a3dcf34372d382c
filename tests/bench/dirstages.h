/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirstages.h - says when a change in the directory gets how far: for tests/bench/dirload
 */
#ifndef TESTS_BENCH_DIRSTAGES_H
#define TESTS_BENCH_DIRSTAGES_H

/* "@ MICROSECONDS NAME" on stderr, if BENCH_STAGES is in the environment */
void dir_stage(const char *name);

#endif
