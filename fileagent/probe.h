/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.h - the process that saves the EICAR test file, and tries to read it
 *
 * Our own two processes are let through unasked, so a third one plays the user: started by the
 * supervisor (posix_spawn of this program, no descriptor of a group with it), root, on its own for
 * at most FA_PROBE_MS. It makes a directory that only root can enter, saves the file, opens it
 * again and again until it is gone or denied, and removes what is left. What it says, a line each:
 *
 *   saved PATH | failed WORDS        the file was written and closed
 *   gone MS                          it is not there any more, so long after it was closed
 *   denied ERRNAME MS                it is there, and may not be opened
 *   read MS                          its content could be read so long after (more than once: the
 *                                    last time), before it was gone; or until the end
 *   clean | dirty WORDS              nothing of it is left
 * EICAR is put together from two halves: no file of ours has its signature.
 */
#ifndef FILEAGENT_PROBE_H
#define FILEAGENT_PROBE_H

#include "lib/base/err.h"

#define FA_PROBE_MS 8000
#define FA_PROBE_OPTION "--probe" /* argv[1]; argv[2] is the directory */
#define FA_PROBE_PREFIX ".idfw-test-"

/* supervisor: @ret_fd: owned, non-blocking; its end is the process's end. -errno */
GI_MUST_CHECK int fa_probe_start(const char *dir, int *ret_fd);
/* that process; writes to stdout. Returns the exit code */
int fa_probe_main(const char *dir);

#endif
