/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * test_check_file.c - every limit of the file path's messages, one bent sample each
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "lib/base/text.h"
#include "tests/unit/wire/bend.h"

static uint8_t big[WIRE_RANGE_MAX];

/* so many bytes pass, as many do not */
#define LENGTH(BODY, path, good, wrong, err)                             \
	do {                                                             \
		Idfw__Envelope *e_ = fresh(IDFW__ENVELOPE__BODY_##BODY); \
		memset(big, 'p', (wrong) + 1);                           \
		e_->path = (ProtobufCBinaryData){ (good), big };         \
		ACCEPTS(e_);                                             \
		e_->path.len = (wrong);                                  \
		REFUSES(err, e_);                                        \
	} while (0)
/* a path: 4096 bytes of any value but 0 */
#define PATH_LIMIT(BODY, path)                                                    \
	do {                                                                      \
		Idfw__Envelope *p_ = fresh(IDFW__ENVELOPE__BODY_##BODY);          \
		LENGTH(BODY, path, WIRE_PATH_MAX, WIRE_PATH_MAX + 1, -GI_EPROTO); \
		p_ = fresh(IDFW__ENVELOPE__BODY_##BODY);                          \
		memset(big, 0xff, 16);                                            \
		p_->path = (ProtobufCBinaryData){ 16, big };                      \
		ACCEPTS(p_);                                                      \
		big[15] = 0;                                                      \
		REFUSES(-GI_EPROTO, p_);                                          \
	} while (0)

static void test_check_file_texts_at_their_limits(void **state)
{
	(void)state;
	TEXT_LIMIT(FILE_EVENT, file_event->actor->user, WIRE_USER_MAX);
	TEXT_LIMIT(FILE_EVENT, file_event->actor->comm, WIRE_COMM_MAX);
	TEXT_LIMIT(FILE_VERDICT, file_verdict->engine, WIRE_ENGINE_MAX);
	TEXT_LIMIT(FILE_VERDICT, file_verdict->signature, WIRE_SIGNATURE_MAX);
	TEXT_LIMIT(FILE_VERDICT, file_verdict->reason, WIRE_TEXT_MAX);
	TEXT_LIMIT(FILE_DONE, file_done->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(FILE_DONE, file_done->actor->user, WIRE_USER_MAX);
	TEXT_LIMIT(FILE_REPORT, file_report->actor->comm, WIRE_COMM_MAX);
	TEXT_LIMIT(FILE_REPORT, file_report->passed->reason, WIRE_TEXT_MAX);
	TEXT_LIMIT(FILE_REPLY, file_reply->json, WIRE_JSON_MAX);
	TEXT_LIMIT(FILE_REPLY, file_reply->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(LOG_LINE, log_line->text, WIRE_LOG_TEXT_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->vm, GI_NAME_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->engine, WIRE_ENGINE_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->signature, WIRE_SIGNATURE_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->by, WIRE_USER_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->actor->user, WIRE_USER_MAX);
	TEXT_LIMIT(SCAN_RECORD, scan_record->fim->rule, WIRE_RULE_NAME_MAX);
	TEXT_LIMIT(SCAN_RESULT, scan_result->engine, WIRE_ENGINE_MAX);
	TEXT_LIMIT(SCAN_RESULT, scan_result->signature, WIRE_SIGNATURE_MAX);
	TEXT_LIMIT(SCAN_RESULT, scan_result->text, WIRE_TEXT_MAX);
	TEXT_LIMIT(SCAN_READY, scan_ready->engines, WIRE_TEXT_MAX);
	TEXT_LIMIT(SCAN_READY, scan_ready->error, WIRE_TEXT_MAX);
	TEXT_LIMIT(FILE_COUNTERS, file_counters->counter[0]->name, WIRE_RULE_NAME_MAX);
}

static void test_check_file_numbers_at_their_limits(void **state)
{
	(void)state;
	VALUE(SCAN_SETTINGS, scan_settings->ops, 0, 0x01, -GI_EPROTO);
	VALUE(SCAN_SETTINGS, scan_settings->ops, 0x3e, 0x40, -GI_EPROTO);
	VALUE(SCAN_SETTINGS, scan_settings->head_bytes, 48u << 10, (48u << 10) + 1, -GI_ELIMIT);
	VALUE(SCAN_SETTINGS, scan_settings->credits, 1, 0, -GI_ELIMIT);
	VALUE(SCAN_SETTINGS, scan_settings->credits, 65536, 65537, -GI_ELIMIT);
	VALUE(FILE_READ, file_read->length, 1, 0, -GI_ELIMIT);
	VALUE(FILE_READ, file_read->length, 1u << 20, (1u << 20) + 1, -GI_ELIMIT);
	VALUE(SCAN_NEED, scan_need->length, 1, 0, -GI_ELIMIT);
	VALUE(SCAN_NEED, scan_need->length, 1u << 20, (1u << 20) + 1, -GI_ELIMIT);
	VALUE(FILE_WROTE, file_wrote->error, 4095, 4096, -GI_EPROTO);
	VALUE(FILE_REPORT, file_report->seq, UINT64_MAX, 0, -GI_EPROTO);
	VALUE(FILE_REPLY, file_reply->status, 255, 256, -GI_EPROTO);
	VALUE(LOG_LINE, log_line->level, 7, 8, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->seq, 1, 0, -GI_EPROTO);
}

/* what is not in the .proto, and 0 where a message means nothing without a word */
static void test_check_file_enums(void **state)
{
	(void)state;
	VALUE(FILE_EVENT, file_event->op, 1, 0, -GI_EPROTO);
	VALUE(FILE_EVENT, file_event->op, 5, 6, -GI_EPROTO);
	VALUE(FILE_VERDICT, file_verdict->verdict, 1, 0, -GI_EPROTO);
	VALUE(FILE_VERDICT, file_verdict->verdict, 5, 6, -GI_EPROTO);
	VALUE(FILE_DONE, file_done->result, 1, 0, -GI_EPROTO);
	VALUE(FILE_DONE, file_done->result, 3, 4, -GI_EPROTO);
	VALUE(FILE_CANCEL, file_cancel->reason, 4, 5, -GI_EPROTO);
	VALUE(FILE_REPORT, file_report->passed->op, 0, 6, -GI_EPROTO);
	VALUE(FILE_COMMAND, file_command->verb, 1, 0, -GI_EPROTO);
	VALUE(FILE_COMMAND, file_command->verb, 7, 8, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->fim->op, 6, 7, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->fim->op, 1, 0, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->kind, 2, 0, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->kind, 2, 6, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->op, 0, 6, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->verdict, 0, 6, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->result, 0, 4, -GI_EPROTO);
	VALUE(SCAN_RECORD, scan_record->isolate, 2, 3, -GI_EPROTO);
	VALUE(SCAN_RESULT, scan_result->outcome, 1, 0, -GI_EPROTO);
	VALUE(SCAN_RESULT, scan_result->outcome, 3, 4, -GI_EPROTO);
	VALUE(FILE_VERDICT, file_verdict->verdict, 5, -1, -GI_EPROTO);
	VALUE(FILE_EVENT, file_event->op, 5, -1, -GI_EPROTO);
}

static void test_check_file_byte_lengths(void **state)
{
	(void)state;
	LENGTH(SCAN_SETTINGS, scan_settings->epoch, 1, 0, -GI_EPROTO);
	LENGTH(SCAN_SETTINGS, scan_settings->epoch, 32, 33, -GI_EPROTO);
	LENGTH(FILE_EVENT, file_event->head, WIRE_DATA_MAX, WIRE_DATA_MAX + 1, -GI_ELIMIT);
	LENGTH(FILE_DATA, file_data->data, WIRE_DATA_MAX, WIRE_DATA_MAX + 1, -GI_ELIMIT);
	LENGTH(FILE_WRITE, file_write->data, WIRE_DATA_MAX, WIRE_DATA_MAX + 1, -GI_ELIMIT);
	LENGTH(FILE_VERDICT, file_verdict->sha256, 0, 31, -GI_EPROTO);
	LENGTH(FILE_VERDICT, file_verdict->sha256, 32, 33, -GI_EPROTO);
	LENGTH(FILE_VERDICT, file_verdict->epoch, 32, 33, -GI_EPROTO);
	LENGTH(FILE_DONE, file_done->quarantine_id, 0, 15, -GI_EPROTO);
	LENGTH(FILE_DONE, file_done->quarantine_id, 16, 17, -GI_EPROTO);
	LENGTH(FILE_COMMAND, file_command->quarantine_id, 0, 1, -GI_EPROTO);
	LENGTH(SCAN_RECORD, scan_record->boot_id, 0, 15, -GI_EPROTO);
	LENGTH(SCAN_RECORD, scan_record->sha256, 0, 16, -GI_EPROTO);
	LENGTH(SCAN_RECORD, scan_record->quarantine_id, 16, 32, -GI_EPROTO);
	LENGTH(SCAN_RECORD, scan_record->fim->before, 0, 1, -GI_EPROTO);
	LENGTH(SCAN_RECORD, scan_record->fim->after, 32, 64, -GI_EPROTO);
	LENGTH(SCAN_JOB, scan_job->head, WIRE_DATA_MAX, WIRE_DATA_MAX + 1, -GI_ELIMIT);
	LENGTH(SCAN_BYTES, scan_bytes->data, WIRE_DATA_MAX, WIRE_DATA_MAX + 1, -GI_ELIMIT);
	LENGTH(SCAN_READY, scan_ready->epoch, 32, 33, -GI_EPROTO);
	LENGTH(SCAN_READY, scan_ready->epoch, 1, 0, -GI_EPROTO);
}

static void test_check_file_paths(void **state)
{
	(void)state;
	PATH_LIMIT(FILE_EVENT, file_event->path);
	PATH_LIMIT(FILE_EVENT, file_event->actor->exe);
	PATH_LIMIT(FILE_REPORT, file_report->passed->path);
	PATH_LIMIT(FILE_COMMAND, file_command->path);
	PATH_LIMIT(SCAN_RECORD, scan_record->path);
	PATH_LIMIT(SCAN_RECORD, scan_record->fim->path);
	PATH_LIMIT(SCAN_RECORD, scan_record->fim->new_path);
	LENGTH(SCAN_RECORD, scan_record->fim->path, 1, 0, -GI_EPROTO);
	LENGTH(SCAN_RECORD, scan_record->fim->new_path, 0, WIRE_PATH_MAX + 1, -GI_EPROTO);
}

/* an offset behind what a file can have; at the last byte it still ends within */
static void test_check_file_offsets(void **state)
{
	uint64_t end = INT64_MAX;

	(void)state;
	VALUE(FILE_READ, file_read->offset, end - (1u << 20), end - (1u << 20) + 1, -GI_EPROTO);
	VALUE(FILE_DATA, file_data->offset, end - 11, end - 10, -GI_EPROTO);
	VALUE(FILE_WRITE, file_write->offset, end - 11, UINT64_MAX, -GI_EPROTO);
	VALUE(FILE_WROTE, file_wrote->offset, end, end + 1, -GI_EPROTO);
	VALUE(SCAN_NEED, scan_need->offset, end - (1u << 20), UINT64_MAX, -GI_EPROTO);
	VALUE(SCAN_BYTES, scan_bytes->offset, end - 11, end, -GI_EPROTO);
}

static void test_check_file_error_or_data(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_FILE_DATA);

	(void)state;
	e->file_data->error = 5;
	REFUSES(-GI_EPROTO, e);
	e->file_data->data.len = 0;
	ACCEPTS(e);
	e->file_data->error = 4096;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_SCAN_BYTES);
	e->scan_bytes->error = 5;
	REFUSES(-GI_EPROTO, e);
	e->scan_bytes->data.len = 0;
	ACCEPTS(e);
	e->scan_bytes->error = 4096;
	REFUSES(-GI_EPROTO, e);
}

/* nobody may be made to remember what no scan stands behind */
static void test_check_file_failed_verdict_is_not_for_keeps(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_FILE_VERDICT);

	(void)state;
	e->file_verdict->failed = true;
	REFUSES(-GI_EPROTO, e);
	e->file_verdict->until_change = false;
	ACCEPTS(e);
	e->file_verdict->verdict = 0; /* it has none */
	ACCEPTS(e);
	e = fresh(IDFW__ENVELOPE__BODY_FILE_VERDICT);
	e->file_verdict->epoch.len = 0;
	REFUSES(-GI_EPROTO, e);
	e->file_verdict->until_change = false;
	ACCEPTS(e);
}

static void test_check_file_counts(void **state)
{
	(void)state;
	COUNT(FILE_COUNTERS, file_counters->counter, file_counters->n_counter, WIRE_COUNTERS_MAX);
}

static void test_check_file_missing_parts(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_FILE_REPORT);

	(void)state;
	e->file_report->passed->reason = nothing;
	REFUSES(-GI_EPROTO, e);
	e->file_report->body_case = IDFW__FILE_REPORT__BODY__NOT_SET;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_FILE_EVENT);
	e->file_event->actor = NULL;
	ACCEPTS(e);
	e->file_event->path.len = 0; /* unlinked before anybody could ask */
	ACCEPTS(e);
	e = fresh(IDFW__ENVELOPE__BODY_FILE_COUNTERS);
	e->file_counters->counter[0]->name = nothing;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_SCAN_READY);
	e->scan_ready->error = long_text;
	(void)text_of(3);
	e->scan_ready->epoch.len = 0;
	ACCEPTS(e);
}

