/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * samples_file.c - one message of each kind of the file path with every field set
 *
 * For tests and fuzz seeds, as samples.c: static storage, built anew by each call, so that a test
 * may bend one field and go on.
 */
#include "tests/unit/wire/samples.h"

static char user[] = "alice", comm[] = "sshd", engine[] = "clamav";
static char signature[] = "Eicar-Test-Signature", reason[] = "signature";
static char done_text[] = "read-only file system", rule[] = "etc", passed_reason[] = "deadline";
static char counter_name[] = "passed_service_down", json[] = "{\"id\":\"00\"}";
static char reply_text[] = "no such quarantine entry", log_text[] = "event 7: allow",
	    vm[] = "web01";
static char record_text[] = "restored", by[] = "root";
static char engines[] = "clamav 1.4.3 (44 signatures)", no_error[] = "";
static uint8_t path[] = "/srv/in/eicar\xff.com", new_path[] = "/srv/in/x", exe[] = "/usr/sbin/sshd";
static uint8_t content[] = "X5O!P%@AP[4", epoch[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static uint8_t sha256[32] = { 0xaa, [31] = 0xbb }, quarantine_id[16] = { 9, [15] = 9 };
static uint8_t boot_id[16] = { 1, [15] = 2 };

static Idfw__FileActor actor;
static Idfw__ScanSettings settings;
static Idfw__FileEvent event;
static Idfw__FileRead read_msg;
static Idfw__FileData data;
static Idfw__FileWrite write_msg;
static Idfw__FileWrote wrote;
static Idfw__FileVerdict verdict;
static Idfw__FileDone done;
static Idfw__FileCancel cancel;
static Idfw__FimEvent fim;
static Idfw__FilePassed passed;
static Idfw__FileReport report;
static Idfw__FileReportAck report_ack;
static Idfw__FileCounter counter;
static Idfw__FileCounters counters;
static Idfw__FileCommand command;
static Idfw__FileReply reply;
static Idfw__LogLine log_line;
static Idfw__ScanRecord record;
static Idfw__ScanAck scan_ack;
static Idfw__ScanJob job;
static Idfw__ScanNeed need;
static Idfw__ScanBytes bytes;
static Idfw__ScanResult result;
static Idfw__ScanReady ready;

static Idfw__FileCounter *counter_list[1] = { &counter };

#define BYTES(x) ((ProtobufCBinaryData){ sizeof(x), (x) })
#define TEXT_BYTES(x) ((ProtobufCBinaryData){ sizeof(x) - 1, (x) })

static void init_event(void)
{
	idfw__file_actor__init(&actor);
	actor.pid = 4242;
	actor.uid = 1000;
	actor.session = 7;
	actor.user = user;
	actor.comm = comm;
	actor.exe = TEXT_BYTES(exe);
	idfw__scan_settings__init(&settings);
	settings.epoch = BYTES(epoch);
	settings.ops = 0x3e;
	settings.max_bytes = 100u << 20;
	settings.head_bytes = 16384;
	settings.credits = 256;
	idfw__file_event__init(&event);
	event.id = 7;
	event.op = IDFW__FILE_OP__FILE_OP_OPEN;
	event.path = TEXT_BYTES(path);
	event.size = 68;
	event.mtime_ns = event.ctime_ns = 1700000000000000000;
	event.inode = 12;
	event.device = 0x801;
	event.mode = 0100644;
	event.head = TEXT_BYTES(content);
	event.deadline_ms = 1000;
	event.actor = &actor;
}

static void init_content(void)
{
	idfw__file_read__init(&read_msg);
	read_msg.id = 7;
	read_msg.offset = 16384;
	read_msg.length = 1u << 20;
	idfw__file_data__init(&data);
	data.id = 7;
	data.offset = 16384;
	data.data = TEXT_BYTES(content);
	data.eof = true;
	idfw__file_write__init(&write_msg);
	write_msg.id = 7;
	write_msg.offset = 5;
	write_msg.data = TEXT_BYTES(content);
	write_msg.last = true;
	idfw__file_wrote__init(&wrote);
	wrote.id = 7;
	wrote.offset = 16;
	wrote.error = 28;
}

static void init_verdict(void)
{
	idfw__file_verdict__init(&verdict);
	verdict.id = 7;
	verdict.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_QUARANTINE;
	verdict.until_change = true;
	verdict.engine = engine;
	verdict.signature = signature;
	verdict.sha256 = BYTES(sha256);
	verdict.epoch = BYTES(epoch);
	verdict.reason = reason;
	idfw__file_done__init(&done);
	done.id = 7;
	done.result = IDFW__FILE_DONE__RESULT__FAILED;
	done.text = done_text;
	done.actor = &actor;
	done.quarantine_id = BYTES(quarantine_id);
	done.opener_denied = true;
	idfw__file_cancel__init(&cancel);
	cancel.id = 7;
	cancel.reason = IDFW__FILE_CANCEL__REASON__GONE;
}

static void init_report(void)
{
	idfw__fim_event__init(&fim);
	fim.rule = rule;
	fim.op = IDFW__FIM_EVENT__OP__RENAME;
	fim.path = TEXT_BYTES(path);
	fim.new_path = TEXT_BYTES(new_path);
	fim.before = fim.after = BYTES(sha256);
	fim.mode_before = fim.mode_after = 0100644;
	fim.uid_before = 1;
	fim.uid_after = 2;
	fim.size_after = 68;
	idfw__file_passed__init(&passed);
	passed.reason = passed_reason;
	passed.path = TEXT_BYTES(path);
	passed.denied = true;
	passed.op = IDFW__FILE_OP__FILE_OP_EXEC;
	passed.hidden = 3;
	idfw__file_report__init(&report);
	report.seq = 42;
	report.time_ms = 1700000000000;
	report.actor = &actor;
	report.body_case = IDFW__FILE_REPORT__BODY_PASSED;
	report.passed = &passed;
	idfw__file_report_ack__init(&report_ack);
	report_ack.seq = 42;
	idfw__file_counter__init(&counter);
	counter.name = counter_name;
	counter.value = 9;
	idfw__file_counters__init(&counters);
	counters.n_counter = 1;
	counters.counter = counter_list;
}

static void init_command(void)
{
	idfw__file_command__init(&command);
	command.id = 3;
	command.verb = IDFW__FILE_COMMAND__VERB__SCAN;
	command.path = TEXT_BYTES(path);
	command.quarantine_id = BYTES(quarantine_id);
	command.target = 2;
	idfw__file_reply__init(&reply);
	reply.id = 3;
	reply.json = json;
	reply.last = true;
	reply.status = 1;
	reply.text = reply_text;
	idfw__log_line__init(&log_line);
	log_line.level = 7;
	log_line.text = log_text;
	log_line.dropped = 12;
}

static void init_record(void)
{
	idfw__scan_record__init(&record);
	record.seq = 8;
	record.kind = IDFW__SCAN_RECORD__KIND__FIM;
	record.time_ms = 1700000000000;
	record.vm = vm;
	record.boot_id = BYTES(boot_id);
	record.actor = &actor;
	record.op = IDFW__FILE_OP__FILE_OP_CLOSE_WRITE;
	record.path = TEXT_BYTES(path);
	record.sha256 = BYTES(sha256);
	record.engine = engine;
	record.signature = signature;
	record.verdict = IDFW__FILE_VERDICT_KIND__FILE_VERDICT_DELETE;
	record.result = IDFW__FILE_DONE__RESULT__DONE;
	record.isolate = IDFW__FILE_ISOLATE__FILE_ISOLATE_SESSION;
	record.quarantine_id = BYTES(quarantine_id);
	record.text = record_text;
	record.fim = &fim;
	record.by = by;
	record.took_us = 512;
	idfw__scan_ack__init(&scan_ack);
	scan_ack.seq = 8;
}

static void init_worker(void)
{
	idfw__scan_job__init(&job);
	job.id = 1;
	job.size = 68;
	job.head = TEXT_BYTES(content);
	job.budget_ms = 900;
	idfw__scan_need__init(&need);
	need.offset = 16384;
	need.length = 1u << 20;
	idfw__scan_bytes__init(&bytes);
	bytes.offset = 16384;
	bytes.data = TEXT_BYTES(content);
	bytes.last = true;
	idfw__scan_result__init(&result);
	result.id = 1;
	result.outcome = IDFW__SCAN_RESULT__OUTCOME__FOUND;
	result.engine = engine;
	result.signature = signature;
	result.text = done_text;
	idfw__scan_ready__init(&ready);
	ready.epoch = BYTES(epoch);
	ready.engines = engines;
	ready.error = no_error;
}

void samples_file_init(struct sample ret[SAMPLES_FILE])
{
	struct sample *s = ret;

	init_event();
	init_content();
	init_verdict();
	init_report();
	init_command();
	init_record();
	init_worker();
	SAMPLE(SCAN_SETTINGS, scan_settings, settings, WIRE_SCAN_TO_AGENT, WIRE_OPEN);
	SAMPLE(FILE_EVENT, file_event, event, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_READ, file_read, read_msg, WIRE_SCAN_TO_AGENT, WIRE_OPEN);
	SAMPLE(FILE_DATA, file_data, data, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_WRITE, file_write, write_msg, WIRE_SCAN_TO_AGENT, WIRE_OPEN);
	SAMPLE(FILE_WROTE, file_wrote, wrote, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_VERDICT, file_verdict, verdict, WIRE_SCAN_TO_AGENT, WIRE_OPEN);
	SAMPLE(FILE_DONE, file_done, done, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_CANCEL, file_cancel, cancel, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_REPORT, file_report, report, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_REPORT_ACK, file_report_ack, report_ack, WIRE_SCAN_TO_AGENT, WIRE_OPEN);
	SAMPLE(FILE_COUNTERS, file_counters, counters, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(FILE_COMMAND, file_command, command, WIRE_SCAN_TO_AGENT, WIRE_OPEN);
	SAMPLE(FILE_REPLY, file_reply, reply, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(LOG_LINE, log_line, log_line, WIRE_FILE_AGENT, WIRE_OPEN);
	SAMPLE(SCAN_RECORD, scan_record, record, WIRE_SCAN, WIRE_OPEN);
	SAMPLE(SCAN_ACK, scan_ack, scan_ack, WIRE_SVM_TO_SCAN, WIRE_OPEN);
	SAMPLE(SCAN_JOB, scan_job, job, WIRE_SCAN_TO_WORKER, WIRE_NEW);
	SAMPLE(SCAN_NEED, scan_need, need, WIRE_SCAN_WORKER, WIRE_OPEN);
	SAMPLE(SCAN_BYTES, scan_bytes, bytes, WIRE_SCAN_TO_WORKER, WIRE_OPEN);
	SAMPLE(SCAN_RESULT, scan_result, result, WIRE_SCAN_WORKER, WIRE_OPEN);
	SAMPLE(SCAN_READY, scan_ready, ready, WIRE_SCAN_WORKER, WIRE_NEW);
}
