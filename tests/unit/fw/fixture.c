/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fixture.c - rulesets and states from one-line texts, see fixture.h
 */
#include "tests/unit/fw/fixture.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 96

static int split(char *line, char **words)
{
	char *save = NULL, *p = line;
	int n = 0;

	for (; n < WORDS_MAX && (words[n] = strtok_r(p, " \t\n", &save)); n++)
		p = NULL;
	return n;
}

static int number(const char *text, uint64_t max, uint64_t *ret)
{
	if (strncmp(text, "0x", 2) == 0) {
		char *end;

		*ret = strtoull(text, &end, 16);
		return *end == '\0' && *ret <= max ? 0 : -EINVAL;
	}
	return gi_text_u64(text, 0, max, ret);
}

static int group_index(const struct fw_ruleset *rs, const char *name, uint16_t *ret)
{
	for (size_t i = 0; i < rs->n_groups; i++) {
		if (strcmp(rs->groups[i].name, name) == 0) {
			*ret = (uint16_t)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int action_of(const char *w, enum fw_action *ret)
{
	static const char *const names[] = { "drop", "reject", "accept" };

	for (unsigned int i = 0; i < GI_ARRAY_SIZE(names); i++) {
		if (strcmp(w, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

static int add_group(struct fw_ruleset *rs, char **w, int n)
{
	struct fw_group *g;

	if (n < 3)
		return -EINVAL;
	rs->groups = realloc(rs->groups, (rs->n_groups + 1) * sizeof(*rs->groups));
	g = &rs->groups[rs->n_groups++];
	memset(g, 0, sizeof(*g));
	if (gi_text_copy(g->name, sizeof(g->name), w[1]) < 0)
		return -EINVAL;
	for (const char *u = w[2]; *u; u++)
		g->uses |= *u == 's'   ? FW_USE_SG
			   : *u == 'g' ? FW_USE_GA
			   : *u == 'n' ? FW_USE_NETS
			   : *u == 'i' ? FW_USE_IA
				       : 0;
	g->nets = calloc((size_t)n, sizeof(*g->nets));
	for (int i = 3; i < n; i++)
		if (gi_prefix_parse(w[i], false, &g->nets[g->n_nets++]) < 0)
			return -EINVAL;
	return 0;
}

static int add_peers(const struct fw_ruleset *rs, char *list, uint16_t **ret, size_t *ret_n)
{
	char *save = NULL;

	*ret = calloc(WORDS_MAX, sizeof(**ret));
	for (char *p = strtok_r(list, ",", &save); p; p = strtok_r(NULL, ",", &save))
		if (*ret_n == WORDS_MAX || group_index(rs, p, &(*ret)[(*ret_n)++]) < 0)
			return -EINVAL;
	return 0;
}

static int add_service(struct fw_service *s, char *text)
{
	static const struct {
		const char *name;
		uint8_t proto;
	} protos[] = { { "tcp", 6 }, { "udp", 17 }, { "icmp", 1 }, { "icmpv6", 58 }, { "any", 0 } };
	char *colon = strchr(text, ':'), *dash;
	uint64_t v = 256;

	*s = (struct fw_service){ .port_hi = UINT16_MAX, .icmp_type = 256 };
	if (colon)
		*colon++ = '\0';
	for (size_t i = 0; i < GI_ARRAY_SIZE(protos); i++)
		if (strcmp(protos[i].name, text) == 0)
			v = protos[i].proto;
	if (v == 256 && number(text, 255, &v) < 0)
		return -EINVAL;
	s->proto = (uint8_t)v;
	if (!colon)
		return 0;
	dash = strchr(colon, '-');
	if (dash)
		*dash++ = '\0';
	if (number(colon, UINT16_MAX, &v) < 0)
		return -EINVAL;
	if (s->proto == IPPROTO_ICMP || s->proto == IPPROTO_ICMPV6) {
		s->icmp_type = (uint16_t)v;
		return 0;
	}
	s->port_lo = s->port_hi = (uint16_t)v;
	if (dash && number(dash, UINT16_MAX, &v) < 0)
		return -EINVAL;
	s->port_hi = (uint16_t)v;
	return 0;
}

static int add_rule(struct fw_ruleset *rs, char **w, int n)
{
	struct fw_rule *r;
	int rc = 0;

	if (n < 4)
		return -EINVAL;
	rs->rules = realloc(rs->rules, (rs->n_rules + 1) * sizeof(*rs->rules));
	r = &rs->rules[rs->n_rules++];
	memset(r, 0, sizeof(*r));
	if (gi_text_copy(r->name, sizeof(r->name), w[1]) < 0 || action_of(w[3], &r->action) < 0)
		return -EINVAL;
	r->dir = strcmp(w[2], "in") == 0 ? FW_IN : FW_OUT;
	r->services = calloc((size_t)n, sizeof(*r->services));
	for (int i = 4; i < n && rc == 0; i++) {
		if (strcmp(w[i], "log") == 0)
			r->log = true;
		else if (strcmp(w[i], "from") == 0 && i + 1 < n)
			rc = add_peers(rs, w[++i], &r->from, &r->n_from);
		else if (strcmp(w[i], "to") == 0 && i + 1 < n)
			rc = add_peers(rs, w[++i], &r->to, &r->n_to);
		else
			rc = add_service(&r->services[r->n_services++], w[i]);
	}
	return rc;
}

int fx_ruleset_line(struct fw_ruleset *rs, const char *line)
{
	char copy[2048], *w[WORDS_MAX + 1];
	int n;

	if (gi_text_copy(copy, sizeof(copy), line) < 0)
		return -EINVAL;
	n = split(copy, w);
	if (n == 2 && strcmp(w[0], "generation") == 0)
		return number(w[1], UINT64_MAX, &rs->generation);
	if (n == 2 && strcmp(w[0], "revoke") == 0) {
		rs->revoke = strcmp(w[1], "reset") == 0 ? FW_REVOKE_RESET : FW_REVOKE_DROP;
		return 0;
	}
	if (n == 3 && strcmp(w[0], "default") == 0)
		return action_of(
			w[2], strcmp(w[1], "in") == 0 ? &rs->default_in : &rs->default_out);
	if (n > 0 && strcmp(w[0], "group") == 0)
		return add_group(rs, w, n);
	if (n > 0 && strcmp(w[0], "rule") == 0)
		return add_rule(rs, w, n);
	return -EINVAL;
}

int fx_elem_line(const struct fw_ruleset *rs, const char *line, struct fw_elem *ret)
{
	char copy[256], *w[WORDS_MAX + 1];
	struct gi_addr a;
	uint64_t k = 0, v = 0;
	uint16_t g;
	int n;

	if (gi_text_copy(copy, sizeof(copy), line) < 0)
		return -EINVAL;
	n = split(copy, w);
	if (n >= 2 && n <= 4 && strcmp(w[0], "live") == 0 && number(w[1], UINT32_MAX, &k) == 0) {
		if ((n > 2 && number(w[2], UINT32_MAX, &v) < 0) ||
			(n == 4 && strcmp(w[3], "ends") != 0))
			return -EINVAL;
		*ret = fw_elem_live((uint32_t)k, (uint32_t)v, n == 4);
		return 0;
	}
	if (n != 3)
		return -EINVAL;
	if (group_index(rs, w[1], &g) == 0) {
		if (strcmp(w[0], "sg") == 0 && number(w[2], UINT32_MAX, &v) == 0)
			*ret = fw_elem_mark(FW_SG, g, (uint32_t)v);
		else if (gi_addr_parse(w[2], &a) == 0)
			*ret = fw_elem_group_addr(strcmp(w[0], "ga") == 0 ? FW_GA4 : FW_IA4, g, &a);
		else
			return -EINVAL;
		return 0;
	}
	if (number(w[2], UINT32_MAX, &v) < 0)
		return -EINVAL;
	if (strcmp(w[0], "addr") == 0 && gi_addr_parse(w[1], &a) == 0) {
		*ret = fw_elem_addr(&a, (uint32_t)v);
		return 0;
	}
	if (number(w[1], strcmp(w[0], "cgroup") == 0 ? UINT64_MAX : UINT32_MAX, &k) < 0)
		return -EINVAL;
	if (strcmp(w[0], "cgroup") == 0)
		*ret = fw_elem_cgroup(k, (uint32_t)v);
	else if (strcmp(w[0], "uid") == 0)
		*ret = fw_elem_uid((uint32_t)k, (uint32_t)v);
	else if (strcmp(w[0], "remark") == 0)
		*ret = fw_elem_remark((uint32_t)k, (uint32_t)v);
	else if (strcmp(w[0], "base") == 0)
		*ret = fw_elem_base((uint8_t)k, (uint32_t)v);
	else
		return -EINVAL;
	return 0;
}

/* what is no element line is a ruleset line; the ruleset must be complete before elements */
static int script_line(
	struct fw_ruleset *rs, struct fw_state *s, struct fw_state *elems, const char *line)
{
	struct fw_op op = { 0 };
	uint64_t v;

	if (line[strspn(line, " \t\n")] == '\0')
		return 0;
	line += strspn(line, " \t\n");
	if (strncmp(line, "version ", 8) == 0) {
		if (number(line + 8, UINT64_MAX, &v) < 0)
			return -EINVAL;
		fw_state_set_version(s, v);
		return 0;
	}
	if (fx_elem_line(rs, line, &op.elem) == 0)
		return fw_state_apply(elems, &op);
	return fx_ruleset_line(rs, line);
}

static int copy_elem(void *arg, const struct fw_elem *e)
{
	struct fw_op op = { .elem = *e };

	return fw_state_apply(arg, &op);
}

struct fw_state *fx_state(const char *script)
{
	struct fw_ruleset *rs = calloc(1, sizeof(*rs));
	struct fw_state *s = NULL, *elems = NULL;
	char *copy = strdup(script), *save = NULL;
	int rc = -ENOMEM;

	if (!rs || !copy || fw_state_new(&s) < 0 || fw_state_new(&elems) < 0)
		goto out;
	rc = 0;
	for (char *l = strtok_r(copy, ";\n", &save); l && rc == 0;
		l = strtok_r(NULL, ";\n", &save)) {
		rc = script_line(rs, s, elems, l);
		if (rc < 0)
			fprintf(stderr, "fixture: %s\n", l);
	}
	if (rc < 0)
		goto out;
	fw_state_set_ruleset(s, rs);
	rs = NULL;
	rc = fw_state_each(elems, false, copy_elem, s);
out:
	free(copy);
	fw_ruleset_free(rs);
	fw_state_free(elems);
	if (rc == 0)
		return s;
	fw_state_free(s);
	return NULL;
}
