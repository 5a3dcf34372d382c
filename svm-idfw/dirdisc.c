/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirdisc.c - the discovery child: asks DNS for a directory's servers, once, and ends
 *
 * Runs as `svm-idfw --directory-discover LABEL -c CONF`, started and timed by dirfind.c. Everything
 * here blocks. Invariants: one DirServers, whatever happens; what is kept (dirkept.h) is never a
 * list of which a part could not be learned.
 * Source: docs/directory.md "Servers by DNS", ADR 19.
 */
#include "svm-idfw/dirfind.h"

#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/text.h"
#include "lib/io/child.h"
#include "lib/io/priv.h"
#include "svm-idfw/dirdns.h"
#include "svm-idfw/dirkept.h"

#define DISC_SEND_MS 5000

struct disc {
	const struct idfw_dir_conf *conf;
	const struct dir_srv_question *question;
	struct dir_srv_list *list; /* owned */
	char why[DIR_WHY_MAX];	   /* why something is missing */
	bool doubt;		   /* a question has no answer: the list may lack somebody */
};

static void disc_ask(struct disc *d);
static int disc_send(const struct disc *d);
static int disc_write_all(int fd, const void *buf, size_t len);
static void disc_keep(struct disc *d);

int idfw_dir_discover_main(const struct idfw_dir_conf *conf, const char *seed)
{
	struct disc d = { .conf = conf, .list = calloc(1, sizeof(*d.list)) };
	int err = d.list && conf->discover ? 0 : -EINVAL;

	if (err == 0)
		err = gi_text_u64(seed, 0, UINT64_MAX, &d.list->seed);
	if (err == 0)
		err = io_priv_drop(NULL, 0);
	if (err == 0)
		err = io_priv_seccomp_parser();
	if (err == 0)
		err = dir_dns_use(conf->dns_server.items, conf->dns_server.n);
	if (err == 0) {
		disc_ask(&d);
		err = disc_send(&d);
	}
	if (err < 0)
		gi_err("directory %s: cannot ask DNS: %s", conf->label, gi_strerror(err));
	else if (d.list->n && !d.doubt && conf->state_dir)
		disc_keep(&d);
	free(d.list);
	return err < 0;
}

static void disc_add(void *arg, const struct dir_srv_record *r)
{
	struct disc *d = arg;

	dir_srv_add(d->list, d->conf, d->question, r);
}

static void disc_ask(struct disc *d)
{
	struct dir_srv_question question[DIR_SRV_QUESTIONS];
	size_t n = dir_srv_questions(d->conf, question), had;
	char why[DIR_WHY_MAX];

	for (size_t i = 0; i < n; i++) {
		int err;

		if (question[i].only_if_none && d->list->n)
			continue;
		had = d->list->n;
		d->question = &question[i];
		err = dir_dns_srv(question[i].name, disc_add, d, why);
		if (err == -GI_ENOTFOUND && question[i].preferred)
			gi_notice("directory %s: %s: the site %s has no servers of its own",
				d->conf->label, why, d->conf->site);
		if (err < 0 && err != -GI_ENOTFOUND)
			d->doubt = true;
		if (err < 0 && (d->why[0] == '\0' || err != -GI_ENOTFOUND))
			dir_why(d->why, "%s", why[0] ? why : gi_strerror(err));
		if (err == 0 && d->list->n == had && d->list->refused && d->list->n == 0)
			dir_why(d->why, "no target of %.100s is below %.60s or in discover-allow",
				question[i].name, d->conf->discover);
	}
	if (d->list->n && !d->doubt)
		d->why[0] = '\0';
	else if (d->list->n == 0 && d->why[0] == '\0')
		dir_why(d->why, "DNS says that %.100s has no directory servers", d->conf->discover);
	d->list->found_ms = io_clock_real_ms();
}

/* ---- to the parent, which may be busy ---- */

static int disc_write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);
		struct pollfd wait = { .fd = fd, .events = POLLOUT };

		if (n < 0 && errno == EAGAIN && poll(&wait, 1, DISC_SEND_MS) == 1)
			continue;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int disc_send(const struct disc *d)
{
	Idfw__DirServer server[DIR_SRV_MAX], *list[DIR_SRV_MAX];
	Idfw__DirServers s = IDFW__DIR_SERVERS__INIT;
	Idfw__Envelope e = IDFW__ENVELOPE__INIT;
	struct gi_buf out;
	uint8_t head[4];
	int err;

	for (size_t i = 0; i < d->list->n; i++) {
		idfw__dir_server__init(&server[i]);
		server[i].uri = d->list->item[i].uri;
		server[i].priority = d->list->item[i].priority;
		server[i].weight = d->list->item[i].weight;
		server[i].preferred = d->list->item[i].preferred;
		list[i] = &server[i];
	}
	s.n_server = d->list->n;
	s.server = list;
	s.ttl_sec = d->list->ttl_sec;
	s.text = (char *)(uintptr_t)d->why;
	s.refused = (uint32_t)d->list->refused;
	e.body_case = IDFW__ENVELOPE__BODY_DIR_SERVERS;
	e.dir_servers = &s;
	gi_buf_init(&out, WIRE_FRAME_MAX);
	err = wire_envelope_encode(&e, &out);
	for (size_t i = 0; i < sizeof(head); i++)
		head[i] = (uint8_t)(out.len >> (8 * (3 - i)));
	if (err == 0)
		err = disc_write_all(IO_CHILD_FD, head, sizeof(head));
	if (err == 0)
		err = disc_write_all(IO_CHILD_FD, out.data, out.len);
	gi_buf_fini(&out);
	return err;
}

/* ---- for when DNS is dead ---- */

/* what getaddrinfo() finds; false: nothing now */
static bool disc_resolve(struct dir_srv *v)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list = NULL, *a;
	char host[DIR_SRV_HOST_MAX + 1], text[NI_MAXHOST];

	if (!dir_srv_host(v->uri, host) || getaddrinfo(host, NULL, &hints, &list) != 0)
		return false;
	for (a = list; a; a = a->ai_next)
		if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0,
			    NI_NUMERICHOST) == 0)
			(void)dir_srv_address_add(v, text);
	freeaddrinfo(list);
	return v->addresses[0] != '\0';
}

/* the addresses of those that are asked first; what DNS does not say now stays as it was */
static void disc_keep(struct disc *d)
{
	struct dir_srv_list *before = malloc(sizeof(*before));
	const struct dir_srv *old;
	int err;

	if (!before)
		return;
	if (dir_kept_load(d->conf, before) < 0)
		before->n = 0;
	dir_srv_order(d->list, d->list->seed);
	for (size_t i = 0; i < d->list->n && i < DIR_SERVERS_MAX; i++) {
		old = dir_srv_find(before, d->list->item[i].uri);
		if (!disc_resolve(&d->list->item[i]) && old)
			d->list->item[i] = *old;
	}
	free(before);
	err = dir_kept_save(d->conf, d->list);
	if (err < 0)
		gi_warn("directory %s: cannot keep the list of servers in %s: %s", d->conf->label,
			d->conf->state_dir, gi_strerror(err));
}
