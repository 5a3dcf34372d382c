/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire.h - bytes <-> messages, the only way in which programs of ours talk
 *
 * The message structs are protobuf-c's (idfw.pb-c.h, prefix Idfw__): this header and the
 * generated one are all that a program includes. Decoding uses a bounded allocator (at most
 * WIRE_ALLOC_MAX bytes a message, counted), checks every limit of docs/wire.md (lengths, counts,
 * UTF-8 cleanliness, enum ranges) and the sender's right to send that body (wire_may_send).
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/text.h"
#include "idfw.pb-c.h"

#define WIRE_VERSION_MIN 1
#define WIRE_VERSION_MAX 1
#define WIRE_FRAME_MAX (64u << 10) /* Envelope, packed */
#define WIRE_ROUTED_MAX (WIRE_FRAME_MAX + 1024u)
#define WIRE_ROUTED_HEAD_MAX 64u
#define WIRE_ALLOC_MAX (1u << 20)
#define WIRE_USER_MAX 256 /* bytes, as all lengths here, without a NUL */
#define WIRE_TEXT_MAX 256
#define WIRE_DIR_WHY_MAX 512 /* DirState, DirResult: why, and what to try */
#define WIRE_SOFTWARE_MAX 64
#define WIRE_SERVICE_MAX 64 /* PAM service, tty, transport */
#define WIRE_AUTH_MAX 1024
#define WIRE_DN_MAX 2048
#define WIRE_SID_MAX 68
#define WIRE_CTL_TEXT_MAX 1024
#define WIRE_CTL_ARGS_MAX 64
#define WIRE_CTL_DATA_MAX (4u << 20)
#define WIRE_BOOT_ID_LEN 16
#define WIRE_ADDRS_MAX 64
#define WIRE_SESSIONS_MAX 1024	  /* in one Snapshot part */
#define WIRE_ELEMS_MAX 4096	  /* in one RulesetPart or Marks */
#define WIRE_OPS_MAX 1024	  /* in one Delta */
#define WIRE_DIR_GROUPS_MAX 1024  /* in one DirResult */
#define WIRE_DIR_SIDS_MAX 512	  /* in one DirChanged; accounts and groups too, each */
#define WIRE_DIR_SERVERS_MAX 256  /* in a DirServers */
#define WIRE_DIR_REFS_MAX 512	  /* in one DirQuery */
#define WIRE_DIR_REF_MAX 2048	  /* bytes of one */
#define WIRE_DIR_NODE_REFS_MAX 3  /* name, DN, SID */
#define WIRE_DIR_NODES_MAX 512	  /* in one DirReport */
#define WIRE_DIR_CYCLES_MAX 128	  /* in one DirReport */
#define WIRE_DIR_PATH_MAX 64	  /* names in a path or cycle */
#define WIRE_DIR_MEMBERS_MAX 1500 /* in one DirLookup */
/* of a whole ruleset; fw/fwwire.c asserts that they are fw's */
#define WIRE_RULESET_GROUPS_MAX 4096
#define WIRE_RULESET_RULES_MAX 8192
#define WIRE_RULESET_ELEMS_MAX 4000000
#define WIRE_RULE_PEERS_MAX 64
#define WIRE_RULE_SERVICES_MAX 64
#define WIRE_GROUP_NETS_MAX 4096
#define WIRE_SETS 12
#define WIRE_LEASE_MAX_S (30u * 86400)
#define WIRE_UNITS_MAX 256 /* in one ServiceWatch */
#define WIRE_UNIT_MAX 256
#define WIRE_PORT_AGENT 5005 /* vsock port, and the suffix of the per-VM unix socket */
#define WIRE_PORT_FILE 5006  /* the same, of gi-fileagent */
/* the file path */
#define WIRE_PATH_MAX 4096
#define WIRE_EPOCH_MAX 32
#define WIRE_SHA256_LEN 32
#define WIRE_QUARANTINE_ID_LEN 16
#define WIRE_DATA_MAX (48u << 10) /* bytes of content in one message: head, data */
#define WIRE_RANGE_MAX (1u << 20) /* FileRead.length, ScanNeed.length; FileWrite under way */
#define WIRE_CREDITS_MAX 65536
#define WIRE_ENGINE_MAX 64
#define WIRE_SIGNATURE_MAX 256
#define WIRE_COMM_MAX 16
#define WIRE_RULE_NAME_MAX 64
#define WIRE_COUNTERS_MAX 128
#define WIRE_JSON_MAX (32u << 10)
#define WIRE_LOG_TEXT_MAX 1024

/* who speaks, seen from the receiver */
enum wire_sender {
	WIRE_AGENT,
	WIRE_SVM_TO_AGENT,
	WIRE_CTL,
	WIRE_SVM_TO_CTL, /* svm-idfw or svm-scan */
	WIRE_DIR_CHILD,
	WIRE_SVM_TO_DIR,
	WIRE_FILE_AGENT,
	WIRE_SCAN_TO_AGENT,
	WIRE_SCAN, /* svm-scan to svm-idfw */
	WIRE_SVM_TO_SCAN,
	WIRE_SCAN_WORKER,
	WIRE_SCAN_TO_WORKER
};
#define WIRE_SENDERS 12
enum wire_state {
	WIRE_NEW, /* nothing received yet on this connection: docs/wire.md column "first" */
	WIRE_OPEN
};