static void test_check_file_report_of_a_change(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_FILE_REPORT);
	Idfw__FimEvent *fim = all[SAMPLES - 7].e.scan_record->fim;

	(void)state;
	e->file_report->body_case = IDFW__FILE_REPORT__BODY_FIM;
	e->file_report->fim = fim;
	ACCEPTS(e);
	fim->path.len = 0;
	REFUSES(-GI_EPROTO, e);
	e->body_case = 127; /* of a later protocol */
	REFUSES(-GI_EPROTO, e);
}

static void test_check_file_command_needs_its_object(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_FILE_COMMAND);
	Idfw__FileCommand *c = e->file_command;

	(void)state;
	c->path.len = 0;
	REFUSES(-GI_EPROTO, e);
	c->verb = IDFW__FILE_COMMAND__VERB__EXPLAIN;
	REFUSES(-GI_EPROTO, e);
	c->verb = IDFW__FILE_COMMAND__VERB__QUARANTINE_RESTORE;
	ACCEPTS(e);
	c->quarantine_id.len = 0;
	REFUSES(-GI_EPROTO, e);
	c->verb = IDFW__FILE_COMMAND__VERB__QUARANTINE_PURGE; /* all */
	ACCEPTS(e);
}

static void test_check_file_record_has_what_its_kind_says(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_SCAN_RECORD);
	Idfw__ScanRecord *r = e->scan_record;
	Idfw__FilePassed *passed;

	(void)state;
	r->kind = IDFW__SCAN_RECORD__KIND__VERDICT;
	REFUSES(-GI_EPROTO, e); /* it still has the FimEvent */
	r->fim = NULL;
	ACCEPTS(e);
	r->kind = IDFW__SCAN_RECORD__KIND__FIM;
	REFUSES(-GI_EPROTO, e);
	r->kind = IDFW__SCAN_RECORD__KIND__PASSED;
	REFUSES(-GI_EPROTO, e);
	passed = all[SAMPLES - SAMPLES_FILE + 9].e.file_report->passed;
	r->passed = passed;
	ACCEPTS(e);
	passed->reason = nothing;
	REFUSES(-GI_EPROTO, e);
	e = fresh(IDFW__ENVELOPE__BODY_SCAN_RECORD);
	e->scan_record->vm = nothing;
	REFUSES(-GI_EPROTO, e);
	e->scan_record->fim = NULL;
	e->scan_record->kind = IDFW__SCAN_RECORD__KIND__SERVICE;
	ACCEPTS(e);
}

