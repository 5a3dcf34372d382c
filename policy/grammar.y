/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * grammar.y - the policy language's grammar
 *
 * Reads tokens of lib/conf's lexer, turns words into keywords, builds the tree by pol_tree_*().
 * Texts live on the policy's arena, so a discarded token needs no destructor. After an error the
 * parser goes on behind the next ";" or the "}" that closes the block, so one run shows all
 * mistakes. Pure and reentrant. Runs in svm-idfw and in idfwctl (policy check).
 * Source: docs/policy.md; Bison manual "Error Recovery", "LAC".
 */
%define api.pure full
%define api.prefix {pol_yy}
%define api.location.type {struct conf_pos}
%define lr.type ielr
%define parse.lac full
%define parse.error custom
%locations
%param { struct pol_parser *ctx }

%code top {
/* no statement needs a tenth of it, and what nests deeper is refused: the stack never moves */
#define YYINITDEPTH 200
#define YYMAXDEPTH 200
}

%code requires {
#include "policy/tree.h"

#define YYLLOC_DEFAULT(cur, rhs, n)                                                                \
	do {                                                                                       \
		if (n) {                                                                           \
			(cur).line = YYRHSLOC(rhs, 1).line;                                        \
			(cur).col = YYRHSLOC(rhs, 1).col;                                          \
			(cur).end_line = YYRHSLOC(rhs, n).end_line;                                \
			(cur).end_col = YYRHSLOC(rhs, n).end_col;                                  \
		} else {                                                                           \
			(cur).line = (cur).end_line = YYRHSLOC(rhs, 0).end_line;                   \
			(cur).col = (cur).end_col = YYRHSLOC(rhs, 0).end_col;                      \
		}                                                                                  \
	} while (0)
}

%code {
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static int pol_yylex(POL_YYSTYPE *val, struct conf_pos *pos, struct pol_parser *ctx);
static void pol_yyerror(const struct conf_pos *pos, struct pol_parser *ctx, const char *text);
static void broken(struct pol_parser *ctx);
}

%initial-action { @$ = (struct conf_pos){ 1, 1, 1, 1 }; }

%union {
	const char *text;
	uint64_t number;
	struct gi_prefix prefix;
	enum pol_kind kind;
	enum fw_action action;
	enum fw_dir dir;
	uint8_t proto;
	struct pol_how how;
	struct pol_time time;
}

%token END 0 "end of file"
%token <text> WORD "name" STRING "string"
%token <number> NUMBER "number"
%token <prefix> PREFIX "prefix"
%token <text> ADDRESS "address" ALLOW "allow" ANY "any" DEFAULT "default" DIRECTORY "directory"
%token <text> DIRECTORY_DN "directory-dn" DIRECTORY_SID "directory-sid" DISABLED "disabled"
%token <text> DROP "drop" FROM "from" GROUP "group" ICMP "icmp" ICMPV6 "icmpv6" IN "in" LOG "log"
%token <text> LOGINS "logins" ON "on" ON_LOSS "on-loss" ON_REVOKE "on-revoke" ON_STALE "on-stale"
%token <text> OUT "out" PROTO "proto" REJECT "reject" RULE "rule" SECTION "section"
%token <text> SERVICE "service" TCP "tcp" TO "to" UDP "udp" UID "uid" UNIT "unit" USER "user"
%token <text> VM "vm"

%type <text> ident text rule_name
%type <kind> text_kind
%type <action> action
%type <dir> direction
%type <proto> port_proto icmp_proto
%type <how> how revoke_how
%type <time> time

%%

policy:
	%empty
|	policy statement
;

statement:
	DEFAULT direction action ';'	{ pol_tree_default(ctx, $direction, $action, @$); }
|	ON_LOSS how ';'	{ pol_session_on_loss(ctx, false, &$how, @$); }
|	ON_STALE how ';'	{ pol_session_on_stale(ctx, false, &$how, @$); }
|	ON_REVOKE revoke_how ';'	{ pol_session_on_revoke(ctx, &$revoke_how, @$); }
|	logins
|	group_head '{' members '}'
|	group_head '{' members error '}'	{ pol_tree_group_broken(ctx); yyerrok; }
|	service_head '{' items '}'
|	service_head '{' items error '}'	{ pol_tree_service_broken(ctx); yyerrok; }
|	section_head '{' rules '}'
|	section_head '{' rules error '}'	{ yyerrok; }
|	error ';'	{ broken(ctx); yyerrok; }
|	error '{' junk '}'	{ broken(ctx); yyerrok; }
|	error '}'	{ broken(ctx); yyerrok; }
;

