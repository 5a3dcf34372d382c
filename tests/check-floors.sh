#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# check-floors.sh [ROOT] - holds the source tree to its table of floors (docs/architecture.md).
#
# Who may include whom, which system library is confined to which file, what may be linked with
# what, the size of files, calls that are not made, licence lines and header comments. Every
# breach is one line "file:line: what"; the exit status is 1 when there is one. Reads sources only,
# so it needs no build. tests/unit/check-floors.sh proves that each rule bites.
set -euo pipefail
export LC_ALL=C
root=${1:-${top_srcdir:-$(dirname "$0")/..}}
cd "$root"

# room: the rooms whose headers it may include besides its own ("fw/fw.h": only that one)
all='lib/base lib/wire lib/conf lib/io lib/ctl fw epsec policy'
floors="
lib/base
lib/wire   lib/base
lib/conf   lib/base
lib/io     lib/base
lib/ctl    lib/base lib/wire lib/io
fw         lib/base lib/wire
epsec      lib/base lib/wire lib/io
policy     lib/base lib/conf fw/fw.h
pam_gi     lib/base
netagent   $all
mux        $all
svm-idfw   $all
fileagent  $all
svm-scan   $all
idfwctl    $all
"

# system header (a prefix of it): the room or file it is confined to, and in how many files
libraries='
openssl/                lib/io/             2
ev.h                    lib/io/             1
seccomp.h               lib/io/             1
cap-ng.h                lib/io/             1
protobuf-c/             lib/wire/           9
resolv.h                svm-idfw/           1
arpa/nameser.h          svm-idfw/           1
openldap.h              svm-idfw/           1
ldap.h                  svm-idfw/dirldap_int.h 1
lber.h                  svm-idfw/           1
krb5                    svm-idfw/dirkrb5.c  1
sasl/                   svm-idfw/dirsasl.c  1
sqlite3.h               svm-idfw/           1
nftables/libnftables.h  fw/                 1
libmnl/                 fw/                 7
libnftnl/               fw/                 1
libnetfilter_conntrack/ netagent/           1
security/               pam_gi/pam_gi.c     1
sys/fanotify.h          fileagent/          1
linux/fanotify.h        fileagent/          1
clamav.h                svm-scan/           1
yara                    svm-scan/           1
'

