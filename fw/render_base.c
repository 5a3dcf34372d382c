/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * render_base.c - the chains before the rules: whose flow it is, is its mark live, who is judged
 *
 * Runs where render.c does. The base chains accept packets of live flows; all others go to
 * <dir>_flow (a mark that is not live) or <dir>_new, which put the subject's mark into meta mark,
 * and to <dir>_judge, which hands over to the rules of render_rules.c. Accepting is here again:
 * <dir>_accept, <dir>_accept_base.
 * Source: docs/adr/0003, 0014, 0015.
 */
#include "fw/render_int.h"

#include <inttypes.h>

#define LO_MARK "0xffffffff"			 /* FW_MARK_LO */
#define END_MARK "0xfffffffe"			 /* FW_MARK_END */
#define TCP_DATA "meta l4proto tcp @ih,0,8 >= 0" /* there is a first byte behind the header */
#define CG_LEVELS 4 /* depths at which a session's or service's cgroup may be */
#define NOT_SYN "meta l4proto tcp tcp flags & (fin | syn | rst | ack) != syn "

static bool rejects(const struct fw_ruleset *rs)
{
	if (rs->default_in == FW_REJECT || rs->default_out == FW_REJECT ||
		rs->revoke == FW_REVOKE_RESET)
		return true;
	for (size_t i = 0; i < rs->n_rules; i++)
		if (rs->rules[i].action == FW_REJECT)
			return true;
	return false;
}

/*
 * @live: what becomes of packets of live flows
 * @lo: how loopback is recognized
 */
static void render_hook(const char *hook, const char *live, const char *lo, const char *orig,
	const char *reply, bool with_rejects, struct gi_buf *out)
{
	gi_buf_printf(out,
		"\tchain %s {\n"
		"\t\ttype filter hook %s priority 0; policy drop;\n"
		"\t\tct mark @live %s\n"
		"\t\t%s \"lo\" ct mark 0 ct mark set " LO_MARK " accept\n"
		"\t\t%s \"lo\" accept\n"
		"\t\tct state untracked icmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } "
		"accept\n",
		hook, hook, live, lo, lo);
	if (with_rejects)
		gi_buf_printf(out,
			"\t\tct state related tcp flags & rst == rst accept\n"
			"\t\tct state related icmp type destination-unreachable accept\n"
			"\t\tct state related icmpv6 type destination-unreachable accept\n");
	gi_buf_printf(out,
		"\t\tct state related drop\n"
		"\t\tct direction reply ct mark " LO_MARK " drop\n"
		"\t\tmeta mark set 0\n"
		"\t\tct direction original goto %s\n"
		"\t\tct direction reply goto %s\n"
		"\t}\n",
		orig, reply);
}

/*
 * @anew: the packets of a flow with a dead mark that are judged as if they began one
 * @subject: what turns meta mark from the base mark into the subject's, for a flow whose
 * old mark was a base mark
 */
static void render_flow(const char *dir, const char *first, const char *anew, const char *subject,
	bool reset, struct gi_buf *out)
{
	gi_buf_printf(out,
		"\tchain %s_flow {\n"
		"\t\tct mark { 0, " LO_MARK " } goto %s_new\n"
		"\t\tmeta mark set ct mark map @remark meta mark != @base goto %s_judge\n"
		"%s"
		"\t\tmeta mark 0 %s\n"
		"%s"
		"\t\tgoto %s_judge\n"
		"\t}\n",
		dir, dir, dir, anew, reset ? "goto revoked" : "drop", subject, dir);
	gi_buf_printf(out,
		"\tchain %s_new {\n"
		"%s"
		"\t\tmeta mark set meta nfproto map @base_mark\n"
		"%s"
		"\t\tgoto %s_judge\n"
		"\t}\n",
		dir, first, subject, dir);
}

static void render_judge(const char *dir, uint64_t rules_hash, struct gi_buf *out)
{
	gi_buf_printf(out,
		"\tchain %s_judge {\n"
		"\t\tjump lapse\n"
		"\t\tmeta mark 0 drop\n"
		"\t\tmeta nfproto != @gen_%016" PRIx64 " drop\n"
		"\t\tgoto %s_rules\n"
		"\t}\n",
		dir, rules_hash, dir);
	gi_buf_printf(out,
		"\tchain %s_accept {\n"
		"\t\tmeta mark @live ct mark set meta mark accept\n"
		"\t\tdrop\n"
		"\t}\n"
		"\tchain %s_accept_base {\n"
		"\t\tct mark set meta nfproto map @base_mark meta nfproto @gen_%016" PRIx64
		" accept\n"
		"\t\tct mark set 0 drop\n"
		"\t}\n",
		dir, dir, rules_hash);
}

/*
 * Ports and ICMP identifiers are free again when their socket is closed, and conntrack knows the
 * flow for longer: the next to take them may be another user. So an outgoing packet that could
 * begin a flow (all but TCP without SYN) must come from the owner of the flow's mark: the subject
 * of its socket must have this very mark now, or have had it when the mark began to drain. Else it
 * is judged as a new one, by its own subject, whatever mark the flow has.
 */
