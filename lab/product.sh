# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
# lab/product.sh - idfw's daemons in the lab: their configuration, starting, killing, asking.
# Part of lab/functions.sh, which sources it. Paths are those of a real installation, but the
# programs come from the build tree.

# MACHINE daemon program; the first of a machine is the one that is meant when none is named
LAB_DAEMONS=("svm svm-idfw svm-idfw/svm-idfw" "svm svm-scan svm-scan/.libs/svm-scan"
	"host gi-mux mux/gi-mux"
	"jump01 gi-netagent netagent/gi-netagent" "web01 gi-netagent netagent/gi-netagent"
	"web01 gi-fileagent fileagent/gi-fileagent" "db01 gi-netagent netagent/gi-netagent")

lab_conf_svm() {
	cat <<-'E'
		listen "tcp:10.77.9.10:5443";
		ca "/etc/idfw/tls/ca.crt";
		cert "/etc/idfw/tls/svm.crt";
		key "/etc/idfw/tls/svm.key";
		mux-names host1;
		scan-names scan;
		state-dir "/var/lib/idfw";
		policy "/etc/idfw/policy.idfw";
		control-socket "/run/idfw/svm.sock";
		user "_idfw";
		directory corp {
			type ad;
			uri "ldaps://dc1.corp.example";
			base "DC=corp,DC=example";
			bind-user "svc-idfw@corp.example";
			password-file "/etc/idfw/directory.password";
			ca "/etc/idfw/tls/ca.crt";
			poll 500ms;
		}
	E
}

lab_conf_scan() {
	cat <<-'E'
		listen "tcp:10.77.9.10:5444";
		ca "/etc/idfw/tls/ca.crt";
		cert "/etc/idfw/tls/scan.crt";
		key "/etc/idfw/tls/scan.key";
		mux-names host1;
		audit "tcp:10.77.9.10:5443";
		audit-name "svm";
		user "_idfw";
		state-dir "/var/lib/idfw/scan";
		tmp-dir "/run/idfw/scan";
		control-socket "/run/idfw/scan.sock";
		clamav-db "/etc/idfw/clamav";
		workers 2;
		isolate session;
	E
}
# EICAR by its hash and length, as a signature file of ClamAV says it: enough for a lab
lab_clamav_db() {
	lab_in svm install -d /etc/idfw/clamav
	echo '44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature' | lab_put svm /etc/idfw/clamav/lab.hdb
}

lab_conf_file() {
	cat <<-E
		mux "unix:/run/idfw-host/$1.sock_5006";
		boot-id-file "/run/lab/boot_id";
		user "_idfw";
		state-dir "/var/lib/idfw/file";
		run-dir "/run/idfw";
		quarantine-dir "/var/lib/idfw/quarantine";
		deadline-base 4s;	# machines of a lab are slow together
		watch home {
			path "/home";
		}
		watch strict {
			path "/home/strict";
			on-failure deny;
		}
		fim web {
			paths "/home/www";
		}
	E
}

lab_conf_host() {
	local m
	cat <<-'E'
		svm "tcp:10.77.9.10:5443";
		svm-name "svm";
		scan "tcp:10.77.9.10:5444";
		scan-name "scan";
		host-name "host1";
		ca "/etc/idfw/tls/ca.crt";
		cert "/etc/idfw/tls/host.crt";
		key "/etc/idfw/tls/host.key";
		user "_idfw";
		socket-mode "0666";	# each VM sees its own directory alone
	E
	for m in "${LAB_VMS[@]}"; do
		cat <<-E
			vm $m {
				listen "unix:/run/idfw/vm/$m/$m.sock_5005";
				file-listen "unix:/run/idfw/vm/$m/$m.sock_5006";
				addresses 10.77.${LAB_NET[$m]}.10, fd77:${LAB_NET[$m]}::10;
			}
		E
	done
}

lab_conf_vm() {
	cat <<-E
		mux "unix:/run/idfw-host/$1.sock_5005";
		pam-socket "/run/idfw/pam.sock";
		spool-dir "/var/lib/idfw/spool";
		boot-id-file "/run/lab/boot_id";
		user "_idfw";
	E
}

