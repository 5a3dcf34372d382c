/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirs.c - all directories of the configuration: a child each (dir.h), asked as one (dirset.h)
 *
 * Runs in svm-idfw's loop. It only joins: what is asked of whom dirset.c decides, how a block is
 * asked is dir.c's. A directory that does not answer holds nobody else up.
 */
#include "svm-idfw/dirs.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "svm-idfw/dirkept.h"

#define DIRS_FOREIGN "\001" /* no name begins so */
#define DIRS_OTHER "\002"
#define DIRS_KEY_MAX (IDFW_KEY_MAX + 2)
/* names are compared so often: before what was found is forgotten (IDFW_COLLIDE_KEEP_MS) */
#define DIRS_OTHERS_MS (6 * 3600 * 1000)

struct dirs_one {
	struct idfw_dirs *all;
	struct idfw_dir *dir;
	size_t at;
};

struct idfw_dirs {
	const struct idfw_dir_conf *confs; /* borrowed */
	struct idfw_dirs_ops ops;
	void *arg;
	struct dir_set *set;
	struct io_loop *loop; /* borrowed */
	struct io_timer others;
	struct dirs_one one[DIR_SET_MAX];
	size_t n;
};

static void on_principal(void *arg, const char *key, const struct idfw_principal *found)
{
	struct dirs_one *o = arg;

	if (key[0] == DIRS_FOREIGN[0])
		dir_set_foreign(o->all->set, o->at, key + 1, found);
	else if (key[0] == DIRS_OTHER[0])
		dir_set_other(o->all->set, o->at, key + 1, found);
	else
		dir_set_answer(o->all->set, o->at, key, found);
}

static void on_changed(void *arg, const struct idfw_changes *c)
{
	struct dirs_one *o = arg;

	o->all->ops.changed(o->all->arg, o->all->confs[o->at].label, c);
}

/* as remembered, or as its directory says now */
static void dirs_domain(struct dirs_one *o, const char *domain, bool kept)
{
	struct idfw_dirs *d = o->all;
	const struct idfw_dir_conf *conf = &d->confs[o->at];
	struct idfw_changes all = { .all = true };
	size_t owner = 0;
	bool new = false;
	int err = dir_set_domain(d->set, o->at, domain, &owner, &new);

	if (err == -EEXIST)
		gi_err("directory %s: says that its domain is %s, which is directory %s's: what it "
		       "says about that domain does not count",
			conf->label, domain, d->confs[owner].label);
	else if (err == -GI_ESTATE)
		gi_err("directory %s: says that its domain is %s, and said another one at the "
		       "first "
		       "contact, which counts; if it is another domain now, remove "
		       "directory-%s.domain in state-dir and start again",
			conf->label, domain, conf->label);
	if (err < 0 || !new || kept)
		return;
	gi_info("directory %s: is domain %s", conf->label, domain);
	err = dir_kept_domain_save(conf, domain);
	if (err < 0 && err != -GI_ENOTFOUND)
		gi_warn("directory %s: cannot remember its domain: %s", conf->label,
			gi_strerror(err));
	/* what others have said of it before counted */
	for (size_t i = 0; i < d->n; i++)
		if (i != o->at)
			d->ops.changed(d->arg, d->confs[i].label, &all);
}

static void on_state(void *arg, bool up, const char *why)
{
	struct dirs_one *o = arg;
	const char *domain = o->dir ? idfw_dir_domain(o->dir) : "";

	if (up && domain[0])
		dirs_domain(o, domain, false);
	o->all->ops.state(o->all->arg, o->all->confs[o->at].label, up, why);
}

static int set_ask(
	void *arg, size_t at, const char *key, const char *name, const char *sid, bool first)
{
	struct idfw_dirs *d = arg;

	return d->one[at].dir ? idfw_dir_lookup(d->one[at].dir, key, name, sid, first) : -ENOTCONN;
}

static void set_hurry(void *arg, size_t at, const char *key)
{
	struct idfw_dirs *d = arg;
	char own[DIRS_KEY_MAX];

	if (!d->one[at].dir)
		return;
	idfw_dir_hurry(d->one[at].dir, key);
	if ((size_t)snprintf(own, sizeof(own), DIRS_FOREIGN "%s", key) < sizeof(own))
		idfw_dir_hurry(d->one[at].dir, own);
}

