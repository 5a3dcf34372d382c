/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * clock_shift.c - for LD_PRELOAD: the clocks of a process as if somebody had set them
 *
 * CLOCK_SHIFT names a file with two numbers, read at each look at a clock: milliseconds that are
 * added to CLOCK_REALTIME, and to CLOCK_BOOTTIME (the machine was suspended so long).
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long shift_of(clockid_t id)
{
	const char *path = getenv("CLOCK_SHIFT");
	char text[64];
	long long real = 0, boot = 0;
	ssize_t n;
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%lld %lld", &real, &boot) != 2)
		return 0;
	return id == CLOCK_REALTIME ? real : boot;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);
	long long ms;

	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_BOOTTIME)) {
		ms = shift_of(id);
		ts->tv_sec += (time_t)(ms / 1000);
	}
	return rc;
}

/* libkrb5 asks so: shifted only when CLOCK_SHIFT_ALL is set */
__attribute__((visibility("default"))) int gettimeofday(struct timeval *tv, void *tz)
{
	struct timespec ts;
	int rc = (int)syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts);

	(void)tz;
	if (rc == 0 && getenv("CLOCK_SHIFT_ALL"))
		ts.tv_sec += (time_t)(shift_of(CLOCK_REALTIME) / 1000);
	if (rc == 0)
		*tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
	return rc;
}

__attribute__((visibility("default"))) time_t time(time_t *ret)
{
	struct timeval tv;
	time_t now = gettimeofday(&tv, NULL) == 0 ? tv.tv_sec : (time_t)-1;

	if (ret)
		*ret = now;
	return now;
}
