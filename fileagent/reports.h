/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * reports.h - what reports.c offers beyond worker.h
 */
#ifndef FILEAGENT_REPORTS_H
#define FILEAGENT_REPORTS_H

#include "fileagent/worker.h"

#define FA_REPORTS_BYTES (16u << 20) /* on disk, <state-dir>/reports; over 60,000 reports */
#define FA_REPORTS_WINDOW 512	     /* sent and not acknowledged */

#endif
