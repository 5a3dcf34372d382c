/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rights.c - who may send which body in which state: one table row a message
 *
 * Every receiver asks here before it looks into a message, so a program that took over one end
 * can say nothing that this end never says. docs/wire.md prints the same table; the unit test
 * holds its own copy.
 */
#include "lib/wire/check.h"

#define BIT(sender) (1u << (sender))
#define AGENT BIT(WIRE_AGENT)
#define TO_AGENT BIT(WIRE_SVM_TO_AGENT)
#define CTL BIT(WIRE_CTL)
#define TO_CTL BIT(WIRE_SVM_TO_CTL)
#define DIR_CHILD BIT(WIRE_DIR_CHILD)
#define TO_DIR BIT(WIRE_SVM_TO_DIR)
#define FILE_AGENT BIT(WIRE_FILE_AGENT)
#define TO_FILE BIT(WIRE_SCAN_TO_AGENT)
#define SCAN BIT(WIRE_SCAN)
#define TO_SCAN BIT(WIRE_SVM_TO_SCAN)
#define WORKER BIT(WIRE_SCAN_WORKER)
#define TO_WORKER BIT(WIRE_SCAN_TO_WORKER)
#define GREETED (TO_AGENT | TO_FILE | TO_SCAN) /* services, to who opens with a Hello */
#define PINGS (AGENT | FILE_AGENT | SCAN | GREETED)

struct right {
	int body;
	const char *name;
	unsigned int first, later; /* senders: as their first message, after it */
};

static const struct right rights[] = {
	{ IDFW__ENVELOPE__BODY_HELLO, "Hello", AGENT | CTL | FILE_AGENT | SCAN, 0 },
	{ IDFW__ENVELOPE__BODY_HELLO_ACK, "HelloAck", GREETED | TO_CTL, 0 },
	{ IDFW__ENVELOPE__BODY_REFUSED, "Refused", GREETED | TO_CTL, GREETED | TO_CTL },
	{ IDFW__ENVELOPE__BODY_PING, "Ping", TO_DIR, PINGS | TO_DIR },
	{ IDFW__ENVELOPE__BODY_PONG, "Pong", DIR_CHILD, PINGS | DIR_CHILD },
	{ IDFW__ENVELOPE__BODY_EVENT, "Event", 0, AGENT },
	{ IDFW__ENVELOPE__BODY_EVENT_ACK, "EventAck", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_SNAPSHOT, "Snapshot", 0, AGENT },
	{ IDFW__ENVELOPE__BODY_RULESET_BEGIN, "RulesetBegin", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_RULESET_PART, "RulesetPart", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_RULESET_COMMIT, "RulesetCommit", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_DELTA, "Delta", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_SESSION_READY, "SessionReady", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_KICK, "Kick", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_APPLIED, "Applied", 0, AGENT },
	{ IDFW__ENVELOPE__BODY_MARKS, "Marks", 0, AGENT },
	{ IDFW__ENVELOPE__BODY_LEASE, "Lease", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_SERVICE_WATCH, "ServiceWatch", 0, TO_AGENT },
	{ IDFW__ENVELOPE__BODY_ALARM, "Alarm", 0, AGENT },
	/* idfwctl comes with the same package: its Hello is welcome, not demanded */
	{ IDFW__ENVELOPE__BODY_CTL_REQUEST, "CtlRequest", CTL, CTL },
	{ IDFW__ENVELOPE__BODY_CTL_DATA, "CtlData", 0, CTL },
	{ IDFW__ENVELOPE__BODY_CTL_ROW, "CtlRow", TO_CTL, TO_CTL },
	{ IDFW__ENVELOPE__BODY_CTL_TEXT, "CtlText", TO_CTL, TO_CTL },
	{ IDFW__ENVELOPE__BODY_CTL_END, "CtlEnd", TO_CTL, TO_CTL },
	/* the directory child is the same binary on a socketpair: no handshake */
	{ IDFW__ENVELOPE__BODY_DIR_LOOKUP, "DirLookup", TO_DIR, TO_DIR },
	{ IDFW__ENVELOPE__BODY_DIR_RESULT, "DirResult", DIR_CHILD, DIR_CHILD },
	{ IDFW__ENVELOPE__BODY_DIR_CHANGED, "DirChanged", DIR_CHILD, DIR_CHILD },
	{ IDFW__ENVELOPE__BODY_DIR_STATE, "DirState", DIR_CHILD, DIR_CHILD },
	{ IDFW__ENVELOPE__BODY_DIR_SERVERS, "DirServers", DIR_CHILD, DIR_CHILD },
	{ IDFW__ENVELOPE__BODY_DIR_QUERY, "DirQuery", TO_DIR, TO_DIR },
	{ IDFW__ENVELOPE__BODY_DIR_SYNC, "DirSync", TO_DIR, TO_DIR },
	{ IDFW__ENVELOPE__BODY_DIR_REPORT, "DirReport", DIR_CHILD, DIR_CHILD },
	{ IDFW__ENVELOPE__BODY_SCAN_SETTINGS, "ScanSettings", 0, TO_FILE },
	{ IDFW__ENVELOPE__BODY_FILE_EVENT, "FileEvent", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_READ, "FileRead", 0, TO_FILE },
	{ IDFW__ENVELOPE__BODY_FILE_DATA, "FileData", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_WRITE, "FileWrite", 0, TO_FILE },
	{ IDFW__ENVELOPE__BODY_FILE_WROTE, "FileWrote", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_VERDICT, "FileVerdict", 0, TO_FILE },
	{ IDFW__ENVELOPE__BODY_FILE_DONE, "FileDone", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_CANCEL, "FileCancel", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_REPORT, "FileReport", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_REPORT_ACK, "FileReportAck", 0, TO_FILE },
	{ IDFW__ENVELOPE__BODY_FILE_COUNTERS, "FileCounters", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_FILE_COMMAND, "FileCommand", 0, TO_FILE },
	{ IDFW__ENVELOPE__BODY_FILE_REPLY, "FileReply", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_LOG_LINE, "LogLine", 0, FILE_AGENT },
	{ IDFW__ENVELOPE__BODY_SCAN_RECORD, "ScanRecord", 0, SCAN },
	{ IDFW__ENVELOPE__BODY_SCAN_ACK, "ScanAck", 0, TO_SCAN },
	/* a scan worker hangs on a socketpair: no handshake, but it says first whether it can work
	 */
	{ IDFW__ENVELOPE__BODY_SCAN_READY, "ScanReady", WORKER, 0 },
	{ IDFW__ENVELOPE__BODY_SCAN_NEED, "ScanNeed", 0, WORKER },
	{ IDFW__ENVELOPE__BODY_SCAN_RESULT, "ScanResult", 0, WORKER },
	{ IDFW__ENVELOPE__BODY_SCAN_JOB, "ScanJob", TO_WORKER, TO_WORKER },
	{ IDFW__ENVELOPE__BODY_SCAN_BYTES, "ScanBytes", 0, TO_WORKER },
};

