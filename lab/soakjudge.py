# SPDX-License-Identifier: GPL-2.0-or-later
"""soakjudge.py - quiet points of lab/soak: has all come to rest, and who reaches what, by packets,
against what soakcheck.py computes from the policy, the directory, the audit trail and the logins
that we made."""
import concurrent.futures
import re
import time

import soakcheck
from soaklab import ADDRESSES, PEOPLE, UNIT, VMS, LabError

# what is tried, behind the address: a TCP port, a UDP port, an echo request
PORTS = {"jump01": ("22", "80", "udp:7007", "icmp"), "web01": ("22", "80", "udp:7007", "icmp"),
         "db01": ("22", "5432", "9999", "udp:7007", "icmp"), "dc": ("53", "853", "udp:53", "icmp"), "client": ("icmp",)}
TARGETS = ["%s/%s" % (a, p) for m, ports in PORTS.items() for p in ports for a in ADDRESSES[m]]
LISTENS = {("jump01", "80"): False}   # nobody is there: never open, whatever the policy says
FLOWS = ["%s/%s" % (a, p) for p in ("5432", "udp:7007") for a in ADDRESSES["db01"]]
CONNECT_MS = 1700   # a second SYN goes out after 1 s: a lost one is no difference
QUIET_S = 120       # after which "not quiet" is a failure of its own
STILL_S = 1.0       # nothing new in the audit trail for so long
DRAIN_S = 2.5       # and with "on-revoke drain 1s"
CHANGE_S = 2.5      # a change in the directory is promised to be seen within 2 s
CHANGE_LATE_S = 20  # on a busy machine
PAUSE = r" is cut \(\d+\), "  # nothing came for so many ms; -1: it was closed
STALLED_MS = 5000   # the probe gives it up then
FLOW_MS = 800       # a stream that is not cut has sent something within this (it does each 20 ms)
# what is sent has a port (or an id) that is given out again
DATAGRAM = r" reaches [^ ]*/(udp:\d+|icmp), but "
SLOW_S = 20         # what should be open may be late by so much, if it is open then


