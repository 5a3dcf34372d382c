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
	proxy delay "$2"
	cold_database "$3"
	: >"$W/cold.log"
	# shellcheck disable=SC2086
	${BENCH_LOCK:+flock "$BENCH_LOCK"} python3 - "$IDFW_BUILD/svm-idfw/svm-idfw" "$W/cold.conf" "$W/cold.log" \
		"$IDFWCTL" "$W/run/sock" "$3" "$4" <<-'P' | as slapd "$1" "$2"
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
		      '"child_mib":%.0f,"service_cpu_s":%.1f,"child_cpu_s":%.1f,"per_second":%d' % (word, live, started, confirmed, whole,
		      peak(d.pid), kid_peak, cpu(d.pid), kid_cpu, int(live) / confirmed if confirmed else 0))
		d.terminate()
		d.wait(60)
		sys.exit(0 if confirmed and whole else 1)
	P
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

# change_run SERVER URI ADMIN PASSWORD GROUP-DN MEMBER-DN GROUP SESSIONS COUNT WORDS - somebody leaves
# and joins a group while so many of its members have sessions: from the request of ldapmodify to the
# last VM's acknowledgement, through the child, the engine and its pushes; requests to the server and
# bytes on its wire (both ways, also of ldapmodify's connection)
change_run() {
	# shellcheck disable=SC2086
	${BENCH_LOCK:+flock "$BENCH_LOCK"} python3 - "$IDFW_BUILD/tests/bench" "$W" "${@:2}" <<-'P' | as "$1" 4 0
		import select, subprocess, sys, time
		bench, w, uri, admin, password, group_dn, member_dn, group, sessions, count, words = sys.argv[1:]
		def wire():
		    return next(int(l.split()[1]) for l in open("/proc/net/dev") if l.strip().startswith("lo:"))
		load = subprocess.Popen([bench + "/dirload", "-c", w + "/conf", "change", "u", sessions, group], stdout=subprocess.PIPE,
		    stderr=open(w + "/dirload.log", "w"))
		mod = subprocess.Popen([bench + "/ldap_member", uri, w + "/ca.crt", admin, password, group_dn, member_dn],
		    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
		assert load.stdout.readline() == b"ready\n"
		time.sleep(2)  # the picture of all groups
		def lines(timeout):
		    while select.select([load.stdout], [], [], timeout)[0]:
		        yield int(load.stdout.readline().split()[1])
		took, done, bytes_ = [], [], []
		for n in range(int(count)):
		    before = wire()
		    mod.stdin.write(b"add\n" if n % 2 else b"delete\n")
		    mod.stdin.flush()
		    sent, end = map(int, mod.stdout.readline().split())
		    first = next((t for t in lines(20) if t > sent), None)
		    assert first, "a change was not enforced within 20 s"
		    last = max([first, *lines(0.1)])
		    took.append(last - sent)
		    done.append(end - sent)
		    bytes_.append(wire() - before)
		    time.sleep(0.05 + n * 37 % 50 / 100)  # anywhere between two polls
		load.terminate()
		took.sort(); done.sort(); bytes_.sort()
		at = lambda l, q: l[min(len(l) - 1, int(len(l) * q))]
		print('"phase":"change, %s","n":%d,"sessions":%s,"p50_us":%d,"p99_us":%d,"max_us":%d,"modify_p50_us":%d,"bytes_p50":%d,"per_second":0'
		    % (words, len(took), sessions, at(took, .5), at(took, .99), took[-1], at(done, .5), at(bytes_, .5)))
	P
}

change_slapd() {
	conf 4
	sed -i 's#ldaps://127.0.0.1"#ldaps://127.0.0.1:1636"#' "$W/conf"
	change_run slapd ldaps://127.0.0.1:1636 "cn=admin,$BASE" admin "cn=small,ou=g,$BASE" \
		"uid=u000001,ou=p,$BASE" small 1 "${BENCH_CHANGES:-200}" 'a small group'
	change_run slapd ldaps://127.0.0.1:1636 "cn=admin,$BASE" admin "cn=large,ou=g,$BASE" \
		"uid=u000007,ou=p,$BASE" large 100 $((${BENCH_CHANGES:-200} / 10)) 'a group of half the accounts'
}
