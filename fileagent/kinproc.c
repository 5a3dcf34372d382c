/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kinproc.c - the two texts of proc(5) that kin.c reads, see kin.h
 *
 * Pure. The kernel writes them, but a process chooses its own name: any byte may be in it, ") "
 * and digits too, so in "stat" the last parenthesis counts. "status" escapes newlines.
 */
#include "fileagent/kin.h"

#include <string.h>

#include "lib/base/text.h"

static int number_at(const char *p, uint64_t max, uint64_t *ret)
{
	char number[24];
	size_t len = strspn(p, "0123456789");

	if (len == 0 || len >= sizeof(number))
		return -EPROTO;
	memcpy(number, p, len);
	number[len] = '\0';
	return gi_text_u64(number, 0, max, ret) < 0 ? -EPROTO : 0;
}

static void comm_copy(char comm[WIRE_COMM_MAX + 1], const char *from, size_t len)
{
	if (len > WIRE_COMM_MAX)
		len = WIRE_COMM_MAX;
	memcpy(comm, from, len);
	comm[len] = '\0';
	wire_text_sanitize(comm, WIRE_COMM_MAX);
}

int fa_stat_parse(const char *line, struct fa_stat *ret)
{
	const char *open = strchr(line, '('), *p = strrchr(line, ')');
	uint64_t ppid = 0, start = 0;

	if (!open || !p || p < open)
		return -EPROTO;
	for (int field = 2; field < 22; field++) {
		p = strchr(p, ' ');
		if (!p)
			return -EPROTO;
		p++;
		if (field == 3 && number_at(p, INT32_MAX, &ppid) < 0)
			return -EPROTO;
	}
	if (number_at(p, UINT64_MAX, &start) < 0)
		return -EPROTO;
	p = strrchr(line, ')');
	ret->ppid = (uint32_t)ppid;
	ret->start = start;
	comm_copy(ret->comm, open + 1, (size_t)(p - open - 1));
	return 0;
}

int fa_status_parse(const char *text, struct fa_status *ret)
{
	const char *uids = strstr(text, "\nUid:\t"), *end;
	uint64_t ruid, euid;

	if (strncmp(text, "Name:\t", 6) != 0 || !uids)
		return -EPROTO;
	uids += 6;
	if (number_at(uids, UINT32_MAX, &ruid) < 0)
		return -EPROTO;
	uids = strchr(uids, '\t');
	if (!uids || number_at(uids + 1, UINT32_MAX, &euid) < 0)
		return -EPROTO;
	end = strchr(text, '\n');
	ret->ruid = (uint32_t)ruid;
	ret->euid = (uint32_t)euid;
	comm_copy(ret->comm, text + 6, (size_t)(end - text - 6));
	return 0;
}
