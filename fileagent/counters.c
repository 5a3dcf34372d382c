/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * counters.c - names and values of counters.h, for FileCounters
 */
#include "fileagent/counters.h"

const char *fa_counter_name(size_t i)
{
	static const char *const names[] = {
#define FA_COUNTER_NAME(name) #name,
		FA_COUNTERS(FA_COUNTER_NAME)
#undef FA_COUNTER_NAME
	};

	return names[i];
}

uint64_t fa_counter_value(const struct fa_counters *c, size_t i)
{
	return ((const uint64_t *)(const void *)c)[i];
}
