/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * replay_main.c - main() of a fuzz target without libFuzzer: every seed once
 *
 *   fuzz_X [FILE|DIRECTORY]...     default: $top_srcdir/tests/fuzz/corpus/X
 *
 * Linked in front of each target by the ordinary build, so that `make check` (also with
 * sanitizers) runs all seeds and all inputs that once crashed. Each input is a heap block of its
 * exact size: one byte beyond it is seen by AddressSanitizer. No seed at all is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REPLAY_PATH_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, off_t size)
{
	uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
	FILE *f = fopen(path, "rb");
	int rc = -1;

	if (f && data && fread(data, 1, (size_t)size, f) == (size_t)size) {
		(void)LLVMFuzzerTestOneInput(data, (size_t)size);
		rc = 0;
	} else {
		fprintf(stderr, "%s: cannot read\n", path);
	}
	if (f)
		(void)fclose(f);
	free(data);
	return rc;
}

/* inputs that ran, or -1 */
static int replay_path(const char *path)
{
	char sub[REPLAY_PATH_MAX];
	struct dirent *de;
	struct stat st;
	int sum = 0, n = 0;
	DIR *d;

	if (stat(path, &st) < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode))
		return replay_file(path, st.st_size) < 0 ? -1 : 1;
	d = opendir(path);
	if (!d)
		return -1;
	while (n >= 0 && (de = readdir(d))) {
		if (de->d_name[0] == '.')
			continue;
		n = snprintf(sub, sizeof(sub), "%s/%s", path, de->d_name);
		n = n < (int)sizeof(sub) ? replay_path(sub) : -1;
		sum += n;
	}
	(void)closedir(d);
	return n < 0 ? -1 : sum;
}

int main(int argc, char **argv)
{
	const char *top = getenv("top_srcdir"), *name = strrchr(argv[0], '/');
	char corpus[REPLAY_PATH_MAX];
	int sum = 0, n = 0;

	name = name ? name + 1 : argv[0];
	name = strstr(name, "fuzz_") ? strstr(name, "fuzz_") + 5 : name;
	if (argc == 1) {
		(void)snprintf(
			corpus, sizeof(corpus), "%s/tests/fuzz/corpus/%s", top ? top : ".", name);
		sum = replay_path(corpus);
	}
	for (int i = 1; i < argc && n >= 0; i++) {
		n = replay_path(argv[i]);
		sum += n;
	}
	printf("%s: %d inputs\n", name, sum);
	return n < 0 || sum <= 0 ? 1 : 0;
}
