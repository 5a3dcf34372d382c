/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * push_remove.c - our table before we do anything to it: does it stand, whose is it, away with it
 *
 * For programs that come and go (gi-netagent --base, --remove-rules), not for the pusher. Nothing
 * else of the machine's firewall is ever touched, so what is left is the administrator's own.
 */
#include "fw/push.h"

#include "fw/push_int.h"

int fw_push_standing(struct fw_push *p, bool *ret_runs, uint32_t *ret_owner)
{
	uint64_t generation = 0, version = 0;
	struct fw_table t;
	int rc = fw_table_read(p->mnl, &t);

	if (rc == 0 && t.there)
		rc = fw_push_running(p, &generation, &version);
	if (rc < 0)
		return rc;
	*ret_runs = t.there && !(t.flags & FW_DORMANT) && generation != 0;
	*ret_owner = t.there && t.owner != fw_mnl_portid(p->mnl) ? t.owner : 0;
	return 0;
}

int fw_push_remove(struct fw_push *p, uint32_t *ret_owner)
{
	struct fw_table t;
	int rc = fw_table_read(p->mnl, &t);

	if (rc < 0)
		return rc;
	*ret_owner = t.there ? t.owner : 0;
	if (!t.there)
		return -ENOENT;
	return t.owner ? -EBUSY : fw_mnl_delete_table(p->mnl);
}
