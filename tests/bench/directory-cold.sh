# shellcheck shell=bash disable=SC2154 # what it uses is set there
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/bench/directory-cold.sh - for tests/bench/directory: changes; and svm-idfw itself, started with a database
# that knows all accounts and has a session of BENCH_LIVE of them, until the directory has confirmed
# each and the picture of all memberships is whole. No guest is connected. The database is its own:
# the first start (nothing known but names) fills it.
IDFWCTL=$IDFW_BUILD/idfwctl/idfwctl

cold_database() { # LIVE - sessions of so many, on 100 VMs
	python3 - "$W/state/svm.db" "$1" "$users" "$BASE" <<-'P'
		import sqlite3, sys, time
		db, live, users, base = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
		c, now, boot = sqlite3.connect(db), int(time.time() * 1000), b"\x01" * 16
		c.execute("DELETE FROM session")
		c.executemany("INSERT OR REPLACE INTO vm VALUES(?,?,?)", [("vm%d" % i, boot, 1 << 40) for i in range(100)])
		c.executemany("INSERT INTO session(id,vm,boot_id,agent_id,user,uid,service,tty,rhost,auth,leader_pid,"
		    "leader_start,opened_ms,seen_ms) VALUES(?,?,?,?,?,?,'sshd','pts/1','10.9.1.1','publickey',1,1,?,?)",
		    [(n, "vm%d" % (n % 100), boot, n, "u%06d" % n, 10000 + n, now, now) for n in range(1, live + 1)])
		c.executemany("INSERT OR IGNORE INTO principal(key,name,upn,dn,sid,guid,presence,resolved_ms,groups,directory)"
		    " VALUES(?,?,'',?,'',zeroblob(16),1,?,'','corp')",
		    [("u%06d" % n, "u%06d" % n, "uid=u%06d,ou=p,%s" % (n, base), now) for n in range(1, users + 1)])
		c.commit()
	P
	chown -R nobody "$W/state"
}

cold_run() { # CONNECTIONS DELAY LIVE WORD
	local slapd
	proxy delay "$2"
	cold_database "$3"
	: >"$W/cold.log"
	slapd=$(ticks "$slapd_pid")
	# shellcheck disable=SC2086
	${BENCH_LOCK:+flock "$BENCH_LOCK"} python3 - "$IDFW_BUILD/svm-idfw/svm-idfw" "$W/cold.conf" "$W/cold.log" \
		"$IDFWCTL" "$W/run/sock" "$3" "$4" <<-'P' >"$W/said"
		import json, os, re, subprocess, sys, time
		daemon, conf, log, ctl, sock, live, word = sys.argv[1:]
		def proc(pid, name):
		    try:
		        return open("/proc/%d/%s" % (pid, name)).read()
		    except OSError:
		        return ""
		def child(pid):
		    for p in os.listdir("/proc"):
		        if p.isdigit() and "--directory" in proc(int(p), "cmdline") and re.search(r"PPid:\s+%d\n" % pid, proc(int(p), "status")):
		            return int(p)
		    return 0
		def peak(pid):
		    m = re.search(r"VmHWM:\s+(\d+)", proc(pid, "status"))
		    return int(m.group(1)) / 1024 if m else 0
		def cpu(pid):
		    s = proc(pid, "stat").rpartition(")")[2].split()
		    return (int(s[11]) + int(s[12])) / os.sysconf("SC_CLK_TCK") if s else 0
		def moved(pid): # MB that it has read and written
		    m = re.findall(r"^[rw]char: (\d+)", proc(pid, "io"), re.M)
		    return [int(n) / 1e6 for n in m] or [0, 0]
		began = time.monotonic()
		d = subprocess.Popen([daemon, "-c", conf], stderr=open(log, "a"), stdin=subprocess.DEVNULL)
		kid = kid_peak = kid_cpu = started = confirmed = whole = 0
		while time.monotonic() < began + 280 and d.poll() is None and not (confirmed and whole):
		    time.sleep(0.1)
		    now = time.monotonic() - began
		    kid = kid or child(d.pid)
		    kid_peak, kid_cpu = max(kid_peak, peak(kid)), max(kid_cpu, cpu(kid)) if kid else 0
		    if not whole and " are known, after " in open(log).read():
		        whole = now
		    r = subprocess.run([ctl, "status", "--json"], env=dict(os.environ, IDFW_SOCKET=sock), capture_output=True, text=True)
		    try:
		        row = next(r for r in map(json.loads, r.stdout.splitlines()) if "accounts_unconfirmed" in r)
		    except (StopIteration, ValueError):
		        continue
		    started = started or now
		    if not confirmed and row["accounts_unconfirmed"] == 0 and all(x["state"] == "up" for x in row["directories"]):
		        confirmed = now
		print('"phase":"cold start, %s","n":%s,"loaded_s":%.1f,"seconds":%.1f,"picture_s":%.1f,"service_mib":%.0f,'
		      '"child_mib":%.0f,"service_cpu_s":%.1f,"child_cpu_s":%.1f,"read_mb":%.0f,"written_mb":%.0f,"per_second":%d' % (
		      word, live, started, confirmed, whole, peak(d.pid), kid_peak, cpu(d.pid), kid_cpu, *moved(d.pid),
		      int(live) / confirmed if confirmed else 0))
		d.terminate()
		d.wait(60)
		sys.exit(0 if confirmed and whole else 1)
	P
	sed "\$s/\$/,\"slapd_cpu_s\":$(($(ticks "$slapd_pid") - slapd))e-2/" "$W/said" | as slapd "$1" "$2"
}

