/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * outid.c - the outbox's name, see outid.h
 *
 * Main thread, at the start and when svm-idfw knows more of the outbox than its files do.
 */
#include "svm-scan/outid.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define ID_NAME "id"
#define ID_TMP "id.new"

int scan_outid_new(int dir_fd, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	uint8_t id[WIRE_BOOT_ID_LEN];
	int fd, err = 0;

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -EIO;
	fd = openat(dir_fd, ID_TMP, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (write(fd, id, sizeof(id)) != sizeof(id) || fsync(fd) < 0)
		err = errno ? -errno : -EIO;
	(void)close(fd);
	if (err == 0 && renameat(dir_fd, ID_TMP, dir_fd, ID_NAME) < 0)
		err = -errno;
	if (err == 0)
		memcpy(ret, id, sizeof(id));
	return err;
}

int scan_outid_read(int dir_fd, uint8_t ret[WIRE_BOOT_ID_LEN])
{
	uint8_t id[WIRE_BOOT_ID_LEN];
	int fd = openat(dir_fd, ID_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n = 0;

	if (fd >= 0) {
		n = read(fd, id, sizeof(id));
		(void)close(fd);
	} else if (errno != ENOENT) {
		return -errno;
	}
	if (n != sizeof(id))
		return scan_outid_new(dir_fd, ret);
	memcpy(ret, id, sizeof(id));
	return 0;
}