class Judge:
    """Compares at quiet points; a finding is (kind, text)."""

    def __init__(self, lab, forget, say):
        self.lab, self.forget, self.say = lab, forget, say
        self.touched = set()                    # (VM, user): their flows were cut since, by order
        self.allowed, self.calm = {}, False     # flows that were allowed at the last quiet point: to whom
        self.questions, self.late = 0, 0

    def sessions(self):
        """What who and audit say, and whether they agree with the logins that we made."""
        lab = self.lab
        shown = self.shown = lab.ctl("who")[1]
        rows = [r for r in shown if r["kind"] == "login" and r["parent"] is None and not r["kicked"]
                and r["user"] in PEOPLE]
        known = sorted((r["vm"], r["user"]) for r in rows)
        sure = [(x.vm, x.user) for x in lab.logins.values() if x.live and x.sure]
        maybe = [(x.vm, x.user) for x in lab.logins.values() if x.live and not x.sure]
        rest = list(known)
        missing = [s for s in sure if s not in rest or rest.remove(s)]
        extra = [s for s in rest if s not in maybe or maybe.remove(s)]
        problem = ["%s on %s is logged in, who does not know it" % (u, v) for v, u in missing]
        problem += ["who knows %s on %s, who is not logged in" % (u, v) for v, u in extra]
        # on an isolated VM a service is watched or not, by what the rules of other VMs ask, and where all other
        # VMs are isolated by what its own rules ask: nobody else's lead there
        asked = {vm for vm in VMS if vm not in lab.alone and lab.alone | {vm} != set(VMS)}
        units = sorted((r["vm"], r["user"]) for r in shown if r["kind"] == "service" and r["vm"] in asked)
        wanted = sorted((vm, name) for vm in lab.units & asked for name in soakcheck.Policy(lab.policy_text).units())
        if units != wanted:
            problem.append("services: who knows %s, there are %s" % (units, wanted))
        return rows, problem

    def audit(self, rows):
        """The trail's logins without logout are the sessions that who shows."""
        trail = self.lab.ctl("audit", "--limit", "1000000")[1]
        open_now = {r["session"] for r in trail if r["kind"] == "login"}
        open_now -= {r["session"] for r in trail if r["kind"] == "logout"}
        shown = {r["session"] for r in self.lab.ctl("who")[1]}
        newest = trail[0]["id"] if trail else 0
        self.trail = trail
        text = []
        if open_now != shown:
            text = ["audit: open %s, who: %s" % (sorted(open_now - shown), sorted(shown - open_now))]
        return newest, text

    def unsettled(self):
        """Why it is not quiet, or []."""
        rows = self.lab.ctl("status")[1]
        if not rows:
            return ["svm-idfw does not answer"]
        svm = rows[0]
        text = ["directory: %s %s" % (svm["directory"], svm["directory_why"])] if svm["directory"] != "up" else []
        if svm["store"] != "ok" or svm["store_queued"]:
            text.append("store: %s, %d queued" % (svm["store"], svm["store_queued"]))
        vms = [r for r in rows if r["type"] == "vm"]
        text += ["%s: connected %s, in sync %s, %s" % (r["vm"], r["connected"], r["in_sync"], r["error"])
                 for r in vms if not r["connected"] or not r["in_sync"]]
        if len(vms) != len(VMS):
            text.append("%d VMs are known" % len(vms))
        stands = {(r["vm"], r["session"] if r["what"] == "session" else None) for r in rows if r["type"] == "isolation"}
        ordered = {*((vm, number) for vm, number in self.lab.isolated.values()), *((vm, None) for vm in self.lab.alone)}
        if stands != ordered:
            text.append("isolated: status says %s, ordered was %s" % (sorted(stands, key=str), sorted(ordered, key=str)))
        return text

    def isolated(self, rows):
        """docs/adr/0013, naively: session numbers that have no network, (VM, cgroup) where such have left something
        behind, and (VM, uid): outside of the sessions that go on. By the audit trail's order."""
        begun = {r["session"]: r["id"] for r in self.trail if r["kind"] == "login"}
        uids = {r["session"]: (r["vm"], r["uid"]) for r in rows}
        over = {r["session"] for r in self.trail if r["kind"] == "logout" and r["detail"]["reason"] not in ("cgroup", "reboot")}
        left = [r for r in self.trail if r["kind"] == "login" and r["session"] in over and
                not {"parent", "kind"} & set(r["detail"])]
        out, cgroups, by_uid = set(), set(), set()
        for vm, number in self.lab.isolated.values():
            orders = [r for r in self.trail if r["kind"] == "isolated" and r["session"] == number and r["vm"] == vm]
            at, uid = orders[0]["id"], orders[0]["detail"]["uid"]  # the newest: it has been released in between
            out |= {s for s, who in uids.items() if who == (vm, uid) and (s == number or begun[s] > at)}
            out |= {r["session"] for r in rows if not r["cgroup"] and uids[r["session"]] == (vm, uid)}
            by_uid.add((vm, uid))
            for r in left:
                if (r["vm"], r["detail"]["uid"]) == (vm, uid) and (r["session"] == number or r["id"] > at) and \
                        "cgroup" in r["detail"]:
                    cgroups.add((vm, r["detail"]["cgroup"]))
        return out, cgroups, by_uid

    def wait_quiet(self):
        """Until nothing is under way: (rows of who, newest audit id, [why not])."""
        until = time.monotonic() + QUIET_S
        last, since = None, time.monotonic()
        still = STILL_S + (DRAIN_S if "drain" in self.lab.policy_text else 0)
        while True:
            text = self.unsettled()
            rows, problem = self.sessions() if not text else ([], [])
            newest, differs = self.audit(rows) if not text else (None, [])
            text += problem + differs
            now = time.monotonic()
            # where sessions are is not recorded: pushes of it are, if there are any
            seen = newest, [] if text else self.placed()
            if text or seen != last:
                last, since = seen, now
            if not text and now - since >= still and now - self.lab.changed >= CHANGE_S:
                return rows, newest, []
            if now > until:
                return rows, newest, text or ["the audit trail does not come to rest"]
            time.sleep(0.2)

    def placed(self):
        """Whose is which cgroup, and who counts."""
        return sorted((r["vm"], r["session"], r["cgroup"] or 0, r["refused"], r["kicked"]) for r in self.shown)

    def expected(self, answers, rows):
        """World and, for each actor, whose session its process is in."""
        lab = self.lab
        policy = soakcheck.Policy(lab.policy_text)
        if self.forget:
            policy.forget(self.forget)
        cut, left_cgroups, left_uids = self.isolated(rows)
        live = {(r["vm"], r["cgroup"]): r["user"] for r in rows if r["cgroup"]}
        by_uid = {(r["vm"], r["uid"]): r["user"] for r in rows if not r["cgroup"]}
        cut_cgroups = left_cgroups | {(r["vm"], r["cgroup"]) for r in rows if r["cgroup"] and r["session"] in cut}
        cut_uids = left_uids | {(r["vm"], r["uid"]) for r in rows if not r["cgroup"] and r["session"] in cut}
        units = policy.units()
        # a uid says who somebody is outside of all sessions, and where no person is known by it alone or refused
        # (in a session that does not count, of somebody refused or kicked, too: docs/policy.md)
        shut = {(r["vm"], r["cgroup"]) for r in self.shown if r["refused"] or r["kicked"]}
        inside = {(r["vm"], r["cgroup"]) for r in self.shown if r["cgroup"]} - shut
        marked = {(r["vm"], r["cgroup"]) for r in self.shown if r["cgroup"] and r["parent"] is None and (
            r["kind"] == "service" or r["directory"] == "found")} - shut
        persons = {(r["vm"], r["uid"]) for r in self.shown if r["kind"] == "login" and
                   (not r["cgroup"] or ((r["refused"] or r["kicked"]) and r["directory"] == "found"))}
        users = {}
        for name, (machine, login) in lab.actors.items():
            one, answer = lab.logins.get(login), answers.get(name) or {}
            # seen from inside: it is not below the machine's own any more. No agent of the lab did that
            if answer.get("cgroup", "").startswith("/.."):
                raise LabError("%s was taken out of %s, to %s: by another agent of this machine?" % (
                    name, machine, answer["cgroup"]))
            user = one.user if one and one.live and one.sure else None
            if one and one.live and not one.sure:
                user = live.get((machine, answer.get("cgroup_id")))
            if one and one.live and one.sure and (machine, answer.get("cgroup_id")) not in live:
                user = None # it is known by its uid, if at all: who says so
            if login == UNIT and machine in lab.units and units:
                user = soakcheck.UNIT + UNIT
            is_cut = (machine, answer.get("cgroup_id")) in cut_cgroups
            if not user and not is_cut:
                user = by_uid.get((machine, answer.get("uid")))
            if (machine, answer.get("cgroup_id")) not in marked:
                is_cut |= (machine, answer.get("uid")) in cut_uids
            if not user and (machine, answer.get("cgroup_id")) not in left_cgroups and (machine, answer.get("cgroup_id")) not in inside and (machine, answer.get("uid")) not in persons:
                user = "%s%s" % (soakcheck.UID, answer.get("uid"))
            users[name] = (user, is_cut)
        sessions = [(r["vm"], r["user"]) for r in rows if r["session"] not in cut and r["vm"] not in lab.alone]
        sessions += [(vm, soakcheck.UNIT + UNIT) for vm in lab.units if units and vm not in lab.alone]
        directory = soakcheck.Directory(lab.ldif())
        return soakcheck.World(policy, directory, ADDRESSES, VMS, sessions, lab.alone), users

    def look(self):
        """What all actors reach; each machine is asked at the same time."""
        machines = sorted({m for m, _ in self.lab.actors.values()})

        def one(machine):
            names = [n for n, (m, _) in self.lab.actors.items() if m == machine]
            targets = [t for t in TARGETS if t.rsplit("/", 1)[0] not in ADDRESSES[machine]]
            return self.lab.ask(machine, names, targets, [] if machine == "db01" else FLOWS, CONNECT_MS)

        answers = {}
        with concurrent.futures.ThreadPoolExecutor(len(machines)) as pool:
            for some in pool.map(one, machines):
                answers.update(some)
        return answers

    def compare(self, answers, world, users):
        found, allowed = [], {}
        for name, (machine, login) in self.lab.actors.items():
            answer, (user, is_cut) = answers.get(name), users[name]
            if not answer:
                found.append(("gone", "%s on %s does not answer" % (name, machine)))
                continue
            one = self.lab.logins.get(login)
            who = "%s on %s (uid %d, in %s, %s%s)" % (
                name, machine, answer["uid"], answer["cgroup"], "of %s" % (login or "no session") if not one else
                "%s's %s session%s" % (one.user, one.how, "" if one.live else ", ended"), ", isolated" if is_cut else "")
            for target in TARGETS:
                address, port = target.rsplit("/", 1)
                if address in ADDRESSES[machine]:
                    continue
                want, why = world.reaches(machine, user, target, is_cut)
                want = want and LISTENS.get((world.owner[address], port), True)
                self.questions += 1
                if want != (target in answer["open"]):
                    found.append(("shut" if want else "open", "%s %s %s, but %s" % (
                        who, "does not reach" if want else "reaches", target, why)))
                if target in answer["flows"]:
                    age = answer["flows"][target]
                    if not want and 0 <= age < FLOW_MS:
                        found.append(("flow", "%s still receives from %s, but %s" % (who, target, why)))
                    calm = self.calm and not (one and (machine, one.user) in self.touched)
                    # a connection is his who began it: with the session it ends, also when nobody may have one
                    if want and calm and self.allowed.get((name, target)) == users[name] and not 0 <= age < FLOW_MS:
                        found.append(("cut", "%s's connection to %s is cut (%d), but was allowed all the time" % (
                            who, target, age)))
                # one that a lease or a change has stopped is given up by the probe, and begun anew
                age = answer["flows"].get(target, -1)
                allowed[name, target] = users[name] if want and not FLOW_MS <= age < STALLED_MS else None
        return found, allowed

    def quiet(self, steps):
        """@steps: since the last quiet point. Findings."""
        self.lab.mend()
        self.calm = not any(s["do"] in ("group", "policy", "account", "reboot", "kick", "unit", "isolate_vm", "release_vm")
                            for s in steps) and \
            not re.search("on-loss (close|hold 10s)", self.lab.policy_text)
        self.touched, self.lab.touched = self.lab.touched, set()
        began, before, stood = time.monotonic(), set(), False
        while True:
            rows, newest, why = self.wait_quiet()
            if why:
                return [("not quiet", w) for w in why]
            answers = self.look()
            world, users = self.expected(answers, rows)
            found, allowed = self.compare(answers, world, users)
            if found and self.audit(rows)[0] != newest:
                self.say("not quiet after all: something was recorded meanwhile; again")
            elif not self.forget and any(k == "open" for k, _ in found) and \
                    time.monotonic() - self.lab.directory_changed < CHANGE_LATE_S:
                self.late += 1
                time.sleep(0.5)
            elif not stood and found and all(k in ("shut", "gone", "cut") for k, _ in found) and \
                    all(re.search(PAUSE, t) for k, t in found if k == "cut"):
                # a connection that was not closed and got nothing just now: a busy machine, unless
                # it is still so the next time
                self.late, stood = self.late + 1, True
                time.sleep(1)
            elif found and all(k in ("shut", "gone") or (k == "open" and re.search(DATAGRAM, t)) for k, t in found) and (
                    time.monotonic() - began < SLOW_S or not before & set(found)):
                # a single one that is not so the next time: a datagram's port that somebody had before him,
                # shut or open as it was to him
                self.late, before = self.late + 1, set(found)
            else:
                break
        self.allowed = allowed
        return found

    def prove(self):
        """Does this checker see anything? A wall goes up behind its back; then it expects what is not so.
        What it has missed."""
        vm = next((v for v in VMS if v not in self.lab.alone), None)
        if not vm:
            return []
        rows, _ = self.sessions()
        self.audit(rows)
        missed, door = [], "%s/22" % ADDRESSES[vm][0]
        self.lab.wall(vm)
        answers = self.look()
        world, users = self.expected(answers, rows)
        found, _ = self.compare(answers, world, users)
        if not any(k == "shut" and t.startswith("client-root ") and " %s, " % door in t for k, t in found):
            missed.append("a wall between client and %s" % vm)
        self.say("a wall before %s is seen: %d differences" % (vm, len(found)))
        others = {v for v in VMS if v != vm and v not in self.lab.alone}
        world.alone = {*self.lab.alone, *others}
        found, _ = self.compare(answers, world, users)
        if others and not any(k == "open" for k, _ in found):
            missed.append("that %s are not isolated" % " and ".join(others))
        self.say("what is open and should not be is seen: %d differences" % len(found))
        return missed