static void render_live(struct gi_buf *out)
{
	gi_buf_printf(out, "\tchain out_live {\n"
			   "\t\tct direction reply accept\n"
			   "\t\t" NOT_SYN "accept\n"
			   "\t\tct mark @base accept\n"
			   "\t\toifname \"lo\" accept\n"
			   "\t\tct state related accept\n"
			   "\t\tmeta mark set 0\n"
			   "\t\tmeta mark set meta nfproto map @base_mark\n"
			   "\t\tjump out_subject\n"
			   "\t\tjump lapse\n"
			   "\t\tmeta mark . ct mark @own accept\n"
			   "\t\tmeta skuid . ct mark @" FW_DRAIN_UID_NAME " accept\n");
	for (int level = CG_LEVELS; level >= 1; level--)
		gi_buf_printf(out,
			"\t\tsocket cgroupv2 level %d . ct mark @" FW_DRAIN_CG_NAME " accept\n",
			level);
	gi_buf_printf(out, "\t\tgoto out_judge\n"
			   "\t}\n"
			   "\tchain out_begin {\n"
			   "\t\t" NOT_SYN "goto out_flow\n"
			   "\t\tgoto out_new\n"
			   "\t}\n");
}

/* who a packet of ours is from: the deepest cgroup that is somebody, else the socket's uid */
static void render_subject(const char *cg_name, struct gi_buf *out)
{
	gi_buf_printf(out, "\tchain out_subject {\n");
	for (int level = CG_LEVELS; level >= 1; level--)
		gi_buf_printf(out, "\t\tmeta mark set socket cgroupv2 level %d map @%s return\n",
			level, cg_name);
	gi_buf_printf(out, "\t\tmeta mark set meta skuid map @uid_mark\n\t}\n");
}

/* a mark that is not live gives way to what stands in for it */
static void render_lapse(struct gi_buf *out)
{
	gi_buf_printf(out, "\tchain lapse {\n\t\tmeta mark @live return\n");
	for (int i = 0; i < FW_LAPSES_MAX; i++)
		gi_buf_printf(out, "\t\tmeta mark set meta mark map @remark "
				   "meta mark @live return\n");
	gi_buf_printf(out, "\t}\n");
}

/*
 * A running flow that is not allowed any more is told so, at both ends. The first TCP segment that
 * will be sent again if nobody takes it (data, FIN) is turned into a reset with its sequence
 * number, for its receiver, who may only listen; what else comes or goes, or comes again, is
 * answered with a reset or an unreachable, for its sender. A bare ACK is answered: its sender may
 * not send another packet, and what it acknowledged will be sent again. Resets pass. Not when it is
 * only that this packet came between two rulesets or two marks, or that another one was quicker:
 * that one is dropped and sent again, as ever.
 */
static void render_reset(uint64_t rules_hash, struct gi_buf *out)
{
	gi_buf_printf(out,
		"\tchain refuse {\n"
		"\t\tct mark { 0, " LO_MARK " } drop\n"
		"\t\tmeta mark != @live drop\n"
		"\t\tmeta nfproto != @gen_%016" PRIx64 " drop\n"
		"\t\tgoto revoked\n"
		"\t}\n"
		"\tchain revoked {\n"
		"\t\tct mark @live drop\n"
		"\t\ttcp flags & rst == rst accept\n"
		"\t\tct mark != " END_MARK
		" tcp flags & fin == fin tcp flags set rst ct mark set " END_MARK " accept\n"
		"\t\tct mark != " END_MARK " " TCP_DATA " tcp flags set rst ct mark set " END_MARK
		" accept\n"
		"\t\tmeta l4proto tcp reject with tcp reset\n"
		"\t\treject with icmpx admin-prohibited\n"
		"\t}\n",
		rules_hash);
}

/*
 * Whose an inbound flow is, its source address says, for a new one and for an old one alike. So
 * what could begin a flow loses nothing by an old entry of the same ports with a mark that nothing
 * leads to any more, and a client that keeps its port is not shut out for as long as it goes on
 * trying: present rules decide. (Outgoing ones are judged so before they come here: out_begin.)
 */
static const char in_anew[] =
	"\t\tmeta mark 0 ct direction original meta l4proto != tcp goto in_new\n"
	"\t\tmeta mark 0 ct direction original tcp flags & (fin | syn | rst | ack) == syn goto "
	"in_new\n";

void fw_render_base(
	const struct fw_ruleset *rs, const char *cg_name, uint64_t rules_hash, struct gi_buf *out)
{
	bool reset = rs->revoke == FW_REVOKE_RESET;

	render_hook("output", "goto out_live", "oifname", "out_begin", "in_flow", rejects(rs), out);
	render_hook("input", "accept", "iifname", "in_flow", "out_flow", false, out);
	render_live(out);
	render_subject(cg_name, out);
	render_lapse(out);
	render_flow("out", "", "", "\t\tjump out_subject\n", reset, out);
	render_judge("out", rules_hash, out);
	render_flow("in",
		"\t\tmeta l4proto tcp ct state new tcp flags & (fin | syn | rst | ack) != syn "
		"drop\n",
		in_anew,
		"\t\tmeta mark set ct original ip saddr map @addr4_mark\n"
		"\t\tmeta mark set ct original ip6 saddr map @addr6_mark\n",
		reset, out);
	render_judge("in", rules_hash, out);
	if (reset)
		render_reset(rules_hash, out);
}