/* a key of its own: the account itself may be asked for there as well */
static int set_ask_foreign(void *arg, size_t at, const char *key, const char *name, const char *sid,
	const char *members, bool first)
{
	struct idfw_dirs *d = arg;
	char own[DIRS_KEY_MAX];

	if (!d->one[at].dir ||
		(size_t)snprintf(own, sizeof(own), DIRS_FOREIGN "%s", key) >= sizeof(own))
		return -ENOTCONN;
	return idfw_dir_foreign(d->one[at].dir, own, name, sid, members, first);
}

static int set_ask_other(void *arg, size_t at, const char *key, const char *name)
{
	struct idfw_dirs *d = arg;
	char own[DIRS_KEY_MAX];

	if (!d->one[at].dir ||
		(size_t)snprintf(own, sizeof(own), DIRS_OTHER "%s", key) >= sizeof(own))
		return -ENOTCONN;
	return idfw_dir_lookup(d->one[at].dir, own, name, "", false);
}

static void set_collision(void *arg, const char *name, size_t first, const char *first_id,
	size_t other, const char *other_id)
{
	struct idfw_dirs *d = arg;

	d->ops.collision(d->arg, name,
		(const char *const[2]){ d->confs[first].label, d->confs[other].label },
		(const char *const[2]){ first_id, other_id });
}

static void set_refused(void *arg, size_t at, size_t owner, const char *what)
{
	struct idfw_dirs *d = arg;

	gi_warn("directory %s: what it says about %s does not count, that is of directory %s; is "
		"it one forest, name it in trusts, or set sids any",
		d->confs[at].label, what, d->confs[owner].label);
}

static void set_principal(void *arg, const char *key, const struct idfw_principal *found)
{
	struct idfw_dirs *d = arg;

	d->ops.principal(d->arg, key, found);
}

/* who got such a name since, and what was found before, would never be told (again) */
static void others_due(struct io_timer *w)
{
	struct idfw_dirs *d = w->arg;

	dir_set_others_again(d->set);
}

int idfw_dirs_new(struct io_loop *l, const char *conf_file, const struct idfw_dir_conf *confs,
	size_t n, const struct conf_list *maps, const struct idfw_dirs_ops *ops, void *arg,
	struct idfw_dirs **ret)
{
	static const struct idfw_dir_ops dir_ops = { on_principal, on_changed, on_state };
	static const struct dir_set_ops set_ops = { set_ask, set_ask_foreign, set_ask_other,
		set_hurry, set_collision, set_refused, set_principal };
	char domain[DIR_TRUST_DOMAIN_MAX];
	struct idfw_dirs *d;
	int err;

	if (n > DIR_SET_MAX)
		return -GI_ELIMIT;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->confs = confs;
	d->loop = l;
	d->ops = *ops;
	d->arg = arg;
	err = dir_set_new(confs, n, maps, &set_ops, d, &d->set);
	for (size_t i = 0; err == 0 && i < n; i++) { /* all, before one of them speaks */
		d->one[i] = (struct dirs_one){ .all = d, .at = i };
		if (dir_kept_domain(&confs[i], domain) == 0)
			dirs_domain(&d->one[i], domain, true);
	}
	for (; err == 0 && d->n < n; d->n++) {
		err = idfw_dir_new(
			l, conf_file, &confs[d->n], &dir_ops, &d->one[d->n], &d->one[d->n].dir);
	}
	if (err < 0) {
		idfw_dirs_free(d);
		return err;
	}
	io_timer_start(l, &d->others, DIRS_OTHERS_MS, DIRS_OTHERS_MS, others_due, d);
	*ret = d;
	return 0;
}

void idfw_dirs_free(struct idfw_dirs *d)
{
	if (!d)
		return;
	io_timer_stop(d->loop, &d->others);
	for (size_t i = 0; i < d->n; i++)
		idfw_dir_free(d->one[i].dir);
	dir_set_free(d->set);
	free(d);
}

int idfw_dirs_lookup(struct idfw_dirs *d, const char *key, const char *name, const char *names_in,
	const struct idfw_principal *known)
{
	return dir_set_lookup(d->set, key, name, names_in, known);
}

void idfw_dirs_hurry(struct idfw_dirs *d, const char *key)
{
	dir_set_hurry(d->set, key);
}

size_t idfw_dirs_count(const struct idfw_dirs *d)
{
	return d->n;
}

struct idfw_dir *idfw_dirs_get(struct idfw_dirs *d, size_t at)
{
	return at < d->n ? d->one[at].dir : NULL;
}
