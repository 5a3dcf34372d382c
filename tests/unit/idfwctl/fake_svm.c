/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_svm.c - answers one idfwctl with canned rows, for tests of what idfwctl shows
 *
 *   fake_svm SOCKET CASE REQUEST COMMAND [ARGUMENT...]
 *
 * Listens on SOCKET, runs COMMAND, answers its one connection as the lines of CASE say and writes
 * the request that came into REQUEST; ends with COMMAND's exit code. Lines of CASE:
 *   row JSON | text LINE | end STATUS [WORDS] | refused WORDS | version WORDS | raw HEX
 *   no-hello (do not answer Hello) | no-read (answer before reading) | close
 * Lines that begin with another word are not for this program.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/io/frame.h"
#include "lib/io/sock.h"
#include "lib/wire/wire.h"

#define WAIT_MS 60000

static void die(const char *what)
{
	perror(what);
	exit(99);
}

static void send_all(int fd, const void *data, size_t len)
{
	const char *at = data;

	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) != 1)
			die("fake_svm: poll");
		n = send(fd, at, len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			return; /* idfwctl has heard enough */
		at += n;
		len -= (size_t)n;
	}
}

static void send_envelope(int fd, const Idfw__Envelope *e)
{
	uint8_t head[IO_FRAME_HEAD];
	struct gi_buf out;

	gi_buf_init(&out, WIRE_FRAME_MAX);
	if (wire_envelope_encode(e, &out) != 0)
		die("fake_svm: encode");
	io_frame_head(head, out.len);
	send_all(fd, head, sizeof(head));
	send_all(fd, out.data, out.len);
	gi_buf_fini(&out);
}

static void send_hello_ack(int fd)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__HelloAck ack = IDFW__HELLO_ACK__INIT;
	char software[] = "fake 1";

	ack.version = 1;
	ack.software = software;
	e.body_case = IDFW__ENVELOPE__BODY_HELLO_ACK;
	e.hello_ack = &ack;
	send_envelope(fd, &e);
}

static void send_refused(int fd, Idfw__Refused__Reason reason, char *words)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__Refused refused = IDFW__REFUSED__INIT;

	refused.reason = reason;
	refused.text = words;
	e.body_case = IDFW__ENVELOPE__BODY_REFUSED;
	e.refused = &refused;
	send_envelope(fd, &e);
}

static void send_row(int fd, char *json)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__CtlRow row = IDFW__CTL_ROW__INIT;

	row.json = json;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_ROW;
	e.ctl_row = &row;
	send_envelope(fd, &e);
}

/* "\xHH" in the line is that byte: what idfwctl must clean */
static void send_text(int fd, char *line)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__CtlText text = IDFW__CTL_TEXT__INIT;
	struct gi_buf out;
	unsigned int byte;

	gi_buf_init(&out, 65536);
	for (char *c = line; *c; c++) {
		if (sscanf(c, "\\x%2x", &byte) == 1) {
			gi_buf_append(&out, &(char){ (char)byte }, 1);
			c += 3;
		} else {
			gi_buf_append(&out, c, 1);
		}
	}
	gi_buf_append(&out, "\n", 1);
	text.text.data = out.data;
	text.text.len = out.len;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_TEXT;
	e.ctl_text = &text;
	send_envelope(fd, &e);
	gi_buf_fini(&out);
}

static void send_end(int fd, char *words)
{
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	Idfw__CtlEnd end = IDFW__CTL_END__INIT;

	end.status = (uint32_t)strtoul(words, &words, 10);
	while (*words == ' ')
		words++;
	end.text = words;
	e.body_case = IDFW__ENVELOPE__BODY_CTL_END;
	e.ctl_end = &end;
	send_envelope(fd, &e);
}

static void send_raw(int fd, const char *hex)
{
	unsigned int byte;

	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		send_all(fd, &(unsigned char){ (unsigned char)byte }, 1);
}

/* ---- the request ---- */

static void log_request(const Idfw__CtlRequest *r, FILE *to)
{
	fprintf(to, "%s", r->verb);
	for (size_t i = 0; i < r->n_arg; i++)
		fprintf(to, " [%s]", r->arg[i]);
	fprintf(to, "\n");
}

