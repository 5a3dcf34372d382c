#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-own.sh - the agent's own files on a file system that it watches: it does not wait for itself
# shellcheck source=tests/ns/fa-scan-lib.sh
. "${top_srcdir:-.}/tests/ns/fa-scan-lib.sh"

fa_image
mkdir "$mnt/state"
fa_conf 'on-failure deny;'
sed -i "s|state-dir \"[^\"]*\"|state-dir \"$mnt/state\"|" "$dir/conf"
fa_put clean hello
svc_start
fa_start
svc_up
check "an opener is answered" ok "$(fa_open "$mnt/clean")"
old=$(fa_worker)
svc_mark
kill -9 "$old"
if await 30 fa_new_worker "$old"; then ok "a new worker"; else fail "no new worker"; fi
svc_up
fa_put other hello
check "and it answers, too" ok "$(fa_open "$mnt/other")"
if fa_has 'does not move'; then fail "a worker waited for itself: $(fa_since | grep -E 'does not move')"; fi
[ -d "$mnt/state/reports" ] || fail "its journal is not there"
fa_stop
fa_end
