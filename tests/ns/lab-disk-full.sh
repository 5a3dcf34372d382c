#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The service VM's disk is full: logins are enforced, said loudly, and recorded when there is room.
set -euo pipefail
: "${IDFW_LAB:=h$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

echo "== the service VM's disk is full: events stay with the agents until they fit"
lab_kill9 svm
lab_in svm sh -c 'cp -a /var/lib/idfw /run/idfw-kept && mount -t tmpfs -o size=4m,uid=990,gid=990 full /var/lib/idfw &&
	cp -a /run/idfw-kept/. /var/lib/idfw/'
lab_daemon svm
lab_wait_for 30 lab_in_sync || bad "not in sync on the small disk"
lab_in svm sh -c 'dd if=/dev/zero of=/var/lib/idfw/filler bs=4k 2>/dev/null; true'
for _ in {1..60}; do
	su_session alice
	su_end alice
done
su_session alice
check "alice gains access with a full database" gains alice
check "it is said loudly" lab_wait_for 30 grep -qiE 'full|no space|disk' "$LAB_DIR/log/svm-svm-idfw.log"
check "status is not well" [ "$(lab_ctl status >/dev/null 2>&1; echo $?)" = 1 ]
lab_in svm rm /var/lib/idfw/filler
logins() { lab_ctl --json audit --user alice --limit 10000 | grep -c '"kind": *"login"'; }
recorded() { [ "$(logins)" -ge "$1" ]; }
lab_well() { lab_ctl status >/dev/null 2>&1; }
told=$(grep -c 'of alice (su-l, uid' "$LAB_DIR/log/jump01-gi-netagent.log")
check "there were many logins ($told)" [ "$told" -ge 30 ]
check "all $told are recorded after it has room again" lab_wait_for 30 recorded "$told"
check "none twice" [ "$(logins)" = "$told" ]
check "status is well again" lab_wait_for 30 lab_well
