#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a scanner vendor gets by `make install`: header, library, pkg-config file, manual and example;
# the example compiles with nothing but pkg-config and runs. All that is in the library is LGPL.
set -eu
build=$(readlink -f "${top_builddir:-.}") src=$(readlink -f "${top_srcdir:-$(dirname "$0")/../../..}")
dir=$(mktemp -d /tmp/eps-install.XXXXXX)
trap 'rm -rf "$dir"' EXIT
unset MAKEFLAGS MAKELEVEL MFLAGS DESTDIR
bad() { echo "FAIL: $*"; exit 1; }

make -s -C "$build" DESTDIR="$dir" install-libLTLIBRARIES install-dist_epsecincludeHEADERS \
	install-nodist_pkgconfigDATA install-dist_epsecexampleDATA install-man3 >"$dir/log" 2>&1 ||
	{ cat "$dir/log"; bad "make install"; }
one() { # PATTERN - the one installed file of that name
	local found
	found=$(find "$dir" -path "$1")
	[ -n "$found" ] && [ "$(wc -l <<<"$found")" = 1 ] || bad "installed as $1: ${found:-nothing}"
	echo "$found"
}
header=$(one '*/include/epsec/epsec.h')
lib=$(one '*/libepsec.so.1')
pc=$(one '*/pkgconfig/epsec.pc')
example=$(one '*/examples/epsec/bytescan.c')
one '*/man3/epsec.3' >/dev/null
[ -L "$lib" ] || bad "libepsec.so.1 is no link to the version"
[ "$(readlink -f "$(one '*/libepsec.so')")" = "$(readlink -f "$lib")" ] || bad "libepsec.so leads elsewhere"

# nothing else is licensed in another way: what the library was compiled of, headers too
sources=$(cd "$build" && find . \( -path '*/.deps/*libepsec_la-*.Plo' -o -path '*/.deps/libgiwirepb_la-*.Plo' \) -exec cat {} + |
	tr ' ' '\n' | sed -e "s|^$src/||" -e 's|^\./||' | grep -E '^(epsec|lib)/[a-z0-9_./-]+\.[ch]$' |
	grep -v 'idfw\.pb-c\.[ch]$' | sort -u)
[ "$(wc -l <<<"$sources")" -gt 30 ] || [ -z "$sources" ] || bad "found too few sources: $sources"
for f in $sources lib/wire/idfw.proto; do
	grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' "$src/$f" || bad "$f is in libepsec and not LGPL"
done
grep -q 'GNU LESSER GENERAL PUBLIC LICENSE' "$src/LICENSE.LGPL" || bad "no LICENSE.LGPL"

command -v pkg-config >/dev/null || { echo "SKIP: needs pkg-config"; exit 77; }
cc=$(command -v "${CC:-cc}") || { echo "SKIP: needs a compiler"; exit 77; }
if nm -D "$lib" | grep -qE '__(asan|tsan|ubsan)_'; then
	echo "SKIP: a library with sanitizers is not for others"
	exit 77
fi
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=$dir LD_LIBRARY_PATH=${lib%/*}
read -ra cflags <<<"$(pkg-config --cflags epsec)"
read -ra libs <<<"$(pkg-config --libs epsec)"
cd "$dir"
"$cc" -Wall -Wextra -Werror -pthread -D_GNU_SOURCE "${cflags[@]}" -o bytescan "$example" "${libs[@]}" ||
	bad "the example does not compile"
readelf -d bytescan | grep -q 'NEEDED.*\[libepsec.so.1\]' || bad "it does not need libepsec.so.1"
code=0
./bytescan 2>usage || code=$?
[ $code = 2 ] && grep -q '^usage' usage || bad "it does not run: $code $(cat usage)"

# the header stands alone, in old C and in C++, and library and pkg-config file are of one version
cat >alone.c <<'C'
#include <epsec/epsec.h>
#include <stdio.h>
int main(void)
{
	return puts(eps_version()) < 0;
}
C
"$cc" -std=c99 -pedantic -Wall -Wextra -Werror "${cflags[@]}" -o alone alone.c "${libs[@]}" || bad "not C99"
[ "$(./alone)" = "$(pkg-config --modversion epsec)" ] || bad "versions: $(./alone), $(pkg-config --modversion epsec)"
if cxx=$(command -v c++); then
	"$cxx" -x c++ -pedantic -Wall -Wextra -Werror "${cflags[@]}" -fsyntax-only "$header" -Wno-pragma-once-outside-header ||
		bad "not C++"
fi
echo "ok: $(wc -w <<<"$sources") sources, all LGPL; the example compiles and runs"