rooms=(lib fw epsec policy pam_gi netagent mux svm-idfw fileagent svm-scan idfwctl)
sources() { # FIND-ARGS - C sources that people wrote
	find "$@" \( -name '*.[chly]' \) ! -name '*.pb-c.[ch]' -print | sort |
		while read -r f; do
			# made by flex and bison in a build inside the tree
			case $f in
			*.c) ! [ -e "${f%.c}.l" ] || continue ;;&
			*.[ch]) ! [ -e "${f%.[ch]}.y" ] || continue ;;
			esac
			echo "${f#./}"
		done
}
present=()
for r in "${rooms[@]}"; do [ ! -d "$r" ] || present+=("$r"); done
[ ${#present[@]} -gt 0 ] || { echo "check-floors: no sources under $root"; exit 99; }
mapfile -t code < <(sources "${present[@]}")
tests=()
[ ! -d tests ] || mapfile -t tests < <(sources tests)
found=$(mktemp)
trap 'rm -f "$found"' EXIT

# rooms and system libraries
check_includes() {
	awk -v floors="$floors" -v libraries="$libraries" '
function room_of(path) {
	return path ~ /^lib\// ? gensub_room(path) : substr(path, 1, index(path, "/") - 1)
}
function gensub_room(path,    rest) {
	rest = substr(path, 5)
	return "lib/" substr(rest, 1, index(rest, "/") - 1)
}
function complain(what) {
	printf "%s:%d: %s\n", FILENAME, FNR, what
}
BEGIN {
	n = split(floors, line, "\n")
	for (i = 1; i <= n; i++) {
		k = split(line[i], w, " ")
		if (k) {
			known[w[1]] = 1
			for (j = 2; j <= k; j++)
				may[w[1], w[j]] = 1
		}
	}
	n = split(libraries, line, "\n")
	for (i = 1; i <= n; i++)
		if (split(line[i], w, " ") == 3) {
			prefix[++nlib] = w[1]
			place[nlib] = w[2]
			most[nlib] = w[3]
		}
}
FNR == 1 {
	room = room_of(FILENAME)
	if (!(room in known))
		complain("room " room " is not in the table of floors")
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	inc = q[2]
	if (inc == "config.h" || inc !~ /\//) {
		if (inc ~ /\.pb-c\.h$/ && room != "lib/wire")
			complain("only lib/wire includes " inc)
		next
	}
	to = room_of(inc)
	if (to == room)
		next
	if (!((room, to) in may) && !((room, inc) in may))
		complain(room " may not include " inc)
	else if (inc ~ /_int\.h$/)
		complain(inc " is private to " to)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
	inc = $0
	sub(/^[^<]*</, "", inc)
	sub(/>.*/, "", inc)
	for (i = 1; i <= nlib; i++) {
		if (index(inc, prefix[i]) != 1)
			continue
		if (index(FILENAME, place[i]) != 1)
			complain("<" inc "> belongs to " place[i])
		else if (!((i, FILENAME) in user)) {
			user[i, FILENAME] = 1
			if (++users[i] > most[i])
				complain("<" inc "> is already used by " first[i])
			else if (!(i in first))
				first[i] = FILENAME
		}
	}
}' "${code[@]}"
}

# comments, strings and characters are blanked first
check_calls() {
	awk '
function strip(s,    out, c, i, n) {
	n = length(s)
	out = ""
	for (i = 1; i <= n; i++) {
		c = substr(s, i, 1)
		if (mode == "comment") {
			if (c == "*" && substr(s, i + 1, 1) == "/") {
				mode = ""
				i++
			}
		} else if (mode != "") {
			if (c == "\\")
				i++
			else if (c == mode)
				mode = ""
		} else if (c == "/" && substr(s, i + 1, 1) == "*") {
			mode = "comment"
			i++
		} else if (c == "/" && substr(s, i + 1, 1) == "/") {
			break
		} else if (c == "\"" || (c == "\x27" && FILENAME !~ /\.l$/)) {
			mode = c
		} else {
			out = out c
		}
	}
	if (mode != "comment") # a literal ends with its line
		mode = ""
	return out
}
FNR == 1 {
	mode = ""
	library = FILENAME ~ /^(lib|fw|epsec|policy)\// && FILENAME !~ /^lib\/base\/log\.c$/ &&
		FILENAME !~ /^lib\/conf\/main\.c$/
}
{
	s = " " strip($0)
	if (match(s, /[^A-Za-z0-9_](strcpy|stpcpy|strcat|sprintf|vsprintf|atoi|atol|atoll|strtok|alloca|system|popen|gets|tmpnam|mktemp)[ \t]*\(/))
		printf "%s:%d: forbidden call: %s)\n", FILENAME, FNR, substr(s, RSTART + 1, RLENGTH - 1)
	if (library && match(s, /[^A-Za-z0-9_](printf|vprintf|puts|perror|syslog|gi_log|gi_err|gi_warn|gi_notice|gi_info|gi_debug|exit|abort)[ \t]*\(/) &&
		s !~ /^ #define/ && FILENAME !~ /\.h$/)
		printf "%s:%d: a library does not log, print or exit: %s)\n", FILENAME, FNR,
			substr(s, RSTART + 1, RLENGTH - 1)
}' "${code[@]}"
}

# size, licence, header comment: " * name.c - what it is" among the first lines
check_heads() {
	awk '
FNR == 1 {
	finish()
	file = FILENAME
	base = file
	sub(/.*\//, "", base)
	spdx = head = 0
}
FNR <= 3 && /SPDX-License-Identifier: / { spdx = 1 }
FNR <= 6 && index($0, " * " base " - ") == 1 { head = 1 }
{ lines = FNR }
function finish() {
	if (file == "")
		return
	if (!spdx)
		printf "%s:1: no SPDX-License-Identifier\n", file
	if (!head)
		printf "%s:1: no header comment \" * %s - what it is\"\n", file, base
	most = file ~ /^tests\// ? 800 : 600
	if (lines > most)
		printf "%s:%d: %d lines, at most %d\n", file, lines, lines, most
}
END { finish() }' "${code[@]}" "${tests[@]}"
}

check_scripts() {
	find . -name .git -prune -o -name 'build*' -prune -o -name autom4te.cache -prune -o -name m4 -prune -o \
		\( -name '*.sh' -o -name '*.am' -o -name '*.proto' -o -name configure.ac -o -name '*.py' -o \
		-name '*.service' -o -name '*.[1-8]' \) -type f -print | sort | while read -r f; do
		head -n 5 "$f" | grep -q 'SPDX-License-Identifier: ' ||
			echo "${f#./}:1: no SPDX-License-Identifier"
	done
}

# no program links both libnftables (GPL-2.0) and OpenSSL, libraries followed
check_links() {
	mapfile -t modules < <(find . -name module.am ! -path './build*' | sort)
	[ ${#modules[@]} = 0 ] || awk '
function canon(s) {
	gsub(/[^A-Za-z0-9_]/, "_", s)
	return s
}
function reaches(node, what,    n, t, i) {
	if ((node, what) in seen)
		return seen[node, what]
	seen[node, what] = 0
	n = split(deps[node], t, " ")
	for (i = 1; i <= n; i++) {
		if (index(t[i], what)) {
			seen[node, what] = 1
			break
		}
		if (t[i] ~ /\.la$/ && reaches(canon(t[i]), what))
			seen[node, what] = 1
		if (t[i] ~ /^\$\(.*\)$/ && t[i] !~ /_LIBS\)$/ && reaches(substr(t[i], 3, length(t[i]) - 3), what))
			seen[node, what] = 1
	}
	return seen[node, what]
}
{
	line = line $0
	if (sub(/\\$/, " ", line))
		next
	if (match(line, /^[A-Za-z0-9_]+[ \t]*\+?=/)) {
		name = substr(line, 1, RLENGTH)
		value = substr(line, RLENGTH + 1)
		gsub(/[ \t+=]/, "", name)
		if (sub(/_LDADD$/, "", name))
			program[name] = FILENAME
		sub(/_LIBADD$/, "", name)
		deps[name] = deps[name] " " value
	}
	line = ""
}
END {
	for (p in program)
		if (reaches(p, "NFTABLES_LIBS") && reaches(p, "OPENSSL_LIBS"))
			printf "%s:1: %s links libnftables and OpenSSL\n", substr(program[p], 3), p
}' "${modules[@]}"
}

{
	check_includes
	check_calls
	check_heads
	check_scripts
	check_links
} >"$found"

if [ -s "$found" ]; then
	sort -t: -k1,1 -k2,2n "$found"
	echo "check-floors: $(wc -l <"$found") breaches"
	exit 1
fi
echo "check-floors: ${#code[@]} files of code and ${#tests[@]} of tests keep to the table"
