# SPDX-License-Identifier: GPL-2.0-or-later
"""soakhistory.py - the histories that lab/soak plays: what happens next, from a seed alone.

A step is a dictionary {"do": VERB, ...}, done by soaklab.py's do_VERB. The author remembers what he
has written (who came, what is broken), never what came of it: the same seed is the same history.
"""
import random

from soaklab import PEOPLE, VMS

BASE = """\
group eng { directory eng; }
group ops { directory ops; }
group staff { directory all-staff; }
group news { directory news-list; }
group bob { user "bob"; }
group desk { address 10.77.7.0/24, fd77:7::/64; }
group management { address 10.77.9.10, fd77:9::10; }
group directory-servers { address 10.77.8.10, fd77:8::10; }
group workloads { vm jump01, web01, db01; }
group feed { unit "%s"; }
group left { uid 2001, 2003; }
group db { vm db01; }
group web { vm web01; }
service postgres { tcp 5432; }
service echo { udp 7007; }
section infrastructure {
	rule directory allow from workloads to directory-servers service dns, kerberos, kpasswd, ldap, ldaps;
	rule manage allow from desk, management to workloads service ssh;
}
"""
EMERGENCY = ("rule no-bob drop from user \"bob\" to db;", "rule no-web drop from vm web01 to vm jump01;",
             "rule no-tcp reject from eng to web service http;", "rule desk-db allow from desk to db service postgres;",
             "rule no-echo reject from bob to db service udp 7007;", "rule no-ping drop from eng to web service ping;",
             "rule no-feed drop from feed to db service tcp 9999;", "rule no-uid reject from left to db service tcp 9999;")
APPLICATION = (
    "rule eng-db allow from eng to db service postgres log;", "rule eng-web allow from eng to web service http;",
    "rule bob-db allow from bob to db service tcp 9999;", "rule ops-ssh allow from ops to workloads service ssh;",
    "rule staff-web allow from staff to web service http;", "rule news-db allow from news to db service postgres;",
    "rule to-eng allow from web, db to eng service ssh;", "rule web-db allow from web to db service tcp 9999;",
    "rule staff-db reject from staff to db service tcp 9999;", "rule six allow from fd77:1::10 to db service ssh;",
    "rule any-eng allow from any to eng service tcp 9999;", "rule carol-all allow from user \"carol\" to workloads;",
    "rule eng-echo allow from eng to db service echo;", "rule staff-echo allow from staff to workloads service echo;",
    "rule echo-ops allow from any to ops service echo;", "rule feed-db allow from feed to db service postgres, echo;",
    "rule feed-web allow from feed, bob to web service http;", "rule to-feed allow from web, db to feed service tcp 9999, echo;",
    "rule bob-feed allow from bob, ops to feed service http, echo;",
    "rule uid-db allow from left to db service postgres, echo;", "rule uid-web allow from eng, left to web service http;")
LOGINS = ("logins one allow eng, user \"bob\" on vm web01;", "logins two allow staff on workloads;",
          "logins three allow any on vm jump01;", "logins four allow ops on vm jump01, db;")
PING = ("rule ping allow from any to any service icmp, icmpv6;", "rule ping allow from any to any service ping;",
        "rule ping allow from eng, feed to any service ping;", "rule ping allow from user \"bob\" to workloads service icmp echo-request;",
        "rule ping allow from desk, web to any service icmpv6 echo-request;")
FEEDS = ("feed.service", "/system.slice/feed.service")
LOSS = ("", "", "on-loss hold 24h;", "on-loss hold 10s;", "on-loss close;")
REVOKE = ("drop", "drop", "reset", "drain 1s")


