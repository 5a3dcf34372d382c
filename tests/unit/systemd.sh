#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# The units of etc/systemd: what systemd itself says of them (systemd-analyze verify, offline), that
# each is installed, and the order in which the firewall comes up: base ruleset, agent, network.
set -euo pipefail
top_srcdir=${top_srcdir:-$(dirname "$0")/../..}
failed=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/idfw-units.XXXXXX")
trap 'rm -rf "$dir"' EXIT

fail() {
	echo "FAIL: $*"
	failed=1
}
said() { # UNIT SETTING - all its words
	sed -n "s/^$2=//p" "$top_srcdir/etc/systemd/$1.service" | tr ' ' '\n'
}
says() { # UNIT SETTING WORD
	said "$1" "$2" | grep -qxF -- "$3" || fail "$1.service has no $2=$3"
}
says_not() { # UNIT SETTING WORD
	! said "$1" "$2" | grep -qE -- "$3" || fail "$1.service has $2=$3"
}

for unit in "$top_srcdir"/etc/systemd/*.service; do
	name=${unit##*/}
	grep -q "etc/systemd/$name" "$top_srcdir/etc/module.am" || fail "$name is not installed"
	# the programs are not where they will be; "true" is
	sed -e 's|^ExecStart=@sbindir@/\([a-z-]*\).*|ExecStart=/bin/true|' -e 's|@localstatedir@|/var|g' \
		-e 's|@sbindir@|/usr/sbin|g' "$unit" >"$dir/$name"
done

base=gi-netagent-base agent=gi-netagent
grep -q '^ExecStart=@sbindir@/gi-netagent --base$' "$top_srcdir/etc/systemd/$base.service" ||
	fail "$base.service does not load the base ruleset"
says $base Type oneshot
says $base RemainAfterExit yes
for unit in $base $agent; do
	says $unit DefaultDependencies no
	says $unit Before network-pre.target
	says $unit Wants network-pre.target # a passive target: nobody else asks for it
	says $unit After local-fs.target    # /etc
	says $unit WantedBy sysinit.target
	says $unit Conflicts shutdown.target
	# nothing that comes with or behind the network, nor what needs it
	says_not $unit After 'network|basic.target|sysinit.target|multi-user.target|dbus|gi-mux|svm-'
	says_not $unit Requires '.'
done
says $base Before $agent.service
says $agent After $base.service
# with the next boot, and not when the agent is started on a running machine: it would cut what goes out
says $agent Also $base.service
says_not $agent Wants 'base'
says $base After nftables.service # it flushes all rulesets
says $base StandardError journal+console
says $base RestrictAddressFamilies AF_NETLINK
[ "$(said $base CapabilityBoundingSet)" = CAP_NET_ADMIN ] || fail "$base.service may do more than it has to"
says_not $base ExecStop '.'
for unit in sshd.service ssh.service systemd-logind.service; do says $agent Before $unit; done

if command -v systemd-analyze >/dev/null; then
	verify() { # UNIT - silent when all is well
		out=$(systemd-analyze verify --man=no "$@" 2>&1) && [ -z "$out" ]
	}
	for unit in "$dir"/*.service; do
		verify "$unit" || fail "${unit##*/}: $out"
	done
	# and a look at whether it would have told
	sed 's/^Type=oneshot/Type=twoshot/' "$dir/$base.service" >"$dir/broken.service"
	! verify "$dir/broken.service" || fail "systemd-analyze verify finds nothing wrong with Type=twoshot"
else
	echo "# systemd-analyze is not here: the settings alone were looked at"
fi
[ $failed = 0 ] && echo 'the units are in order'
exit $failed
