/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * progress.c - how far a scan is, as one line (progress.h); pure
 */
#include "idfwctl/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "idfwctl/table.h"

#define BAR 20

static const char *bytes_format(uint64_t n, char buf[16])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
	double v = (double)n;
	size_t i = 0;

	while (v >= 999.95 && i + 1 < GI_ARRAY_SIZE(units)) {
		v /= 1000;
		i++;
	}
	(void)snprintf(buf, 16, i ? "%.1f %s" : "%.0f %s", v, units[i]);
	return buf;
}

const char *ctl_progress_format(const struct ctl_progress *p, char buf[CTL_PROGRESS_STRLEN])
{
	uint64_t total = p->total > p->files ? p->total : p->files, ms = p->elapsed_ms, left;
	char bar[BAR + 1], rate[16], eta[CTL_TIME_STRLEN] = "", share[48] = "";

	memset(bar, '-', BAR);
	bar[BAR] = '\0';
	if (p->total) {
		memset(bar, '#', total ? (size_t)(p->files * BAR / total) : 0);
		(void)snprintf(share, sizeof(share), "%3" PRIu64 " %% of %" PRIu64 " files",
			total ? p->files * 100 / total : 0, total);
	} else {
		(void)snprintf(share, sizeof(share), "%" PRIu64 " files", p->files);
	}
	if (p->total && p->files && ms >= 1000) {
		left = (total - p->files) * ms / p->files;
		(void)ctl_span_format(left, eta);
	}
	(void)snprintf(buf, CTL_PROGRESS_STRLEN, "[%s] %s  %s/s  %" PRIu64 " found%s%s", bar, share,
		bytes_format(ms ? p->bytes * 1000 / ms : 0, rate), p->found, eta[0] ? "  " : "",
		eta);
	buf[79] = '\0';
	return buf;
}

const char *ctl_progress_summary(const struct ctl_progress *p, char buf[CTL_PROGRESS_STRLEN])
{
	char bytes[16];

	(void)snprintf(buf, CTL_PROGRESS_STRLEN,
		"%" PRIu64 " files, %s: %" PRIu64 " found, %" PRIu64 " failed, %" PRIu64 " skipped",
		p->files, bytes_format(p->bytes, bytes), p->found, p->failed, p->skipped);
	return buf;
}
