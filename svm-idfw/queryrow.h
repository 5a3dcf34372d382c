/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * queryrow.h - the engine's structs as rows of docs/control.md
 *
 * Pure reading. Each returns a new JSON object, or NULL without memory.
 */
#ifndef SVM_IDFW_QUERYROW_H
#define SVM_IDFW_QUERYROW_H

#include <jansson.h>
#include "svm-idfw/query.h"

json_t *query_row_svm(const struct query_env *env, bool *ret_ok);
json_t *query_row_vm(const struct idfw_vm *vm);
json_t *query_row_session(const struct query_env *env, const struct idfw_session *s);
json_t *query_row_explain(const struct query_env *env, struct idfw_session *s);
json_t *query_row_isolation(const struct idfw_isolation *i);
bool query_vm_in_sync(const struct idfw_vm *vm);

#endif
