/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agentmsg.c - packed messages of agents, see agentmsg.h
 */
#include "svm-scan/agentmsg.h"

#include "lib/io/loop.h"

static void put_varint(struct gi_buf *out, uint64_t v)
{
	do {
		uint8_t byte = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));

		gi_buf_append(out, &byte, 1);
		v >>= 7;
	} while (v);
}

int scan_agentmsg_decode(int body, const uint8_t *buf, size_t len, Idfw__Envelope **ret)
{
	const char *why = "";
	struct gi_buf env;
	int err;

	gi_buf_init(&env, WIRE_FRAME_MAX);
	put_varint(&env, (uint64_t)body << 3 | 2); /* the field's tag: length and bytes */
	put_varint(&env, len);
	gi_buf_append(&env, buf, len);
	err = gi_buf_error(&env);
	if (err == 0)
		err = wire_envelope_decode(
			env.data, env.len, WIRE_FILE_AGENT, WIRE_OPEN, ret, &why);
	gi_buf_fini(&env);
	return err;
}

void scan_agentmsg_record(const Idfw__FileReport *r, const char *vm,
	const uint8_t boot[WIRE_BOOT_ID_LEN], Idfw__ScanRecord *rec)
{
	idfw__scan_record__init(rec);
	rec->time_ms = io_clock_real_ms();
	rec->vm = (char *)(uintptr_t)vm; /* encoding does not write */
	rec->boot_id = (ProtobufCBinaryData){ .len = WIRE_BOOT_ID_LEN,
		.data = (uint8_t *)(uintptr_t)boot };
	rec->actor = r->actor;
	if (r->body_case == IDFW__FILE_REPORT__BODY_FIM) {
		rec->kind = IDFW__SCAN_RECORD__KIND__FIM;
		rec->fim = r->fim;
		rec->path = r->fim->path;
	} else {
		rec->kind = IDFW__SCAN_RECORD__KIND__PASSED;
		rec->passed = r->passed;
		rec->path = r->passed->path;
		rec->op = r->passed->op;
	}
}
