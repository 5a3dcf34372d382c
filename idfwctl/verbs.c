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
		"Shows svm-idfw's own state, each mux and svm-scan, each VM with the version of\n"
		"its rules, and what is isolated. Exit code 1 when something is not well.\n",
		0, 0, { { 0 } }, ctl_run_status, false },
	{ "who", "[USER|IP|VM]", "live sessions, and the policy groups they are in",
		"Lists live sessions: all, or those of a user, on a VM, or of a VM or peer with\n"
		"this address. STATE is enforced, pending, kicked, isolated, \"as of 6 h ago\"\n"
		"(enforced, but the directory has not confirmed its groups since), or why a\n"
		"session has no groups (disabled, expired, locked, not-found, unavailable,\n"
		"system). Exit code 1 when there are none.\n",
		0, 1, { { 0 } }, ctl_run_who, false },
	{ "last", "", "sessions, also those that are over, newest first",
		"Lists sessions of the past and live ones, newest first. HOW says what ended\n"
		"a session: close, leader (its process died), cgroup (that of its processes is\n"
		"gone), gone, reboot, kick.\n",
		0, 0, { FILTERS }, ctl_run_last, false },
	{ "audit", "", "what happened and who decided it, newest first",
		"Prints the audit trail, newest first: logins, decisions, pushes, kicks,\n"
		"policies, refused claims, verdicts on files, files that were not scanned,\n"
		"changes to watched files, isolation. KIND is the word in the second column.\n",
		0, 0,
		{ FILTERS,
			{ "kind", "KIND", "only this kind: login, scan, passed, isolated ..." } },
		ctl_run_audit, false },
	{ "fim", "", "changes to watched files, newest first",
		"Lists what file integrity monitoring recorded: who changed which watched file,\n"
		"and how. PREFIX is compared as it is shown: bytes that are not text are \\xHH.\n",
		0, 0,
		{ FILTERS, { "path", "PREFIX", "only paths that begin so" },
			{ "rule", "RULE", "only what this rule watches" } },
		ctl_run_fim, false },
	{ "kick", "SESSION", "end a session: access first, then the login",
		"Takes away the session's access at once, open connections included, and tells\n"
		"its VM to end it. SESSION is the number that \"who\" shows. Other sessions of\n"
		"that user keep theirs; without cgroups the kernel knows them by uid only, and\n"
		"then they keep this one's connections too.\n",
		1, 1, { { "reason", "TEXT", "for the audit trail and the user's VM" } },
		ctl_run_kick, false },
	{ "isolate", "[SESSION]", "take away the network of a session, or of a VM",
		"All flows of the session die at once; it, and what its user begins on that VM\n"
		"later, has no access until it is released. Other sessions that the user has go\n"
		"on, if the kernel can tell them apart (cgroups). The session is not ended. With\n"
		"--vm, nothing leaves or enters that VM. VMs in never-isolate are spared.\n",
		0, 1,
		{ { "vm", "VM", "all of this VM" }, { "reason", "TEXT", "for the audit trail" } },
		ctl_run_isolate, false },
	{ "release", "[SESSION]", "give the network back to what is isolated",
		"SESSION is the one that it began with, also when it is over (\"status\" shows\n"
		"it), or one that lost its network with it. What needed the identity does not\n"
		"come back.\n",
		0, 1,
		{ { "vm", "VM", "all of this VM" }, { "reason", "TEXT", "for the audit trail" } },
		ctl_run_release, false },
	{ "explain", "SESSION", "what is open to a session by its groups, and until when",
		"For each group by which rules open something to SESSION: its lease, which\n"
		"groups go first when nothing renews it, and when that is, or was, at the\n"
		"latest. Then what was taken away and may finish (on-revoke drain).\n",
		1, 1, { { 0 } }, ctl_run_explain, false },
	{ "render", "VM", "the exact nftables text that VM is to run",
		"Prints the two transactions that VM is to run: what is prepared, then the\n"
		"rules and sets.\n",
		1, 1, { { 0 } }, ctl_run_render, false },
	{ "drill", "FAULT", "break something on purpose: is it as the table says?",
		"Lets a driver break FAULT, measures what users on a VM see of it, and compares\n"
		"that with the table in docs/failure.md. FAULT is agent, mux, svm, directory or\n"
		"partition; or mend, after a drill that was killed. All but partition can be\n"
		"killed or stand still (--fault). The lab has a driver:\n"
		"./dev lab drill. Exit code 1 when something differs, 2 when it could not be "
		"run.\n",
		1, 1,
		{ { "vm", "VM", "the VM whose users are watched" },
			{ "for", "T", "for so long: 500ms, 3s, 2m" },
			{ "fault", "KIND", "kill (the default), or stop: it stands still" },
			{ "driver", "PROGRAM", "who breaks and mends (or IDFW_DRILL_DRIVER)" } },
		ctl_run_drill, false },
	{ "policy check", "FILE", "is FILE a valid policy? Nothing is touched",
		"Compiles FILE (\"-\": standard input) and shows every error and warning with\n"
		"its place. Needs no svm-idfw. Exit code 1 when there is an error.\n",
		1, 1, { { "server", NULL, "let svm-idfw check it" } }, ctl_run_policy_check,
		false },
	{ "policy show", "", "the policy in force",
		"Prints the text of the running policy, with its generation as a comment in\n"
		"front; with --json, its JSON form.\n",
		0, 0, { { 0 } }, ctl_run_policy_show, false },
	{ "policy commit", "FILE", "put FILE (\"-\": standard input) in force",
		"Checks FILE as \"policy check\" does, hands it to svm-idfw and prints the new\n"
		"generation. On an error the running policy stays.\n",
		1, 1, { { 0 } }, ctl_run_policy_commit, false },
	{ "dir collisions", "", "names that are more than one account or group",
		"Lists login names and principal names (UPN) that are accounts of several\n"
		"directories, as far as logins have shown, and groups of one name that the\n"
		"policy names by it. The first directory of a login name has it; a policy that\n"
		"names a UPN or a group by its name means all of them: name a SID or DN instead.\n",
		0, 0, { { 0 } }, ctl_run_dir_collisions, false },
	{ "dir groups", "", "groups: nested, in cycles, and what the policy names",
		"Lists all groups of the directories, read now: which are in which, and which the\n"
		"policy names. Logins do not wait for it.\n",
		0, 0,
		{ { "unused", NULL, "named in the policy and not there, or empty; not named" },
			{ "nested", NULL, "groups in groups: app-dev -> eng -> all-staff" },
			{ "cycles", NULL, "groups that are in themselves: eng -> app -> eng" },
			{ "directory", "NAME", "only this one" } },
		ctl_run_dir_groups, false },
	{ "dir sync", "", "look for changes now; with --full compare everything",
		"Looks for changes at once. With --full, all groups are compared with what\n"
		"svm-idfw knows, and all accounts with sessions are looked up again, behind new\n"
		"logins. Says how far it is and what it found; Ctrl-C only ends the waiting.\n"
		"Exit code 1 when a directory is down, or not all was done.\n",
		0, 0,
		{ { "full", NULL, "compare everything" },
			{ "directory", "NAME", "only this one" } },
		ctl_run_dir_sync, false },
	{ "dir test", "CONFIG", "try its directories before svm-idfw uses it",
		"Tries each server of each directory in CONFIG, an svm-idfw.conf, step by step:\n"
		"name, connection, files, TLS, bind, base, an account's groups, changes. Says\n"
		"what is wrong and the next command to try. Needs no svm-idfw; root becomes its\n"
		"user. Exit code 1 when something is wrong.\n",
		1, 1,
		{ { "directory", "NAME", "only this one" },
			{ "account", "NAME", "whose groups are looked up (else anybody's)" } },
		ctl_run_dir_test, false },
	{ "dir status", "", "is all well: servers, lookups, changes, the cache",
		"Shows each directory: who answers, who is left out and why, how long lookups\n"
		"take, how changes are seen, when the last one was, and when all groups were last\n"
		"compared; then what svm-idfw knows if none answers.\n"
		"Exit code 1 when a directory is down.\n",
		0, 0, { { 0 } }, ctl_run_dir_status, false },
	{ "dir lookup", "NAME", "an account and its groups, asked now",
		"Asks the directory for NAME as a login would (alice, CORP\\alice,\n"
		"alice@corp.example), shows the account, its groups, the policy groups that\n"
		"follow from them, and whether svm-idfw knows the same. Logins do not wait for\n"
		"it. Exit code 4 when there is no such account.\n",
		1, 1,
		{ { "trace", NULL, "how each group is reached: alice -> app-dev -> eng" },
			{ "vm", "VM",
				"as a login on VM: bare names may be of another directory" } },
		ctl_run_dir_lookup, false },
	{ "scan status", "[VM]", "is all well: engines, workers, each VM's counters",
		"Shows svm-scan's state, then each VM's verdicts, and why files were let through\n"
		"or refused without one. Exit code 1 when something is not well.\n",
		0, 1, { { 0 } }, ctl_run_scan_status, true },
	{ "scan test", "VM", "EICAR saved on VM: is it found, gone, recorded?",
		"Saves the EICAR test file in the first watched place of VM and follows it. Says\n"
		"which step failed, and exits with 1 then.\n",
		1, 1, { { 0 } }, ctl_run_scan_test, true },
	{ "scan explain", "VM PATH", "what is known of a file, and what would be done",
		"Asks VM's agent and svm-scan about PATH: is it watched, excluded, remembered,\n"
		"what would a finding lead to. Nothing is scanned.\n",
		2, 2, { { 0 } }, ctl_run_scan_explain, true },
	{ "scan now", "VM PATH", "scan a file or a tree; Ctrl-C ends it",
		"Scans PATH on VM. Findings are dealt with as at any other time. Exit code 1\n"
		"when something was found, or could not be scanned.\n",
		2, 2, { { 0 } }, ctl_run_scan_now, true },
	{ "scan reload", "", "read signatures, rules and lists again",
		"New workers take over when they have loaded; on a mistake the old ones go on.\n",
		0, 0, { { 0 } }, ctl_run_scan_reload, true },
	{ "quarantine list", "[VM...]", "files in quarantine",
		"Lists what each VM holds, or these VMs, newest first. Exit code 1 when there is\n"
		"nothing.\n",
		0, CTL_POS_MAX,
		{ { "since", "TIME", "not before: 90s, 15m, 2h, 7d ago, or \"2026-01-31 08:00\"" },
			{ "until", "TIME", "not after" },
			{ "limit", "N", "the newest N (default 1000)" } },
		ctl_run_quarantine_list, true },
	{ "quarantine restore", "VM ID", "put a file back where it was",
		"It is scanned again when it is opened, unless its hash is in the allow list.\n", 2,
		2, { { 0 } }, ctl_run_quarantine_restore, true },
	{ "quarantine purge", "VM [ID]", "delete a file for good",
		"Deletes a file, or all of them with --all.\n", 1, 2,
		{ { "all", NULL, "all files in VM's quarantine" } }, ctl_run_quarantine_purge,
		true },
};