/* reads until the request is whole: Hello, CtlRequest, its data */
static void read_request(int fd, FILE *to)
{
	enum wire_state state = WIRE_NEW;
	size_t want = 0, got = 0, len;
	bool asked = false;
	struct gi_buf in;
	uint8_t part[65536];

	gi_buf_init(&in, 1 << 20);
	while (!asked || got < want) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		Idfw__Envelope *e;
		const char *why = "";
		ssize_t n;
		int rc = io_frame_next(in.data, in.len, WIRE_FRAME_MAX, &len);

		if (rc == 0) {
			rc = wire_envelope_decode(
				in.data + IO_FRAME_HEAD, len, WIRE_CTL, state, &e, &why);
			if (rc) {
				fprintf(to, "refused: %s\n", why);
				break;
			}
			state = WIRE_OPEN;
			if (e->body_case == IDFW__ENVELOPE__BODY_CTL_REQUEST) {
				asked = true;
				want = e->ctl_request->data_len;
				log_request(e->ctl_request, to);
			} else if (e->body_case == IDFW__ENVELOPE__BODY_CTL_DATA) {
				got += e->ctl_data->data.len;
			}
			wire_envelope_free(e);
			gi_buf_consume(&in, IO_FRAME_HEAD + len);
			continue;
		}
		if (poll(&p, 1, WAIT_MS) != 1)
			die("fake_svm: nothing comes");
		n = recv(fd, part, sizeof(part), 0);
		if (n <= 0)
			break;
		gi_buf_append(&in, part, (size_t)n);
	}
	if (want)
		fprintf(to, "data %zu of %zu\n", got, want);
	gi_buf_fini(&in);
}

static bool word(char *line, const char *want, char **ret_rest)
{
	size_t len = strlen(want);

	if (strncmp(line, want, len) != 0 || (line[len] != ' ' && line[len] != '\0'))
		return false;
	*ret_rest = line + len + (line[len] == ' ');
	return true;
}

static bool case_has(FILE *f, const char *what)
{
	char line[4096], *rest;
	bool found = false;

	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		found = found || word(line, what, &rest);
	}
	rewind(f);
	return found;
}

static void answer(int fd, FILE *script, FILE *request)
{
	static char line[70000];
	char *rest;

	if (!case_has(script, "no-read"))
		read_request(fd, request);
	if (!case_has(script, "no-hello"))
		send_hello_ack(fd);
	while (fgets(line, sizeof(line), script)) {
		line[strcspn(line, "\n")] = '\0';
		if (word(line, "row", &rest))
			send_row(fd, rest);
		else if (word(line, "text", &rest))
			send_text(fd, rest);
		else if (word(line, "end", &rest))
			send_end(fd, rest);
		else if (word(line, "refused", &rest))
			send_refused(fd, IDFW__REFUSED__REASON__IDENTITY, rest);
		else if (word(line, "version", &rest))
			send_refused(fd, IDFW__REFUSED__REASON__VERSION, rest);
		else if (word(line, "raw", &rest))
			send_raw(fd, rest);
	}
}

/* the connection, or -1 when the command ended without one */
static int wait_connection(int listener, int pidfd)
{
	struct pollfd p[2] = { { .fd = listener, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN } };
	int fd = -1;

	if (poll(p, 2, WAIT_MS) < 1)
		die("fake_svm: the command neither connects nor ends");
	if ((p[0].revents & POLLIN) && io_sock_accept(listener, &fd) != 0)
		die("fake_svm: accept");
	return fd;
}

int main(int argc, char **argv)
{
	FILE *script, *request;
	struct io_endpoint e;
	char endpoint[256];
	int listener, fd, status, pidfd;
	pid_t pid;

	if (argc < 5)
		return 99;
	script = fopen(argv[2], "r");
	request = fopen(argv[3], "w");
	snprintf(endpoint, sizeof(endpoint), "unix:%s", argv[1]);
	if (!script || !request || io_endpoint_parse(endpoint, &e) != 0 ||
		io_sock_listen(&e, 0600, &listener) != 0)
		die("fake_svm: set-up");
	pid = fork();
	if (pid == 0) {
		execv(argv[4], argv + 4);
		_exit(98);
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	fd = wait_connection(listener, pidfd);
	if (fd >= 0)
		answer(fd, script, request);
	if (fd >= 0 && case_has(script, "no-read"))
		(void)shutdown(fd, SHUT_WR); /* closing with unread data would reset: the answer
						would be lost */
	else if (fd >= 0)
		(void)close(fd);
	if (waitpid(pid, &status, 0) != pid)
		die("fake_svm: waitpid");
	(void)unlink(argv[1]);
	(void)fclose(request);
	(void)fclose(script);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}
