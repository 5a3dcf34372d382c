# SPDX-License-Identifier: GPL-2.0-or-later
"""soakcheck.py - who may reach what, computed naively, for lab/soak.

From the policy's text, the directory's entries as LDAP gives them and the live sessions. It shares
nothing with svm-idfw: no groups that are kept up to date, no marks, no sets; each question is
answered from the beginning, in the words of docs/policy.md "How a packet is judged". It reads the
part of the language that lab/soak writes.

What is tried is (protocol, port or ICMP type), None: any. Who does it is the name of an account, or UNIT and
the name of a system service, or UID and a number: who is in no session and no service that is named.
"""
import ipaddress
import re

SECTIONS = ("emergency", "infrastructure", "environment", "application")
UNIT, UID = "unit:", "uid:"
ECHO = {"icmp": 8, "icmpv6": 128}
SERVICES = {**{name: [("tcp", port), ("udp", port)] for name, port in
               (("dns", 53), ("kerberos", 88), ("kpasswd", 464), ("ldap", 389))},
            "ldaps": [("tcp", 636)], "ssh": [("tcp", 22)], "http": [("tcp", 80)],
            "icmp": [("icmp", None)], "icmpv6": [("icmpv6", None)], "ping": list(ECHO.items())}
IDENTITY = ("directory", "user", "unit", "uid")
TOKEN = re.compile(r'#[^\n]*|\s+|"([^"]*)"|([A-Za-z0-9_./:@-]+)|([{};,])')


def tokens(text):
    at = 0
    while at < len(text):
        found = TOKEN.match(text, at)
        if not found:
            raise ValueError("policy: cannot read %r" % text[at:at + 20])
        at = found.end()
        if found.lastindex:
            yield found.group(found.lastindex)


class Policy:
    """The text, read: groups and services by name, rules in order of evaluation."""

    def __init__(self, text):
        self.default = {"in": "drop", "out": "drop"}
        self.groups, self.services, self.rules, self.logins = {}, dict(SERVICES), [], []
        sections = {name: [] for name in SECTIONS}
        words = list(tokens(text))
        while words:
            kind = words.pop(0)
            if kind == "default":
                self.default[words[0]] = words[1]
                del words[:3]
            elif kind in ("on-revoke", "on-loss"):
                del words[:words.index(";") + 1]
            elif kind == "logins":
                end = words.index(";")
                self.logins.append(self.login(words[:end]))
                del words[:end + 1]
            else:
                name, body = words[0], self.block(words)
                if kind == "group":
                    self.groups[name] = [m for s in body for m in self.members(s)]
                elif kind == "service":
                    self.services[name] = [p for s in body for p in self.ports(s)]
                elif kind == "section":
                    sections[name] += [self.rule(name, s) for s in body]
                else:
                    raise ValueError("policy: what is %r" % kind)
        for name in SECTIONS:
            self.rules += [r for r in sections[name] if r]

    @staticmethod
    def block(words):
        """NAME { a b ; c d ; } -> [[a, b], [c, d]]"""
        if words[1] != "{":
            raise ValueError("policy: no { after %r" % words[0])
        end = words.index("}")
        body, out = words[2:end], []
        del words[:end + 1]
        while body:
            semicolon = body.index(";")
            out.append(body[:semicolon])
            del body[:semicolon + 1]
        return out

    @staticmethod
    def members(words):
        if words[0] == "on-loss":
            return []
        return [(words[0], w) for w in words[1:] if w != ","]

    @staticmethod
    def ports(words):
        """tcp 80, 443 or icmp echo-request: (protocol, port or type) each"""
        value = {"any": None, "echo-request": ECHO.get(words[0])}
        return [(words[0], value[w] if w in value else int(w)) for w in words[1:] if w != ","]

    def login(self, words):
        """NAME allow USERS on VMS -> (users, vms)"""
        on = words.index("on")
        return self.peers(words[2:on]), self.peers(words[on + 1:])

    @staticmethod
    def peers(words):
        """"any" -> None; else (kind, value) each"""
        if words == ["any"]:
            return None
        out, words = [], [w for w in words if w != ","]
        while words:
            word = words.pop(0)
            if word in ("vm", "user", "directory", "unit", "uid"):
                out.append((word, words.pop(0)))
            elif word[0].isdigit() or ":" in word:
                out.append(("address", word))
            else:
                out.append(("group", word))
        return out

    def rule(self, section, words):
        name, action = words[1], words[2]
        if action == "disabled":
            return None
        end = len(words) - (words[-1] == "log")
        first, to = words.index("from"), words.index("to")
        service = words.index("service") if "service" in words else end
        ports = None
        if service < end:
            ports, rest = set(), [w for w in words[service + 1:end] if w != ","]
            while rest:
                word = rest.pop(0)
                if word in ("tcp", "udp") or (word in ECHO and rest and rest[0] == "echo-request"):
                    ports.update(self.ports([word, rest.pop(0)]))
                else:
                    ports.update(self.services[word])
        return {"name": section + "/" + name, "action": action, "ports": ports,
                "from": self.peers(words[first + 1:to]), "to": self.peers(words[to + 1:service])}

    def flat(self, peers):
        """Without groups: (kind, value) each."""
        for kind, value in peers:
            if kind == "group":
                yield from self.flat(self.groups[value])
            else:
                yield kind, value

    def units(self):
        """The services that some rule looks at."""
        return sorted({value for r in self.rules for end in (r["from"], r["to"]) if end
                       for kind, value in self.flat(end) if kind == "unit"})

    def asks(self, rule):
        """It depends on who sends."""
        return rule["from"] is not None and any(kind in IDENTITY for kind, _ in self.flat(rule["from"]))

    def forget(self, name):
        """As if the rule was not in the text: what a wrong expectation would be."""
        self.rules = [r for r in self.rules if r["name"].split("/")[1] != name]


