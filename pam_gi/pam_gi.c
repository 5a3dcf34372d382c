/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * pam_gi.c - the PAM session module: tells gi-netagent who logged in, and out
 *
 * First step of the path (pam_gi -> gi-netagent -> gi-mux -> svm-idfw). Runs as root inside sshd,
 * login, su, sudo, cron. It never looks at a password, never prints, never asks: in an auth or
 * account stack it only says that a login may follow (PAM_IGNORE, no answer waited for), so that
 * the agent is ready for it (docs/sessions.md "How long a login waits").
 * Invariants: without "required" every path returns PAM_SUCCESS (PAM_IGNORE from a session stack's
 * only module would make libpam fail the login); the exchange with the agent takes at most
 * timeout_ms. Links libpam and libc alone.
 * Source: pam(3), pam_sm_open_session(3), pam_gi(8).
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include <security/pam_modules.h>
#include <security/pam_ext.h>
#include <security/pam_modutil.h>

#include "pam_gi/block.h"
#include "pam_gi/exchange.h"
#include "pam_gi/options.h"

#define EXCHANGE_TRIES 3
#define SOON_MS 20		    /* at most, where the agent accepts nobody just now */
#define ABSENT_PAUSE_MS 20	    /* between two looks for an agent that is not there */
#define SESSION_DATA "idfw_session" /* pam_set_data: heap uint64_t, the agent's session number */

static void session_data_free(pam_handle_t *pamh, void *data, int error_status)
{
	(void)pamh;
	(void)error_status;
	free(data);
}

static void session_data_set(pam_handle_t *pamh, uint64_t session)
{
	uint64_t *p = malloc(sizeof(*p));

	if (!p) /* the agent finds the session by its leader then */
		return;
	*p = session;
	if (pam_set_data(pamh, SESSION_DATA, p, session_data_free) != PAM_SUCCESS)
		free(p);
}

static uint64_t session_data_get(pam_handle_t *pamh)
{
	const void *p = NULL;

	if (pam_get_data(pamh, SESSION_DATA, &p) != PAM_SUCCESS || !p)
		return 0;
	return *(const uint64_t *)p;
}

static const char *get_item(pam_handle_t *pamh, int item)
{
	const void *p = NULL;

	return pam_get_item(pamh, item, &p) == PAM_SUCCESS ? p : NULL;
}

static int gather(pam_handle_t *pamh, struct pam_gi_event *ev)
{
	const struct passwd *pw;

	ev->user = get_item(pamh, PAM_USER);
	if (!ev->user || !ev->user[0]) {
		pam_syslog(pamh, LOG_ERR, "no user name in this session");
		return -EINVAL;
	}
	pw = pam_modutil_getpwnam(pamh, ev->user);
	if (!pw) {
		pam_syslog(pamh, LOG_ERR, "user has no passwd entry: session is not reported");
		return -ENOENT;
	}
	ev->uid = (uint32_t)pw->pw_uid;
	ev->service = get_item(pamh, PAM_SERVICE);
	ev->tty = get_item(pamh, PAM_TTY);
	ev->rhost = get_item(pamh, PAM_RHOST);
	ev->ruser = get_item(pamh, PAM_RUSER);
	ev->auth_info = pam_getenv(pamh, "SSH_AUTH_INFO_0");
	ev->ssh_connection = pam_getenv(pamh, "SSH_CONNECTION");
	return 0;
}

static void log_exchange_error(pam_handle_t *pamh, const struct pam_gi_options *opt, int err)
{
	if (err == -ETIMEDOUT)
		pam_syslog(pamh, LOG_WARNING, "gi-netagent at %s did not answer within %u ms",
			opt->socket, opt->timeout_ms);
	else if (err == -GI_ELIMIT)
		pam_syslog(pamh, LOG_ERR, "answer from %s is too large", opt->socket);
	else
		pam_syslog(pamh, LOG_ERR, "no answer from gi-netagent at %s: %s; is it running?",
			opt->socket, strerror(-err));
}

/* a login waits for an agent that is being started; a logout is seen by its leader's end too */
static bool absent_wait(const struct pam_gi_event *ev, int err, long long end_us)
{
	const struct timespec pause = { .tv_nsec = ABSENT_PAUSE_MS * 1000000L };

	if ((err != -ENOENT && err != -ECONNREFUSED) || strcmp(ev->event, "open") != 0 ||
		end_us - pam_gi_now_us() <= ABSENT_PAUSE_MS * 1000LL)
		return false;
	(void)nanosleep(&pause, NULL);
	return true;
}

/*
 * An agent that is killed resets the connections that it had; its listener lives on, and the next
 * agent answers. RETRY says that the last one may have recorded the event already. When all of the
 * agent is down, its socket is looked for as long as there is time.
 */
