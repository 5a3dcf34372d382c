/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dirtest.h - `idfwctl dir test`: a configuration's directories are tried before it is used
 *
 * idfwctl executes `svm-idfw --test-directory CONFIG ...`; no svm-idfw has to run. dirstep.h has
 * the picture. What is printed: docs/directory.md "Trying it first".
 */
#ifndef SVM_IDFW_DIRTEST_H
#define SVM_IDFW_DIRTEST_H

/*
 * dir_test_main - the parent: reads CONFIG, becomes its `user`, tries each server, prints
 * @argv: CONFIG [--directory NAME] [--account NAME] [--json]
 * Returns 0 all is well, 1 something is not, 2 usage, or it could not be tried
 */
int dir_test_main(int argc, char **argv);
/* the child: LABEL -c CONFIG URI ACCOUNT */
int dir_test_server_main(int argc, char **argv);

#endif
