/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fuzz_dirber.c - a directory server that says anything at all: BER through libldap, and our code
 *
 * The child's own reading functions (dirad.c, dirclimb.c, dirgroupread.c, diropenldap.c, dirsync.c,
 * dirtrace.c ...) run over a connection whose other end is the input: libldap asks for bytes, and
 * gets what the input has next, in pieces that it chooses; at the end the connection breaks. What
 * is asked is thrown away, but for its message number, so that answers can be for it. What comes of
 * it must keep the promises of dirback.h, each message to the parent must be one that it takes, and
 * of a message beyond the limit (DLDAP_MESSAGE_MAX) no more than its head is read.
 *
 * Input: see struct fuzz_head; then records, each a byte of enum fuzz_kind, two bytes of length
 * (low first) and that many bytes.
 */
#include <openldap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/loop.h"
#include "svm-idfw/dirad.h"
#include "svm-idfw/dirbase.h"
#include "svm-idfw/dirforeign.h"
#include "svm-idfw/dirgroups.h"
#include "svm-idfw/dirldap_int.h"
#include "svm-idfw/dirreply.h"
#include "svm-idfw/dirreport.h"

#define FUZZ_OPS 12
#define FUZZ_WORK 8	  /* slices of work on groups, each time */
#define FUZZ_HEAD_READ 64 /* what libldap may read at once, the head of a message among it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);
const char *__asan_default_options(void);

/* libldap 2.5 forgets the request, and the message, when it is no BER; frames say which it was */
const char *__lsan_default_suppressions(void)
{
	return "leak:ldap_send_server_request\nleak:ldap_alloc_ber_with_options\n";
}

const char *__asan_default_options(void)
{
	return "fast_unwind_on_malloc=0";
}

struct fuzz_head {     /* the first bytes of an input */
	uint8_t kind;  /* bit 0: OpenLDAP; 1, 2: its schema */
	uint8_t piece; /* bytes that come at a time; 0: all */
	uint8_t op[FUZZ_OPS];
};

enum fuzz_kind {  /* low three bits; 8: the answer is to the search that syncrepl began */
	FUZZ_RAW, /* bytes as they are, the message's own number in them; none: nothing yet */
	FUZZ_OP,  /* protocolOp and controls as they are; number and length of the message are right
		   */
	FUZZ_CONTENT, /* the same, and the length of the protocolOp is right: its tag, content */
	FUZZ_ENTRY,   /* a search entry: DN, then attributes; see fuzz_entry() */
	FUZZ_DONE, /* the end of a search: code, and if there is more the cookie of the next page */
	FUZZ_SYNC, /* an entry with the control of syncrepl: state, 16 bytes of entryUUID, the entry
		    */
	FUZZ_KINDS
};

static const char *const fuzz_attrs[] = { "objectClass", "objectGUID", "objectSid",
	"sAMAccountName", "userPrincipalName", "tokenGroups", "cn", "uid", "entryUUID", "memberOf",
	"member", "memberUid", "gidNumber", "uSNChanged", "groupType", "entryCSN", "contextCSN",
	"namingContexts", "supportedControl", "dsServiceName", "defaultNamingContext",
	"configurationNamingContext", "highestCommittedUSN", "nETBIOSName", "userAccountControl",
	"accountExpires", "lockoutTime", "pwdLastSet", "msDS-User-Account-Control-Computed",
	"member;range=0-1499", "member;range=0-*", "shadowExpire", "pwdAccountLockedTime",
	"primaryGroupID", "uniqueMember", "ipaUniqueID", "krbPrincipalName", "dnsHostName",
	"memberOf;range=0-0", "member;range=1-*" };

struct fuzz_server {
	const uint8_t *in;
	size_t left;
	size_t piece;
	struct gi_buf out; /* what is to be read next */
	size_t at;
	uint8_t id[8], sync_id[8]; /* as BER, of the last search; length first */
	bool pause, over;
	uint8_t head[6];     /* of the message at hand, as it was read */
	size_t n_head, body; /* bytes of it that are still to come */
	size_t beyond;
};