/* what stands in the block of a statement that was not understood */
junk:
	%empty
|	junk junk_item
;

junk_item:
	WORD | STRING | NUMBER | PREFIX | ADDRESS | ALLOW | ANY | DEFAULT | DIRECTORY | DIRECTORY_DN
|	DIRECTORY_SID | DISABLED | DROP | FROM | GROUP | ICMP | ICMPV6 | IN | LOG | LOGINS | ON
|	ON_LOSS | ON_REVOKE | ON_STALE | OUT | PROTO | REJECT | RULE | SECTION | SERVICE | TCP | TO | UDP | UID
|	UNIT | USER | VM
|	';' | ',' | '-' | '(' | ')' | '=' | ':' | '/' | '!' | '{' junk '}'
;

direction:
	IN	{ $$ = FW_IN; }
|	OUT	{ $$ = FW_OUT; }
;

action:
	ALLOW	{ $$ = FW_ACCEPT; }
|	DROP	{ $$ = FW_DROP; }
|	REJECT	{ $$ = FW_REJECT; }
;

/* words that are keywords only elsewhere may name services and rules */
ident:
	WORD | ICMP | ICMPV6 | TCP | UDP | DIRECTORY | USER | VM | UNIT | UID | LOGINS | ON
;

text:
	WORD | STRING
;

/* ---- on-loss hold TIME; on-revoke drain TIME; on-stale hold TIME; words: where they are used ---- */

how:
	WORD	{ $$ = (struct pol_how){ .word = $WORD, .pos = @WORD }; }
|	WORD time	{ $$ = (struct pol_how){ $WORD, @WORD, true, $time }; }
;

revoke_how:
	how
|	DROP	{ $$ = (struct pol_how){ .word = $DROP, .pos = @DROP }; }
;

time:
	NUMBER WORD	{ $$ = (struct pol_time){ $NUMBER, $WORD, @$ }; }
|	NUMBER	{ $$ = (struct pol_time){ $NUMBER, "", @$ }; }
;

/* ---- logins NAME allow PEERS on PEERS; ---- */

logins:
	LOGINS rule_name	{ pol_session_logins(ctx, $rule_name, @rule_name); }
	ALLOW peers	{ ctx->rule.from_pos = @5; ctx->to = true; }
	ON peers ';'	{ ctx->rule.to_pos = @8; pol_session_logins_end(ctx); }
;

/* ---- group NAME { KIND member, member...; ... } ---- */

group_head:
	GROUP WORD	{ pol_tree_group(ctx, $WORD, @WORD); }
;

members:
	%empty
|	members member
;

member:
	text_kind { ctx->kind = $text_kind; } texts ';'
|	ADDRESS { ctx->kind = POL_K_NET; } prefixes ';'
|	GROUP { ctx->kind = POL_K_GROUP; } group_names ';'
|	UID uids ';'
|	ON_LOSS how ';'	{ pol_session_on_loss(ctx, true, &$how, @$); }
|	ON_STALE how ';'	{ pol_session_on_stale(ctx, true, &$how, @$); }
|	error ';'	{ pol_tree_group_broken(ctx); yyerrok; }
;

text_kind:
	DIRECTORY	{ $$ = POL_K_DIRECTORY; }
|	DIRECTORY_DN	{ $$ = POL_K_DIRECTORY_DN; }
|	DIRECTORY_SID	{ $$ = POL_K_DIRECTORY_SID; }
|	USER	{ $$ = POL_K_USER; }
|	VM	{ $$ = POL_K_VM; }
|	UNIT	{ $$ = POL_K_UNIT; }
;

texts:
	text	{ pol_tree_member(ctx, $text, NULL, @text); }
|	texts ',' text	{ pol_tree_member(ctx, $text, NULL, @text); }
;

prefixes:
	PREFIX	{ pol_tree_member(ctx, NULL, &$PREFIX, @PREFIX); }
|	prefixes ',' PREFIX	{ pol_tree_member(ctx, NULL, &$PREFIX, @PREFIX); }
;

group_names:
	WORD	{ pol_tree_member(ctx, $WORD, NULL, @WORD); }
|	group_names ',' WORD	{ pol_tree_member(ctx, $WORD, NULL, @WORD); }
;

