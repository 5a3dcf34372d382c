# SPDX-License-Identifier: GPL-2.0-or-later
"""fw_random.py SEED COUNT - random rulesets that pass fw_ruleset_check(), as lines for fw_push_tool"""
import random
import sys

rnd = random.Random(int(sys.argv[1]))
ACTIONS = ("drop", "reject", "accept")


def nets():
    four = ["10.%d.%d.0/24" % (a, rnd.randrange(256)) for a in sorted(rnd.sample(range(256), rnd.randrange(4)))]
    six = ["fd00:%x::/32" % a for a in sorted(rnd.sample(range(1, 4096), rnd.randrange(3)))]
    return " ".join(rnd.choice((four + six, four, six, ["0.0.0.0/0"], ["::/0"], ["10.1.2.3", "fe80::/10"])))


def service():
    kind = rnd.randrange(8)
    if kind < 3:
        return "%s:%d" % (rnd.choice(("tcp", "udp")), rnd.choice((0, 1, 53, 80, 443, 65535)))
    if kind == 3:
        lo = rnd.randrange(65536)
        return "%s:%d-%d" % (rnd.choice(("tcp", "udp", "132", "33", "136")), lo, rnd.randrange(lo, 65536))
    if kind == 4:
        return "%s:%d" % (rnd.choice(("132", "33", "136")), rnd.randrange(65536))
    if kind == 5:
        return "%s:%d" % (rnd.choice(("icmp", "icmpv6")), rnd.randrange(256))
    return rnd.choice(("any", "tcp", "udp", "icmp", "icmpv6", "1", "2", "47", "50", "255", "58", "132"))


for generation in range(int(sys.argv[2])):
    n_groups = rnd.randrange(1, 9)
    print("ruleset\ngeneration %d\nversion %d" % (generation, rnd.randrange(2**63)))
    print("default in %s\ndefault out %s" % (rnd.choice(ACTIONS), rnd.choice(ACTIONS)))
    groups = []
    for g in range(n_groups):
        name = rnd.choice(("g%d", "_%d", "include-%d", "live%d", "A-b_%d")) % g + "x" * rnd.choice((0, 0, 35))
        uses = "".join(u for u in "sgni" if rnd.randrange(2)) or "-"
        groups.append((name, uses))
        print("group %s %s %s" % (name, uses, nets()))
    for r in range(rnd.randrange(25)):
        words = ["rule", rnd.choice(("app/r%d", "drop%d", "accept/accept%d")) % r, rnd.choice(("in", "out")), rnd.choice(ACTIONS)]
        if rnd.randrange(3) == 0:
            words.append("log")
        for side in ("from", "to"):
            if rnd.randrange(3):
                words += [side, ",".join(g[0] for g in rnd.sample(groups, rnd.randrange(1, min(n_groups, 5) + 1)))]
        words += [service() for _ in range(rnd.randrange(4))]
        print(" ".join(words))
    marks = [rnd.randrange(1, 2**32) for _ in range(8)]
    print("base 4 %d\nbase 6 %d" % (marks[0], marks[rnd.randrange(2)]))
    for m in marks:
        print("live %d\nuid %d %d\nremark %d %d" % (m, rnd.randrange(2**32 - 1), m, rnd.randrange(1, 2**32), m))
        print("addr 10.9.%d.%d %d\naddr fd00::%x %d" % (rnd.randrange(256), rnd.randrange(256), m, rnd.randrange(65536), m))
    for name, uses in groups:
        if "s" in uses:
            print("sg %s %d" % (name, rnd.choice(marks)))
        for kind, letter in (("ga", "g"), ("ia", "i")):
            if letter in uses:
                print("%s %s 10.%d.0.1\n%s %s fd00::%x" % (kind, name, rnd.randrange(256), kind, name, rnd.randrange(65536)))
    print("push")