lab_put() { lab_in "$1" sh -c "umask 022; cat >$2"; }

lab_configure() {
	local m
	lab_conf_svm | lab_put svm /etc/idfw/svm-idfw.conf
	lab_put svm /etc/idfw/policy.idfw <"$LAB_TOP/lab/policy.idfw"
	lab_conf_scan | lab_put svm /etc/idfw/svm-scan.conf
	lab_clamav_db
	lab_in svm install -d -o _idfw -m 700 /var/lib/idfw/scan
	lab_in svm install -o _idfw -m 400 /dev/stdin /etc/idfw/directory.password <<<'Svc-Idfw-Passw0rd'
	lab_conf_host | lab_put host /etc/idfw/gi-mux.conf
	for m in "${LAB_VMS[@]}"; do
		lab_configure_vm "$m"
	done
}
lab_configure_vm() {
	lab_conf_vm "$1" | lab_put "$1" /etc/idfw/gi-netagent.conf
	[[ " ${LAB_FILE_VMS[*]} " != *" $1 "* ]] || lab_conf_file "$1" | lab_put "$1" /etc/idfw/gi-fileagent.conf
}

# lab_daemon MACHINE [NAME] - start the product's daemons of that machine, or that one;
# lab_kill9 MACHINE [NAME] - kill -9 it (its first process).
lab_unit_caps() { # ,+net_admin,+kill...
	sed -n 's/^CapabilityBoundingSet=//p' "$LAB_TOP/etc/systemd/$1.service" |
		tr ' A-Z' '\na-z' | sed 's/^cap_/,+/' | tr -d '\n'
}
lab_daemon() {
	local d m name program
	for d in "${LAB_DAEMONS[@]}"; do
		read -r m name program <<<"$d"
		[ "$m" = "$1" ] && [ "${2:-$name}" = "$name" ] || continue
		# with the privileges that its unit leaves it; libepsec is not installed
		lab_spawn "$m" "$name" setpriv --no-new-privs --bounding-set "-all$(lab_unit_caps "$name")" \
			env LD_LIBRARY_PATH=/run/lab/build/epsec/.libs "/run/lab/build/$program" \
			-c "/etc/idfw/$name.conf"
	done
}
lab_daemon_name() {
	local d
	for d in "${LAB_DAEMONS[@]}"; do
		[ "${d%% *}" != "$1" ] || {
			cut -d ' ' -f 2 <<<"$d"
			return
		}
	done
}
lab_kill9() { lab_signal "$1" "${2:-$(lab_daemon_name "$1")}" KILL; }

# lab_ctl ARGS... - idfwctl, on the service VM
lab_ctl() { lab_in svm /run/lab/build/idfwctl/idfwctl -s /run/idfw/svm.sock "$@"; }

# Every file agent is connected to the scan service, and that to svm-idfw.
lab_scan_ready() {
	local rows m
	rows=$(lab_ctl --json scan status 2>/dev/null) || return 1
	for m in "${LAB_FILE_VMS[@]}"; do
		grep "\"vm\": *\"$m\"" <<<"$rows" | grep '"connected": *true' >/dev/null || return 1
	done
}

# Every VM is connected and runs the ruleset that the policy wants.
lab_in_sync() {
	local rows
	rows=$(lab_ctl --json status 2>/dev/null) || true
	[ "$(grep '"connected": *true' <<<"$rows" | grep -c '"in_sync": *true')" = ${#LAB_VMS[@]} ]
}

lab_daemons() {
	local m
	lab_configure
	for m in svm host "${LAB_VMS[@]}"; do
		lab_daemon "$m"
	done
	lab_wait_for 90 lab_in_sync || {
		lab_logs
		lab_ctl status >&2 || true
		lab_die 'the VMs do not run the policy'
	}
	lab_wait_for 90 lab_scan_ready || {
		lab_logs
		lab_ctl scan status >&2 || true
		lab_die 'the file path is not up'
	}
}