class Directory:
    """Users and groups as ldapsearch prints them (LDIF, not wrapped)."""

    SECURITY = 0x80000000

    def __init__(self, ldif):
        self.user_dn, self.group_dn, self.members, self.disabled = {}, {}, {}, set()
        for entry in re.split(r"\n\s*\n", ldif):
            pairs = [line.split(": ", 1) for line in entry.splitlines() if ": " in line]
            one = {k.lower(): v for k, v in pairs}
            if "dn" not in one or "samaccountname" not in one:
                continue
            dn, name = one["dn"].lower(), one["samaccountname"].lower()
            if "grouptype" in one:
                if int(one["grouptype"]) & self.SECURITY:
                    self.group_dn[name] = dn
                    self.members[dn] = {v.lower() for k, v in pairs if k.lower() == "member"}
            else:
                self.user_dn[name] = dn
                if int(one.get("useraccountcontrol", "0")) & 2:
                    self.disabled.add(name)

    def is_in(self, user, group):
        """Looked for downwards from the group, through security groups only."""
        want, seen = self.user_dn.get(user.lower()), set()
        todo = [self.group_dn.get(group.lower())]
        while todo:
            dn = todo.pop()
            if dn is None or dn in seen:
                continue
            seen.add(dn)
            if want in self.members[dn]:
                return want is not None
            todo += [m for m in self.members[dn] if m in self.members]
        return False


