/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * make_wire_seeds.c - writes the seeds of the three wire fuzz targets
 *
 *   make_wire_seeds tests/fuzz/corpus
 *
 * One file a message of tests/unit/wire/samples.c, and one conversation for fuzz_fwwire. Run by
 * hand when the protocol changes; its output is committed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fw/fwwire.h"
#include "tests/unit/fw/fixture.h"
#include "tests/unit/wire/samples.h"

static int save(const char *dir, const char *target, const char *name, uint8_t first,
	const struct gi_buf *b, bool with_first)
{
	char path[512];
	FILE *f;
	int bad;

	if (snprintf(path, sizeof(path), "%s/%s/%s", dir, target, name) >= (int)sizeof(path))
		return -1;
	f = fopen(path, "wb");
	if (!f) {
		perror(path);
		return -1;
	}
	bad = (with_first && fputc(first, f) == EOF) || fwrite(b->data, 1, b->len, f) != b->len;
	return fclose(f) != 0 || bad ? -1 : 0;
}

/* the other body of a FileReport: that of the sample ScanRecord */
static int report_of_a_change(struct sample s[SAMPLES], struct gi_buf *b)
{
	Idfw__FileReport *report = NULL;
	Idfw__FimEvent *fim = NULL;
	size_t at = 0;

	for (size_t i = 0; i < SAMPLES; i++) {
		if (s[i].body == IDFW__ENVELOPE__BODY_SCAN_RECORD)
			fim = s[i].e.scan_record->fim;
		if (s[i].body == IDFW__ENVELOPE__BODY_FILE_REPORT) {
			report = s[i].e.file_report;
			at = i;
		}
	}
	if (!report || !fim)
		return -1;
	report->body_case = IDFW__FILE_REPORT__BODY_FIM;
	report->fim = fim;
	return wire_envelope_encode(&s[at].e, b);
}

static int envelopes(const char *dir)
{
	struct sample s[SAMPLES];
	struct gi_buf b;
	int rc = 0;

	gi_buf_init(&b, WIRE_FRAME_MAX);
	samples_init(s);
	for (size_t i = 0; rc == 0 && i < SAMPLES; i++) {
		gi_buf_reset(&b);
		if (wire_envelope_encode(&s[i].e, &b) < 0)
			return -1;
		rc = save(dir, "wire_envelope", wire_body_name(s[i].body),
			(uint8_t)((unsigned int)s[i].who | (s[i].state == WIRE_OPEN ? 0x80u : 0u)),
			&b, true);
	}
	gi_buf_reset(&b);
	if (rc == 0 && report_of_a_change(s, &b) < 0)
		rc = -1;
	if (rc == 0)
		rc = save(dir, "wire_envelope", "FileReport-fim", 0x80 | WIRE_FILE_AGENT, &b, true);
	gi_buf_reset(&b);
	if (rc == 0 && wire_session_encode(s[5].e.event->open->session, &b) < 0)
		rc = -1;
	if (rc == 0)
		rc = save(dir, "wire_envelope", "Session", 15, &b, true);
	gi_buf_fini(&b);
	return rc;
}

/* a FileEvent on its way up, whole */
static int routed_file(const char *dir)
{
	struct routed_sample r[ROUTED_SAMPLES];
	struct sample s[SAMPLES];
	struct gi_buf inner, b;
	int rc = -1;

	gi_buf_init(&inner, WIRE_FRAME_MAX);
	gi_buf_init(&b, WIRE_ROUTED_MAX);
	samples_init(s);
	routed_samples_init(r);
	if (wire_envelope_encode(&s[SAMPLES - SAMPLES_FILE + 1].e, &inner) == 0) {
		r[5].r.envelope = (ProtobufCBinaryData){ inner.len, inner.data };
		if (wire_routed_encode(&r[5].r, &b) == 0)
			rc = save(dir, "wire_routed", "file_event", 0x83, &b, true);
	}
	gi_buf_fini(&inner);
	gi_buf_fini(&b);
	return rc;
}

static int routed(const char *dir)
{
	static const char *const names[ROUTED_SAMPLES] = { "hello", "hello_ack", "refused", "ping",
		"pong", "envelope", "up", "down", "close" };
	struct routed_sample s[ROUTED_SAMPLES];
	struct gi_buf b;
	int rc = 0;

	gi_buf_init(&b, WIRE_ROUTED_MAX);
	routed_samples_init(s);
	for (size_t i = 0; rc == 0 && i < ROUTED_SAMPLES; i++) {
		gi_buf_reset(&b);
		if (wire_routed_encode(&s[i].r, &b) < 0)
			return -1;
		rc = save(dir, "wire_routed", names[i],
			(uint8_t)((s[i].from_mux ? 1u : 0u) |
				  (s[i].state == WIRE_OPEN ? 0x80u : 0u)),
			&b, true);
	}
	gi_buf_fini(&b);
	return rc ? rc : routed_file(dir);
}

static int add_frame(void *arg, const uint8_t *buf, size_t len)
{
	uint8_t head[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	gi_buf_append(arg, head, 2);
	gi_buf_append(arg, buf, len);
	return gi_buf_error(arg);
}

static int conversation(const char *dir)
{
	struct fw_state *s = fx_state("generation 7; version 12; default in reject;"
				      "group eng si; group db gn 10.77.3.0/24 fd77:3::/64;"
				      "rule app/db out accept log from eng to db tcp:5432 icmp:8;"
				      "live 100; uid 1000 100; addr fd77:1::99 100; base 4 1;"
				      "sg eng 100; ga db 10.77.3.10; ia eng 10.77.1.10");
	struct fw_op ops[2] = { { true, fw_elem_mark(FW_LIVE, 0, 100) },
		{ false, fw_elem_uid(1001, 101) } };
	const struct fw_delta d = {
		.generation = 7, .from_version = 12, .version = 13, .ops = ops, .n_ops = 2
	};
	struct gi_buf b;
	int rc = -1;

	gi_buf_init(&b, 1u << 20);
	if (s && fw_wire_write_state(s, add_frame, &b) == 0 &&
		fw_wire_write_delta(&d, add_frame, &b) == 0)
		rc = save(dir, "fwwire", "ruleset-and-delta", 0, &b, false);
	gi_buf_fini(&b);
	fw_state_free(s);
	return rc;
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fprintf(stderr, "usage: make_wire_seeds CORPUS-DIRECTORY\n");
		return 2;
	}
	if (envelopes(argv[1]) || routed(argv[1]) || conversation(argv[1]))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
