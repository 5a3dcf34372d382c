/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.h - rulesets and states from one-line texts, for the tests of fw/ (unit, namespace,
 * bench)
 *
 * One script line an item:
 *   generation N | version N | default in|out ACTION
 *   group NAME USES [PREFIX...]       USES: of "sgni" (sg, ga, nets, ia), "-" none
 *   rule NAME out|in ACTION [log] [from G,G] [to G,G] [SERVICE...]   tcp:22 udp:1-99 icmp:8 47 any
 *   revoke drop|reset
 *   live MARK [LEASE_S [ends]] | uid UID MARK | cgroup ID MARK | addr ADDR MARK | remark OLD NEW |
 * base 4|6 MARK sg GROUP MARK | ga GROUP ADDR | ia GROUP ADDR                    elements
 */
#ifndef TESTS_FW_FIXTURE_H
#define TESTS_FW_FIXTURE_H

#include "fw/fw.h"

/* one script line into @rs or @s (elements, once @s has a ruleset); 0, -EINVAL */
GI_MUST_CHECK int fx_ruleset_line(struct fw_ruleset *rs, const char *line);
/* an element line; @rs for group names. -EINVAL */
GI_MUST_CHECK int fx_elem_line(const struct fw_ruleset *rs, const char *line, struct fw_elem *ret);
/* a whole script, lines ended by \n or ;  - returned owned; NULL on a mistake */
struct fw_state *fx_state(const char *script);

#endif
