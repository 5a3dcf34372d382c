/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reads.h - content of files: at once when it is in memory, else by a few threads
 *
 * Threads do pread(2), pwrite(2) and SHA-256, nothing else: a disk, a dead network file system or a
 * large file never stops the loop. Results come back from the loop, in any order. A job that is
 * forgotten is still finished by its thread; its descriptor must stay open until then: so a job has
 * a duplicate of its own.
 */
#ifndef FILEAGENT_READS_H
#define FILEAGENT_READS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"
#include "lib/io/loop.h"
#include "lib/io/sha256.h"

#define FA_READS_JOBS_MAX 512
#define FA_READS_LEN_MAX (48u << 10) /* of one range, of one write */

struct fa_reads;

GI_MUST_CHECK int fa_reads_new(struct io_loop *l, unsigned int threads, struct fa_reads **ret);
/* waits for what its threads are doing; no callback is called any more */
void fa_reads_free(struct fa_reads *r);

/*
 * fa_read_now - what of a range is in memory; never waits for a disk
 * @ret_len: bytes; less than @len only at the end of the file
 * Errors: -EAGAIN (not all of it is there, or the file system cannot tell), other errno of the read
 */
GI_MUST_CHECK int fa_read_now(int fd, uint64_t offset, void *buf, size_t len, size_t *ret_len);

/*
 * Each of these calls @done once from the loop, unless it returned an error: -GI_EFULL (jobs),
 * -EMFILE, -ENOMEM. @fd: borrowed for the call. @err: 0 or -errno.
 */
GI_MUST_CHECK int fa_reads_range(struct fa_reads *r, int fd, uint64_t offset, size_t len,
	void (*done)(void *arg, int err, const void *data, size_t len), void *arg);
GI_MUST_CHECK int fa_reads_write(struct fa_reads *r, int fd, uint64_t offset, const void *data,
	size_t len, void (*done)(void *arg, int err), void *arg);
/* SHA-256 of the first @max bytes of a file: -EFBIG when there are more */
GI_MUST_CHECK int fa_reads_hash(struct fa_reads *r, int fd, uint64_t max,
	void (*done)(void *arg, int err, const uint8_t sha[IO_SHA256_LEN]), void *arg);
void fa_reads_forget(struct fa_reads *r, const void *arg);

#endif
