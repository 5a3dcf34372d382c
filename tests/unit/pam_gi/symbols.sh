#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# pam_gi.so is loaded into sshd and login: it brings five functions and no library but libpam, libc.
set -eu
so=${top_builddir:-.}/pam_gi/.libs/pam_gi.so
[ -f "$so" ] || { echo "no $so"; exit 99; }

got=$(nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | sort | tr '\n' ' ')
want='pam_sm_acct_mgmt pam_sm_authenticate pam_sm_close_session pam_sm_open_session pam_sm_setcred '
[ "$got" = "$want" ] || { echo "exports: $got"; echo "wanted:  $want"; exit 1; }

needed=$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
[ "$needed" = 'libc.so.6 libpam.so.0 ' ] || { echo "links: $needed"; exit 1; }

# no text relocation, no executable stack, everything bound at load time
readelf -d "$so" | grep -q BIND_NOW || { echo "not linked with -z now"; exit 1; }
! readelf -d "$so" | grep -q TEXTREL || { echo "has text relocations"; exit 1; }
echo "ok: exports $got, links $needed"
