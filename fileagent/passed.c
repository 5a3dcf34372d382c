/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * passed.c - rate limit of FilePassed reports by reason, see passed.h
 */
#include "fileagent/passed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN ((uint64_t)FA_PASSED_MS) /* a token is so many milliseconds of waiting */
#define BUCKET (FA_PASSED_BURST * TOKEN)

void fa_passed_fini(struct fa_passed *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->reason[i].last);
	memset(p, 0, sizeof(*p));
}

static struct fa_passed_reason *reason_get(struct fa_passed *p, const char *reason, uint64_t now_ms)
{
	struct fa_passed_reason *r;

	for (size_t i = 0; i < p->n; i++) {
		if (strcmp(p->reason[i].reason, reason) == 0)
			return &p->reason[i];
	}
	if (p->n == FA_PASSED_REASONS)
		return &p->reason[FA_PASSED_REASONS - 1];
	r = &p->reason[p->n++];
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	r->tokens_ms = BUCKET;
	r->last_ms = now_ms;
	return r;
}

static void refill(struct fa_passed_reason *r, uint64_t now_ms)
{
	uint64_t passed = now_ms > r->last_ms ? now_ms - r->last_ms : 0;

	r->tokens_ms = passed > BUCKET - r->tokens_ms ? BUCKET : r->tokens_ms + passed;
	if (now_ms > r->last_ms)
		r->last_ms = now_ms;
}

static bool token_take(struct fa_passed_reason *r, uint64_t now_ms)
{
	refill(r, now_ms);
	if (r->tokens_ms < TOKEN)
		return false;
	r->tokens_ms -= TOKEN;
	return true;
}

/* without memory only its number is kept */
static void hide(struct fa_passed_reason *r, const Idfw__FileReport *rep)
{
	size_t len = idfw__file_report__get_packed_size(rep);
	uint8_t *buf = len <= r->last_len ? r->last : realloc(r->last, len);

	r->hidden++;
	if (!buf)
		return;
	r->last = buf;
	r->last_len = idfw__file_report__pack(rep, buf);
}

bool fa_passed_take(
	struct fa_passed *p, const Idfw__FileReport *rep, uint64_t now_ms, uint64_t *ret_hidden)
{
	struct fa_passed_reason *r = reason_get(p, rep->passed->reason, now_ms);

	if (!token_take(r, now_ms)) {
		hide(r, rep);
		return false;
	}
	*ret_hidden = r->hidden;
	r->hidden = 0;
	return true;
}

bool fa_passed_due(struct fa_passed *p, uint64_t now_ms, Idfw__FileReport **ret)
{
	for (size_t i = 0; i < p->n; i++) {
		struct fa_passed_reason *r = &p->reason[i];
		Idfw__FileReport *rep;

		if (r->hidden == 0 || !r->last || !token_take(r, now_ms))
			continue;
		rep = idfw__file_report__unpack(NULL, r->last_len, r->last);
		if (!rep) /* no memory: it stays hidden, for later */
			continue;
		rep->passed->hidden = r->hidden - 1;
		r->hidden = 0;
		*ret = rep;
		return true;
	}
	return false;
}

bool fa_passed_waits(const struct fa_passed *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->reason[i].hidden && p->reason[i].last)
			return true;
	}
	return false;
}