uids:
	NUMBER	{ pol_tree_member_uid(ctx, $NUMBER, @NUMBER); }
|	uids ',' NUMBER	{ pol_tree_member_uid(ctx, $NUMBER, @NUMBER); }
;

/* ---- service NAME { PROTOCOL port, port-port...; ... } ---- */

service_head:
	SERVICE ident	{ pol_tree_service(ctx, $ident, @ident); }
;

items:
	%empty
|	items item
;

item:
	port_proto { ctx->proto = $port_proto; } ports ';'
|	icmp_proto { ctx->proto = $icmp_proto; } types ';'
|	PROTO protos ';'
|	error ';'	{ pol_tree_service_broken(ctx); yyerrok; }
;

port_proto:
	TCP	{ $$ = IPPROTO_TCP; }
|	UDP	{ $$ = IPPROTO_UDP; }
;

icmp_proto:
	ICMP	{ $$ = IPPROTO_ICMP; }
|	ICMPV6	{ $$ = IPPROTO_ICMPV6; }
;

ports:
	port
|	ports ',' port
;

port:
	NUMBER	{ pol_service_add_ports(ctx, $1, $1, @$); }
|	NUMBER '-' NUMBER	{ pol_service_add_ports(ctx, $1, $3, @$); }
|	ANY	{ pol_service_add_any(ctx); }
;

types:
	type
|	types ',' type
;

type:
	WORD	{ pol_service_add_type(ctx, $WORD, 0, @$); }
|	NUMBER	{ pol_service_add_type(ctx, NULL, $NUMBER, @$); }
|	ANY	{ pol_service_add_any(ctx); }
;

protos:
	NUMBER	{ pol_service_add_proto(ctx, $1, @1); }
|	protos ',' NUMBER	{ pol_service_add_proto(ctx, $3, @3); }
;

/* ---- section NAME { rule NAME [disabled] ACTION from PEERS to PEERS [service S] [log]; } ---- */

section_head:
	SECTION WORD	{ pol_tree_section(ctx, $WORD, @WORD); }
;

rules:
	%empty
|	rules rule
;

rule:
	rule_head disabled action	{ ctx->rule.action = $action; }
	FROM peers	{ ctx->rule.from_pos = @6; ctx->to = true; }
	TO peers	{ ctx->rule.to_pos = @9; }
	options ';'	{ pol_tree_rule_end(ctx); }
|	error ';'	{ yyerrok; }
;

rule_head:
	RULE rule_name	{ pol_tree_rule(ctx, $rule_name, @rule_name); }
;

rule_name:
	ident
;

disabled:
	%empty
|	DISABLED	{ ctx->rule.disabled = true; }
;

peers:
	peer
|	peers ',' peer
;

peer:
	ANY	{ pol_tree_peer_any(ctx); }
|	WORD	{ pol_tree_peer(ctx, POL_K_GROUP, $WORD, NULL, @$); }
|	PREFIX	{ pol_tree_peer(ctx, POL_K_NET, NULL, &$PREFIX, @$); }
|	text_kind text	{ pol_tree_peer(ctx, $text_kind, $text, NULL, @text); }
|	UID NUMBER	{ pol_tree_peer_uid(ctx, $NUMBER, @NUMBER); }
;

options:
	%empty
|	options option
;

option:
	LOG	{ ctx->rule.log = true; }
|	SERVICE services	{ ctx->rule.service_pos = @services; }
;

services:
	service_ref
|	services ',' service_ref
;

service_ref:
	WORD	{ pol_tree_svcref(ctx, $WORD, NULL, @$); }
|	ANY	{ ctx->rule.any_service = true; }
|	icmp_proto	{ pol_tree_svcref(ctx, $1 == IPPROTO_ICMP ? "icmp" : "icmpv6", NULL, @$); }
|	port_proto { ctx->proto = $1; } inline_ports
|	icmp_proto WORD	{
		struct fw_service s;

		ctx->proto = $1;
		if (pol_service_icmp(ctx, $2, @2, &s))
			pol_tree_svcref(ctx, NULL, &s, @$);
	}
;

inline_ports:
	NUMBER	{
		struct fw_service s;

		if (pol_service_ports(ctx, $1, $1, @$, &s))
			pol_tree_svcref(ctx, NULL, &s, @$);
	}
|	NUMBER '-' NUMBER	{
		struct fw_service s;

		if (pol_service_ports(ctx, $1, $3, @$, &s))
			pol_tree_svcref(ctx, NULL, &s, @$);
	}
