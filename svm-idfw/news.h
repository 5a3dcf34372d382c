/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * news.h - what the directory reported lately, by number (news.c); a part of struct idfw_engine
 *
 * Engine's thread only; core.h includes it.
 */
#ifndef SVM_IDFW_NEWS_H
#define SVM_IDFW_NEWS_H

#include <stdbool.h>
#include <stdint.h>
#include "svm-idfw/group.h"

#define IDFW_TOLD_MAX 1024 /* accounts that reports named: so many are remembered */

struct idfw_told {
	uint8_t id[16];
	uint64_t news;
};

struct idfw_news {
	uint64_t last;	     /* number of the last report; 0 none */
	uint64_t last_sids;  /* of the last that named a SID */
	uint64_t last_any;   /* of the last that named an account, or all */
	uint64_t foreign_ms; /* accounts with groups of other directories: not before */
	uint64_t absent_ms;  /* accounts that were not there are not asked for before */
	struct idfw_told told[IDFW_TOLD_MAX]; /* a ring */
	size_t n_told;
};

/* is the answer for @p, just taken, older than a report that concerns it? Then ask again */
bool idfw_news_since(struct idfw_engine *e, struct idfw_principal *p);

#endif
