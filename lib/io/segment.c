/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * segment.c - the files of a spool, see segment.h
 *
 * Any bytes may stand in the files: a power cut, a full disk, a hand. The readable prefix of each
 * is found once, at opening; behind its first bad record nothing is believed.
 */
#include "lib/io/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/io/record.h"

#define NAME_LEN 20 /* "seg-" and 16 hexadecimal digits */
#define TMP_NAME "new-segment"

static void segment_name(uint64_t no, char name[NAME_LEN + 1])
{
	snprintf(name, NAME_LEN + 1, "seg-%016" PRIx64, no);
}

static bool segment_number(const char *name, uint64_t *ret)
{
	uint64_t no = 0;

	if (strlen(name) != NAME_LEN || memcmp(name, "seg-", 4) != 0)
		return false;
	for (const char *p = name + 4; *p; p++) {
		const char *digits = "0123456789abcdef", *d = strchr(digits, *p);

		if (!d)
			return false;
		no = no << 4 | (uint64_t)(d - digits);
	}
	*ret = no;
	return true;
}

static int read_whole(int fd, void *buf, size_t len, uint64_t offset)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -GI_EPROTO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* the record at @offset; -GI_EPROTO: none that could be believed */
static int read_record(
	int fd, uint64_t size, uint64_t offset, struct io_record *ret, struct gi_buf *payload)
{
	uint8_t head[IO_RECORD_HEAD], chunk[4096];
	struct io_record r;
	int err;

	if (size - offset < IO_RECORD_HEAD)
		return -GI_EPROTO;
	err = read_whole(fd, head, sizeof(head), offset);
	if (err == 0)
		err = io_record_head(head, &r);
	if (err < 0)
		return err;
	offset += IO_RECORD_HEAD;
	if (size - offset < r.len)
		return -GI_EPROTO;
	gi_buf_reset(payload);
	for (uint32_t left = r.len; left > 0;) {
		uint32_t n = left < sizeof(chunk) ? left : (uint32_t)sizeof(chunk);

		err = read_whole(fd, chunk, n, offset);
		if (err < 0)
			return err;
		gi_buf_append(payload, chunk, n);
		offset += n;
		left -= n;
	}
	if (gi_buf_error(payload) < 0)
		return gi_buf_error(payload);
	err = io_record_check(&r, head, payload->data);
	if (err == 0)
		*ret = r;
	return err;
}

/* finds seg->size and seg->last_seq; the rest of the file is bad */
static int segment_scan(struct io_segments *s, struct io_segment *seg, int fd, struct gi_buf *buf)
{
	uint8_t magic[IO_SEGMENT_MAGIC_LEN];
	struct io_record r;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size >= sizeof(magic) && read_whole(fd, magic, sizeof(magic), 0) == 0 &&
		memcmp(magic, IO_SEGMENT_MAGIC, sizeof(magic)) == 0)
		seg->size = sizeof(magic);
	while (seg->size > 0) {
		err = read_record(fd, (uint64_t)st.st_size, seg->size, &r, buf);
		if (err == -ENOMEM)
			return err;
		/* a checkpoint stands first and nowhere else; numbers only grow */
		if (err < 0 || (r.type == IO_SPOOL_CHECKPOINT) != (seg->size == sizeof(magic)) ||
			(r.type == IO_SPOOL_EVENT && r.seq <= seg->last_seq))
			break;
		if (r.type == IO_SPOOL_EVENT)
			seg->last_seq = r.seq;
		seg->size += IO_RECORD_HEAD + r.len;
	}
	s->bad_bytes += (uint64_t)st.st_size - seg->size;
	return 0;
}

static int segment_cmp(const void *a, const void *b)
{
	const struct io_segment *x = a, *y = b;

	return x->no < y->no ? -1 : x->no > y->no;
}