|	ANY	{
		struct fw_service s = pol_service_any(ctx->proto);

		pol_tree_svcref(ctx, NULL, &s, @$);
	}
;

%%

static const struct {
	const char *word;
	int token;
} keywords[] = {
	{ "address", ADDRESS }, { "allow", ALLOW }, { "any", ANY }, { "default", DEFAULT },
	{ "directory", DIRECTORY }, { "directory-dn", DIRECTORY_DN },
	{ "directory-sid", DIRECTORY_SID }, { "disabled", DISABLED }, { "drop", DROP },
	{ "from", FROM }, { "group", GROUP }, { "icmp", ICMP }, { "icmpv6", ICMPV6 }, { "in", IN },
	{ "log", LOG }, { "logins", LOGINS }, { "on", ON }, { "on-loss", ON_LOSS },
	{ "on-revoke", ON_REVOKE }, { "on-stale", ON_STALE }, { "out", OUT }, { "proto", PROTO }, { "reject", REJECT }, { "rule", RULE },
	{ "section", SECTION }, { "service", SERVICE }, { "tcp", TCP }, { "to", TO },
	{ "udp", UDP }, { "uid", UID }, { "unit", UNIT }, { "user", USER }, { "vm", VM },
};

static int word_token(const char *word)
{
	for (size_t i = 0; i < GI_ARRAY_SIZE(keywords); i++) {
		if (strcmp(keywords[i].word, word) == 0)
			return keywords[i].token;
	}
	return WORD;
}

static int next_token(POL_YYSTYPE *val, struct conf_pos *pos, struct pol_parser *ctx)
{
	int kind;

	ctx->last = ctx->tok.pos;
	kind = conf_lexer_next(ctx->lex, &ctx->tok);
	*pos = ctx->tok.pos;
	if (kind < 0)
		ctx->err = kind;
	if (ctx->err)
		return END;
	switch (kind) {
	case CONF_WORD:
	case CONF_STRING:
		val->text = pol_strdup(ctx->p, ctx->tok.text);
		if (!val->text) {
			ctx->err = -ENOMEM;
			return END;
		}
		return kind == CONF_STRING ? STRING : word_token(val->text);
	case CONF_NUMBER:
		val->number = ctx->tok.number;
		return NUMBER;
	case CONF_PREFIX:
		val->prefix = ctx->tok.prefix;
		return PREFIX;
	case CONF_BAD:
		return POL_YYerror; /* the lexer has said why */
	default:
		return kind; /* punctuation and the end */
	}
}

static int pol_yylex(POL_YYSTYPE *val, struct conf_pos *pos, struct pol_parser *ctx)
{
	ctx->before = ctx->token;
	ctx->token = next_token(val, pos, ctx);
	return ctx->token;
}

/* only for what is no syntax error: the parser's stack is full */
static void pol_yyerror(const struct conf_pos *pos, struct pol_parser *ctx, const char *text)
{
	(void)text;
	conf_diag_add(ctx->diags, CONF_ERROR, pos, "blocks are nested too deeply here");
}

/* a statement ended early: if it was a group or service, it may be empty for that reason alone */
static void broken(struct pol_parser *ctx)
{
	pol_tree_group_broken(ctx);
	pol_tree_service_broken(ctx);
}

/* a symbol as the user knows it */
static const char *symbol_text(yysymbol_kind_t kind, char buf[32])
{
	switch (kind) {
	case YYSYMBOL_YYEOF:
		return "the end of the file";
	case YYSYMBOL_WORD:
		return "a name";
	case YYSYMBOL_STRING:
		return "a string";
	case YYSYMBOL_NUMBER:
		return "a number";
	case YYSYMBOL_PREFIX:
		return "an address";
	default:
		if (yysymbol_name(kind)[0] == '\'')
			snprintf(buf, 32, "\"%c\"", yysymbol_name(kind)[1]);
		else
			snprintf(buf, 32, "\"%s\"", yysymbol_name(kind));
		return buf;
	}
}

static bool expects(const yysymbol_kind_t *expected, int n, yysymbol_kind_t kind)
{
	for (int i = 0; i < n; i++) {
		if (expected[i] == kind)
			return true;
	}
	return false;
}

/* characters are named in single quotes */
static bool is_char(yysymbol_kind_t kind, char c)
{
	const char *name = yysymbol_name(kind);

	return name[0] == '\'' && name[1] == c;
}