static int exchange(const struct pam_gi_options *opt, struct pam_gi_event *ev,
	char answer[PAM_GI_BLOCK_MAX], size_t *ret_len)
{
	long long end_us = pam_gi_now_us() + (long long)opt->timeout_ms * 1000;
	struct pam_gi_block block;
	int err;

	for (int tries = 0; tries < EXCHANGE_TRIES;) {
		long long left_us = end_us - pam_gi_now_us();

		ev->retry = tries > 0;
		ev->timeout_ms = left_us <= 0 ? 0 : (unsigned int)((left_us + 999) / 1000);
		if (pam_gi_block_encode(ev, &block) < 0)
			return -E2BIG;
		err = pam_gi_exchange(opt->socket, ev->timeout_ms, block.data, block.len, answer,
			PAM_GI_BLOCK_MAX, ret_len);
		if (err == -ECONNRESET || err == -EPIPE)
			tries++;
		else if (!absent_wait(ev, err, end_us))
			break;
	}
	return err;
}

static int ask(pam_handle_t *pamh, const struct pam_gi_options *opt, struct pam_gi_event *ev,
	struct pam_gi_reply *ret)
{
	char answer[PAM_GI_BLOCK_MAX];
	size_t len = 0;
	int err = exchange(opt, ev, answer, &len);

	if (err == -E2BIG) {
		pam_syslog(pamh, LOG_ERR, "session cannot be reported: its user name is too long");
		return err;
	}
	if (err < 0) {
		log_exchange_error(pamh, opt, err);
		return err;
	}
	err = pam_gi_reply_parse(answer, len, ret);
	if (err < 0)
		pam_syslog(pamh, LOG_ERR, "answer from %s is not one of gi-netagent", opt->socket);
	return err;
}

static void log_reply(
	pam_handle_t *pamh, const struct pam_gi_options *opt, const struct pam_gi_reply *r)
{
	if (r->status == PAM_GI_REFUSED || r->status == PAM_GI_TIMEOUT ||
		r->status == PAM_GI_DEGRADED)
		pam_syslog(pamh, LOG_WARNING, "gi-netagent says: %s%s%s",
			pam_gi_status_name(r->status), r->text[0] ? ": " : "", r->text);
	else if (opt->debug)
		pam_syslog(pamh, LOG_DEBUG, "session %" PRIu64 ": %s", r->session,
			pam_gi_status_name(r->status));
}

static void read_options(
	pam_handle_t *pamh, int argc, const char **argv, struct pam_gi_options *opt)
{
	const char *bad = pam_gi_options_parse(argc, argv, opt);

	if (bad)
		pam_syslog(pamh, LOG_ERR, "argument \"%s\" is wrong and is not used", bad);
}

/* whoever it will be; that it fails is no matter: the login is a little slower */
static int soon(pam_handle_t *pamh, int argc, const char **argv)
{
	static const char block[] = "IDFW=1\0EVENT=soon"; /* with its NUL */
	struct pam_gi_options opt;
	int err;

	read_options(pamh, argc, argv, &opt);
	err = pam_gi_tell(opt.socket, opt.timeout_ms < SOON_MS ? opt.timeout_ms : SOON_MS, block,
		sizeof(block));
	if (err < 0 && opt.debug)
		pam_syslog(pamh, LOG_DEBUG, "%s is not told of a login that may come: %s",
			opt.socket, strerror(-err));
	return PAM_IGNORE;
}

__attribute__((visibility("default"))) int pam_sm_authenticate(
	pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return soon(pamh, argc, argv);
}

__attribute__((visibility("default"))) int pam_sm_acct_mgmt(
	pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)flags;
	return soon(pamh, argc, argv);
}

/* libpam calls it where pam_sm_authenticate() stands */
__attribute__((visibility("default"))) int pam_sm_setcred(
	pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_IGNORE;
}

__attribute__((visibility("default"))) int pam_sm_open_session(
	pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct pam_gi_event ev = { .event = "open" };
	struct pam_gi_options opt;
	struct pam_gi_reply reply;
	int failed;

	(void)flags; /* PAM_SILENT: we never speak anyway */
	read_options(pamh, argc, argv, &opt);
	failed = opt.required ? PAM_SESSION_ERR : PAM_SUCCESS;
	ev.wait = opt.wait;
	if (gather(pamh, &ev) < 0 || ask(pamh, &opt, &ev, &reply) < 0)
		return failed;
	log_reply(pamh, &opt, &reply);
	if (reply.session)
		session_data_set(pamh, reply.session);
	if (reply.status == PAM_GI_REFUSED || reply.status == PAM_GI_TIMEOUT)
		return failed;
	return PAM_SUCCESS;
}

/* A failure here is only logged: the agent sees the end of the session's leader as well. */
__attribute__((visibility("default"))) int pam_sm_close_session(
	pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	struct pam_gi_event ev = { .event = "close" };
	struct pam_gi_options opt;
	struct pam_gi_reply reply;

	(void)flags;
	read_options(pamh, argc, argv, &opt);
	ev.session = session_data_get(pamh);
	if (gather(pamh, &ev) == 0 && ask(pamh, &opt, &ev, &reply) == 0)
		log_reply(pamh, &opt, &reply);
	return PAM_SUCCESS;
}