/* all that may be long is: head, path, program, names; and the record with four paths */
static void test_check_file_largest_messages_fit_a_frame(void **state)
{
	Idfw__Envelope *e = fresh(IDFW__ENVELOPE__BODY_FILE_EVENT);
	Idfw__Envelope *got = NULL;
	const char *why = "";
	struct gi_buf b;

	(void)state;
	memset(big, 'p', WIRE_DATA_MAX);
	gi_buf_init(&b, WIRE_FRAME_MAX);
	e->file_event->head = (ProtobufCBinaryData){ WIRE_DATA_MAX, big };
	e->file_event->path = e->file_event->actor->exe =
		(ProtobufCBinaryData){ WIRE_PATH_MAX, big };
	e->file_event->actor->user = text_of(WIRE_USER_MAX);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	assert_true(b.len > WIRE_DATA_MAX + 2 * WIRE_PATH_MAX);
	assert_int_equal(
		wire_envelope_decode(b.data, b.len, WIRE_FILE_AGENT, WIRE_OPEN, &got, &why), 0);
	assert_int_equal(got->file_event->head.len, WIRE_DATA_MAX);
	assert_memory_equal(got->file_event->path.data, big, WIRE_PATH_MAX);
	wire_envelope_free(got);
	e = fresh(IDFW__ENVELOPE__BODY_SCAN_RECORD);
	e->scan_record->path = e->scan_record->actor->exe = e->scan_record->fim->path =
		e->scan_record->fim->new_path = (ProtobufCBinaryData){ WIRE_PATH_MAX, big };
	gi_buf_reset(&b);
	assert_int_equal(wire_envelope_encode(e, &b), 0);
	gi_buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check_file_texts_at_their_limits),
		cmocka_unit_test(test_check_file_numbers_at_their_limits),
		cmocka_unit_test(test_check_file_enums),
		cmocka_unit_test(test_check_file_byte_lengths),
		cmocka_unit_test(test_check_file_paths),
		cmocka_unit_test(test_check_file_offsets),
		cmocka_unit_test(test_check_file_error_or_data),
		cmocka_unit_test(test_check_file_failed_verdict_is_not_for_keeps),
		cmocka_unit_test(test_check_file_counts),
		cmocka_unit_test(test_check_file_missing_parts),
		cmocka_unit_test(test_check_file_report_of_a_change),
		cmocka_unit_test(test_check_file_command_needs_its_object),
		cmocka_unit_test(test_check_file_record_has_what_its_kind_says),
		cmocka_unit_test(test_check_file_largest_messages_fit_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
