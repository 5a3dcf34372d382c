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
log=$LAB_DIR/log/jump01-gi-netagent.log
heard() { grep -c 'of alice (su-l, uid' "$log" || true; }
heard_more() { [ "$(heard)" -gt "$1" ]; }
for _ in {1..40}; do
	before=$(heard)
	su_session alice
	lab_wait_for 30 heard_more "$before" || bad "the agent does not hear of alice"
	su_end alice
done
before=$(heard)
su_session alice
check "alice gains access with a full database" gains alice
check "it is said loudly" lab_wait_for 30 grep -qiE 'full|no space|disk' "$LAB_DIR/log/svm-svm-idfw.log"
status_is() { [ "$(lab_ctl status >/dev/null 2>&1; echo $?)" = "$1" ]; }
check "status is not well" lab_wait_for 30 status_is 1
lab_in svm rm /var/lib/idfw/filler
logins() { lab_ctl --json audit --user alice --limit 10000 | grep -c '"kind": *"login"'; }
recorded() { [ "$(logins)" -ge "$1" ]; }
check "the agent has heard of the last one" lab_wait_for 30 heard_more "$before"
told=$(heard)
check "there were many logins ($told)" [ "$told" = 41 ]
check "all $told are recorded after it has room again" lab_wait_for 30 recorded "$told"
check "none twice" [ "$(logins)" = "$told" ]
check "status is well again" lab_wait_for 30 status_is 0
