/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox.c - shuts a scan worker in, after its engines are loaded
 *
 * Landlock by its system calls: libc has no wrappers, and the headers may be older than the
 * kernel; so its numbers are ours and the ABI is asked for at run time. Invariant: any failure is
 * an error of the whole; a worker that is half shut in must not see a file.
 * Source: landlock(7), setrlimit(2), Documentation/userspace-api/landlock.rst.
 */
#include "svm-scan/sandbox.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "lib/io/priv.h"

#define LL_CREATE_VERSION 1u
#define LL_RULE_PATH_BENEATH 1

enum { /* LANDLOCK_ACCESS_FS_* */
	LL_WRITE_FILE = 1u << 1,
	LL_READ_FILE = 1u << 2,
	LL_READ_DIR = 1u << 3,
	LL_REMOVE_DIR = 1u << 4,
	LL_REMOVE_FILE = 1u << 5,
	LL_MAKE_DIR = 1u << 7,
	LL_MAKE_REG = 1u << 8,
	LL_REFER = 1u << 13,
	LL_TRUNCATE = 1u << 14,
	LL_IOCTL_DEV = 1u << 15,
	LL_ABI1 = (1u << 13) - 1,
};
#define LL_NET_ALL 3u	/* bind and connect of TCP: ABI 4 */
#define LL_SCOPE_ALL 3u /* abstract sockets, signals: ABI 6 */

struct ll_ruleset {
	uint64_t fs, net, scoped;
};

struct ll_beneath {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

int scan_sandbox_user(const char *user)
{
	int err = io_priv_drop(user, 0);

	/* a change of uid forgot it */
	if (err == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		err = -errno;
	return err;
}

/* private writable memory in use, bytes: what RLIMIT_DATA counts */
static int data_in_use(uint64_t *ret)
{
	char text[256];
	uint64_t pages;
	ssize_t n;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0)
		return -EIO;
	text[n] = '\0';
	if (sscanf(text, "%*s %*s %*s %*s %*s %" SCNu64, &pages) != 1)
		return -EIO;
	*ret = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static int limit_set(int which, uint64_t value)
{
	const struct rlimit l = { .rlim_cur = value, .rlim_max = value };

	return setrlimit((__rlimit_resource_t)which, &l) < 0 ? -errno : 0;
}

static int limits_set(const struct scan_sandbox_conf *conf)
{
	const struct {
		int which;
		uint64_t value;
	} set[] = { { RLIMIT_CORE, 0 }, { RLIMIT_NPROC, 0 }, { RLIMIT_NOFILE, 64 },
		{ RLIMIT_MEMLOCK, 0 }, { RLIMIT_MSGQUEUE, 0 }, { RLIMIT_FSIZE, conf->file_bytes } };
	uint64_t used = 0;
	int err = 0;

	for (size_t i = 0; err == 0 && i < GI_ARRAY_SIZE(set); i++)
		err = limit_set(set[i].which, set[i].value);
	if (err < 0 || conf->memory_bytes == UINT64_MAX)
		return err;
	err = data_in_use(&used);
	return err < 0 ? err : limit_set(RLIMIT_DATA, used + conf->memory_bytes);
}

/* over RLIMIT_FSIZE a write is to fail, not to end us; the same for a service that went away */
static int signals_set(void)
{
	if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return -errno;
	return 0;
}

static int stdio_close(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; err == 0 && i <= 2; i++)
		if (dup2(fd, i) < 0)
			err = -errno;
	(void)close(fd);
	return err;
}

static int landlock_make(int abi, int tmp_fd)
{
	struct ll_ruleset set = { .fs = LL_ABI1 };
	struct ll_beneath tmp = { .fd = tmp_fd,
		.allowed = LL_WRITE_FILE | LL_READ_FILE | LL_READ_DIR | LL_REMOVE_DIR |
			   LL_REMOVE_FILE | LL_MAKE_DIR | LL_MAKE_REG };
	size_t size = sizeof(set.fs);
	int fd;

	if (abi >= 2)
		set.fs |= LL_REFER;
	if (abi >= 3)
		set.fs |= LL_TRUNCATE;
	if (abi >= 4) {
		set.net = LL_NET_ALL;
		size += sizeof(set.net);
	}
	if (abi >= 5)
		set.fs |= LL_IOCTL_DEV;
	if (abi >= 6) {
		set.scoped = LL_SCOPE_ALL;
		size += sizeof(set.scoped);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &set, size, 0);
	if (fd < 0)
		return -errno;
	tmp.allowed |= set.fs & (LL_REFER | LL_TRUNCATE);
	if (syscall(SYS_landlock_add_rule, fd, LL_RULE_PATH_BENEATH, &tmp, 0) < 0) {
		int err = -errno;

		(void)close(fd);
		return err;
	}
	return fd;
}

static int landlock_shut(int tmp_fd, bool relaxed)
{
	int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LL_CREATE_VERSION);
	int fd, err = 0;

	if (abi < 0 && (errno == ENOSYS || errno == EOPNOTSUPP))
		return relaxed ? 0 : -EOPNOTSUPP;
	if (abi < 0)
		return -errno;
	fd = landlock_make(abi, tmp_fd);
	if (fd < 0)
		return fd;
	if (syscall(SYS_landlock_restrict_self, fd, 0) < 0)
		err = -errno;
	(void)close(fd);
	return err;
}

int scan_sandbox_shut(const struct scan_sandbox_conf *conf, char why[SCAN_WHY_MAX], int *ret_tmp_fd)
{
	const char *step = conf->tmp_dir;
	int fd = open(conf->tmp_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	if (err == 0) {
		step = "no_new_privs";
		err = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	}
	if (err == 0) {
		step = "limits";
		err = limits_set(conf);
	}
	if (err == 0) {
		step = "signals";
		err = signals_set();
	}
	if (err == 0) {
		step = "standard descriptors";
		err = stdio_close();
	}
	if (err == 0) {
		step = "landlock";
		err = landlock_shut(fd, conf->relaxed);
	}
	if (err == 0) {
		step = "seccomp";
		err = io_priv_seccomp_scanner();
	}
	if (err == 0) {
		*ret_tmp_fd = fd;
		return 0;
	}
	if (fd >= 0)
		(void)close(fd);
	(void)snprintf(why, SCAN_WHY_MAX, "sandbox: %s: %s%s", step, gi_strerror(err),
		err == -EOPNOTSUPP
			? " (landlock is off in this kernel; \"sandbox relaxed\" goes on without)"
			: "");
	return err;
}
