# SPDX-License-Identifier: GPL-2.0-or-later
# fw-lib.sh - what the fw-*.sh namespace tests share: two or three "VMs" joined by veth, the push
# tool in each, clients and servers (fw_net.py). Sourced; needs root. Everything it makes goes by
# namespaces named after this process and is removed on any exit. Executes the test anew in a pid
# namespace: a pid that it kills twice is somebody else's by then, and that may be a test beside it.
set -eu
top_srcdir=${top_srcdir:-.}
top_builddir=${top_builddir:-.}
NET="$top_srcdir/tests/ns/fw_net.py"
TOOL="$top_builddir/tests/ns/fw_push_tool"
skip() {
	echo "SKIP: $*"
	exit 77
}
[ "$(id -u)" = 0 ] || skip "needs root for network namespaces"
for c in ip nft conntrack python3 unshare; do
	command -v "$c" >/dev/null || skip "needs $c"
done
if [ -z "${IDFW_INSIDE:-}" ]; then
	IDFW_INSIDE=$$ exec unshare -m -p -f --kill-child --mount-proc --propagation private bash "$0" "$@"
fi
ID=fw$IDFW_INSIDE
TMP=$(mktemp -d "${TMPDIR:-/tmp}/idfw-fw.XXXXXX")
chmod 1777 "$TMP" # clients under other uids write their counts here
VMS=()
PIDS=()
CG= # CG=PATH before a command: what it starts is born in that cgroup
CGROOT=
TOOL_ARGS= # plain: the table gets no owner

