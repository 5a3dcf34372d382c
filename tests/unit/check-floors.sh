#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Each rule of tests/check-floors.sh bites: a small good tree passes, and the same tree with one
# breach fails with the line that names it.
set -euo pipefail
check=${top_srcdir:-$(dirname "$0")/../..}/tests/check-floors.sh
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tree=$tmp/tree
failed=0

# file PATH LINES... - a source with licence and header comment
file() {
	local path=$1
	shift
	mkdir -p "$tree/$(dirname "$path")"
	{
		echo '/* SPDX-License-Identifier: GPL-2.0-or-later */'
		printf '/*\n * %s - part of a tree that is only checked\n */\n' "$(basename "$path")"
		printf '%s\n' "$@"
	} >"$tree/$path"
}

good_tree() {
	rm -rf "$tree"
	file lib/base/a.h 'int gi_a(void);'
	file lib/base/a.c '#include "lib/base/a.h"' '/* strcpy() and system( in a comment */' \
		'const char *s = "atoi(x)"; int xsprintf(int); int strcpy_safe(int);'
	file lib/io/loop.h '#include <ev.h>' '#include "lib/base/a.h"'
	file lib/io/tls.c '#include <openssl/ssl.h>' '#include <openssl/err.h>'
	file fw/fw.h '#include "lib/base/a.h"'
	file fw/fw_int.h 'int fw_x(void);'
	file fw/push.c '#include "fw/fw_int.h"' '#include <libmnl/libmnl.h>'
	file lib/ctl/ctl.c '#include "lib/io/loop.h"'
	file policy/p.c '#include "fw/fw.h"' '#include "lib/conf/conf.h"'
	file mux/main.c '#include "lib/io/loop.h"' 'int main(void) { printf("x"); exit(1); }'
	file tests/unit/t.c 'int x;'
	cat >"$tree/module.am" <<-'A'
		# SPDX-License-Identifier: GPL-2.0-or-later
		lib_io_tls_la_LIBADD = \
			lib/base/b.la $(OPENSSL_LIBS)
		fw_push_la_LIBADD = $(NFTABLES_LIBS)
		AGENT_ADD = fw/push.la
		mux_mux_LDADD = lib/io/tls.la
		netagent_agent_LDADD = $(AGENT_ADD)
	A
}

# breach NAME EXPECTED-LINE - the tree as it stands now must fail with it, and with nothing else
breach() {
	local out
	if out=$("$check" "$tree" 2>&1); then
		echo "FAIL $1: nothing was found"
		failed=1
	elif [ "$out" != "$2"$'\n''check-floors: 1 breaches' ]; then
		printf 'FAIL %s:\n%s\nwanted: %s\n' "$1" "$out" "$2"
		failed=1
	else
		echo "ok $1"
	fi
	good_tree
}

good_tree
"$check" "$tree" || {
	echo 'FAIL: the good tree does not pass'
	exit 1
}

file lib/base/up.c '#include "lib/io/loop.h"'
breach 'lower floor includes upper' 'lib/base/up.c:5: lib/base may not include lib/io/loop.h'
file lib/ctl/ctl.c '#include "policy/p.h"'
breach 'the control socket knows no policy' 'lib/ctl/ctl.c:5: lib/ctl may not include policy/p.h'
file lib/io/loop.c '#include "lib/ctl/ctl.h"'
breach 'the loop includes the control socket' 'lib/io/loop.c:5: lib/io may not include lib/ctl/ctl.h'
file mux/other.c '#include "netagent/x.h"'
breach 'program includes program' 'mux/other.c:5: mux may not include netagent/x.h'
file policy/p.c '#include "fw/push.h"'
breach 'policy includes more than fw.h' 'policy/p.c:5: policy may not include fw/push.h'
file pam_gi/p.c '#include "lib/io/loop.h"'
breach 'pam_gi includes the loop' 'pam_gi/p.c:5: pam_gi may not include lib/io/loop.h'
file mux/other.c '#include "fw/fw_int.h"'
breach 'private header' 'mux/other.c:5: fw/fw_int.h is private to fw'
file lib/extra/x.c 'int x;'
breach 'room without a floor' 'lib/extra/x.c:1: room lib/extra is not in the table of floors'
file mux/other.c '#include "idfw.pb-c.h"'
breach 'generated messages outside wire' 'mux/other.c:5: only lib/wire includes idfw.pb-c.h'
file mux/other.c '#include <openssl/sha.h>'
breach 'OpenSSL outside its file' 'mux/other.c:5: <openssl/sha.h> belongs to lib/io/'
file lib/io/loop.c '#include <ev.h>'
breach 'two files use one library' 'lib/io/loop.h:5: <ev.h> is already used by lib/io/loop.c'
file mux/other.c '# include <sqlite3.h>'
breach 'spaces do not hide an include' 'mux/other.c:5: <sqlite3.h> belongs to svm-idfw/'
file mux/other.c 'void f(char *a) { strcpy(a, "x"); }'
breach 'forbidden call' 'mux/other.c:5: forbidden call: strcpy()'
file mux/other.c '/* a' ' b */ int n = atoi ("1");'
breach 'forbidden call behind a comment' 'mux/other.c:6: forbidden call: atoi ()'
file fw/out.c 'void f(void) { printf("x"); }'
breach 'library prints' 'fw/out.c:5: a library does not log, print or exit: printf()'
file policy/out.c 'void f(void) { exit(1); }'
breach 'library exits' 'policy/out.c:5: a library does not log, print or exit: exit()'
file mux/other.c
for ((i = 0; i < 600; i++)); do echo; done >>"$tree/mux/other.c"
breach 'file too long' 'mux/other.c:605: 605 lines, at most 600'
file tests/unit/long.c
for ((i = 0; i < 800; i++)); do echo; done >>"$tree/tests/unit/long.c"
breach 'test too long' 'tests/unit/long.c:805: 805 lines, at most 800'
printf '/*\n * other.c - x\n */\n' >"$tree/mux/other.c"
breach 'no licence line' 'mux/other.c:1: no SPDX-License-Identifier'
printf '/* SPDX-License-Identifier: GPL-2.0-or-later */\nint x;\n' >"$tree/tests/unit/t.c"
breach 'no header comment' 'tests/unit/t.c:1: no header comment " * t.c - what it is"'
printf '#!/bin/bash\n' >"$tree/tests/x.sh"
breach 'script without licence line' 'tests/x.sh:1: no SPDX-License-Identifier'
echo 'netagent_agent_LDADD += lib/io/tls.la' >>"$tree/module.am"
breach 'libnftables and OpenSSL in one program' \
	'module.am:1: netagent_agent links libnftables and OpenSSL'
rm -rf "${tree:?}"/{lib,fw,policy,mux}
[ "$("$check" "$tree" >/dev/null 2>&1; echo $?)" = 99 ] || {
	echo 'FAIL: a tree without sources passes'
	failed=1
}
exit $failed
