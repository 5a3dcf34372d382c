/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vault.c - the quarantine, see vault.h
 *
 * Supervisor, thread of ops.c. The content is copied, not linked: whoever has the file open for
 * writing, or another name of it, could change a link's content, and its mode would change under
 * those names. Invariant: an entry of the list has .data and .meta on disk; nothing else is in it.
 */
#include "fileagent/vault.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fileagent/vaultmeta.h"
#include "lib/io/dir.h"
#include "lib/io/loop.h"

#define NAME_LEN 48 /* 32 digits, a suffix, NUL */
#define COPY_BYTES (128u << 10)

struct vault_entry {
	uint8_t qid[16];
	uint64_t time_ms, bytes;
	uint64_t dev, ino, btime_ns; /* what it was; 0: put before this start */
	uint8_t sha256[32];
};

struct fa_vault {
	int dir;
	uint64_t max, bytes;
	uint32_t cleared;
	struct vault_entry *list; /* owned, oldest first */
	size_t n, cap;
};

static void vault_name(const uint8_t qid[16], const char *suffix, char ret[NAME_LEN])
{
	for (size_t i = 0; i < 16; i++)
		(void)snprintf(ret + 2 * i, 3, "%02x", qid[i]);
	(void)snprintf(ret + 32, NAME_LEN - 32, "%s", suffix);
}

/* false: not "<32 digits><suffix>" */
static bool vault_parse(const char *name, uint8_t ret[16], const char **ret_suffix)
{
	for (size_t i = 0; i < 16; i++) {
		unsigned int v;

		if (strspn(name + 2 * i, "0123456789abcdef") < 2 ||
			sscanf(name + 2 * i, "%2x", &v) != 1)
			return false;
		ret[i] = (uint8_t)v;
	}
	*ret_suffix = name + 32;
	return true;
}

static void vault_unlink(const struct fa_vault *v, const uint8_t qid[16], const char *suffix)
{
	char name[NAME_LEN];

	vault_name(qid, suffix, name);
	(void)unlinkat(v->dir, name, 0);
}

/* ---- the list ---- */

static int list_add(struct fa_vault *v, const uint8_t qid[16], uint64_t time_ms, uint64_t bytes)
{
	struct vault_entry *e;

	if (v->n >= FA_VAULT_MAX)
		return -ENOSPC;
	if (v->n == v->cap) {
		size_t cap = v->cap ? 2 * v->cap : 64;

		e = reallocarray(v->list, cap, sizeof(*e));
		if (!e)
			return -ENOMEM;
		v->list = e;
		v->cap = cap;
	}
	e = &v->list[v->n++];
	*e = (struct vault_entry){ .time_ms = time_ms, .bytes = bytes };
	memcpy(e->qid, qid, sizeof(e->qid));
	v->bytes += bytes;
	return 0;
}

static struct vault_entry *list_find(struct fa_vault *v, const uint8_t qid[16])
{
	for (size_t i = 0; i < v->n; i++)
		if (memcmp(v->list[i].qid, qid, 16) == 0)
			return &v->list[i];
	return NULL;
}

/* the last entry is what @was and @m say */
static void list_known(struct fa_vault *v, const struct fa_ident *was, const struct fa_meta *m)
{
	struct vault_entry *e = &v->list[v->n - 1];

	e->dev = was->dev;
	e->ino = was->ino;
	e->btime_ns = was->btime_ns;
	memcpy(e->sha256, m->sha256, sizeof(e->sha256));
}

/*
 * The entry that holds this very inode with this content: its name went with it, and who had it
 * open then opens or closes it again. Without a hash nobody can say: NULL.
 */
static const struct vault_entry *list_kept(
	const struct fa_vault *v, int fd, const struct fa_ident *was, const struct fa_meta *m)
{
	static const uint8_t none[sizeof(m->sha256)];
	struct stat st;

	if (memcmp(m->sha256, none, sizeof(none)) == 0 || fstat(fd, &st) < 0 || st.st_nlink != 0)
		return NULL;
	for (size_t i = v->n; i-- > 0;) {
		const struct vault_entry *e = &v->list[i];

		if (e->dev == was->dev && e->ino == was->ino && e->btime_ns == was->btime_ns &&
			memcmp(e->sha256, m->sha256, sizeof(e->sha256)) == 0)
			return e;
	}
	return NULL;
}

static void list_remove(struct fa_vault *v, struct vault_entry *e)
{
	size_t i = (size_t)(e - v->list);

	v->bytes -= e->bytes;
	memmove(e, e + 1, (--v->n - i) * sizeof(*e));
}

