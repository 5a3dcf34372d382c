#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# libepsec.so exports exactly the functions of epsec.h, each with the version EPSEC_1.0, and links
# nothing that a scanner vendor would not expect.
set -eu
so=${top_builddir:-.}/epsec/.libs/libepsec.so
header=${top_srcdir:-$(dirname "$0")/../../..}/epsec/epsec.h
[ -f "$so" ] || { echo "no $so"; exit 99; }

got=$(nm -D --defined-only "$so" | awk '$2 != "A" { print $3 }' | sort)
want=$(sed -e 's|//.*||' "$header" | grep -oE '^(const )?[a-z_ ]+\*? ?\*?(eps_[a-z_]+)\(' |
	grep -oE 'eps_[a-z_]+\(' | tr -d '(' | sed 's/$/@@EPSEC_1.0/' | sort)
[ "$(wc -l <<<"$want")" -ge 17 ] || { echo "found too few functions in $header: $want"; exit 1; }
[ "$got" = "$want" ] || { echo "exports:"; diff <(echo "$want") <(echo "$got"); exit 1; }

[ "$(readelf -d "$so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')" = libepsec.so.1 ]
needed=$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^lib(asan|tsan|ubsan|gcov)\.' |
	sed 's/\.so.*//' | sort | tr '\n' ' ')
case $needed in
'libc libcrypto libev libprotobuf-c libssl ' | 'libc libcrypto libev libm libprotobuf-c libssl ') ;;
*) echo "links: $needed"; exit 1 ;;
esac
readelf -d "$so" | grep -q BIND_NOW || { echo "not linked with -z now"; exit 1; }
! readelf -d "$so" | grep -q TEXTREL || { echo "has text relocations"; exit 1; }
echo "ok: $(wc -l <<<"$got") functions of EPSEC_1.0"
