/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * base.h - gi-netagent --base and --remove-rules: two runs that end at once, no daemon
 */
#ifndef NETAGENT_BASE_H
#define NETAGENT_BASE_H

#include <stdbool.h>
#include "netagent/naconf.h"

/*
 * na_base_run - loads the base ruleset, unless a ruleset of ours is there
 * @print: writes it to stdout instead
 * Returns the exit code: 0 loaded, or one is there; 1 neither
 */
int na_base_run(const struct na_conf *c, bool print);
/*
 * na_base_run_default - the same with what stands where a configuration says nothing, because it
 * cannot be read: a mistake in a file opens no machine. Returns 78, also when that was loaded
 */
int na_base_run_default(bool print);
/* na_base_remove - the table goes. 0: it is gone, or there was none; 1 */
int na_base_remove(void);

#endif
