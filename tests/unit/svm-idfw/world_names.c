/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * world_names.c - what a configuration says to the engine (world.h): domains, settings of single
 * VMs
 */
#include "tests/unit/svm-idfw/world.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool domain_known(const void *arg, const char *domain)
{
	const struct world *w = arg;

	for (size_t i = 0; i < w->n_claims; i++)
		if (!strcasecmp(w->claims[i].domain, domain))
			return true;
	return false;
}

static bool domain_has(const void *arg, const char *label, const char *dn, const char *domain)
{
	const struct world *w = arg;

	(void)dn;
	for (size_t i = 0; i < w->n_claims; i++)
		if (!strcmp(w->claims[i].label, label) && !strcasecmp(w->claims[i].domain, domain))
			return true;
	return false;
}

struct pol_domains world_domains(const struct world *w)
{
	return (struct pol_domains){ domain_known, domain_has, w };
}

void world_limits_free(struct world *w)
{
	for (size_t i = 0; i < w->n_limits; i++) {
		free((char *)(uintptr_t)w->limits[i].vm);
		free((char *)(uintptr_t)w->limits[i].directory);
	}
	w->n_limits = 0;
}
