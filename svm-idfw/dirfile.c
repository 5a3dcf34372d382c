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

int dir_file_password(const char *path, char why[DIR_WHY_MAX], char ret[DIR_PASSWORD_MAX])
{
	static const char item[] = "password-file";
	int fd = file_open(item, path, true, why), err = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	n = read(fd, ret, DIR_PASSWORD_MAX - 1);
	if (n < 0) {
		err = -errno;
		dir_why_file(why, DIR_FILE_UNREADABLE, item, path, -err, 0, geteuid());
	}
	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	/* an empty password would be an anonymous bind: RFC 4513 5.1.2 */
	if (err == 0 && ret[0] == '\0') {
		err = -EINVAL;
		dir_why_file(why, DIR_FILE_EMPTY, item, path, 0, 0, 0);
	}
	(void)close(fd);
	return err;
}
