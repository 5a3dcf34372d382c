/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_pam_options.c - any words behind pam_gi.so in a PAM file, one a line
 *
 * A wrong word never changes who can log in: the rest of the line counts, the values stay in
 * their limits, and only the words themselves ask for "required" or "wait".
 */
#include <stdlib.h>
#include <string.h>
#include "pam_gi/options.h"

#define WORDS_MAX 32

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int split(char *text, const char **ret)
{
	int n = 0;
	char *end;

	for (; text && n < WORDS_MAX; text = end) {
		ret[n++] = text;
		end = strchr(text, '\n');
		if (end)
			*end++ = '\0';
	}
	return n;
}

static int has(int n, const char **words, const char *word)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(words[i], word) == 0)
			return 1;
	}
	return 0;
}

static void check(int n, const char **words)
{
	struct pam_gi_options o;
	const char *wrong = pam_gi_options_parse(n, words, &o);

	if (o.timeout_ms > PAM_GI_TIMEOUT_MAX_MS || !o.socket || !o.socket[0])
		abort();
	if (o.required != has(n, words, "required") || o.wait != has(n, words, "wait"))
		abort();
	if (wrong && !has(n, words, wrong))
		abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	const char *words[WORDS_MAX];
	char *text = malloc(size + 1);

	if (!text)
		abort();
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check(split(text, words), words);
	free(text);
	return 0;
}
