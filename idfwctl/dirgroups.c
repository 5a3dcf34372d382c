/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirgroups.c - idfwctl dir groups: groups of the directories, and what the policy names
 *
 * Rows are svm-idfw's (docs/control.md), in the order in which they are shown. What a directory
 * says of its groups is text of others: the table cleans it.
 */
#include "idfwctl/dir.h"

#include <inttypes.h>
#include <string.h>
#include "idfwctl/show.h"

struct groups {
	const struct shown *as;
	struct ctl_table table;
	struct ctl_dir_line line;
	json_t *read; /* owned: rows that are shown behind the table */
	size_t cycles;
};

struct shown {		    /* one way of showing them */
	const char *option; /* and argument of the request */
	const char *const *heads;
	size_t n_heads;
	void (*add)(struct ctl_table *t, const json_t *row);
	const char *none; /* when there is nothing */
};

static void add_all(struct ctl_table *t, const json_t *r);
static void add_unused(struct ctl_table *t, const json_t *r);
static void add_nested(struct ctl_table *t, const json_t *r);

static const char *const heads_all[] = { "DIRECTORY", "GROUP", "KIND", "#GROUPS IN IT", "#DEPTH",
	"NAMED BY" };
static const char *const heads_unused[] = { "DIRECTORY", "GROUP", "KIND", "WHAT", "NAMED BY" };
static const char *const heads_nested[] = { "DIRECTORY", "GROUP", "#GROUPS IN IT", "#DEPTH",
	"REACHED BY" };

static const struct shown kinds[] = {
	{ "all", heads_all, GI_ARRAY_SIZE(heads_all), add_all, "no groups" },
	{ "unused", heads_unused, GI_ARRAY_SIZE(heads_unused), add_unused,
		"the policy names every group, and each that it names is there" },
	{ "nested", heads_nested, GI_ARRAY_SIZE(heads_nested), add_nested,
		"no group is in another one" },
	{ "cycles", NULL, 0, NULL, "no cycles" },
};

static const char *name_of(const json_t *r)
{
	const char *name = ctl_row_text(r, "name");

	return name[0]			   ? name
	       : ctl_row_text(r, "sid")[0] ? ctl_row_text(r, "sid")
					   : ctl_row_text(r, "dn");
}

/* policy groups; one written in place in a rule has no name of its own */
static void add_named(struct ctl_table *t, const json_t *r)
{
	const json_t *list = json_object_get(r, "named"), *it;
	struct gi_buf names;
	bool rules = false;
	size_t i;

	gi_buf_init(&names, 64u << 10);
	json_array_foreach(list, i, it)
	{
		const char *name = json_string_value(it);

		if (name[0] != '_')
			gi_buf_printf(&names, "%s%s", names.len ? ", " : "", name);
		else
			rules = true;
	}
	if (rules)
		gi_buf_printf(&names, "%sin a rule", names.len ? ", " : "");
	ctl_table_add(t, CTL_PLAIN, gi_buf_str(&names));
	gi_buf_fini(&names);
}

static void add_count(struct ctl_table *t, const json_t *r, const char *key)
{
	ctl_table_addf(t, CTL_PLAIN, "%" PRIu64, ctl_row_number(r, key));
}

static void add_way(struct ctl_table *t, const json_t *r)
{
	struct gi_buf way;

	gi_buf_init(&way, 64u << 10);
	ctl_dir_way(json_object_get(r, "path"), &way);
	ctl_table_add(t, CTL_PLAIN, gi_buf_str(&way));
	gi_buf_fini(&way);
}

static void add_kind(struct ctl_table *t, const json_t *r)
{
	ctl_table_addf(t, CTL_PLAIN, "%s%s", ctl_row_text(r, "kind"),
		ctl_row_true(r, "in_cycle") ? ", in a cycle" : "");
}

static void add_all(struct ctl_table *t, const json_t *r)
{
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, "directory"));
	ctl_table_add(t, CTL_PLAIN, name_of(r));
	add_kind(t, r);
	add_count(t, r, "groups");
	add_count(t, r, "depth");
	if (strcmp(ctl_row_text(r, "use"), "nested") == 0)
		ctl_table_add(t, CTL_DIM, "(a group that it is in)");
	else
		add_named(t, r);
}

