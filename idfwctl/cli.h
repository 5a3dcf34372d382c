/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cli.h - what the parts of idfwctl share: the parsed command line, the verbs, the exit codes
 *
 *   main.c --args.c--> struct ctl_cli --verbs.c--> a verb's run() --client.c--> svm-idfw, svm-scan
 *                                                       rows, text --show_*.c, table.c--> stdout
 *
 * Everything that is said about a verb (its synopsis, its help, its options) stands in one table
 * in verbs.c; --help prints it, and tests hold the manual page and the completion to it.
 */
#ifndef IDFWCTL_CLI_H
#define IDFWCTL_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "lib/base/err.h"

#define CTL_POS_MAX 8	  /* words behind a verb */
#define CTL_OPTIONS_MAX 8 /* options of one verb */
#define CTL_SOCKET_DEFAULT IDFW_RUNDIR "/svm.sock"
#define CTL_SCAN_SOCKET_DEFAULT IDFW_RUNDIR "/scan.sock"

enum ctl_exit { /* docs/control.md */
	CTL_EXIT_OK = 0,
	CTL_EXIT_NO = 1, /* the answer is no */
	CTL_EXIT_USAGE = 2,
	CTL_EXIT_SILENT = 3,  /* svm-idfw, or svm-scan, does not answer */
	CTL_EXIT_UNKNOWN = 4, /* no such session, VM or user */
	CTL_EXIT_DENIED = 77,
};

struct ctl_cli;

struct ctl_option {
	const char *name;  /* without "--"; NULL ends the list */
	const char *value; /* word for its value in the help; NULL: takes none */
	const char *help;
};

struct ctl_family {		 /* verbs of two words that share the first */
	const char *name, *rest; /* "policy", "check, show or commit" */
	const char *summary;	 /* for the list of verbs */
};

struct ctl_verb {
	const char *name;    /* "who", "policy check" */
	const char *args;    /* as in the synopsis; "" none */
	const char *summary; /* for the list of verbs, or of its family */
	const char *help;    /* paragraphs behind the synopsis */
	size_t min_args, max_args;
	struct ctl_option options[CTL_OPTIONS_MAX + 1];
	int (*run)(struct ctl_cli *cli); /* returns enum ctl_exit */
	bool scan;			 /* svm-scan answers, not svm-idfw */
};

struct ctl_cli { /* texts borrowed from argv and the environment */
	const char *socket, *scan_socket;
	bool json;
	bool color; /* escape sequences on stdout */
	bool help, version;
	const struct ctl_verb *verb;	 /* NULL: none given */
	const struct ctl_family *family; /* its first word only; or NULL */
	const char *pos[CTL_POS_MAX];
	size_t n_pos;
	const char *opt[CTL_OPTIONS_MAX]; /* values, by index into verb->options; "" for those
					     without */
};

/*
 * ctl_args_parse - the command line into @ret
 * Returns 0, or enum ctl_exit after having said on stderr what is wrong
 */
int ctl_args_parse(int argc, char **argv, struct ctl_cli *ret);
/* value of an option of the verb, or NULL */
const char *ctl_args_option(const struct ctl_cli *cli, const char *name);
/*
 * ctl_time_parse - when: 90s 15m 2h 7d (before @now_ms), YYYY-MM-DD[ HH:MM[:SS]] (local), Unix ms
 * Errors: -EINVAL
 */
GI_MUST_CHECK int ctl_time_parse(
	const char *text, unsigned long long now_ms, unsigned long long *ret_ms);

const struct ctl_verb *ctl_verb_table(size_t *ret_n);
void ctl_help(FILE *to);
void ctl_help_verb(const struct ctl_verb *v, FILE *to);
const struct ctl_family *ctl_family_find(const char *word); /* NULL: none */
void ctl_help_family(const struct ctl_family *f, FILE *to);

/* the verbs: run.c (those that svm-idfw answers with rows), policy.c, isolate.c, scan.c, scannow.c,
 * quarantine.c, drill.c, dir.c */
int ctl_run_status(struct ctl_cli *cli);
int ctl_run_who(struct ctl_cli *cli);
int ctl_run_last(struct ctl_cli *cli);
int ctl_run_audit(struct ctl_cli *cli);
int ctl_run_kick(struct ctl_cli *cli);
int ctl_run_drill(struct ctl_cli *cli);
int ctl_run_render(struct ctl_cli *cli);
int ctl_run_policy_check(struct ctl_cli *cli);
int ctl_run_policy_show(struct ctl_cli *cli);
int ctl_run_policy_commit(struct ctl_cli *cli);
int ctl_run_fim(struct ctl_cli *cli);
int ctl_run_explain(struct ctl_cli *cli);
int ctl_run_isolate(struct ctl_cli *cli);
int ctl_run_release(struct ctl_cli *cli);
int ctl_run_dir_collisions(struct ctl_cli *cli);
int ctl_run_dir_groups(struct ctl_cli *cli);
int ctl_run_dir_sync(struct ctl_cli *cli);
int ctl_run_dir_test(struct ctl_cli *cli);
int ctl_run_dir_status(struct ctl_cli *cli);
int ctl_run_dir_lookup(struct ctl_cli *cli);
int ctl_run_scan_status(struct ctl_cli *cli);
int ctl_run_scan_test(struct ctl_cli *cli);
int ctl_run_scan_explain(struct ctl_cli *cli);
int ctl_run_scan_now(struct ctl_cli *cli);
int ctl_run_scan_reload(struct ctl_cli *cli);
int ctl_run_quarantine_list(struct ctl_cli *cli);
int ctl_run_quarantine_restore(struct ctl_cli *cli);
int ctl_run_quarantine_purge(struct ctl_cli *cli);

#endif