class World:
    """One moment: what is allowed to whom.

    @addresses: {machine: [IPv4, IPv6]}; @vms: which of them are protected
    @sessions: [(vm, user or unit)], the live ones with identity; isolated ones are none
    @alone: VMs that are isolated
    """

    def __init__(self, policy, directory, addresses, vms, sessions, alone=()):
        self.policy, self.directory, self.vms = policy, directory, vms
        self.addresses, self.alone = addresses, alone
        self.owner = {a: m for m, both in addresses.items() for a in both}
        self.sessions = [s for s in sessions if self.may_log_in(*s)]

    def may_log_in(self, vm, user):
        """docs/policy.md "logins": who is on a VM that a statement covers needs one that has him."""
        if user.startswith(UNIT):
            return True
        covering = [users for users, on in self.policy.logins
                    if on is None or ("vm", vm) in self.policy.flat(on)]
        return not covering or any(users is None or self.has_user(users, user) for users in covering)

    def has_user(self, peers, user):
        """docs/directory.md: a disabled account is in no group, not even in one that names it"""
        if user in self.directory.disabled:
            return False
        for kind, value in self.policy.flat(peers):
            if kind == "uid" and user == UID + value:
                return True
            if kind == "unit" and user in (UNIT + value, UNIT + value.split("/")[-1]):
                return True
            if kind == "user" and value.lower() in (user, user + "@corp.example"):
                return user in self.directory.user_dn
            if kind == "directory" and self.directory.is_in(user, value):
                return True
        return False

    def has_address(self, peers, address):
        for kind, value in self.policy.flat(peers):
            if kind == "vm" and address in self.addresses.get(value, ()):
                return True
            if kind == "address" and ipaddress.ip_address(address) in ipaddress.ip_network(value):
                return True
        return False

    def has_session_on(self, peers, vm):
        return any(self.has_user(peers, user) for on, user in self.sessions if on == vm)

    @staticmethod
    def concerns(rule, what):
        return rule["ports"] is None or what in rule["ports"] or (what[0], None) in rule["ports"]

    def may_come_from(self, peers, machine):
        """A uid is on every VM."""
        return self.has_session_on(peers, machine) or \
            machine in self.vms and any(kind == "uid" for kind, _ in self.policy.flat(peers))

    def leaves(self, user, source, target, what, is_cut):
        """@user: whose session the process is in; None: nobody's. @is_cut: and it is isolated, so it keeps
        what is open before anybody asks who it is (docs/adr/0013)"""
        asked = False
        for rule in self.policy.rules:
            peers, to = rule["from"], rule["to"]
            if not self.concerns(rule, what):
                continue
            asked = asked or self.policy.asks(rule)
            if to is not None and not self.has_address(to, target) and \
                    not self.has_session_on(to, self.owner[target]):
                continue
            if peers is None or self.has_address(peers, source) or \
                    (user is not None and self.has_user(peers, user)):
                return self.kept(rule["action"], asked and is_cut, rule["name"])
        return self.kept(self.policy.default["out"], asked and is_cut, "default out")

    @staticmethod
    def kept(action, is_cut, name):
        if action == "allow" and is_cut:
            return False, name + ", but isolated"
        return action == "allow", name

    def arrives(self, source, target, what):
        vm = self.owner[target]
        for rule in self.policy.rules:
            peers, to = rule["from"], rule["to"]
            if not self.concerns(rule, what):
                continue
            if to is not None and not self.has_address(to, target) and \
                    not self.has_session_on(to, vm):
                continue
            if peers is None or self.has_address(peers, source) or \
                    (rule["action"] == "allow" and self.may_come_from(peers, self.owner[source])):
                return rule["action"] == "allow", rule["name"]
        return self.policy.default["in"] == "allow", "default in"

    def reaches(self, machine, user, target, is_cut=False):
        """May a process in @machine, in a session of @user, reach @target (address/port, address/udp:port,
        address/icmp)? Returns (bool, why)."""
        address, port = target.rsplit("/", 1)
        six = ":" in address
        source = self.addresses[machine][six]
        if port == "icmp":
            what = ("icmpv6", ECHO["icmpv6"]) if six else ("icmp", ECHO["icmp"])
        else:
            what = ("udp", int(port[4:])) if port.startswith("udp:") else ("tcp", int(port))
        for one in (machine, self.owner[address]):
            if one in self.alone:
                return False, "%s is isolated" % one
        if not is_cut and user and not user.startswith(UID):
            user = user if (machine, user) in self.sessions else None
        why = []
        if machine in self.vms:
            good, name = self.leaves(user, source, address, what, is_cut)
            why.append("%s lets it %s by %s" % (machine, "out" if good else "not out", name))
            if not good:
                return False, why[0]
        if self.owner[address] in self.vms:
            good, name = self.arrives(source, address, what)
            why.append("%s lets it %s by %s" % (self.owner[address], "in" if good else "not in", name))
            return good, ", ".join(why)
        return True, ", ".join(why) or "neither end is protected"
