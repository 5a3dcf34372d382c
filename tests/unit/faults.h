/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faults.h - let the n-th allocation of our own code fail
 *
 * A test program that lists tests/unit/faults.c and links with $(FAULTS_LDFLAGS) has its and our
 * libraries' malloc, calloc, realloc, reallocarray and strdup counted; those inside system
 * libraries are not. faults_each() runs a scenario with the 1st allocation failing, then the 2nd,
 * until one run needs no failing one: every -ENOMEM path is taken once.
 */
#ifndef TEST_FAULTS_H
#define TEST_FAULTS_H

/*
 * @fn: one run of the scenario; what it got from the code under test is returned: 0, -ENOMEM, or
 *	an error that stands for it; it frees everything in any case
 * Returns how many runs had a failure. Fails the test when a run with a failure returns 0 though
 * @must_tell.
 */
int faults_each(int (*fn)(void *arg), void *arg, int must_tell);

#endif
