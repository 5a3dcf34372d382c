/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * placer.h - gi-netagent --placer: the process that puts sessions into cgroups
 */
#ifndef NETAGENT_PLACER_H
#define NETAGENT_PLACER_H

#include "netagent/naconf.h"

/* the whole life of the process; returns the exit code */
int na_placer_run(const struct na_conf *conf, int fd);

#endif
