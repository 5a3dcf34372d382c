/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bed.c - signatures, contents and pools for the tests of the scan workers
 */
#include "tests/unit/svm-scan/bed.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES (16u << 10)

/* the program that all of clamav-testfiles contain: 544 bytes */
#define CLAM_EXE "aa15bcf478d165efd2065190eb473bcb:544:Clam-Test-File\n"

static const char *const note_names[] = { "", "ended", "start failed", "started",
	"other signatures" };

static void bed_note(void *arg, enum scan_pool_note what, const char *text)
{
	struct bed *b = arg;
	size_t len = strlen(b->notes);

	(void)snprintf(b->notes + len, sizeof(b->notes) - len, "%s: %s\n", note_names[what], text);
}

void bed_write(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert(fd >= 0 && write(fd, data, len) == (ssize_t)len);
	(void)close(fd);
}

void bed_text(const char *path, const char *text)
{
	bed_write(path, text, strlen(text));
}

size_t bed_eicar(char ret[80])
{
	return (size_t)snprintf(ret, 80, "%s%s", "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR",
		"-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*");
}

static unsigned int entries_of(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned int n = 0;

	while (d && (e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	if (d)
		(void)closedir(d);
	return n;
}

static void bed_signatures(struct bed *b)
{
	char path[128], line[512], eicar[80];
	size_t n = bed_eicar(eicar), at;

	assert(mkdir(b->db, 0755) == 0);
	(void)snprintf(path, sizeof(path), "%s/test.hdb", b->db);
	bed_text(path, CLAM_EXE);
	at = (size_t)snprintf(line, sizeof(line), "Eicar-Test-Signature:0:*:");
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, "%02x", (uint8_t)eicar[i]);
	(void)snprintf(line + at, sizeof(line) - at, "\n");
	(void)snprintf(path, sizeof(path), "%s/test.ndb", b->db);
	bed_text(path, line);
	bed_text(b->rules, "rule Marker { strings: $a = \"idfw yara marker\" condition: $a }\n"
			   "rule Elf_Entry { strings: $a = \"idfw elf marker\" condition: $a and "
			   "uint32(0) == 0x464c457f }\n");
}

void bed_init(struct bed *b)
{
	const char *base = getenv("TMPDIR");

	*b = (struct bed){ .descriptors = entries_of("/proc/self/fd") };
	(void)snprintf(b->dir, sizeof(b->dir), "%.32s/idfw-scan.XXXXXX", base ? base : "/tmp");
	assert(mkdtemp(b->dir));
	assert(chmod(b->dir, 0755) == 0);
	(void)snprintf(b->db, sizeof(b->db), "%s/db", b->dir);
	(void)snprintf(b->rules, sizeof(b->rules), "%s/test.yar", b->dir);
	(void)snprintf(b->tmp, sizeof(b->tmp), "%s/tmp", b->dir);
	bed_signatures(b);
	b->conf = (struct scan_pool_conf){ .engines = { .clamav = b->db, .yara = b->rules },
		.workers = 1,
		.tmp_dir = b->tmp,
		.user = "nobody",
		.note = bed_note,
		.arg = b };
#ifdef __SANITIZE_ADDRESS__
	b->conf.memory_bytes = UINT64_MAX;
#endif
}

void bed_start(struct bed *b)
{
	int err = scan_pool_new(&b->conf, b->why, &b->pool);

	if (err < 0)
		(void)fprintf(stderr, "bed: %s: %s\n", gi_strerror(err), b->why);
	assert(err == 0);
}

static int bed_unlink(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

void bed_fini(struct bed *b)
{
	char path[128];
	unsigned int dirs;

	scan_pool_free(b->pool);
	b->pool = NULL;
	/* a pool leaves nothing: no worker, no directory, no descriptor */
	(void)snprintf(path, sizeof(path), "%s/workers", b->tmp);
	dirs = entries_of(path);
	(void)nftw(b->dir, bed_unlink, 16, FTW_DEPTH | FTW_PHYS);
	assert(bed_worker_pid() == 0);
	assert(dirs == 0);
	assert(entries_of("/proc/self/fd") == b->descriptors);
}

static int content_read(void *arg, uint64_t offset, void *buf, size_t len, size_t *ret_len)
{
	struct bed_content *c = arg;
	ssize_t n;

	if (c->before)
		c->before(c->before_arg, offset);
	if (c->fail && offset >= c->fail_at)
		return c->fail;
	if (offset >= c->ends_at)
		len = 0;
	else if (len > c->ends_at - offset)
		len = (size_t)(c->ends_at - offset);
	if (c->data) {
		memcpy(buf, c->data + offset, len);
		*ret_len = len;
		return 0;
	}
	n = pread(c->fd, buf, len, (off_t)offset);
	if (n < 0)
		return -errno;
	*ret_len = (size_t)n;
	return 0;
}

static void content_init(struct bed_content *c, uint64_t size)
{
	c->ends_at = size;
	c->src.size = size;
	c->src.read = content_read;
	c->src.error = gi_strerror;
	c->src.arg = c;
}

void bed_memory(struct bed_content *c, const void *data, size_t len)
{
	*c = (struct bed_content){ .data = data, .fd = -1 };
	content_init(c, len);
	c->src.head = data;
	c->src.head_len = len < HEAD_BYTES ? len : HEAD_BYTES;
}

void bed_file(struct bed_content *c, const char *path)
{
	uint8_t *head = malloc(HEAD_BYTES);
	struct stat st;
	ssize_t n;

	*c = (struct bed_content){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	assert(head && c->fd >= 0 && fstat(c->fd, &st) == 0);
	n = pread(c->fd, head, HEAD_BYTES, 0);
	assert(n >= 0);
	content_init(c, (uint64_t)st.st_size);
	c->src.head = head;
	c->src.head_len = (size_t)n;
}

void bed_file_close(struct bed_content *c)
{
	free((void *)c->src.head);
	(void)close(c->fd);
}

void bed_run(struct bed *b, struct bed_content *c, struct scan_finding *ret)
{
	struct scan_epoch epoch;

	scan_pool_run(b->pool, 0, &c->src, ret, &epoch);
}

void bed_run_memory(struct bed *b, const void *data, size_t len, struct scan_finding *ret)
{
	struct bed_content c;

	bed_memory(&c, data, len);
	bed_run(b, &c, ret);
}

pid_t bed_worker_pid(void)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *e;
	char path[300], text[64];
	long pid = 0;
	ssize_t n;
	int fd;

	assert(d);
	while (pid == 0 && (e = readdir(d)) != NULL) {
		(void)snprintf(path, sizeof(path), "/proc/self/task/%s/children", e->d_name);
		fd = e->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, text, sizeof(text) - 1);
		(void)close(fd);
		text[n > 0 ? n : 0] = '\0';
		pid = strtol(text, NULL, 10);
	}
	(void)closedir(d);
	return (pid_t)pid;
}