static const struct ctl_family families[] = {
	{ "policy", "check, show or commit",
		"check, show, commit: the policy in force, or a new one" },
	{ "dir", "test, status, lookup, groups, sync or collisions",
		"status, lookup, groups, sync, ...: directories, accounts" },
	{ "scan", "status, test, explain, now or reload",
		"status, test, explain, now, reload: files on VMs" },
	{ "quarantine", "list, restore or purge",
		"list, restore, purge: files that were taken away" },
};

const struct ctl_verb *ctl_verb_table(size_t *ret_n)
{
	*ret_n = GI_ARRAY_SIZE(verbs);
	return verbs;
}

const struct ctl_family *ctl_family_find(const char *word)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(families); i++)
		if (strcmp(families[i].name, word) == 0)
			return &families[i];
	return NULL;
}

void ctl_help(FILE *to)
{
	char left[80];

	fprintf(to, "usage: idfwctl [-s SOCKET] [--json] VERB [ARGUMENT...]\n\n");
	for (size_t i = 0; i < GI_ARRAY_SIZE(verbs); i++) {
		if (strchr(verbs[i].name, ' '))
			continue;
		snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].args);
		fprintf(to, "  %-19s %s\n", left, verbs[i].summary);
	}
	for (size_t i = 0; i < GI_ARRAY_SIZE(families); i++) {
		snprintf(left, sizeof(left), "%s VERB", families[i].name);
		fprintf(to, "  %-19s %s\n", left, families[i].summary);
	}
	fprintf(to,
		"\n"
		"  -s, --socket SOCKET  svm-idfw's (or IDFW_SOCKET); default %s\n"
		"      --scan-socket    svm-scan's (or IDFW_SCAN_SOCKET); %s\n"
		"  -j, --json           one JSON object a line, for programs\n"
		"  -h, --help           this text; VERB --help tells more; -V, --version: which\n"
		"exit codes: 0 done, 1 the answer is no, 2 usage, 3 the service does not answer,\n"
		"            4 no such session, VM or user, 77 permission\n",
		CTL_SOCKET_DEFAULT, CTL_SCAN_SOCKET_DEFAULT);
}

void ctl_help_family(const struct ctl_family *f, FILE *to)
{
	size_t len = strlen(f->name);
	char left[64];

	fprintf(to, "usage: idfwctl [OPTION...] %s VERB [ARGUMENT...]\n\n", f->name);
	for (size_t i = 0; i < GI_ARRAY_SIZE(verbs); i++) {
		if (strncmp(verbs[i].name, f->name, len) != 0 || verbs[i].name[len] != ' ')
			continue;
		snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].args);
		fprintf(to, "  %-24s %s\n", left, verbs[i].summary);
	}
}

void ctl_help_verb(const struct ctl_verb *v, FILE *to)
{
	char left[64];

	fprintf(to, "usage: idfwctl %s[--json] %s%s%s%s\n\n%s", v->scan ? "" : "[-s SOCKET] ",
		v->name, v->args[0] ? " " : "", v->args, v->options[0].name ? " [OPTION...]" : "",
		v->help);
	if (v->options[0].name)
		fprintf(to, "\n");
	for (const struct ctl_option *o = v->options; o->name; o++) {
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
			o->value ? o->value : "");
		fprintf(to, "  %-18s %s\n", left, o->help);
	}
}