class Author:
    """Writes a history, step by step, from its seed alone; it knows nothing of what came of it."""

    def __init__(self, seed):
        self.dice, self.count, self.since_quiet = random.Random(seed), 0, 0
        self.live, self.left, self.nested = {}, [], []     # live: name -> how he came
        self.down, self.stopped, self.apart = set(), set(), False
        self.isolated, self.alone = [], []      # names of logins, VMs
        self.verbs = (
            [self.login] * 9 + [self.logout] * 5 + [self.sub] * 4 + [self.kill] * 4 + [self.start] * 3 +
            [self.group] * 6 + [self.policy] * 3 + [self.stop] * 2 + [self.cont] * 2 + [self.reap] * 3 +
            [self.part] * 4 + [self.account, self.kick, self.wire] + [self.wait] * 2 + [self.unit] * 4 +
            [self.isolate, self.isolate, self.isolate_vm] + [self.release] * 3 + [self.twin] * 2)

    def name(self):
        self.count += 1
        return "p%d" % self.count

    def login(self):
        d, name = self.dice, self.name()
        how = d.choice(("ssh", "ssh", "ssh", "su", "once"))
        if how == "once":
            self.left.append(name)
        else:
            self.live[name] = how
        return {"do": "login", "id": name, "vm": d.choice(VMS), "user": d.choice(PEOPLE), "how": how}

    def twin(self):
        """Somebody who is in logs in there once more."""
        if not self.live:
            return None
        of, name = self.dice.choice(sorted(self.live)), self.name()
        self.live[name] = "ssh"
        return {"do": "login", "id": name, "like": of, "how": "ssh"}

    def logout(self):
        if not self.live:
            return None
        name = self.dice.choice(sorted(self.live))
        del self.live[name]
        self.left.append(name)
        return {"do": "logout", "id": name, "how": self.dice.choice(("exit", "leader", "hangup"))}

    def kick(self):
        if not self.live:
            return None
        return {"do": "kick", "id": self.dice.choice(sorted(self.live))}

    def unit(self):
        return {"do": "unit", "vm": self.dice.choice(VMS), "op": self.dice.choice(("start", "start", "stop", "restart"))}

    def isolate(self):
        if not self.live:
            return None
        self.isolated.append(self.dice.choice(sorted(self.live)))
        return {"do": "isolate", "id": self.isolated[-1]}

    def isolate_vm(self):
        self.alone.append(self.dice.choice(VMS))
        return {"do": "isolate_vm", "vm": self.alone[-1]}

    def release(self):
        if self.alone and self.dice.random() < .7:
            return {"do": "release_vm", "vm": self.alone.pop(self.dice.randrange(len(self.alone)))}
        if not self.isolated:
            return None
        return {"do": "release", "id": self.isolated.pop(self.dice.randrange(len(self.isolated)))}

    def sub(self):
        d, of = self.dice, sorted(n for n, how in self.live.items() if how == "ssh")
        if not of:
            return None
        self.nested.append(self.name())
        return {"do": "nested", "id": self.nested[-1], "of": d.choice(of), "as": d.choice(("root", *PEOPLE)),
                "stays": d.random() < .5}

    def reap(self):
        names = self.left + self.nested
        if not names or len(names) < self.dice.randrange(12):
            return None
        name = self.dice.choice(names)
        (self.left if name in self.left else self.nested).remove(name)
        return {"do": "reap", "id": name}

    def kill(self):
        who = self.dice.choice(("svm", "mux", *VMS, "jump01", "dc", "scan"))
        self.down.add(who)
        return {"do": "kill", "who": who}

    def start(self):
        return self.undo("start", self.down)

    def stop(self):
        who = self.dice.choice(("svm", "mux", "dc", *VMS))
        self.stopped.add(who)
        return {"do": "stop", "who": who}

    def cont(self):
        return self.undo("cont", self.stopped)

    def undo(self, verb, these):
        if not these:
            return None
        who = self.dice.choice(sorted(these))
        these.discard(who)
        return {"do": verb, "who": who}

    def part(self):
        d = self.dice
        return {"do": d.choice(("kill_part", "kill_part", "kill_part", "stop_part")), "vm": d.choice(VMS),
                "part": d.randrange(4)}

    def account(self):
        return {"do": "account", "user": self.dice.choice(PEOPLE), "enable": self.dice.random() < .7}

    def wire(self):
        self.apart = not self.apart
        return {"do": "cut" if self.apart else "join"}

    def wait(self):
        return {"do": "wait", "ms": self.dice.choice((0, 50, 200, 1000, 0, 50, 200, 1000, 12000))}

    def group(self):
        d = self.dice
        return {"do": "group", "op": d.choice(("add", "del")), "group": d.choice(("eng", "eng", "ops", "news-list")),
                "user": d.choice(PEOPLE)}

    def policy(self):
        d = self.dice
        some = [r for r in APPLICATION if d.random() < .6]
        d.shuffle(some)
        first = [r for r in EMERGENCY if d.random() < .15]
        text = BASE % d.choice(FEEDS) + "section application {\n\t%s\n}\n" % "\n\t".join(some or APPLICATION[:1])
        if d.random() < .8:
            text += "section infrastructure {\n\t%s\n}\n" % d.choice(PING)
        if first:
            text += "section emergency {\n\t%s\n}\n" % "\n\t".join(first)
        if d.random() < .3:
            text += "\n".join(d.sample(LOGINS, d.randrange(1, 4))) + "\n"
        text += d.choice(LOSS) + "\ndefault out %s;\ndefault in %s;\non-revoke %s;\n" % (
            d.choice(("drop", "drop", "reject", "allow")), d.choice(("drop", "drop", "drop", "allow")), d.choice(REVOKE))
        return {"do": "policy", "text": text}

    def step(self):
        self.since_quiet += 1
        if self.since_quiet > self.dice.choice((3, 5, 8)):
            self.since_quiet, self.apart = 0, False
            self.down.clear()
            self.stopped.clear()
            return {"do": "quiet"}
        if self.dice.random() < .01:
            return {"do": "reboot", "vm": self.dice.choice(VMS)}
        while True:
            step = self.dice.choice(self.verbs)()
            if step:
                return step
