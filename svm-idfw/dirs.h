/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirs.h - all directories of the configuration: a child each (dir.h), asked as one (dirset.h)
 *
 *   glue.c --lookup--> dirs.c --> dirset.c: who is asked --> dir.c of that block --> its child
 * In svm-idfw's loop. Each block has servers, deadlines and a state of its own.
 */
#ifndef SVM_IDFW_DIRS_H
#define SVM_IDFW_DIRS_H

#include "svm-idfw/dirset.h"

struct idfw_dirs;

struct idfw_dirs_ops { /* all must be set; @label: of the block */
	void (*principal)(void *arg, const char *key, const struct idfw_principal *found);
	void (*changed)(void *arg, const char *label, const struct idfw_changes *c);
	void (*state)(void *arg, const char *label, bool up, const char *why);
	/* a name is an account in two blocks; the first one has it. @ids: SIDs, or DNs */
	void (*collision)(
		void *arg, const char *name, const char *const labels[2], const char *const ids[2]);
};

/*
 * idfw_dirs_new - starts the child of each block
 * @conf_file, @confs, @maps: borrowed until idfw_dirs_free()
 * Errors: -ENOMEM, as idfw_dir_new(), -GI_ELIMIT (over DIR_SET_MAX)
 */
GI_MUST_CHECK int idfw_dirs_new(struct io_loop *l, const char *conf_file,
	const struct idfw_dir_conf *confs, size_t n, const struct conf_list *maps,
	const struct idfw_dirs_ops *ops, void *arg, struct idfw_dirs **ret);
void idfw_dirs_free(struct idfw_dirs *d);
/* as dir_set_lookup() */
GI_MUST_CHECK int idfw_dirs_lookup(struct idfw_dirs *d, const char *key, const char *name,
	const char *names_in, const struct idfw_principal *known);
/* as dir_set_hurry() */
void idfw_dirs_hurry(struct idfw_dirs *d, const char *key);
size_t idfw_dirs_count(const struct idfw_dirs *d);
struct idfw_dir *idfw_dirs_get(struct idfw_dirs *d, size_t at); /* borrowed */

#endif
