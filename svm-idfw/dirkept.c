/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirkept.c - the file in which the servers that DNS named are kept, with their addresses
 *
 * state-dir/directory-LABEL.servers. Invariant: it holds a whole list, or the one before.
 */
#include "svm-idfw/dirkept.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/text.h"

#define KEPT_PATH_MAX 4160

/* @what: "servers", "domain" */
static int kept_path(const struct idfw_dir_conf *conf, const char *what, const char *suffix,
	char ret[KEPT_PATH_MAX])
{
	int n;

	if (!conf->state_dir || !gi_text_is_name(conf->label, GI_NAME_MAX))
		return -GI_ENOTFOUND;
	n = snprintf(ret, KEPT_PATH_MAX, "%s/directory-%s.%s%s", conf->state_dir, conf->label, what,
		suffix);
	return n < 0 || n >= KEPT_PATH_MAX ? -GI_ELIMIT : 0;
}

int dir_kept_load(const struct idfw_dir_conf *conf, struct dir_srv_list *ret)
{
	char path[KEPT_PATH_MAX], *text = NULL;
	size_t len = 0;
	int err = conf->discover ? kept_path(conf, "servers", "", path) : -GI_ENOTFOUND;

	memset(ret, 0, sizeof(*ret));
	if (err == 0)
		err = conf_read_file(path, DIR_SRV_FILE_MAX, &text, &len);
	if (err == 0)
		err = dir_srv_parse(ret, conf, text, len);
	free(text);
	return err;
}

static int kept_write(const char *path, const struct gi_buf *b)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640), err = 0;
	size_t at = 0;

	if (fd < 0)
		return -errno;
	while (err == 0 && at < b->len) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			err = n < 0 ? -errno : -EIO;
		else
			at += (size_t)n;
	}
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

/* a whole file, or the one before */
static int kept_replace(const struct idfw_dir_conf *conf, const char *what, const struct gi_buf *b)
{
	char path[KEPT_PATH_MAX], beside[KEPT_PATH_MAX];
	int err = kept_path(conf, what, "", path);

	if (err == 0)
		err = kept_path(conf, what, ".new", beside);
	if (err == 0)
		err = gi_buf_error(b);
	if (err == 0)
		err = kept_write(beside, b);
	if (err == 0 && rename(beside, path) < 0)
		err = -errno;
	return err;
}

int dir_kept_save(const struct idfw_dir_conf *conf, const struct dir_srv_list *l)
{
	struct gi_buf out;
	int err;

	if (!conf->discover)
		return -GI_ENOTFOUND;
	gi_buf_init(&out, DIR_SRV_FILE_MAX);
	dir_srv_print(l, conf->discover, &out);
	err = kept_replace(conf, "servers", &out);
	gi_buf_fini(&out);
	return err;
}

int dir_kept_domain(const struct idfw_dir_conf *conf, char ret[DIR_TRUST_DOMAIN_MAX])
{
	char path[KEPT_PATH_MAX], *text = NULL;
	size_t len = 0;
	int err = kept_path(conf, "domain", "", path);

	if (err == 0)
		err = conf_read_file(path, DIR_TRUST_DOMAIN_MAX, &text, &len);
	if (err == 0) {
		text[strcspn(text, "\n")] = '\0';
		err = gi_text_copy(ret, DIR_TRUST_DOMAIN_MAX, text);
	}
	free(text);
	return err;
}

int dir_kept_domain_save(const struct idfw_dir_conf *conf, const char *domain)
{
	struct gi_buf out;
	int err;

	gi_buf_init(&out, 2 * DIR_TRUST_DOMAIN_MAX);
	gi_buf_printf(&out, "%s\n", domain);
	err = kept_replace(conf, "domain", &out);
	gi_buf_fini(&out);
	return err;
}

void dir_kept_addresses(
	const struct idfw_dir_conf *conf, const char *uri, char ret[DIR_SRV_ADDRESSES_MAX])
{
	struct dir_srv_list *l = malloc(sizeof(*l));
	const struct dir_srv *v;

	ret[0] = '\0';
	if (l && dir_kept_load(conf, l) == 0) {
		v = dir_srv_find(l, uri);
		if (v)
			(void)snprintf(ret, DIR_SRV_ADDRESSES_MAX, "%s", v->addresses);
	}
	free(l);
}
