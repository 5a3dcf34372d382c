/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * priv.c - giving up privileges, once, at start
 *
 * Every daemon calls io_priv_drop() after it opened what needs root; the processes that parse a
 * peer's bytes then also take the seccomp list. Invariant: on any error the caller must exit, the
 * process may be half way down. Source: capabilities(7), seccomp(2), SECURITY.md.
 */
#include "lib/io/priv.h"

#include <pwd.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <cap-ng.h>
#include <seccomp.h>

static const struct {
	unsigned int ours;
	unsigned int cap;
} known_caps[] = {
	{ IO_CAP_NET_ADMIN, CAP_NET_ADMIN },
	{ IO_CAP_NET_BIND, CAP_NET_BIND_SERVICE },
};

static int priv_caps(const struct passwd *pw, unsigned int caps);

int io_priv_drop(const char *user, unsigned int caps)
{
	const struct passwd *pw = NULL;
	int err;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (geteuid() != 0)
		return 0;
	if (user) {
		errno = 0;
		pw = getpwnam(user);
		if (!pw)
			return errno ? -errno : -GI_ENOTFOUND;
	}
	err = priv_caps(pw, caps);
	if (err < 0)
		return err;
	/* a change of uid resets it, so it comes last */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

/* @from: the first of the list that is denied */
static int seccomp_deny(size_t from)
{
	static const int denied[] = { SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(ptrace),
		SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(mount),
		SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(move_mount),
		SCMP_SYS(open_tree), SCMP_SYS(fsopen), SCMP_SYS(fsmount), SCMP_SYS(init_module),
		SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
		SCMP_SYS(kexec_file_load), SCMP_SYS(bpf), SCMP_SYS(perf_event_open),
		SCMP_SYS(userfaultfd), SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key),
		SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(reboot), SCMP_SYS(swapon),
		SCMP_SYS(swapoff), SCMP_SYS(acct), SCMP_SYS(quotactl), SCMP_SYS(settimeofday),
		SCMP_SYS(clock_settime), SCMP_SYS(adjtimex), SCMP_SYS(clock_adjtime),
		SCMP_SYS(sethostname), SCMP_SYS(setdomainname), SCMP_SYS(iopl), SCMP_SYS(ioperm),
		SCMP_SYS(personality), SCMP_SYS(io_uring_setup), SCMP_SYS(open_by_handle_at) };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int err = 0;

	if (!ctx)
		return -ENOMEM;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1); /* threads that exist already, too */
	for (size_t i = from; err == 0 && i < GI_ARRAY_SIZE(denied); i++) {
		if (denied[i] < 0) /* this architecture does not have it */
			continue;
		err = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
	}
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

int io_priv_seccomp_parser(void)
{
	return seccomp_deny(0);
}

int io_priv_seccomp_spawner(void)
{
	return seccomp_deny(1);
}

static int seccomp_add(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < n; i++)
		if (calls[i] >= 0) /* else this architecture does not have it */
			err = seccomp_rule_add(ctx, action, calls[i], 0);
	return err;
}

/* calls that are fine with some arguments only */
static int scanner_conditions(scmp_filter_ctx ctx)
{
	int err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2,
		SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0),
		SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_SHARED, 0)); /* shared: not in RLIMIT_DATA */

	if (err == 0)
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (err == 0) /* send(): connected sockets only */
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1, SCMP_A4(SCMP_CMP_EQ, 0));
	if (err == 0) /* abort() */
		err = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (err == 0) /* getrlimit() */
		err = seccomp_rule_add(
			ctx, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
	return err;
}

int io_priv_seccomp_scanner(void)
{
	static const int allowed[] = { SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64),
		SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pwrite64), SCMP_SYS(lseek),
		SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(fcntl), SCMP_SYS(poll), SCMP_SYS(ppoll),
		SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(creat), SCMP_SYS(stat), SCMP_SYS(lstat),
		SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access),
		SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
		SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
		SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir), SCMP_SYS(rename),
		SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(ftruncate), SCMP_SYS(umask),
		SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
		SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(getrandom),
		SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep),
		SCMP_SYS(nanosleep), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times),
		SCMP_SYS(getrusage), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid),
		SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
		SCMP_SYS(sysinfo), SCMP_SYS(sched_getaffinity), SCMP_SYS(rt_sigaction),
		SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
		SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group) };
	/* libraries try these and live without; landlock has no say in most of them */
	static const int refused[] = { SCMP_SYS(ioctl), SCMP_SYS(prctl), SCMP_SYS(chmod),
		SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(chown), SCMP_SYS(fchown),
		SCMP_SYS(lchown), SCMP_SYS(fchownat), SCMP_SYS(utime), SCMP_SYS(utimes),
		SCMP_SYS(utimensat), SCMP_SYS(clone3) };
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err;

	if (!ctx)
		return -ENOMEM;
	err = seccomp_add(ctx, SCMP_ACT_ALLOW, allowed, GI_ARRAY_SIZE(allowed));
	if (err == 0)
		err = seccomp_add(ctx, SCMP_ACT_ERRNO(EPERM), refused, GI_ARRAY_SIZE(refused));
	if (err == 0)
		err = scanner_conditions(ctx);
	if (err == 0)
		err = seccomp_load(ctx);
	seccomp_release(ctx);
	return err;
}

static int priv_caps(const struct passwd *pw, unsigned int caps)
{
	capng_clear(CAPNG_SELECT_BOTH);
	for (size_t i = 0; i < GI_ARRAY_SIZE(known_caps); i++)
		if ((caps & known_caps[i].ours) &&
			capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED,
				known_caps[i].cap) < 0)
			return -EPERM;
	if (pw) {
		if (capng_change_id((int)pw->pw_uid, (int)pw->pw_gid,
			    CAPNG_INIT_SUPP_GRP | CAPNG_CLEAR_BOUNDING) != 0)
			return -EPERM;
		if (pw->pw_uid != 0 && (getuid() == 0 || setuid(0) == 0))
			return -EPERM;
	} else if (capng_apply(CAPNG_SELECT_BOTH) != 0) {
		return -EPERM;
	}
	/* believe the kernel, not the library: nothing more than asked for is left */
	if (capng_get_caps_process() < 0)
		return -EPERM;
	for (unsigned int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		bool want = false;

		for (size_t i = 0; i < GI_ARRAY_SIZE(known_caps); i++)
			want = want || (cap == known_caps[i].cap && (caps & known_caps[i].ours));
		if (capng_have_capability(CAPNG_PERMITTED, cap) != (want ? 1 : 0))
			return -EPERM;
	}
	return 0;
}