say() { echo "# $*"; }
fail() {
	echo "FAIL: $*" >&2
	for vm in "${VMS[@]}"; do
		echo "--- $vm" >&2
		ip netns exec "$ID$vm" nft list ruleset >&2 || true
		ip netns exec "$ID$vm" conntrack -L >&2 2>/dev/null || true
	done
	exit 1
}
cleanup() {
	local p
	for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null || true; done
	for p in "${PIDS[@]}"; do wait "$p" 2>/dev/null || true; done
	for vm in "${VMS[@]}"; do ip netns del "$ID$vm" 2>/dev/null || true; done
	[ -z "$CGROOT" ] || cg_remove
	rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

PY=$(python3 -c 'import sys; print(sys.executable)') # wrappers would cost 100 ms a call

on() { # on VM CMD...
	local vm=$1
	shift
	if [ -z "$CG" ]; then
		ip netns exec "$ID$vm" "$@"
	else
		(trap - EXIT; echo $BASHPID >"$CG/cgroup.procs"; exec ip netns exec "$ID$vm" "$@")
	fi
}
cg_start() { # a cgroup (v2) of the test's own: $CGROOT
	local top
	top=$(awk '/ - cgroup2 / && $4 == "/" { print $5 }' /proc/self/mountinfo | tail -1)
	[ -n "$top" ] || skip "needs a mounted cgroup v2"
	mkdir "$top/idfw-test-$IDFW_INSIDE" 2>/dev/null || skip "needs a cgroup v2 that can be written"
	CGROOT=$top/idfw-test-$IDFW_INSIDE
}
cg_new() { mkdir -p "$CGROOT/$1"; } # cg_new PATH
cg_id() { stat -c %i "$CGROOT/$1"; }
cg_remove() { # what is left in it is ours
	if [ -e "$CGROOT/cgroup.kill" ]; then echo 1 >"$CGROOT/cgroup.kill"; fi
	for _ in $(seq 600); do
		find "$CGROOT" -depth -type d -exec rmdir {} + 2>/dev/null
		[ -d "$CGROOT" ] || return 0
		sleep 0.05
	done
}
net() { # net VM ARGS... - fw_net.py there
	local vm=$1
	shift
	on "$vm" "$PY" -IS "$NET" "$@"
}
vm_new() { # vm_new NAME
	ip netns add "$ID$1"
	VMS+=("$1")
	on "$1" sysctl -qw net.ipv4.ping_group_range="0 2147483647" net.ipv6.conf.default.accept_dad=0 \
		net.ipv6.conf.all.accept_dad=0 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 \
		net.ipv4.icmp_ratemask=0 net.ipv6.icmp.ratemask=0 # some kernels share the rest of their limits among all namespaces
	# an idle UDP flow is forgotten after 30 s, and a slow machine makes many before it comes to the point
	on "$1" sysctl -qew net.netfilter.nf_conntrack_{udp_timeout,udp_timeout_stream,icmp_timeout}=900 \
		net.netfilter.nf_conntrack_{icmpv6_timeout,tcp_timeout_{last_ack,close_wait,fin_wait}}=900
	on "$1" ip link set lo up
}
link() { # link A B N: 10.9.N.1 and fd09:N::1 at A, .2 and ::2 at B
	ip link add "v$3" netns "$ID$1" type veth peer name "v$3" netns "$ID$2"
	on "$1" ip link set "v$3" up
	on "$2" ip link set "v$3" up
	on "$1" ip addr add "10.9.$3.1/24" dev "v$3"
	on "$2" ip addr add "10.9.$3.2/24" dev "v$3"
	on "$1" ip addr add "fd09:$3::1/64" dev "v$3" nodad
	on "$2" ip addr add "fd09:$3::2/64" dev "v$3" nodad
}
# one push tool a VM: commands into its fifo, answers from its output file
tool_start() { # tool_start VM
	mkfifo "$TMP/$1.in"
	: >"$TMP/$1.out"
	(
		trap - EXIT
		exec ip netns exec "$ID$1" "$TOOL" $TOOL_ARGS
	) <"$TMP/$1.in" >"$TMP/$1.out" 2>"$TMP/$1.err" &
	PIDS+=($!)
	eval "TOOLPID_$1=$!"
	local fd
	exec {fd}>"$TMP/$1.in"
	eval "TOOLFD_$1=$fd"
}
tool_kill() { # tool_kill VM: it is gone when this returns
	local pid="TOOLPID_$1" fd="TOOLFD_$1"
	kill -9 "${!pid}"
	wait "${!pid}" 2>/dev/null || true
	[ ! -d "/proc/${!pid}" ] || fail "the push tool in $1 is alive"
	eval "exec ${!fd}>&-"
	rm "$TMP/$1.in"
}
tool() { # tool VM <script: sends it, waits for one answer, which goes to stdout
	local var="TOOLFD_$1" before line i
	before=$(grep -c '^\(ok\|error\)' "$TMP/$1.out" || true)
	cat >&"${!var}"
	for i in $(seq 3000); do
		if [ "$(grep -c '^\(ok\|error\)' "$TMP/$1.out" || true)" -gt "$before" ]; then
			grep '^\(ok\|error\)' "$TMP/$1.out" | tail -n 1
			return 0
		fi
		sleep 0.01
	done
	echo "no answer"
}
tool_ok() { # tool_ok VM <script
	local got
	got=$(tool "$1")
	[ "$got" = ok ] || fail "push tool in $1: $got $(cat "$TMP/$1.err")"
}
background() { # background VM ARGS...: fw_net.py there; waits until it says it is ready
	local vm=$1 out
	shift
	out=$(mktemp "$TMP/bg.XXXXXX")
	(
		trap - EXIT
		[ -z "$CG" ] || echo $BASHPID >"$CG/cgroup.procs"
		exec ip netns exec "$ID$vm" "$PY" -IS "$NET" "$@"
	) >"$out" 2>&1 &
	PIDS+=($!)
	for _ in $(seq 3000); do
		grep -q '^ready' "$out" && return 0
		sleep 0.01
	done
	fail "fw_net.py $* in $vm: $(cat "$out")"
}
expect_all() { # lines of expect's arguments on stdin, all at the same time
	local jobs=() p
	while read -r line; do
		# shellcheck disable=SC2086
		(trap - EXIT; expect $line) &
		jobs+=($!)
	done
	for p in "${jobs[@]}"; do wait "$p" || exit 1; done
}
# patience WANT - seconds that a probe waits: an answer is waited for, silence has to be believed. WANT
# is one word, or one a port
patience() {
	local w all=()
	for w in $1; do
		case $w in
		silent) all+=(0.4) ;;
		*:silent) all+=("${w%:*}:0.4") ;;
		*:*) all+=("${w%:*}:30") ;;
		*) all+=(30) ;;
		esac
	done
	echo "${all[@]}"
}
while_renewed() { # while_renewed VM CMD...: with a heartbeat each 0.3 s, so that it may take its time
	local vm=$1 p
	shift
	tool_ok "$vm" <<<renew
	(trap - EXIT; "$@") &
	p=$!
	while kill -0 $p 2>/dev/null; do
		sleep 0.3
		tool_ok "$vm" <<<renew
	done
	wait $p
}
expect() { # expect VM WANT PROBE-ARGS...
	local vm=$1 want=$2 got
	shift 2
	got=$(FW_NET_PATIENCE=$(patience "$want") net "$vm" probe "$@")
	[ "$got" = "$want" ] || fail "$vm: probe $*: wanted $want, got $got"
	say "$vm${CG:+ ${CG##*/}}: $* is $got"
}
# running transfers (fw_net.py drain): "COUNT STATE MAXGAP_MS OUT_OF_ORDER" in the file
flow_count() { cut -d' ' -f1 "$1"; }
flow_runs() { # flow_runs FILE [TRIES]: more bytes come in
	local a
	a=$(flow_count "$1")
	for _ in $(seq "${2:-1500}"); do
		sleep 0.02
		[ "$(flow_count "$1")" -gt $((a + 3)) ] && return 0
	done
	return 1
}
flow_stop() { # flow_stop PATTERN: ends those of our processes whose words match, and returns when they have
	local p gone=()
	for p in "${PIDS[@]}"; do
		! grep -aq -- "$1" "/proc/$p/cmdline" 2>/dev/null || gone+=("$p")
	done
	[ ${#gone[@]} = 0 ] || kill "${gone[@]}" 2>/dev/null || true
	for p in "${gone[@]}"; do wait "$p" 2>/dev/null || true; done
}
flow_whole() { # every counter in order, and no segment lost on the way (the next would be early)
	local count state gap early
	read -r count state gap early <"$1"
	say "${1##*/}: $count counters in order, longest gap $gap ms (the server sends each 10 ms)"
	[ "$state" = run ] || fail "$1 is $state"
	[ "$early" = 0 ] || fail "$1 lost a segment"
}
flow_stopped() { # half a second without a packet (the server sends 50); before it 300 at most, which
	# a reader that a busy machine held up had not yet counted
	local first last
	first=$(flow_count "$1")
	for _ in 1 2 3 4 5 6 7 8; do
		last=$(flow_count "$1")
		sleep 0.5
		if [ "$(flow_count "$1")" = "$last" ]; then
			[ $((last - first)) -le 300 ]
			return
		fi
	done
	return 1
}
flow_counts() { cut -d' ' -f1 "$TMP"/$1.*; }
all_stopped() { # all_stopped PREFIX: half a second without a packet to any of its flows
	local first
	for _ in $(seq 60); do
		first=$(flow_counts "$1")
		sleep 0.5
		[ "$(flow_counts "$1")" = "$first" ] && return 0
	done
	head "$TMP"/$1.* >&2
	return 1
}