static const struct right *right_find(int body)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(rights); i++)
		if (rights[i].body == body)
			return &rights[i];
	return NULL;
}

bool wire_may_send(enum wire_sender who, enum wire_state state, int body_case)
{
	const struct right *r = right_find(body_case);

	if (!r || (unsigned int)who >= WIRE_SENDERS)
		return false;
	return ((state == WIRE_NEW ? r->first : r->later) & BIT(who)) != 0;
}

const char *wire_body_name(int body_case)
{
	const struct right *r = right_find(body_case);

	return r ? r->name : "nothing";
}

#define MUX 1u
#define SVM 2u

static const struct right routed_rights[] = {
	{ IDFW__ROUTED__BODY_HELLO, "Hello", MUX, 0 },
	{ IDFW__ROUTED__BODY_HELLO_ACK, "HelloAck", SVM, 0 },
	{ IDFW__ROUTED__BODY_REFUSED, "Refused", SVM, SVM },
	{ IDFW__ROUTED__BODY_PING, "Ping", 0, MUX | SVM },
	{ IDFW__ROUTED__BODY_PONG, "Pong", 0, MUX | SVM },
	{ IDFW__ROUTED__BODY_ENVELOPE, "envelope", 0, MUX | SVM },
	{ IDFW__ROUTED__BODY_UP, "VmUp", 0, MUX },
	{ IDFW__ROUTED__BODY_DOWN, "VmDown", 0, MUX },
	{ IDFW__ROUTED__BODY_CLOSE, "VmClose", 0, SVM },
};

bool wire_may_send_routed(bool from_mux, enum wire_state state, int body_case)
{
	unsigned int who = from_mux ? MUX : SVM;

	for (size_t i = 0; i < GI_ARRAY_SIZE(routed_rights); i++) {
		const struct right *r = &routed_rights[i];

		if (r->body == body_case)
			return ((state == WIRE_NEW ? r->first : r->later) & who) != 0;
	}
	return false;
}
