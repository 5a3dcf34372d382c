/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * who.h - what who.c offers beyond worker.h: for tests, and for parts that go away early
 */
#ifndef FILEAGENT_WHO_H
#define FILEAGENT_WHO_H

#include "fileagent/worker.h"

#define FA_WHO_WAITING_MAX 512 /* fa_who_program() calls under way; one more gets no program */

/* nobody wants these answers of fa_who_program() any more */
void fa_who_forget(struct fa_who *who, const void *arg);

#endif