cold_benches() { # CONNECTIONS DELAY
	local g
	chmod 711 "$W"
	mkdir -p "$W/state" "$W/run"
	{
		for ((g = 1; g <= 20; g++)); do
			printf 'group b%02d { directory "g%06d"; }\n' "$g" "$g"
		done
		printf 'group db { vm vm0; }\nsection application {\n'
		for ((g = 1; g <= 20; g++)); do
			printf '\trule b%02d-db allow from b%02d to db service tcp 5432;\n' "$g" "$g"
		done
		echo '}'
	} >"$W/policy"
	conf "$1"
	sed -i "s#$W/password#$W/cold.password#" "$W/conf"
	cp "$W/password" "$W/cold.password"
	chmod 400 "$W/cold.password"
	chown nobody "$W/cold.password" "$W/state" "$W/run"
	{
		printf 'listen "unix:%s/run/listen"; ca "%s/ca.crt"; cert "%s/srv.crt"; key "%s/srv.key";\n' "$W" "$W" "$W" "$W"
		printf 'mux-names host1; state-dir "%s/state"; policy "%s/policy"; control-socket "%s/run/sock";\n' "$W" "$W" "$W"
		printf 'user "nobody"; sessions-max 200000;\n'
		cat "$W/conf"
	} >"$W/cold.conf"
	timeout 20 "$IDFW_BUILD/svm-idfw/svm-idfw" -c "$W/cold.conf" 2>"$W/cold.log" & # makes the database
	until_true 20 test -s "$W/state/svm.db" -a -S "$W/run/sock"
	sleep 1
	kill %%
	wait %% || true
	cold_run "$1" "$2" "$users" 'nothing known'
	cold_run "$1" "$2" "$users" 'all live'
	cold_run "$1" "$2" $((users / 5)) 'a fifth live'
}

# change_run SERVER SERVER-PID BASE URI ADMIN PASSWORD GROUP-DN MEMBER-DN GROUP SESSIONS COUNT WORDS - see
# directory-change.py
change_run() {
	# shellcheck disable=SC2086
	${BENCH_LOCK:+flock "$BENCH_LOCK"} python3 "$top/tests/bench/directory-change.py" "$IDFW_BUILD/tests/bench" "$W" \
		"${@:2}" | as "$1" 4 0
}

change_slapd() {
	conf 4
	sed -i 's#ldaps://127.0.0.1"#ldaps://127.0.0.1:1636"#' "$W/conf"
	change_run slapd "$slapd_pid" "$BASE" ldaps://127.0.0.1:1636 "cn=admin,$BASE" admin "cn=small,ou=g,$BASE" \
		"uid=u000001,ou=p,$BASE" small 1 "${BENCH_CHANGES:-200}" 'a small group'
	sed -i 's#deadline 60s#compare 500ms; deadline 60s#' "$W/conf"
	change_run slapd "$slapd_pid" "$BASE" ldaps://127.0.0.1:1636 "cn=admin,$BASE" admin "cn=small,ou=g,$BASE" \
		"uid=u000002,ou=p,$BASE" small 2 $((${BENCH_CHANGES:-200} / 4)) 'a small group, all is compared meanwhile'
	sed -i 's#compare 500ms; ##' "$W/conf"
	change_run slapd "$slapd_pid" "$BASE" ldaps://127.0.0.1:1636 "cn=admin,$BASE" admin "cn=large,ou=g,$BASE" \
		"uid=u000007,ou=p,$BASE" large 100 $((${BENCH_CHANGES:-200} / 10)) 'a group of half the accounts'
	# matched values of so large a group cost slapd three times as much for each lookup
	LDAPTLS_CACERT=$W/ca.crt timeout 60 ldapdelete -x -H ldaps://127.0.0.1:1636 -D "cn=admin,$BASE" -w admin \
		"cn=large,ou=g,$BASE" "cn=small,ou=g,$BASE"
}
