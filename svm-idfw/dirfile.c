/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirfile.c - the files that a bind to the directory needs, looked at before they are used
 *
 * Runs in the directory child. The libraries open keytab, key and CA again by name; these looks
 * are for words and against carelessness, the file's own rights protect it.
 */
#include "svm-idfw/dirfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int file_open(const char *item, const char *path, bool secret, char why[DIR_WHY_MAX])
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), err;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err = -errno;
		dir_why_file(why, DIR_FILE_UNREADABLE, item, path, -err, 0, geteuid());
	} else if (!S_ISREG(st.st_mode)) {
		err = -EINVAL;
		dir_why_file(why, DIR_FILE_UNREADABLE, item, path, -err, 0, geteuid());
	} else if (secret && (st.st_mode & 077) != 0) {
		err = -EACCES;
		dir_why_file(why, DIR_FILE_OPEN, item, path, 0, st.st_mode, geteuid());
	} else {
		return fd;
	}
	if (fd >= 0)
		(void)close(fd);
	return err;
}

static int file_look(const char *item, const char *path, bool secret, char why[DIR_WHY_MAX])
{
	int fd = file_open(item, path, secret, why);

	if (fd < 0)
		return fd;
	(void)close(fd);
	return 0;
}

int dir_file_readable(const char *item, const char *path, char why[DIR_WHY_MAX])
{
	return file_look(item, path, false, why);
}

int dir_file_secret(const char *item, const char *path, char why[DIR_WHY_MAX])
{
	return file_look(item, path, true, why);
}

/* the length of the first line; *ret_fault: it is no password */
static size_t password_line(
	const char *text, size_t len, bool more, enum dir_file_fault *ret_fault, bool *ret_bad)
{
	size_t n = 0;

	while (n < len && text[n] != '\r' && text[n] != '\n' && text[n] != '\0')
		n++;
	*ret_bad = true;
	/* an empty password would be an anonymous bind: RFC 4513 5.1.2 */
	if (n < len && text[n] == '\0')
		*ret_fault = DIR_FILE_ZERO;
	else if (n == len && more)
		*ret_fault = DIR_FILE_LONG;
	else if (n == 0)
		*ret_fault = DIR_FILE_EMPTY;
	else
		*ret_bad = false;
	return n;
}

/* all that is there, up to @size; -errno */
static ssize_t password_read(int fd, char *buf, size_t size)
{
	size_t at = 0;
	ssize_t n;

	while (at < size) {
		n = read(fd, buf + at, size - at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		at += (size_t)n;
	}
	return (ssize_t)at;
}

int dir_file_password(const char *path, char why[DIR_WHY_MAX], char ret[DIR_PASSWORD_MAX])
{
	static const char item[] = "password-file";
	int fd = file_open(item, path, true, why), err = 0;
	enum dir_file_fault fault = DIR_FILE_UNREADABLE;
	bool bad = true;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = password_read(fd, ret, DIR_PASSWORD_MAX); /* one more than may be */
	if (n >= 0)
		len = password_line(ret, n < DIR_PASSWORD_MAX ? (size_t)n : DIR_PASSWORD_MAX - 1,
			n == DIR_PASSWORD_MAX && ret[n - 1] != '\r' && ret[n - 1] != '\n', &fault,
			&bad);
	if (bad) {
		err = n < 0 ? (int)n : -EINVAL;
		dir_why_file(why, fault, item, path, -err, 0, geteuid());
		explicit_bzero(ret, DIR_PASSWORD_MAX);
	} else {
		ret[len] = '\0';
	}
	(void)close(fd);
	return err;
}