static int segments_push(struct io_segments *s, const struct io_segment *seg)
{
	struct io_segment *list;

	if (s->n >= IO_SEGMENTS_MAX)
		return -GI_EFULL;
	list = reallocarray(s->list, s->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	s->list = list;
	s->list[s->n++] = *seg;
	return 0;
}

static int segments_list(struct io_segments *s, struct gi_buf *buf)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err;
	}
	while (err == 0 && (e = readdir(d))) {
		struct io_segment seg = { 0 };
		int f;

		if (!segment_number(e->d_name, &seg.no))
			continue;
		f = openat(s->dir_fd, e->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (f < 0) {
			err = -errno;
			break;
		}
		err = segment_scan(s, &seg, f, buf);
		close(f);
		if (err == 0)
			err = segments_push(s, &seg);
	}
	closedir(d);
	return err;
}

int io_segments_open(struct io_segments *s, const char *dir)
{
	struct gi_buf buf;
	int err;

	*s = (struct io_segments){ .dir_fd = -1, .write_fd = -1, .read_fd = -1 };
	s->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return -errno;
	gi_buf_init(&buf, IO_SPOOL_RECORD_MAX);
	err = segments_list(s, &buf);
	gi_buf_fini(&buf);
	if (err == 0 && s->n)
		qsort(s->list, s->n, sizeof(*s->list), segment_cmp);
	return err;
}

void io_segments_close(struct io_segments *s)
{
	int *fds[] = { &s->dir_fd, &s->write_fd, &s->read_fd };

	for (size_t i = 0; i < GI_ARRAY_SIZE(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	free(s->list);
	s->list = NULL;
	s->n = 0;
}

static int segment_open(struct io_segments *s, uint64_t no)
{
	char name[NAME_LEN + 1];

	if (s->read_fd >= 0 && s->read_no == no)
		return s->read_fd;
	if (s->read_fd >= 0)
		close(s->read_fd);
	segment_name(no, name);
	s->read_no = no;
	s->read_fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return s->read_fd < 0 ? -errno : s->read_fd;
}

static int restore_segment(struct io_segments *s, const struct io_segment *seg,
	bool with_checkpoint,
	void (*restore)(void *, enum io_spool_record, uint64_t, const void *, size_t), void *arg,
	uint64_t *seq, struct gi_buf *buf)
{
	uint64_t at = IO_SEGMENT_MAGIC_LEN;
	int fd = segment_open(s, seg->no), err;
	struct io_record r;

	if (fd < 0)
		return fd;
	while (at < seg->size) {
		err = read_record(fd, seg->size, at, &r, buf);
		if (err < 0)
			return err;
		if (r.seq > *seq)
			*seq = r.seq;
		if (r.type == IO_SPOOL_EVENT || with_checkpoint)
			restore(arg, r.type, r.seq, buf->data, buf->len);
		at += IO_RECORD_HEAD + r.len;
	}
	return 0;
}

int io_segments_restore(struct io_segments *s,
	void (*restore)(void *, enum io_spool_record, uint64_t, const void *, size_t), void *arg,
	uint64_t *ret_seq)
{
	size_t from = s->n;
	struct gi_buf buf;
	int err = 0;

	/* over magic: it has its checkpoint */
	while (from > 0 && s->list[from - 1].size <= IO_SEGMENT_MAGIC_LEN)
		from--;
	if (from == 0)
		return 0;
	gi_buf_init(&buf, IO_SPOOL_RECORD_MAX);
	for (size_t i = from - 1; err == 0 && i < s->n; i++)
		err = restore_segment(s, &s->list[i], i == from - 1, restore, arg, ret_seq, &buf);
	gi_buf_fini(&buf);
	return err;
}

bool io_segments_writable(const struct io_segments *s)
{
	return s->write_fd >= 0;
}

uint64_t io_segments_bytes(const struct io_segments *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++)
		sum += s->list[i].size;
	return sum;
}

uint64_t io_segments_bytes_above(const struct io_segments *s, uint64_t acked_seq)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < s->n; i++) {
		if (s->list[i].last_seq > acked_seq)
			sum += s->list[i].size;
	}
	return sum;
}