static void add_unused(struct ctl_table *t, const json_t *r)
{
	bool missing = strcmp(ctl_row_text(r, "type"), "missing") == 0;
	bool named = missing || strcmp(ctl_row_text(r, "use"), "named") == 0;

	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, "directory"));
	ctl_table_add(t, CTL_PLAIN, name_of(r));
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, missing ? "ref" : "kind"));
	ctl_table_add(t, missing ? CTL_BAD : CTL_PLAIN,
		missing ? "in no directory"
		: named ? "has no members"
			: "not named");
	add_named(t, r);
}

static void add_nested(struct ctl_table *t, const json_t *r)
{
	ctl_table_add(t, CTL_PLAIN, ctl_row_text(r, "directory"));
	ctl_table_add(t, CTL_PLAIN, name_of(r));
	add_count(t, r, "groups");
	add_count(t, r, "depth");
	add_way(t, r);
}

static int groups_row(void *arg, json_t *row)
{
	struct groups *g = arg;
	const char *type = ctl_row_text(row, "type");

	if (strcmp(type, "progress") == 0) {
		ctl_dir_line_put(&g->line, "%s: %" PRIu64 " groups read, %" PRIu64 " in others",
			ctl_row_text(row, "directory"), ctl_row_number(row, "groups"),
			ctl_row_number(row, "memberships"));
		return 0;
	}
	ctl_dir_line_end(&g->line);
	if (strcmp(type, "cycle") == 0) {
		ctl_putf("%s: ", ctl_row_text(row, "directory"));
		ctl_dir_put_cycle("", row);
		g->cycles++;
	} else if (strcmp(type, "read") == 0) {
		return json_array_append(g->read, row) < 0 ? -ENOMEM : 0;
	} else if (g->as->add && (strcmp(type, "group") == 0 || strcmp(type, "missing") == 0)) {
		g->as->add(&g->table, row);
	}
	return 0;
}

static void put_read(const json_t *r)
{
	ctl_putf("%s: %" PRIu64 " groups, %" PRIu64 " memberships of groups in groups; %" PRIu64
		 " requests, %" PRIu64 " ms, at %s\n",
		ctl_row_text(r, "directory"), ctl_row_number(r, "groups"),
		ctl_row_number(r, "memberships"), ctl_row_number(r, "requests"),
		ctl_row_number(r, "took_ms"), ctl_row_text(r, "server"));
}

static const struct shown *kind_of(const struct ctl_cli *cli)
{
	const struct shown *as = NULL;

	for (size_t i = 1; i < GI_ARRAY_SIZE(kinds); i++) {
		if (!ctl_args_option(cli, kinds[i].option))
			continue;
		if (as) {
			fprintf(stderr, "idfwctl: only one of --unused, --nested, --cycles\n");
			return NULL;
		}
		as = &kinds[i];
	}
	return as ? as : &kinds[0];
}

int ctl_run_dir_groups(struct ctl_cli *cli)
{
	const char *only = ctl_args_option(cli, "directory"), *args[2], *why_not = NULL;
	struct groups g = { .as = kind_of(cli), .read = json_array() };
	char why[CTL_WHY_MAX], directory[256];
	const json_t *row;
	size_t i;
	int rc;

	if (only && snprintf(directory, sizeof(directory), "directory=%s", only) >=
			    (int)sizeof(directory))
		why_not = "idfwctl: the value of --directory is too long\n";
	if (!g.as || why_not) {
		fputs(why_not ? why_not : "", stderr);
		json_decref(g.read);
		return CTL_EXIT_USAGE;
	}
	args[0] = g.as->option;
	args[1] = directory;
	ctl_table_init(&g.table, g.as->heads, g.as->n_heads);
	ctl_dir_line_init(&g.line, cli);
	rc = ctl_ask_rows(cli, "dir-groups", args, only ? 2 : 1, groups_row, &g, NULL, why);
	ctl_dir_line_end(&g.line);
	if (g.table.n_cells && ctl_table_print(&g.table, cli->color, stdout) != 0)
		rc = CTL_EXIT_SILENT;
	else if (rc == 0 && !g.table.n_cells && !g.cycles && !cli->json)
		printf("%s\n", g.as->none);
	json_array_foreach(g.read, i, row) put_read(row);
	ctl_complain(why);
	ctl_table_fini(&g.table);
	json_decref(g.read);
	return rc;
}
