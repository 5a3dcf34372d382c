/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * verbs.c - what idfwctl can do: the table that the parser and all help texts come from
 *
 * The order is the order of the help. The overview must fit a screen of 24 lines of 80 columns;
 * tests/unit/idfwctl/help.sh measures it and compares it with idfwctl(8).
 */
#include "idfwctl/cli.h"

#include <string.h>

#define FILTERS                                                                                   \
	{ "user", "USER", "only sessions of this user" }, { "vm", "VM", "only this VM" },         \
		{ "since", "TIME", "not before: 90s, 15m, 2h, 7d ago, or \"2026-01-31 08:00\"" }, \
		{ "until", "TIME", "not after" },                                                 \
	{                                                                                         \
		"limit", "N", "at most so many rows (default 1000)"                               \
	}

static const struct ctl_verb verbs[] = {
	{ "status", "", "is all well: svm-idfw, its muxes, VMs and their rules",
		"Shows svm-idfw's own state, then each mux, then each VM with the version of\n"
		"its rules. Exit code 1 when something is not well.\n",
		0, 0, { { 0 } }, ctl_run_status },
	{ "who", "[USER|IP|VM]", "live sessions, and the policy groups they are in",
		"Lists live sessions: all, or those of a user, on a VM, or of a VM or peer with\n"
		"this address. STATE is enforced, pending, kicked, or why a session has no\n"
		"groups (not-found, unavailable, system). Exit code 1 when there are none.\n",
		0, 1, { { 0 } }, ctl_run_who },
	{ "last", "", "sessions, also those that are over, newest first",
		"Lists sessions of the past and live ones, newest first. HOW says what ended\n"
		"a session: close, leader (its process died), gone, reboot, kick.\n",
		0, 0, { FILTERS }, ctl_run_last },
	{ "policy check", "FILE", "is FILE a valid policy? Compiled here, nothing is touched",
		"Compiles FILE (\"-\": standard input) and shows every error and warning with\n"
		"its place. Needs no svm-idfw. Exit code 1 when there is an error.\n",
		1, 1, { { "server", NULL, "let svm-idfw check it" } }, ctl_run_policy_check },
	{ "policy show", "", "the policy in force",
		"Prints the text of the running policy, with its generation as a comment in\n"
		"front; with --json, its JSON form.\n",
		0, 0, { { 0 } }, ctl_run_policy_show },
	{ "policy commit", "FILE", "put FILE (\"-\": standard input) in force",
		"Checks FILE as \"policy check\" does, hands it to svm-idfw and prints the new\n"
		"generation. On an error the running policy stays.\n",
		1, 1, { { 0 } }, ctl_run_policy_commit },
	{ "render", "VM", "the exact nftables text that VM is to run",
		"Prints the two transactions that VM is to run: what is prepared, then the\n"
		"rules and sets.\n",
		1, 1, { { 0 } }, ctl_run_render },
	{ "kick", "SESSION", "end a session: access first, then the login",
		"Takes away the session's access at once, open connections included, and tells\n"
		"its VM to end it. SESSION is the number that \"who\" shows. Other sessions of\n"
		"the same uid on that VM keep theirs: the kernel there knows the uid only.\n",
		1, 1, { { "reason", "TEXT", "for the audit trail and the user's VM" } },
		ctl_run_kick },
	{ "audit", "", "what happened and who decided it, newest first",
		"Prints the audit trail, newest first: logins, decisions, pushes, kicks,\n"
		"policies, refused claims.\n",
		0, 0, { FILTERS }, ctl_run_audit },
};

const struct ctl_verb *ctl_verb_table(size_t *ret_n)
{
	*ret_n = GI_ARRAY_SIZE(verbs);
	return verbs;
}

void ctl_help(FILE *to)
{
	char left[64];

	fprintf(to, "usage: idfwctl [-s SOCKET] [--json] VERB [ARGUMENT...]\n\n");
	for (size_t i = 0; i < GI_ARRAY_SIZE(verbs); i++) {
		snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].args);
		fprintf(to, "  %-19s %s\n", left, verbs[i].summary);
	}
	fprintf(to,
		"\n"
		"  -s, --socket SOCKET  svm-idfw's control socket (or IDFW_SOCKET);\n"
		"                       default %s\n"
		"  -j, --json           one JSON object a line, for programs\n"
		"  -h, --help           this text; idfwctl VERB --help tells more\n"
		"  -V, --version        version\n\n"
		"exit codes: 0 done, 1 the answer is no, 2 usage, 3 svm-idfw does not answer,\n"
		"            4 no such session, VM or user, 77 permission\n",
		CTL_SOCKET_DEFAULT);
}

void ctl_help_verb(const struct ctl_verb *v, FILE *to)
{
	char left[64];

	fprintf(to, "usage: idfwctl [-s SOCKET] [--json] %s%s%s%s\n\n%s", v->name,
		v->args[0] ? " " : "", v->args, v->options[0].name ? " [OPTION...]" : "", v->help);
	if (v->options[0].name)
		fprintf(to, "\n");
	for (const struct ctl_option *o = v->options; o->name; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		fprintf(to, "  %-18s %s\n", left, o->help);
	}
}
