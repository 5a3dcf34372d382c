/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * faconf.h - gi-fileagent.conf: what may stand in it
 *
 * The supervisor reads the file, checks it and hands its text to the worker (FA_OP_CONF), which
 * parses it with the same table; a text that the supervisor took is good for the worker too.
 * What is derived from it for each event (paths, uids, policy) is filter.h.
 * Source: gi-fileagent(8).
 */
#ifndef FILEAGENT_FACONF_H
#define FILEAGENT_FACONF_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/conf/conf.h"

#define FA_WATCH_MAX 64
#define FA_FIM_MAX 64
#define FA_LIST_MAX 256 /* items of one list */
#define FA_CONF_TEXT_MAX (1u << 20)

struct fa_watch_conf {
	char *label;
	char *path;		     /* a directory */
	bool submounts;		     /* also the file systems mounted below it */
	struct conf_list events;     /* open, exec, close */
	struct conf_list on_failure; /* as the top level's; empty: that one */
	char *on_block;		     /* "": the top level's */
	struct conf_list exclude;    /* absolute paths */
};

struct fa_fim_conf {
	char *label;
	struct conf_list paths;	  /* absolute */
	struct conf_list exclude; /* absolute */
};

struct fa_conf {
	char *mux; /* endpoint */
	char *user;
	char *boot_id_file;
	char *state_dir;
	char *run_dir;
	struct conf_list on_failure; /* allow|deny, open=allow|deny, exec=allow|deny */
	char *on_block;		     /* EPERM, EIO, ... */
	uint64_t deadline_base_ms;
	uint64_t deadline_rate; /* bytes a second */
	uint64_t deadline_max_ms;
	uint64_t max_scan_bytes; /* 0: the service's */
	uint64_t write_delay_ms;
	uint64_t cache_entries;
	uint64_t threads;
	uint64_t held_max;
	struct conf_list exclude_paths, exclude_fs_types;
	struct conf_list exclude_uids, include_uids; /* numbers as text, checked */
	struct conf_list exclude_programs, include_programs;
	uint64_t debug_level; /* 0..7, syslog(3) */
	char *debug_dest;     /* stderr, syslog, mux */
	uint64_t debug_rate;  /* lines a second */
	char *quarantine_dir;
	uint64_t quarantine_max_bytes;
	bool allow_root_filesystem;
	struct conf_array watches; /* struct fa_watch_conf */
	struct conf_array fims;	   /* struct fa_fim_conf */
};

extern const struct conf_table fa_conf_table;

/*
 * fa_conf_parse - a configuration's text, as main() and the worker and a reload read it
 * @name: borrows; shown in front of diagnostics
 * @ret_words: initialised by the caller; diagnostics are appended, also warnings
 * @ret: filled; conf_free(&fa_conf_table, ret). Zeroed on error
 * Errors: -GI_ESYNTAX (words say where), -ENOMEM
 */
GI_MUST_CHECK int fa_conf_parse(const char *name, const char *text, size_t len,
	struct gi_buf *ret_words, struct fa_conf *ret);
/* the same from a descriptor (a memfd; read from its begin): also -errno, -GI_ELIMIT */
GI_MUST_CHECK int fa_conf_read_fd(int fd, struct gi_buf *ret_words, struct fa_conf *ret);

static inline const struct fa_watch_conf *fa_conf_watch(const struct fa_conf *c, size_t i)
{
	return (const struct fa_watch_conf *)c->watches.elems + i;
}
static inline const struct fa_fim_conf *fa_conf_fim(const struct fa_conf *c, size_t i)
{
	return (const struct fa_fim_conf *)c->fims.elems + i;
}

/* how long an opener of a file of @size bytes waits for a verdict */
uint64_t fa_conf_deadline_ms(const struct fa_conf *c, uint64_t size);
/* "EPERM" and the other errnos that fanotify can deny with; -EINVAL */
GI_MUST_CHECK int fa_conf_errno(const char *word, int *ret_errno);
/* FAN_EV_OPEN ... of a watch's events; -EINVAL for a word that is none */
GI_MUST_CHECK int fa_conf_events(const struct conf_list *l, uint32_t *ret_what);
/* FAN_EV_ bits that are strict; bits not named keep @base; -EINVAL with the word in *ret_bad */
GI_MUST_CHECK int fa_conf_strict(
	const struct conf_list *l, uint32_t base, uint32_t *ret, const char **ret_bad);

#endif
