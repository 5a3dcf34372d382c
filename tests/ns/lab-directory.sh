#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The directory is down: logins are recorded, cached groups serve, others get theirs when it is back.
set -euo pipefail
: "${IDFW_LAB:=g$$}" "${IDFW_BUILD:=${top_builddir:?}}"
# shellcheck source=lab/functions.sh
. "${top_srcdir:?}/lab/functions.sh"
# shellcheck source=lab/checks.sh
. "$LAB_TOP/lab/checks.sh"
lab_test

echo "== the directory is down: logins are recorded, cached groups serve, others wait for it"
su_session alice
check "alice is in eng" gains alice
su_end alice
check "alice went" lab_wait_for 5 not_live alice
lab_ad_group_add eng carol
lab_signal dc samba KILL
su_session alice
check "alice, known from before, gains access" gains alice
su_session carol
check "carol is recorded" lab_wait_for 5 live carol
check "and has no access yet" loses carol
lab_dc_run
check "carol gains access when the directory is back" gains carol 10000
lab_ad_group_del eng carol
check "and loses it again" loses carol
su_end carol
su_end alice
check "alice went" lab_wait_for 5 not_live alice

echo "== the directory stalls in the middle of a connection: nothing else waits for it"
lab_signal dc samba STOP
su_session bob
check "bob is recorded" lab_wait_for 5 live bob
su_session alice
start=$(lab_now_ms)
check "alice gains access" gains alice
took=$(($(lab_now_ms) - start))
check "at once ($took ms)" [ $took -lt 1500 ]
lab_signal dc samba CONT
lab_ad_group_add eng bob
check "bob gains access when it goes on" gains bob 15000