uint64_t io_segments_youngest_bytes(const struct io_segments *s)
{
	return s->n ? s->list[s->n - 1].size : 0;
}

static int write_whole(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int io_segments_add(struct io_segments *s, const void *buf, size_t len)
{
	struct io_segment seg = { .no = s->n ? s->list[s->n - 1].no + 1 : 1, .size = len };
	char name[NAME_LEN + 1];
	int fd, err;

	if (seg.no == 0) /* somebody made a file with the highest number */
		return -GI_EFULL;
	segment_name(seg.no, name);
	fd = openat(s->dir_fd, TMP_NAME,
		O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_whole(fd, buf, len);
	if (err == 0 && renameat(s->dir_fd, TMP_NAME, s->dir_fd, name) < 0)
		err = -errno;
	if (err == 0) {
		err = segments_push(s, &seg);
		if (err < 0)
			unlinkat(s->dir_fd, name, 0);
	} else {
		unlinkat(s->dir_fd, TMP_NAME, 0);
	}
	if (err < 0) {
		close(fd);
		return err;
	}
	if (s->write_fd >= 0)
		close(s->write_fd);
	s->write_fd = fd;
	return 0;
}

int io_segments_append(struct io_segments *s, const void *buf, size_t len, uint64_t seq)
{
	struct io_segment *seg = &s->list[s->n - 1];
	int err = write_whole(s->write_fd, buf, len);

	if (err < 0) {
		/* a half record would hide all later ones */
		if (ftruncate(s->write_fd, (off_t)seg->size) < 0) {
			close(s->write_fd);
			s->write_fd = -1;
		}
		return err;
	}
	seg->size += len;
	seg->last_seq = seq;
	return 0;
}

void io_segments_drop(struct io_segments *s, uint64_t acked_seq)
{
	size_t kept = 0;

	/* what is behind the last checkpoint that can be read is needed, acknowledged or not */
	if (s->n == 0 || s->list[s->n - 1].size <= IO_SEGMENT_MAGIC_LEN)
		return;
	for (size_t i = 0; i < s->n; i++) {
		char name[NAME_LEN + 1];

		segment_name(s->list[i].no, name);
		if (i + 1 < s->n && s->list[i].last_seq <= acked_seq &&
			(unlinkat(s->dir_fd, name, 0) == 0 || errno == ENOENT))
			continue;
		s->list[kept++] = s->list[i];
	}
	s->n = kept;
}

int io_segments_next(struct io_segments *s, struct io_segment_pos *pos, uint64_t above,
	uint64_t *ret_seq, struct gi_buf *out)
{
	struct io_segment_pos at = *pos;
	struct io_record r;

	for (size_t i = 0; i < s->n; i++) {
		struct io_segment *seg = &s->list[i];

		if (seg->no < at.segment)
			continue;
		if (seg->no > at.segment)
			at = (struct io_segment_pos){ seg->no, IO_SEGMENT_MAGIC_LEN };
		while (at.offset < seg->size && seg->last_seq > above) {
			int fd = segment_open(s, seg->no), err = fd;

			if (fd >= 0)
				err = read_record(fd, seg->size, at.offset, &r, out);
			if (err == -ENOMEM || err == -GI_ELIMIT)
				return err;
			if (err < 0) { /* was readable before: somebody else's hand, or the disk */
				s->bad_bytes += seg->size - at.offset;
				at.offset = seg->size;
				break;
			}
			at.offset += IO_RECORD_HEAD + r.len;
			if (r.type == IO_SPOOL_EVENT && r.seq > above) {
				*pos = at;
				*ret_seq = r.seq;
				return 1;
			}
		}
	}
	*pos = at;
	return 0;
}