static int entry_cmp(const void *a, const void *b)
{
	const struct vault_entry *x = a, *y = b;

	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	return memcmp(x->qid, y->qid, sizeof(x->qid));
}

static int meta_load(struct fa_vault *v, const uint8_t qid[16], struct fa_meta *ret, char *ret_path)
{
	char name[NAME_LEN], *text;
	ssize_t n;
	int fd, err;

	vault_name(qid, ".meta", name);
	fd = openat(v->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	text = malloc(FA_META_TEXT_MAX);
	n = text ? read(fd, text, FA_META_TEXT_MAX) : 0;
	err = !text ? -ENOMEM : n < 0 ? -errno : fa_meta_decode(text, (size_t)n, ret, ret_path);
	free(text);
	(void)close(fd);
	return err;
}

/* one file of the directory at the start: what is whole is listed, what was being made goes */
static int vault_found(struct fa_vault *v, const char *name, char *path)
{
	const char *suffix;
	uint8_t qid[16];
	char other[NAME_LEN];
	struct fa_meta m = { 0 };
	struct stat st;

	if (!vault_parse(name, qid, &suffix))
		return 0;
	if (strcmp(suffix, ".new") == 0 || strcmp(suffix, ".metanew") == 0) {
		vault_unlink(v, qid, suffix);
		v->cleared++;
	} else if (strcmp(suffix, ".meta") == 0) {
		vault_name(qid, ".data", other);
		if (fstatat(v->dir, other, &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
			vault_unlink(v, qid, suffix);
			v->cleared++;
		}
	} else if (strcmp(suffix, ".data") == 0 &&
		   fstatat(v->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		/* a description that is broken is no reason to lose the content */
		(void)!meta_load(v, qid, &m, path);
		return list_add(v, qid, m.time_ms, (uint64_t)st.st_size);
	}
	return 0;
}

static int vault_scan(struct fa_vault *v)
{
	char *path = malloc(FA_REC_PATH_MAX + 1);
	int fd = openat(v->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *d = fd >= 0 && path ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (!d) {
		err = path ? -errno : -ENOMEM;
		if (fd >= 0)
			(void)close(fd);
		free(path);
		return err;
	}
	while (err == 0 && (e = readdir(d)))
		err = vault_found(v, e->d_name, path);
	(void)closedir(d);
	free(path);
	if (v->n)
		qsort(v->list, v->n, sizeof(*v->list), entry_cmp);
	return err;
}

int fa_vault_open(const char *dir, uint64_t max_bytes, struct fa_vault **ret)
{
	struct fa_vault *v;
	struct stat st;
	int err = io_dir_make(dir, 0700, IO_DIR_KEEP, (gid_t)-1);

	if (err < 0)
		return err;
	v = calloc(1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	v->max = max_bytes;
	v->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (v->dir < 0 || fstat(v->dir, &st) < 0)
		err = -errno;
	else if (st.st_uid != geteuid() || (st.st_mode & 077))
		err = -GI_EDENIED;
	if (err == 0)
		err = vault_scan(v);
	if (err < 0) {
		fa_vault_close(v);
		return err;
	}
	*ret = v;
	return 0;
}

void fa_vault_close(struct fa_vault *v)
{
	if (!v)
		return;
	if (v->dir >= 0)
		(void)close(v->dir);
	free(v->list);
	free(v);
}

void fa_vault_max_set(struct fa_vault *v, uint64_t max_bytes)
{
	v->max = max_bytes;
}

uint64_t fa_vault_bytes(const struct fa_vault *v)
{
	return v->bytes;
}

uint32_t fa_vault_cleared(const struct fa_vault *v)
{
	return v->cleared;
}

/* ---- put ---- */

/* @size bytes from the begin of @from, no more; a file that is shorter has changed: -ESTALE */
static int copy_content(int from, int to, uint64_t size)
{
	uint8_t *buf = malloc(COPY_BYTES);
	uint64_t at = 0;
	int err = buf ? 0 : -ENOMEM;

	while (err == 0 && at < size) {
		size_t want = size - at < COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
		ssize_t n = pread(from, buf, want, (off_t)at), done = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : -ESTALE;
			break;
		}
		while (err == 0 && done < n) {
			ssize_t w = write(to, buf + done, (size_t)(n - done));

			if (w >= 0)
				done += w;
			else if (errno != EINTR)
				err = -errno;
		}
		at += (uint64_t)n;
	}
	free(buf);
	return err;
}

static int put_data(struct fa_vault *v, const uint8_t qid[16], int from, uint64_t size)
{
	char name[NAME_LEN];
	int fd, err;

	vault_name(qid, ".new", name);
	fd = openat(v->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	err = copy_content(from, fd, size);
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

static int put_meta(struct fa_vault *v, const uint8_t qid[16], const struct fa_meta *m,
	const char *path, size_t path_len)
{
	char name[NAME_LEN], final[NAME_LEN];
	struct gi_buf text;
	int fd, err;

	vault_name(qid, ".metanew", name);
	vault_name(qid, ".meta", final);
	fd = openat(v->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	gi_buf_init(&text, FA_META_TEXT_MAX);
	fa_meta_encode(m, path, path_len, &text);
	err = gi_buf_error(&text);
	if (err == 0 && write(fd, text.data, text.len) != (ssize_t)text.len)
		err = -EIO;
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	(void)close(fd);
	gi_buf_fini(&text);
	if (err == 0 && renameat(v->dir, name, v->dir, final) < 0)
		err = -errno;
	return err;
}

static int put_finish(struct fa_vault *v, const uint8_t qid[16])
{
	char name[NAME_LEN], final[NAME_LEN];

	vault_name(qid, ".new", name);
	vault_name(qid, ".data", final);
	if (renameat(v->dir, name, v->dir, final) < 0 || fsync(v->dir) < 0)
		return -errno;
	return 0;
}

/* the description last: .meta without .data is what a start clears */
static void put_undo(struct fa_vault *v, const uint8_t qid[16])
{
	static const char *const suffixes[] = { ".new", ".data", ".metanew", ".meta" };

	for (size_t i = 0; i < GI_ARRAY_SIZE(suffixes); i++)
		vault_unlink(v, qid, suffixes[i]);
}

static int put_unname(int fd, char ret_text[FA_ACT_TEXT])
{
	struct fa_place p = { .dir = -1 };
	struct stat st;
	int err = fa_place_find(fd, &p);

	if (err == -ENOENT && fstat(fd, &st) == 0 && st.st_nlink == 0) {
		(void)snprintf(ret_text, FA_ACT_TEXT, "quarantined; it had no name any more");
		return 0;
	}
	if (err == 0)
		err = fa_place_unlink(&p, fd);
	fa_place_fini(&p);
	if (err < 0)
		return err;
	if (fstat(fd, &st) == 0 && st.st_nlink > 0)
		(void)snprintf(ret_text, FA_ACT_TEXT,
			"quarantined; %lu other names (hard links) are left, denied at each open",
			(unsigned long)st.st_nlink);
	else
		(void)snprintf(ret_text, FA_ACT_TEXT, "quarantined");
	return 0;
}

static int put_check(struct fa_vault *v, int fd, const struct fa_ident *was, struct fa_meta *m)
{
	struct fa_ident now;
	struct stat st;
	int err = fa_ident_of(fd, &now);

	if (err == 0 && !fa_ident_same(&now, was))
		err = -ESTALE;
	if (err == 0 && fstat(fd, &st) < 0)
		err = -errno;
	if (err < 0)
		return err;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (list_kept(v, fd, was, m))
		return 0; /* needs no room */
	if (v->n >= FA_VAULT_MAX || v->bytes > v->max || was->size > v->max - v->bytes)
		return -ENOSPC;
	m->uid = st.st_uid;
	m->gid = st.st_gid;
	m->mode = st.st_mode & 07777;
	m->size = was->size;
	m->mtime_ns = was->mtime_ns;
	if (m->time_ms == 0)
		m->time_ms = io_clock_real_ms();
	return 0;
}

int fa_vault_put(struct fa_vault *v, int fd, const struct fa_ident *was, const struct fa_meta *meta,
	const char *path, size_t path_len, uint8_t ret_qid[16], char ret_text[FA_ACT_TEXT])
{
	struct fa_meta m = *meta;
	struct fa_ident now;
	uint8_t qid[16];
	int err = put_check(v, fd, was, &m);
	const struct vault_entry *kept = err == 0 ? list_kept(v, fd, was, &m) : NULL;

	if (kept) {
		memcpy(ret_qid, kept->qid, sizeof(kept->qid));
		(void)snprintf(ret_text, FA_ACT_TEXT, "in quarantine already");
		return 0;
	}
	if (err == 0 && getrandom(qid, sizeof(qid), 0) != sizeof(qid))
		err = -EIO;
	if (err < 0) {
		(void)snprintf(ret_text, FA_ACT_TEXT, "%s",
			err == -ENOSPC ? "the quarantine is full" : gi_strerror(err));
		return err;
	}
	err = put_data(v, qid, fd, was->size);
	if (err == 0)
		err = fa_ident_of(fd, &now);
	if (err == 0 && !fa_ident_same(&now, was))
		err = -ESTALE; /* written to while it was copied */
	if (err == 0)
		err = put_meta(v, qid, &m, path, path_len);
	if (err == 0)
		err = put_finish(v, qid);
	if (err == 0)
		err = list_add(v, qid, m.time_ms, was->size);
	if (err == 0) { /* last: nothing may fail once the name is gone */
		err = put_unname(fd, ret_text);
		if (err < 0)
			list_remove(v, list_find(v, qid));
		else
			list_known(v, was, &m);
	}
	if (err < 0) {
		put_undo(v, qid);
		(void)snprintf(ret_text, FA_ACT_TEXT, "%s", gi_strerror(err));
		return err;
	}
	memcpy(ret_qid, qid, sizeof(qid));
	return 0;
}

/* ---- list, restore, purge ---- */

int fa_vault_get(struct fa_vault *v, uint64_t index, uint8_t ret_qid[16], struct fa_meta *ret,
	char ret_path[FA_REC_PATH_MAX + 1])
{
	if (index >= v->n)
		return -ENOENT;
	memcpy(ret_qid, v->list[index].qid, 16);
	if (meta_load(v, ret_qid, ret, ret_path) < 0) {
		*ret = (struct fa_meta){ .size = v->list[index].bytes };
		ret_path[0] = '\0';
	}
	return 0;
}

static int restore_attributes(int fd, const struct fa_meta *m)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)(m->mtime_ns / 1000000000u),
			.tv_nsec = (long)(m->mtime_ns % 1000000000u) } };

	if (fchown(fd, m->uid, m->gid) < 0 || fchmod(fd, m->mode & 07777) < 0 ||
		futimens(fd, times) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* a nameless file beside, then its name: linkat() never overwrites */
static int restore_to(int data, const struct fa_meta *m, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	const char *slash = strrchr(path, '/');
	int dir, tmp, err;
	char *parent;

	if (path[0] != '/' || !slash[1])
		return -EINVAL;
	parent = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	if (!parent)
		return -ENOMEM;
	dir = (int)syscall(SYS_openat2, AT_FDCWD, parent, &how, sizeof(how));
	err = dir < 0 ? -errno : 0;
	free(parent);
	if (err < 0)
		return err;
	tmp = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	if (tmp < 0)
		err = -errno;
	if (err == 0)
		err = copy_content(data, tmp, m->size);
	if (err == 0)
		err = restore_attributes(tmp, m);
	if (err == 0 && linkat(tmp, "", dir, slash + 1, AT_EMPTY_PATH) < 0)
		err = -errno;
	if (tmp >= 0)
		(void)close(tmp);
	(void)close(dir);
	return err;
}

static void entry_drop(struct fa_vault *v, struct vault_entry *e)
{
	vault_unlink(v, e->qid, ".data"); /* then .meta alone: a start would clear it */
	vault_unlink(v, e->qid, ".meta");
	list_remove(v, e);
}

int fa_vault_restore(struct fa_vault *v, const uint8_t qid[16], char ret_path[FA_REC_PATH_MAX + 1])
{
	struct vault_entry *e = list_find(v, qid);
	char name[NAME_LEN];
	struct fa_meta m;
	int fd, err;

	if (!e)
		return -ENOENT;
	err = meta_load(v, qid, &m, ret_path);
	if (err < 0)
		return err;
	vault_name(qid, ".data", name);
	fd = openat(v->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	m.size = e->bytes;
	err = restore_to(fd, &m, ret_path);
	(void)close(fd);
	if (err == 0)
		entry_drop(v, e);
	return err;
}

int fa_vault_purge(struct fa_vault *v, const uint8_t *qid, uint64_t *ret_n)
{
	struct vault_entry *e = qid ? list_find(v, qid) : NULL;
	uint64_t n = 0;

	if (qid && !e)
		return -ENOENT;
	for (; qid ? n < 1 : v->n > 0; n++)
		entry_drop(v, qid ? e : &v->list[v->n - 1]);
	*ret_n = n;
	return fsync(v->dir) < 0 ? -errno : 0;
}
