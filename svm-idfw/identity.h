/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * identity.h - whose a session is, and what the kernel knows it by
 *
 * Between the engine's own files. Part of svm-idfw's engine.
 */
#ifndef SVM_IDFW_IDENTITY_H
#define SVM_IDFW_IDENTITY_H

#include "svm-idfw/engine.h"

#define IDFW_UNLINK(s, head, prev, next)             \
	do {                                         \
		if ((s)->prev)                       \
			(s)->prev->next = (s)->next; \
		else                                 \
			(head) = (s)->next;          \
		if ((s)->next)                       \
			(s)->next->prev = (s)->prev; \
	} while (0)
/* nested and system users' sessions have neither principal nor subject; -ENOMEM */
GI_MUST_CHECK int idfw_identity_link(struct idfw_engine *e, struct idfw_session *s);
void idfw_identity_unlink(struct idfw_engine *e, struct idfw_session *s);
/*
 * the directory of names without a domain on this VM; NULL or "": none. Its live sessions follow
 */
void idfw_identity_vm(struct idfw_engine *e, struct idfw_vm *vm, const char *directory);

#endif