static bool expects_char(const yysymbol_kind_t *expected, int n, char c)
{
	for (int i = 0; i < n; i++) {
		if (is_char(expected[i], c))
			return true;
	}
	return false;
}

static void expected_text(const struct pol_parser *ctx, const yysymbol_kind_t *expected, int n,
	struct gi_buf *out)
{
	char buf[32];

	if (ctx->before == ON_LOSS || ctx->before == ON_REVOKE || ctx->before == ON_STALE) {
		gi_buf_printf(out, "; expected %s", /* words that are no keywords */
			ctx->before == ON_LOSS	   ? POL_LOSS_WORDS
			: ctx->before == ON_REVOKE ? POL_REVOKE_WORDS
						   : POL_STALE_WORDS);
		return;
	}
	if (expects(expected, n, YYSYMBOL_WORD) && expects(expected, n, YYSYMBOL_TCP) &&
		expects(expected, n, YYSYMBOL_VM)) {
		gi_buf_printf(out, "; expected a name"); /* an ident: any word that is free here */
		return;
	}
	for (int i = 0; i < n; i++)
		gi_buf_printf(out, "%s%s", i == 0 ? "; expected " : i == n - 1 ? " or " : ", ",
			symbol_text(expected[i], buf));
}

static const char *nearest_keyword(const char *word, const yysymbol_kind_t *expected, int n)
{
	const char *words[YYNTOKENS];
	size_t n_words = 0;

	for (int i = 0; i < n; i++) {
		const char *name = yysymbol_name(expected[i]);

		if (word_token(name) != WORD)
			words[n_words++] = name;
	}
	return conf_suggest(word, words, n_words);
}

/* "unexpected a string": no; the article goes */
static const char *got_text(const struct pol_parser *ctx, yysymbol_kind_t got, char buf[32])
{
	switch (got) {
	case YYSYMBOL_YYEOF:
		return "end of the file";
	case YYSYMBOL_STRING:
		return "string";
	case YYSYMBOL_NUMBER:
	case YYSYMBOL_PREFIX:
		return ctx->tok.text;
	default:
		return symbol_text(got, buf);
	}
}

/* the mistakes that are made most, in words of their own; false: it is none of them */
static bool report_missing(struct pol_parser *ctx, const struct conf_pos *pos, yysymbol_kind_t got,
	const yysymbol_kind_t *expected, int n)
{
	struct conf_pos behind = { ctx->last.end_line, ctx->last.end_col, ctx->last.end_line,
		ctx->last.end_col + 1 };

	if (got == YYSYMBOL_YYEOF && expects_char(expected, n, '}')) {
		conf_diag_add(ctx->diags, CONF_ERROR, &behind,
			"a block is not closed: missing \"}\" before the end of the file");
		return true;
	}
	if (expects_char(expected, n, ';') &&
		(is_char(got, '}') || got == YYSYMBOL_YYEOF || pos->line > ctx->last.end_line)) {
		conf_diag_add(ctx->diags, CONF_ERROR, &behind, "missing \";\"");
		return true;
	}
	return false;
}

static int yyreport_syntax_error(const yypcontext_t *yyctx, struct pol_parser *ctx)
{
	yysymbol_kind_t expected[YYNTOKENS];
	yysymbol_kind_t got = yypcontext_token(yyctx);
	const struct conf_pos *pos = yypcontext_location(yyctx);
	int n = yypcontext_expected_tokens(yyctx, expected, YYNTOKENS);
	const char *near = NULL;
	struct gi_buf words;
	char buf[32];

	if (ctx->err || n < 0 || report_missing(ctx, pos, got, expected, n))
		return 0;
	gi_buf_init(&words, 1024);
	if (got == YYSYMBOL_WORD)
		near = nearest_keyword(ctx->tok.text, expected, n);
	if (near)
		gi_buf_printf(&words, "; did you mean \"%s\"?", near);
	else
		expected_text(ctx, expected, n, &words);
	if (got == YYSYMBOL_WORD)
		conf_diag_add(ctx->diags, CONF_ERROR, pos, "unexpected \"%s\"%s", ctx->tok.text,
			gi_buf_str(&words));
	else
		conf_diag_add(ctx->diags, CONF_ERROR, pos, "unexpected %s%s",
			got_text(ctx, got, buf), gi_buf_str(&words));
	gi_buf_fini(&words);
	return 0;
}