bool wire_may_send(enum wire_sender who, enum wire_state state, int body_case);

/*
 * wire_envelope_decode - one received frame
 * @ret: returned owned, wire_envelope_free(); untouched on error
 * @ret_why: borrowed static text for the log
 * Errors: -GI_EPROTO, -GI_EDENIED, -GI_ELIMIT, -ENOMEM
 */
GI_MUST_CHECK int wire_envelope_decode(const void *buf, size_t len, enum wire_sender who,
	enum wire_state state, Idfw__Envelope **ret, const char **ret_why);
void wire_envelope_free(Idfw__Envelope *e);
/*
 * appends the packed message (no length prefix: io_chan adds it) to out
 * Errors: -GI_ELIMIT (over the frame limit or a field's), -GI_EPROTO (a value that the peer would
 * have to refuse: unclean text, wrong length, no body), out's own
 */
GI_MUST_CHECK int wire_envelope_encode(const Idfw__Envelope *e, struct gi_buf *out);

GI_MUST_CHECK int wire_routed_decode(const void *buf, size_t len, bool from_mux,
	enum wire_state state, Idfw__Routed **ret, const char **ret_why);
void wire_routed_free(Idfw__Routed *r);
GI_MUST_CHECK int wire_routed_encode(const Idfw__Routed *r, struct gi_buf *out);
/*
 * wire_routed_wrap - what goes in front of a packed Envelope to make it a packed Routed of @vm
 * For who carries envelopes that were checked, without another copy of each.
 * @vm: a VM name; @len: of the Envelope, 1..WIRE_FRAME_MAX
 * @ret: WIRE_ROUTED_HEAD_MAX bytes; @ret_len: how many of them are used
 * Errors: -GI_EPROTO (no VM name), -GI_ELIMIT (@len)
 */
GI_MUST_CHECK int wire_routed_wrap(
	const char *vm, size_t len, uint8_t ret[WIRE_ROUTED_HEAD_MAX], size_t *ret_len);
/*
 * wire_routed_unwrap - the other way, for most of what comes: no copy, no memory
 * @ret: borrows of @buf: the packed Envelope, not looked at, of @ret_len bytes
 * true: @buf is what wire_routed_wrap() puts before an Envelope, exactly; wire_routed_decode()
 * would say the same (to whoever may send one now: the caller's to know). false: ask that
 */
bool wire_routed_unwrap(const void *buf, size_t len, char ret_vm[GI_NAME_MAX + 1],
	const uint8_t **ret, size_t *ret_len);

/*
 * A Routed with its body, for who sends one: each function fills @m in and returns what is to be
 * encoded, good as long as @m and the texts, which are borrowed.
 */
struct wire_routed {
	Idfw__Routed r;
	union {
		Idfw__HelloAck hello_ack;
		Idfw__Refused refused;
		Idfw__Ping ping;
		Idfw__Pong pong;
		Idfw__VmClose close;
	} body;
};
const Idfw__Routed *wire_routed_hello_ack(
	struct wire_routed *m, uint32_t version, const char *software);
const Idfw__Routed *wire_routed_refused(
	struct wire_routed *m, Idfw__Refused__Reason reason, const char *text);
const Idfw__Routed *wire_routed_ping(struct wire_routed *m, uint64_t token);
const Idfw__Routed *wire_routed_pong(struct wire_routed *m, uint64_t token);
const Idfw__Routed *wire_routed_close(struct wire_routed *m, const char *vm, const char *why);
const Idfw__Routed *wire_routed_envelope(
	struct wire_routed *m, const char *vm, const void *buf, size_t len);

/* highest common version, or -GI_EVERSION with words that name both ranges in @ret_why */
GI_MUST_CHECK int wire_version_choose(
	const Idfw__Hello *h, uint32_t *ret_version, char ret_why[WIRE_TEXT_MAX]);
/* in place: control characters become spaces, bytes that are not UTF-8 '?', cut at @max bytes
 * (buffer has max + 1) */
void wire_text_sanitize(char *text, size_t max);
/*
 * One live session as a file, /run/idfw/sessions/<leader pid>: how gi-netagent (writes) tells
 * gi-fileagent (reads) whose process a file event comes from. Content: a packed Session.
 * Errors as of the envelope's functions; at most WIRE_FRAME_MAX bytes.
 */
GI_MUST_CHECK int wire_session_encode(const Idfw__Session *s, struct gi_buf *out);
GI_MUST_CHECK int wire_session_decode(const void *buf, size_t len, Idfw__Session **ret);
void wire_session_free(Idfw__Session *s);
const char *wire_body_name(int body_case); /* "Event", "Delta", ... for logs */

#endif
