/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_account.c - the scenario runner's words for the state of a directory account
 */
#include <stdio.h>
#include <string.h>
#include "tests/unit/svm-idfw/replay.h"

static bool states(const char *text, uint32_t *ret)
{
	static const struct {
		const char *word;
		uint32_t state;
	} words[] = {
		{ "disabled", IDFW_ACCT_DISABLED },
		{ "expired", IDFW_ACCT_EXPIRED },
		{ "locked", IDFW_ACCT_LOCKED },
		{ "must-change", IDFW_ACCT_MUST_CHANGE },
	};
	char copy[128], *list[LIST_MAX];
	size_t n, k;

	snprintf(copy, sizeof(copy), "%s", text);
	n = replay_split(copy, list);
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		for (k = 0; k < GI_ARRAY_SIZE(words) && strcmp(words[k].word, list[i]) != 0; k++)
			;
		if (k == GI_ARRAY_SIZE(words))
			return false;
		*ret |= words[k].state;
	}
	return true;
}

bool replay_account(struct run *r, struct idfw_account *ret)
{
	const char *state = replay_option(r, "state"), *revokes = replay_option(r, "revokes"),
		   *expires = replay_option(r, "expires");

	/* as a directory block is when nothing is said */
	ret->revokes = IDFW_ACCT_DISABLED | IDFW_ACCT_EXPIRED;
	ret->expires_ms = expires ? replay_number(expires) : 0;
	return (!state || states(state, &ret->state)) &&
	       (!revokes || states(revokes, &ret->revokes));
}
