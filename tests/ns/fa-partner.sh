#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# fa-partner.sh - the real gi-fileagent, the real gi-mux and a partner's program on the shared libepsec:
# disinfection end to end, and each of the three killed while a file is scanned
set -eu # before anything else: without the library $mnt would be empty
# loopback of its own: fixed ports, beside any other test
[ "$(id -u)" = 0 ] || { echo "SKIP: needs root"; exit 77; }
[ -n "${FA_PARTNER_NS:-}" ] || exec env FA_PARTNER_NS=1 unshare -n bash "$0" "$@"
fa_agent=$(readlink -f "${top_builddir:-.}")/fileagent/gi-fileagent
. "${top_srcdir:-.}/tests/ns/file-lib.sh"
command -v openssl >/dev/null || skip "needs openssl"
ip link set lo up
fa_image

# ---- certificates, mux, partner ----
cert() { # NAME
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$dir/$1.key" \
		-out "$dir/$1.csr" 2>/dev/null
	printf 'subjectAltName=DNS:%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$1" >"$dir/ext"
	openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days 2 \
		-extfile "$dir/ext" -out "$dir/$1.pem" 2>/dev/null
	chmod 400 "$dir/$1.key"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=ca -days 2 -keyout "$dir/ca.key" \
	-out "$dir/ca.pem" 2>/dev/null
cert host1
cert scan1
mkdir -m 777 "$dir/vm"
cat >"$dir/mux.conf" <<CONF
svm "tcp:127.0.0.1:5443"; svm-name "scan1"; scan "tcp:127.0.0.1:5444"; scan-name "scan1";
host-name "host1"; ca "$dir/ca.pem"; cert "$dir/host1.pem"; key "$dir/host1.key"; user "nobody"; retry 100ms; socket-mode "0666";
vm web01 { listen "unix:$dir/vm/5005"; file-listen "unix:$dir/vm/5006"; }
CONF
mux='' partner=''
mux_start() {
	"$fa_build/mux/gi-mux" -c "$dir/mux.conf" 2>>"$dir/mux.log" &
	mux=$!
	fa_pids+=("$mux")
}
: >"$dir/partner.log"
says_line=0
partner_start() {
	ASAN_OPTIONS=detect_leaks=0 "$fa_build/tests/ns/eps_partner" tcp:127.0.0.1:5444 "$dir/ca.pem" \
		"$dir/scan1.pem" "$dir/scan1.key" host1 >>"$dir/partner.log" 2>&1 &
	partner=$!
	fa_pids+=("$partner")
}
mark() { says_line=$(wc -l <"$dir/partner.log"); }
has() { tail -n +$((says_line + 1)) "$dir/partner.log" | grep -qE -- "$1"; }
says() { if await "${3:-60}" has "$1"; then ok "${2:-partner: $1}"; else fail "${2:-partner} ($1)"; fi; }
count() { tail -n +$((says_line + 1)) "$dir/partner.log" | grep -cE -- "$1" || :; }
end_of() { # PID - kill -9
	kill -9 "$1"
	wait "$1" 2>/dev/null || :
}

head -c 3000000 /dev/zero | tr '\0' x >"$dir/body"
{ cat "$dir/body"; printf 'EP-CURE'; cat "$dir/body"; } >"$mnt/infected"
cat "$dir/body" "$dir/body" >"$dir/clean"
chmod 640 "$mnt/infected"
chown 65534:65534 "$mnt/infected"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.origin", b"mail")' "$mnt/infected"
fa_put fine 'nothing in it'
for i in 1 2 3 4 5 6 7 8; do fa_put "hollow$i" EP-EMPTY; done
fa_put held "EP-HOLD EP-CURE and more"
for i in agent mux partner; do
	{ printf 'EP-FOREVER'; cat "$dir/body"; } >"$mnt/for-$i"
	fa_put "after-$i" 'fine, too'
done
fa_deadlines="deadline-base 8s; deadline-max 15s;"
fa_conf
sed -i "s|unix:$dir/mux|unix:$dir/vm/5006|" "$dir/conf"
partner_start
mux_start
fa_start
says '^web01 up by host1$'
[ "$fa_fails" = 0 ] || { cat "$dir"/*.log; exit 1; }

# ---- disinfection ----
check "a clean file" ok "$(fa_open "$mnt/fine")"
ino=$(stat -c %i "$mnt/infected")
check "an infected one: its opener may try again" EAGAIN "$(fa_open "$mnt/infected")"
says '/infected written 0$'
says '^web01 done 1: replaced$'
if cmp -s "$dir/clean" "$mnt/infected"; then ok "and finds it clean, all of its 6 MB"; else fail "other content"; fi
check "mode and owner are kept" '640 65534' "$(stat -c '%a %u' "$mnt/infected")"
check "and attributes" mail "$(python3 -c 'import os, sys
print(os.getxattr(sys.argv[1], "user.origin").decode())' "$mnt/infected")"
[ "$(stat -c %i "$mnt/infected")" != "$ino" ] || fail "the same inode: not one rename"
check "nothing else is left there" "" "$(find "$mnt" -name '.*' -type f)"

# the verdict comes right behind a last piece without bytes
mark
for i in 1 2 3 4 5 6 7 8; do
	check "replaced by nothing ($i)" EAGAIN "$(fa_open "$mnt/hollow$i")"
	check "is empty" 0 "$(stat -c %s "$mnt/hollow$i")"
done
check "all done" 8 "$(count '^web01 done 1: replaced$')"

# changed between the new content and the verdict, without an event: nothing is replaced
mark
fa_opener h "$mnt/held"
says '/held held 0$'
python3 -c 'import ctypes, sys; ctypes.CDLL(None).truncate(sys.argv[1].encode(), ctypes.c_long(3))' "$mnt/held"
ino=$(stat -c %i "$mnt/held")
kill -USR1 "$partner"
says '^web01 done 2' "the guest says that it is another file"
check "which is judged anew" ok "$(fa_result h)"
check "twice asked" 2 "$(count '/held event 1$')"
check "and was not touched" "EP- $ino" "$(cat "$mnt/held") $(stat -c %i "$mnt/held")"

# ---- each of them goes away in the middle of a scan ----
scanning() { # NAME
	mark
	fa_opener "$1" "$mnt/for-$1"
	says "/for-$1 event 1\$" "for-$1 is being read"
}
gone() { # NAME
	says "/for-$1 failed -1100\$" "the reader hears that its guest is gone"
	says "/for-$1 answered -1100\$" "so does its answer"
	says '^web01 down: '
}
again() { # NAME - all is well
	says '^web01 up by host1$' "$1: connected again"
	await 30 fa_asks "after-$1" || fail "$1: nobody asks"
	ok "$1: files are scanned again"
}
fa_asks() { [ "$(fa_open "$mnt/$1")" = ok ] && has "/$1 event 1\$"; }

scanning mux
end_of "$mux"
gone mux
check "its opener is let through (allow)" ok "$(fa_result mux)"
mark
mux_start
again mux

scanning agent
old=$(fa_worker)
end_of "$fa_sup"
kill -9 "$old"
gone agent
await 120 fa_opener_done agent || fail "the opener hangs"
mark
fa_start
again agent

scanning partner
end_of "$partner"
check "its opener is let through (allow)" ok "$(fa_result partner)"
mark
partner_start
again partner
kill -TERM "$partner"
fa_wait "$partner"
check "the partner ends in order" 0 "$fa_code"
fa_stop
! grep -E 'Sanitizer|runtime error' "$dir/partner.log" "$dir/mux.log" || fail "a sanitizer speaks"
if [ "$fa_fails" != 0 ]; then echo "--- partner"; tail -40 "$dir/partner.log"; echo "--- mux"; tail -20 "$dir/mux.log"; fi
fa_end
