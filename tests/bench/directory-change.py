#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# tests/bench/directory-change.py - for tests/bench/directory: somebody leaves and joins a group, in turns,
# while members of it have sessions; from the request of the modification to the last VM's acknowledgement,
# through the child, the engine and its pushes, and when it was at which stage (tests/bench/dirstages.c).
#   directory-change.py PROGRAMS DIR SERVER-PID BASE URI ADMIN PASSWORD GROUP-DN MEMBER-DN GROUP SESSIONS COUNT WORDS
# BASE: with it bare libldap waits for the same changes beside (the floor); "" without.
# Also said: bytes on the wire (both ways, with those of the modification), and for how long threads were
# ready to run and others ran (schedstat): of the server and of ours, in the time of a change.
import glob, json, os, select, subprocess, sys, time

bench, w, server, base, uri, admin, password, group_dn, member_dn, group, sessions, count, words = sys.argv[1:]
STAGES = ["done", "seen", "told", "reported", "heard", "ask", "answered", "known", "enforced"]


def wire():
    return next(int(l.split()[1]) for l in open("/proc/net/dev") if l.strip().startswith("lo:"))


def children(pid):
    try:
        return [int(p) for p in open("/proc/%d/task/%d/children" % (pid, pid)).read().split()]
    except OSError:
        return []


def tree(pid):
    return [pid] + [q for p in children(pid) for q in tree(p)]


def waited(pids):  # microseconds
    sum_ = 0
    for pid in pids:
        for f in glob.glob("/proc/%d/task/*/schedstat" % pid):
            try:
                sum_ += int(open(f).read().split()[1]) // 1000
            except (OSError, IndexError):
                pass
    return sum_


def spawn(args, **more):
    return subprocess.Popen(args, stdout=subprocess.PIPE, **more)


def lines(f, timeout):
    while select.select([f], [], [], timeout)[0]:
        yield f.readline().split()


log = w + "/dirload.log"
load = spawn([bench + "/dirload", "-c", w + "/conf", "change", "u", sessions, group], stderr=open(log, "w"),
             env=dict(os.environ, BENCH_STAGES="1"))
assert load.stdout.readline() == b"ready\n"
floor = None
if base:
    floor = spawn([bench + "/ldap_told", uri, w + "/ca.crt", admin, password, base])
    assert floor.stdout.readline() == b"ready\n"
mod = spawn([bench + "/ldap_member", uri, w + "/ca.crt", admin, password, group_dn, member_dn], stdin=subprocess.PIPE)
ours, its = tree(load.pid), tree(int(server))
all_, seen = [], []
for n in range(int(count)):
    bytes_, we, it = wire(), waited(ours), waited(its)
    mod.stdin.write(b"add\n" if n % 2 else b"delete\n")
    mod.stdin.flush()
    sent, done = map(int, mod.stdout.readline().split())
    first = next((int(l[1]) for l in lines(load.stdout, 20) if int(l[1]) > sent), None)
    assert first, "a change was not enforced within 20 s"
    last = max([first, *(int(l[1]) for l in lines(load.stdout, 0.1))])
    c = {"n": n, "sent": sent, "done": done - sent, "enforced": last - sent, "bytes": wire() - bytes_,
         "ours_waited": waited(ours) - we, "server_waited": waited(its) - it}
    if floor:
        seen += [int(l[1]) for l in lines(floor.stdout, 0.01)]
        c["seen"] = next((t - sent for t in seen if t > sent), None)
    all_.append(c)
    time.sleep(0.05 + n * 37 % 50 / 100)  # anywhere between two polls
load.terminate()
load.wait()
if floor:
    floor.terminate()
mod.stdin.close()

at_stage = [(int(l[1]), l[2]) for l in (l.split() for l in open(log)) if len(l) == 3 and l[0] == "@"]
at_stage.sort()
for c in all_:
    own = [(t - c["sent"], s) for t, s in at_stage if 0 < t - c["sent"] <= c["enforced"]]
    for stage in STAGES:
        of = [t for t, s in own if s == stage]
        if of and stage not in c:
            c[stage] = of[0] if stage in ("told", "ask") else of[-1]
    c["requests"] = sum(s in ("search", "look") for t, s in own)
    c["trace"] = " ".join("%d:%s" % o for o in own) if len(own) < 60 else ""


def at(l, q):
    return sorted(l)[min(len(l) - 1, int(len(l) * q))] if l else 0


def of(key):
    return [c[key] for c in all_ if c.get(key) is not None]


r = {"phase": "change, " + words, "n": len(all_), "sessions": int(sessions), "per_second": 0,
     "p50_us": at(of("enforced"), .5), "p99_us": at(of("enforced"), .99), "max_us": max(of("enforced")),
     "modify_p50_us": at(of("done"), .5), "modify_p99_us": at(of("done"), .99), "bytes_p50": at(of("bytes"), .5),
     "requests_p50": at(of("requests"), .5),
     "ours_waited_p50_us": at(of("ours_waited"), .5), "ours_waited_p99_us": at(of("ours_waited"), .99),
     "server_waited_p50_us": at(of("server_waited"), .5), "server_waited_p99_us": at(of("server_waited"), .99),
     # what was neither the wait for the server's answer nor for a processor, ours or the server's
     "rest_p99_us": at([c["enforced"] - c["done"] - c["ours_waited"] - c["server_waited"] for c in all_], .99),
     "stages_p50_us": {s: at(of(s), .5) for s in STAGES if of(s)},
     "stages_p99_us": {s: at(of(s), .99) for s in STAGES if of(s)},
     "slowest": sorted(all_, key=lambda c: -c["enforced"])[:5]}
print(json.dumps(r)[1:-1])
