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

struct right {
	int body;
	const char *name;
	unsigned int first, later; /* senders: as their first message, after it */
};

static const struct right rights[] = {
	{ IDFW__ENVELOPE__BODY_HELLO, "Hello", AGENT | CTL, 0 },
	{ IDFW__ENVELOPE__BODY_HELLO_ACK, "HelloAck", TO_AGENT | TO_CTL, 0 },
	{ IDFW__ENVELOPE__BODY_REFUSED, "Refused", TO_AGENT | TO_CTL, TO_AGENT | TO_CTL },
	{ IDFW__ENVELOPE__BODY_PING, "Ping", TO_DIR, AGENT | TO_AGENT | TO_DIR },
	{ IDFW__ENVELOPE__BODY_PONG, "Pong", DIR_CHILD, AGENT | TO_AGENT | DIR_CHILD },
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

	if (!r || (unsigned int)who > WIRE_SVM_TO_DIR)
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
