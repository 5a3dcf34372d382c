/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rec.h - the fixed records between gi-fileagent's supervisor and its worker
 *
 *   supervisor (root: groups, marks, delete, quarantine, opening)   no peer's bytes are parsed here
 *        ^ | SOCK_SEQPACKET, one struct fa_rec a datagram, descriptors by SCM_RIGHTS
 *        | v
 *   worker (user _idfw, no capability, seccomp: events, cache, protobuf, the mux)
 *
 * A worker that was taken over can ask for what is in enum fa_op and nothing else: each request is
 * about a descriptor it holds (which it can only have from an event or from FA_OP_OPEN), and the
 * supervisor compares the file's identity before it acts. Names are checked again here.
 * Every request with an id gets exactly one FA_OP_REPLY with the same id.
 * Source: docs/adr/0011, docs/scan.md.
 */
#ifndef FILEAGENT_REC_H
#define FILEAGENT_REC_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/err.h"

#define FA_REC_FDS_MAX 32
#define FA_REC_TEXT_MAX 256
#define FA_REC_PATH_MAX 4096

enum fa_op {
	/* supervisor -> worker */
	FA_OP_START = 1, /* of each supervisor, also of one that took the worker over. fds: group of
			    permissions, group of notifications, in-flight table, FIM group.
			    value: FA_START_ bits; pid: the supervisor's (its opens are answered
			    "allow" at once) */
	FA_OP_CONF,   /* fds: the configuration's text (fa_conf_read_fd()); read it anew. The very
			 first record to a new process is one, and main() reads it */
	FA_OP_LISTEN, /* fds: a listening socket. Only when the connection to the supervisor has
			 ended: the next one comes there, fa_handover_give() */
	FA_OP_STOP,   /* answer what is held by its fail policy, then exit. value 1: read no more
			 events, but wait for the verdicts of those that are held, then exit */
	FA_OP_REPLY,
	/* worker -> supervisor */
	FA_OP_MARK,   /* fd, ident: evictable ignore mark, if the file is still ident after it */
	FA_OP_UNMARK, /* fd */
	FA_OP_FLUSH,  /* all ignore marks go: new epoch, overflow */
	FA_OP_DELETE, /* fd, ident */
	FA_OP_QUARANTINE, /* fd, ident, path, meta; reply: qid */
	FA_OP_TMP,	  /* fd, ident: an O_TMPFILE beside it; reply: fd */
	FA_OP_REPLACE, /* fd, tmp fd, ident: tmp takes its place, owner, mode and xattrs copied */
	FA_OP_OPEN,    /* path (absolute) or fd of a directory and one name; reply: fd. Only below
			  watched or FIM places, no symbolic links, never blocks */
	FA_OP_WHO,     /* pid; reply: path = its program (readlink of /proc/PID/exe), ident of it;
			  value 1: that path leads to that very file in our mounts */
	FA_OP_HANDLE,  /* path = fsid and struct file_handle of a directory, hexadecimal; reply:
			  path = where it is. Only on file systems with FIM rules */
	FA_OP_TEST,    /* path = a watched directory; reply: fd = what the test file's writer says
			  (probe.h), until its end */
	FA_OP_VAULT_LIST,    /* value = index; reply: path, meta, qid; -ENOENT: no more */
	FA_OP_VAULT_RESTORE, /* qid; reply: path */
	FA_OP_VAULT_PURGE,   /* qid, or all zero: everything; reply: value = how many */
	FA_OP_MARKS,	     /* fds; path = a struct fa_ident for each: FA_OP_MARK of all of them */
	FA_OP_TASKS, /* value = processor; reply: fd = its records of forks (tasks.h), value =
			how many processors there are */
	FA_OP_COUNT
};

struct fa_ident { /* what a file was when it was judged: statx(2) */
	uint64_t dev, ino, size, mtime_ns, ctime_ns;
	uint64_t btime_ns; /* 0: the file system does not say; tells a reused inode number */
};

struct fa_meta { /* of a quarantined file, as kept in the store */
	uint64_t time_ms, session, size, mtime_ns;
	uint32_t uid, gid, mode, actor_uid;
	uint32_t pid, pad;
	uint8_t sha256[32];
	char engine[65], signature[257], user[257], reason[257];
};

struct fa_rec {
	uint32_t op; /* enum fa_op */
	int32_t err; /* REPLY: 0 or -errno */
	uint64_t id; /* of the request; 0: no reply wanted */
	uint64_t value;
	uint32_t pid;
	uint32_t path_len;
	struct fa_ident ident;
	struct fa_meta meta;
	uint8_t qid[16];
	char text[FA_REC_TEXT_MAX + 1]; /* REPLY: words, when err alone does not say it */
	char path[FA_REC_PATH_MAX + 1]; /* sent only up to path_len: a record is short without it */
};

#define FA_START_ERRNO_OK 1u  /* the kernel takes an errno with a denial */
#define FA_START_FD_ERRORS 2u /* notifications come also of files that cannot be opened */

enum fa_side { FA_SUPERVISOR, FA_WORKER };

/*
 * fa_rec_check - is that datagram one that @from may send? Pure; fuzzed
 * @len: bytes of it; @n_fds: descriptors that came with it
 * Errors: -GI_EPROTO (size, path, text or a number of descriptors that the op does not have),
 *         -GI_EDENIED (the other side's op)
 */
GI_MUST_CHECK int fa_rec_check(const struct fa_rec *r, size_t len, size_t n_fds, enum fa_side from);
/*
 * fa_rec_send - one datagram; does not block
 * @fds: borrows
 * Errors: -EAGAIN (the peer is slow), -EPIPE and -ECONNRESET (it is gone), -EINVAL
 */
GI_MUST_CHECK int fa_rec_send(int sock, const struct fa_rec *r, const int *fds, size_t n_fds);
/*
 * fa_rec_recv - one datagram that @from sent, checked; does not block
 * @fds, *ret_n: owned by the caller (only with 0; else closed), CLOEXEC
 * Errors: -EAGAIN, -GI_ECLOSED, as fa_rec_check(), -errno
 */
GI_MUST_CHECK int fa_rec_recv(
	int sock, enum fa_side from, struct fa_rec *ret, int fds[FA_REC_FDS_MAX], size_t *ret_n);

#endif