/* ---- what the server says ---- */

static void fuzz_tlv(struct gi_buf *b, uint8_t tag, const void *data, size_t len)
{
	const uint8_t head[] = { tag, 0x83, (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len };

	gi_buf_append(b, head, sizeof(head));
	gi_buf_append(b, data, len);
}

static void fuzz_message(struct fuzz_server *s, uint8_t kind, const void *op, size_t len)
{
	const uint8_t *id = kind & 8 ? s->sync_id : s->id;
	struct gi_buf m;

	gi_buf_init(&m, 1u << 20);
	gi_buf_append(&m, id + 1, id[0]);
	gi_buf_append(&m, op, len);
	fuzz_tlv(&s->out, 0x30, m.data, m.len);
	gi_buf_fini(&m);
}

/* takes a byte of length and that much; shorter at the end */
static size_t fuzz_text(const uint8_t **in, size_t *left, const uint8_t **ret)
{
	size_t n = *left ? **in : 0;

	*in += *left ? 1 : 0;
	*left -= *left ? 1 : 0;
	n = n < *left ? n : *left;
	*ret = *in;
	*in += n;
	*left -= n;
	return n;
}

/* DN; then for each attribute: which, how many values, the values */
static void fuzz_entry(struct gi_buf *op, const uint8_t *in, size_t left)
{
	struct gi_buf all, attr, values;
	const uint8_t *text;
	size_t n;

	gi_buf_init(&all, 1u << 20);
	gi_buf_init(&attr, 1u << 20);
	gi_buf_init(&values, 1u << 20);
	n = fuzz_text(&in, &left, &text);
	fuzz_tlv(op, 0x04, text, n);
	while (left >= 2) {
		const char *name = fuzz_attrs[in[0] % GI_ARRAY_SIZE(fuzz_attrs)];
		unsigned int count = in[1];

		in += 2;
		left -= 2;
		gi_buf_reset(&attr);
		gi_buf_reset(&values);
		for (; count && left; count--) {
			n = fuzz_text(&in, &left, &text);
			fuzz_tlv(&values, 0x04, text, n);
		}
		fuzz_tlv(&attr, 0x04, name, strlen(name));
		fuzz_tlv(&attr, 0x31, values.data, values.len);
		fuzz_tlv(&all, 0x30, attr.data, attr.len);
	}
	fuzz_tlv(op, 0x30, all.data, all.len);
	gi_buf_fini(&values);
	gi_buf_fini(&attr);
	gi_buf_fini(&all);
}

static void fuzz_control(struct gi_buf *b, const char *oid, const struct gi_buf *value)
{
	struct gi_buf one, list;

	gi_buf_init(&one, 1u << 20);
	gi_buf_init(&list, 1u << 20);
	fuzz_tlv(&one, 0x04, oid, strlen(oid));
	fuzz_tlv(&one, 0x04, value->data, value->len);
	fuzz_tlv(&list, 0x30, one.data, one.len);
	fuzz_tlv(b, 0xa0, list.data, list.len);
	gi_buf_fini(&list);
	gi_buf_fini(&one);
}

static void fuzz_done(struct gi_buf *m, const uint8_t *in, size_t len)
{
	const uint8_t result[] = { 0x0a, 1, len ? in[0] : 0, 4, 0, 4, 0 }, none[] = { 2, 1, 0 };
	struct gi_buf seq, value;

	fuzz_tlv(m, 0x65, result, sizeof(result));
	if (len < 2)
		return;
	gi_buf_init(&seq, 1u << 20);
	gi_buf_init(&value, 1u << 20);
	gi_buf_append(&seq, none, sizeof(none));
	fuzz_tlv(&seq, 0x04, in + 1, len - 1);
	fuzz_tlv(&value, 0x30, seq.data, seq.len);
	fuzz_control(m, LDAP_CONTROL_PAGEDRESULTS, &value);
	gi_buf_fini(&value);
	gi_buf_fini(&seq);
}

static void fuzz_sync(struct gi_buf *m, const uint8_t *in, size_t len)
{
	const uint8_t state[] = { 0x0a, 1, in[0] };
	struct gi_buf seq, value, op;

	gi_buf_init(&seq, 1u << 20);
	gi_buf_init(&value, 1u << 20);
	gi_buf_init(&op, 1u << 20);
	fuzz_entry(&op, in + 17, len - 17);
	fuzz_tlv(m, 0x64, op.data, op.len);
	gi_buf_append(&seq, state, sizeof(state));
	fuzz_tlv(&seq, 0x04, in + 1, 16);
	fuzz_tlv(&value, 0x30, seq.data, seq.len);
	fuzz_control(m, LDAP_CONTROL_SYNC_STATE, &value);
	gi_buf_fini(&op);
	gi_buf_fini(&value);
	gi_buf_fini(&seq);
}

/* the next record as the bytes of a message; false: there is none left */
static bool fuzz_next(struct fuzz_server *s)
{
	const uint8_t *in = s->in + 3;
	struct gi_buf m, op;
	uint8_t kind;
	size_t len;

	if (s->left < 3)
		return false;
	kind = s->in[0];
	len = (size_t)s->in[1] | (size_t)s->in[2] << 8;
	len = len < s->left - 3 ? len : s->left - 3;
	s->in += 3 + len;
	s->left -= 3 + len;
	gi_buf_init(&m, 1u << 20);
	gi_buf_init(&op, 1u << 20);
	gi_buf_reset(&s->out);
	s->at = 0;
	switch (kind % 8 % FUZZ_KINDS) {
	case FUZZ_RAW:
		gi_buf_append(&s->out, in, len);
		break;
	case FUZZ_OP:
		fuzz_message(s, kind, in, len);
		break;
	case FUZZ_CONTENT:
		if (len)
			fuzz_tlv(&m, in[0], in + 1, len - 1);
		fuzz_message(s, kind, m.data, m.len);
		break;
	case FUZZ_ENTRY:
		fuzz_entry(&op, in, len);
		fuzz_tlv(&m, 0x64, op.data, op.len);
		fuzz_message(s, kind, m.data, m.len);
		break;
	case FUZZ_SYNC:
		if (len >= 17)
			fuzz_sync(&m, in, len);
		fuzz_message(s, kind, m.data, m.len);
		break;
	default:
		fuzz_done(&m, in, len);
		fuzz_message(s, kind, m.data, m.len);
	}
	gi_buf_fini(&op);
	gi_buf_fini(&m);
	return true;
}

/* ---- libldap's side of it: a layer of its connection in place of a socket ---- */

static int fuzz_setup(Sockbuf_IO_Desc *d, void *arg)
{
	d->sbiod_pvt = arg;
	return 0;
}

static int fuzz_nothing(Sockbuf_IO_Desc *d)
{
	(void)d;
	return 0;
}

static int fuzz_ctrl(Sockbuf_IO_Desc *d, int opt, void *arg)
{
	(void)d;
	(void)arg;
	return opt == LBER_SB_OPT_DATA_READY ? 1 : 0;
}

/* where messages begin and end in what was read; one that is too long is to be the last */
static void fuzz_watch(struct fuzz_server *s, const uint8_t *data, size_t len)
{
	size_t n, size;

	for (size_t i = 0; i < len; i++) {
		if (s->over && ++s->beyond > FUZZ_HEAD_READ)
			abort();
		if (s->body) {
			n = s->body < len - i ? s->body : len - i;
			s->body -= n;
			i += n - 1;
			continue;
		}
		s->head[s->n_head++] = data[i];
		if (s->n_head < 2 || (s->head[1] & 0x80 && s->n_head < 2u + (s->head[1] & 0x7f) &&
					     s->n_head < sizeof(s->head)))
			continue;
		for (size = s->head[1], n = 2; s->head[1] & 0x80 && n < s->n_head; n++)
			size = n == 2 ? s->head[n] : size << 8 | s->head[n];
		/* other tags and forms of length libldap refuses, or not: then this lost its count
		 */
		s->over |= s->head[0] == 0x30 && s->head[1] == 0x84 && size > DLDAP_MESSAGE_MAX;
		s->body = size;
		s->n_head = 0;
	}
}

static ber_slen_t fuzz_read(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	struct fuzz_server *s = d->sbiod_pvt;
	size_t n;

	errno = 0;
	if (s->piece && !s->pause) {
		s->pause = true;
		errno = EAGAIN;
		return -1;
	}
	s->pause = false;
	if (s->at == s->out.len && !fuzz_next(s))
		return 0;
	if (s->at == s->out.len) {
		/* whoever does not wait gives up when time has passed */
		for (uint64_t now = io_clock_mono_us(); io_clock_mono_us() < now + 2;)
			;
		errno = EAGAIN;
		return -1;
	}
	n = s->out.len - s->at < len ? s->out.len - s->at : len;
	n = s->piece && s->piece < n ? s->piece : n;
	memcpy(buf, s->out.data + s->at, n);
	fuzz_watch(s, s->out.data + s->at, n);
	s->at += n;
	return (ber_slen_t)n;
}

/* SEQUENCE, length, INTEGER: its number; then what is asked for */
static ber_slen_t fuzz_write(Sockbuf_IO_Desc *d, void *buf, ber_len_t len)
{
	struct fuzz_server *s = d->sbiod_pvt;
	const uint8_t *b = buf;
	size_t at = len > 2 && b[1] & 0x80 ? 2u + (b[1] & 0x7f) : 2;

	if (len > at + 8 && b[at] == 2 && b[at + 1] < 5 && b[at + 2 + b[at + 1]] == 0x63) {
		s->id[0] = (uint8_t)(2 + b[at + 1]);
		memcpy(s->id + 1, b + at, s->id[0]);
		if (memmem(buf, len, LDAP_CONTROL_SYNC, strlen(LDAP_CONTROL_SYNC)))
			memcpy(s->sync_id, s->id, sizeof(s->id));
	}
	return (ber_slen_t)len;
}

static struct dldap *fuzz_open(struct fuzz_server *s)
{
	static Sockbuf_IO io = { .sbi_setup = fuzz_setup,
		.sbi_remove = fuzz_nothing,
		.sbi_ctrl = fuzz_ctrl,
		.sbi_read = fuzz_read,
		.sbi_write = fuzz_write,
		.sbi_close = fuzz_nothing };
	/* never connected to; sealed by nothing, so that there is no TLS to set up */
	const struct dldap_conf conf = {
		.uri = "ldapi://%2Fnonexistent", .bind = DLDAP_GSSAPI, .timeout_ms = 2000
	};
	struct dldap *d = calloc(1, sizeof(*d));
	Sockbuf *sb = NULL;
	ber_len_t most = 0;

	if (!d || ldap_init_fd(STDIN_FILENO, LDAP_PROTO_EXT, conf.uri, &d->ld) != LDAP_SUCCESS ||
		dldap_options(d->ld, &conf, LDAP_OPT_X_TLS_DEMAND) < 0 ||
		ldap_get_option(d->ld, LDAP_OPT_SOCKBUF, &sb) != LDAP_OPT_SUCCESS ||
		ber_sockbuf_ctrl(sb, LBER_SB_OPT_GET_MAX_INCOMING, &most) != 1 ||
		most != DLDAP_MESSAGE_MAX ||
		ber_sockbuf_add_io(sb, &io, LBER_SBIOD_LEVEL_PROVIDER, s) != 0)
		abort();
	d->timeout_ms = conf.timeout_ms;
	return d;
}

/* ---- what comes of it ---- */

void dir_post_room(struct dir_post *p)
{
	(void)p;
}

/* in place of dirpost.c's: what is sent must be what the parent takes */
void dir_post_send(struct dir_post *p, const Idfw__Envelope *e)
{
	Idfw__Envelope *back = NULL;
	const char *why = "";
	struct gi_buf out;

	(void)p;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	if (wire_envelope_encode(e, &out) < 0 ||
		wire_envelope_decode(out.data, out.len, WIRE_DIR_CHILD, WIRE_OPEN, &back, &why) <
			0) {
		fprintf(stderr, "the parent would refuse it: %s\n", why);
		abort();
	}
	wire_envelope_free(back);
	gi_buf_fini(&out);
}

static void fuzz_words(const char why[DIR_WHY_MAX])
{
	if (strnlen(why, DIR_WHY_MAX) == DIR_WHY_MAX)
		abort();
}

static void fuzz_answer(const struct dir_answer *a, bool account)
{
	if (a->status == IDFW__DIR_RESULT__STATUS__OK) {
		if ((account && (!a->dn || !a->name || !a->upn)) ||
			a->n_groups > DIR_ANSWER_GROUPS_MAX)
			abort();
	} else if (a->n_groups || a->text[0] == '\0') {
		abort();
	}
	for (size_t i = 0; i < a->n_groups; i++)
		if (!gi_text_is_clean(a->groups[i].name, DIR_NAME_MAX) ||
			!gi_text_is_clean(a->groups[i].dn, DIR_DN_MAX - 1))
			abort();
	dir_reply_answer(NULL, 1, a, 0);
}

static bool fuzz_is_ascii(const char *text)
{
	while (*text && !(*text & 0x80))
		text++;
	return *text == '\0';
}

static int fuzz_lookup(struct dir_back *b, uint8_t op, char why[DIR_WHY_MAX])
{
	static const char *const names[] = { "alice", "CORP\\alice", "alice@corp.example",
		"alice" };
	static uint8_t sid[] = { 1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0,
		0, 0, 81, 4, 0, 0 };
	struct dir_answer a = { .status = IDFW__DIR_RESULT__STATUS__UNAVAILABLE };
	const ProtobufCBinaryData member = { .len = sizeof(sid), .data = sid };
	bool foreign = op & 0x80 && b->ops->foreign;
	int err;

	if (foreign)
		err = b->ops->foreign(b, &member, 1, &a, why);
	else
		err = b->ops->lookup(b, names[op / 8 % 4], op / 8 % 4 == 3 ? sid : NULL,
			op / 8 % 4 == 3 ? sizeof(sid) : 0, &a, why);
	if (err == 0)
		fuzz_answer(&a, !foreign);
	/* in an Active Directory a name is an account's, whatever the server says */
	if (err == 0 && !foreign && b->ops == &dir_back_ad &&
		a.status == IDFW__DIR_RESULT__STATUS__OK && strcasecmp(a.name, "alice") != 0 &&
		strcasecmp(a.upn, "alice@corp.example") != 0 && fuzz_is_ascii(a.name) &&
		fuzz_is_ascii(a.upn))
		abort();
	dir_answer_fini(&a);
	return err == -ECONNRESET || err == -ETIMEDOUT ? err : 0;
}

static int fuzz_work(struct dir_back *b, struct dir_changes *c, char why[DIR_WHY_MAX])
{
	bool more = true;
	int err = 0;

	for (int i = 0; err == 0 && more && i < FUZZ_WORK; i++)
		err = dir_groups_work(b, c, &more, why);
	dir_reply_changes(NULL, b, c);
	dir_changes_fini(c);
	return err;
}

static void fuzz_trace(struct dir_back *b)
{
	static uint8_t id[16] = { 1, 2, 3 };
	Idfw__DirQuery q = IDFW__DIR_QUERY__INIT;
	Idfw__DirGroup account = IDFW__DIR_GROUP__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT, *mine = NULL;
	char dn[] = "cn=alice,dc=corp,dc=example", name[] = "alice";
	struct dir_asked *asked = NULL;
	const char *why = "";
	struct gi_buf out;
	bool whole;

	account.dn = dn;
	account.name = name;
	account.guid = (ProtobufCBinaryData){ .len = sizeof(id), .data = id };
	q.what = IDFW__DIR_QUERY__WHAT__TRACE;
	q.account = &account;
	q.last = true;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_QUERY;
	e.dir_query = &q;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	if (wire_envelope_encode(&e, &out) < 0 ||
		wire_envelope_decode(out.data, out.len, WIRE_SVM_TO_DIR, WIRE_OPEN, &mine, &why) <
			0 ||
		dir_asked_new(&asked) < 0 || !dir_asked_put(asked, mine, &whole))
		abort();
	gi_buf_fini(&out);
	dir_asked_answer(asked, b, NULL, true, "");
	dir_asked_free(asked);
}

static void fuzz_session(struct dir_back *b, const uint8_t op[FUZZ_OPS])
{
	struct dir_changes c = { .all = false };
	char why[DIR_WHY_MAX] = "";
	int err = b->ops->begin(b, &c, why);

	fuzz_words(why);
	if (err == 0)
		err = dir_base_check(b, b->watch, NULL, why);
	for (int i = 0; err == 0 && i < FUZZ_OPS; i++) {
		switch (op[i] % 8) {
		case 0:
		case 1:
		case 2:
			err = fuzz_lookup(b, op[i], why);
			break;
		case 3:
			err = b->ops->poll(b, &c, why);
			break;
		case 4:
			if (b->told_by_fd)
				(void)b->ops->told(b, &c);
			else if (b->ops->same(b, b->look, why) < 0)
				fuzz_words(why);
			break;
		case 5:
			dir_groups_compare(b->groups, false);
			err = fuzz_work(b, &c, why);
			break;
		case 6:
			fuzz_trace(b);
			break;
		default:
			err = fuzz_work(b, &c, why);
		}
		fuzz_words(why);
	}
	dir_reply_state(NULL, b, err == 0, why, NULL);
	dir_reply_changes(NULL, b, &c);
	dir_changes_fini(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char base[] = "dc=corp,dc=example", bind[] = "simple", ad[] = "ad",
		    openldap[] = "openldap", label[] = "corp";
	static char schemas[][12] = { "rfc2307bis", "rfc2307", "freeipa" };
	struct fuzz_head head;
	struct fuzz_server s = { .in = data + sizeof(head) };
	struct idfw_dir_conf conf = { .label = label,
		.base = base,
		.bind = bind,
		.uri = "ldapi://%2Fnonexistent",
		.page = 10,
		.range = 4 };
	struct dir_back b = { .conf = &conf, .page = 10 };

	if (size < sizeof(head))
		return 0;
	gi_log_init("fuzz_dirber", 0);
	memcpy(&head, data, sizeof(head));
	s.left = size - sizeof(head);
	s.piece = head.piece;
	conf.type = head.kind & 1 ? openldap : ad;
	conf.schema = schemas[head.kind / 2 % GI_ARRAY_SIZE(schemas)];
	b.ops = head.kind & 1 ? &dir_back_openldap : &dir_back_ad;
	gi_buf_init(&s.out, 1u << 20);
	if (dldap_init(NULL) < 0 || dir_cache_new(DIR_CACHE_MAX, &b.cache) < 0 ||
		dir_memo_new(DIR_MEMO_BYTES_MAX, &b.memo) < 0 || dir_groups_new(&b.groups) < 0 ||
		dir_seen_new(DIR_SEEN_MAX, &b.seen) < 0)
		abort();
	b.look = b.watch = fuzz_open(&s);
	fuzz_session(&b, head.op);
	dldap_close(b.watch);
	while (b.n_nc)
		free(b.nc[--b.n_nc]);
	dir_groups_free(b.groups);
	dir_seen_free(b.seen);
	dir_memo_free(b.memo);
	dir_cache_free(b.cache);
	gi_buf_fini(&s.out);
	return 0;
}
