# SPDX-License-Identifier: GPL-2.0-or-later
"""soaklab.py - the lab as lab/soak drives it: steps of a history, done for real.

Each step is a dictionary {"do": VERB, ...}; Lab.VERB does it. A step that makes no sense now (a
logout of nobody, a start of what runs) does nothing: so any part of a history is a history. What
was done is remembered here (who is logged in), and never asked of the product.
"""
import json
import os
import queue
import signal
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
VMS = ("jump01", "web01", "db01")
NET = {"client": 7, "jump01": 1, "web01": 2, "db01": 3, "dc": 8, "svm": 9}
ADDRESSES = {m: ["10.77.%d.10" % n, "fd77:%d::10" % n] for m, n in NET.items()}
PEOPLE = ("alice", "bob", "carol")
DAEMONS = {"svm": ("svm", "svm-idfw"), "mux": ("host", "gi-mux"), "scan": ("svm", "svm-scan"),
           **{vm: (vm, "gi-netagent") for vm in VMS}}
PROBE = "/usr/bin/python3 /run/lab/soakprobe.py"
UNIT = "feed.service"
BACKGROUND = "setsid nohup %s </dev/null >/dev/null 2>&1 &"
LOGIN_S = 60
# docs/adr/0008: a connection that is silent through 64 changes is cut, also one that is open to all
ALIVE = "-o ServerAliveInterval=2 -o ServerAliveCountMax=100000"
# in a machine: anybody may ping, and what was sent to an isolated VM comes each second until it is released
SYSCTL = ("cd /proc/sys/net/ipv4; echo 0 2147483647 >ping_group_range; echo 250 >tcp_retries2; "
          "[ ! -e tcp_rto_max_ms ] || echo 1000 >tcp_rto_max_ms")


class LabError(Exception):
    """The lab itself did not do what it must."""


class Login:
    """Somebody who came in: by ssh (a shell that we hold), by root's su, or for one command."""

    def __init__(self, vm, user, how):
        self.vm, self.user, self.how = vm, user, how
        self.live, self.sure = how != "once", True
        self.client, self.lines, self.leader = None, queue.Queue(), None


class Lab:
    def __init__(self, name, build, say):
        self.env = dict(os.environ, IDFW_LAB=name, IDFW_BUILD=build)
        self.say = say
        self.clear()

    def clear(self):
        self.logins = {}        # id -> Login
        self.actors = {}        # name -> (machine, id of the login that it came from, or None)
        self.down, self.stopped, self.cut = set(), {}, False
        self.policy_text, self.policy_sure, self.changed, self.directory_changed = None, True, 0.0, 0.0
        self.parts = set()      # VMs whose agent has a stopped process
        self.units = set()      # VMs on which the service runs
        self.isolated = {}      # id of a login -> (VM, number of its session)
        self.alone = set()      # VMs that are isolated
        self.touched = set()    # (VM, user): isolated or released since somebody looked

    # ---- the shell's verbs ---------------------------------------------------------------------

    def sh(self, script, *args, timeout=180, given=None, fail=True):
        """A line of bash with lab/functions.sh; its output. @fail: LabError when it fails."""
        text = 'set -euo pipefail; . "$0/lab/functions.sh"; ' + script
        run = subprocess.Popen(["bash", "-c", text, TOP, *args], env=self.env, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = run.communicate(given or "", timeout)
        except BaseException as why:
            end(run)
            if isinstance(why, subprocess.TimeoutExpired):
                raise LabError("no end after %d s: %s %s" % (timeout, script, args)) from why
            raise
        if run.returncode and fail:
            raise LabError("%s %s: status %d: %s" % (script, args, run.returncode, err.strip()[-500:]))
        return run.returncode, out

    def ctl(self, *args, fail=False, given=None):
        """Rows of idfwctl --json."""
        status, out = self.sh('lab_ctl --json "$@"', *args, fail=fail, given=given)
        return status, [json.loads(line) for line in out.splitlines() if line.startswith("{")]

    def up(self):
        self.clear()
        self.sh("lab_up; lab_daemons", timeout=400)
        with open(os.path.join(TOP, "lab", "policy.idfw"), encoding="utf-8") as text:
            self.policy_text = text.read()
        for vm in VMS:
            self.prepare(vm)
        self.sh("lab_in client install -m 755 /run/lab/bin/soakprobe.py /run/lab/soakprobe.py; "
                'lab_in client sh -c "$1"', SYSCTL)
        # Samba's own listeners have short queues: port 53, which it leaves alone, is tried instead
        self.sh("lab_in dc install -m 755 /run/lab/bin/soakprobe.py /run/lab/soakprobe.py; "
                "lab_spawn dc soak-listen " + PROBE + " listen 53 853 udp:53")
        self.daemon("client", "client-root", "root")

    def prepare(self, vm):
        """What a VM has in memory only: the probe, sudo for people, and two that are in no session."""
        self.sh('lab_in "$1" sh -c "install -m 755 /run/lab/bin/soakprobe.py /run/lab/soakprobe.py; '
                'echo \'alice,bob,carol ALL=(ALL) NOPASSWD: ALL\' >/etc/sudoers.d/soak; '
                'chmod 440 /etc/sudoers.d/soak"', vm)
        self.sh('lab_in "$1" sh -c "$2"; lab_spawn "$1" soak-echo ' + PROBE + " listen udp:7007", vm, SYSCTL)
        self.daemon(vm, vm + "-root", "root")
        self.daemon(vm, vm + "-alice", "alice")

    def daemon(self, machine, name, user):
        self.sh('lab_spawn "$1" "soak-$2" setpriv --reuid "$3" --clear-groups ' + PROBE + ' serve "$2"',
                machine, name, user)
        self.actors[name] = (machine, None)

    def do_unit(self, step):
        """A service of the system, with a person's uid: its cgroup says whose it is."""
        vm, op = step["vm"], step["op"]
        name = vm + "-feed"
        if vm in self.units and op != "start":
            self.sh('lab_signal "$1" feed KILL', vm)
            self.units.discard(vm)
            del self.actors[name]
        if vm not in self.units and op != "stop":
            self.sh('lab_spawn "$1" feed setpriv --reuid carol --clear-groups ' + PROBE + ' serve "$2"', vm, name)
            self.units.add(vm)
            self.actors[name] = (vm, UNIT)

    def destroy(self):
        for login in self.logins.values():
            end(login.client)
        self.sh("lab_down", timeout=300, fail=False)

    # ---- people --------------------------------------------------------------------------------

    def run(self, step):
        getattr(self, "do_" + step["do"])(step)

    def deaf(self, vm):
        """The agent cannot hear of a login now, or not all of it."""
        return vm in self.parts

    def unheard(self, login):
        """Nothing gets through to it: what is done by its ssh would wait."""
        return login.vm in self.alone and login.how != "su"

    def do_login(self, step):
        like, name, how = self.logins.get(step.get("like")), step["id"], step["how"]
        if "like" in step and not like:
            return
        vm, user = (like.vm, like.user) if like else (step["vm"], step["user"])
        if name in self.logins or (how != "su" and vm in self.alone) or (how != "su" and "dc" in {*self.down, *self.stopped}):
            return
        login = Login(vm, user, how)
        # docs/failure.md: an agent that is away finds ssh's logins later (they have a loginuid);
        # one that is stopped does not promise to
        login.sure = not self.deaf(vm) and (how != "su" or vm not in self.down)
        serve = "%s serve %s" % (PROBE, name)
        if how == "su":
            self.sh('lab_spawn "$1" "soak-$2" su - "$3" -s /bin/sh -c "exec $4"', vm, name, user, serve)
            until = time.monotonic() + LOGIN_S
            while not self.ask(vm, [name], [], [], 100).get(name):
                if time.monotonic() > until:
                    raise LabError("su: nobody comes of the login of %s on %s" % (user, vm))
        elif how == "once":
            if self.sh('lab_ssh "$1" "$2" "$3"', vm, user, BACKGROUND % serve, fail=False)[0]:
                return
        elif not self.ssh(login, serve):
            return
        self.logins[name] = login
        self.actors[name] = (vm, name)

    def ssh(self, login, serve):
        login.client = subprocess.Popen(
            ["bash", "-c", '. "$0/lab/functions.sh"; LAB_SSH_OPTIONS+=(%s); lab_ssh "$@"' % ALIVE, TOP, login.vm, login.user, "bash"],
            env=self.env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, start_new_session=True)
        threading.Thread(target=pump, args=(login.client.stdout, login.lines), daemon=True).start()
        said = tell(login, (BACKGROUND % serve) + '\necho "up $(ps -o ppid= -p $PPID)"\n', "up ")
        if not said:
            end(login.client)
            self.say("no login of %s on %s" % (login.user, login.vm))
            return False
        login.leader = said.split()[1]
        return True

    def do_logout(self, step):
        login, how = self.logins.get(step["id"]), step["how"]
        if not login or not login.live or self.unheard(login):
            return
        login.live = False
        if login.how == "su":
            self.sh('lab_signal "$1" "soak-$2" KILL', login.vm, step["id"])
            return
        if how == "exit":
            tell(login, "exit\n", None)
        elif how == "leader":
            self.sh('lab_in "$1" kill -KILL "$2"', login.vm, login.leader, fail=False)
        end(login.client)

    def do_nested(self, step):
        """sudo in the login, to root or somebody; "stays": sudo lives as long as what it began"""
        login = self.logins.get(step["of"])
        if not login or not login.live or login.how != "ssh" or step["id"] in self.actors or self.unheard(login):
            return
        serve = "%s serve %s" % (PROBE, step["id"])
        if step["stays"]:
            line = BACKGROUND % ("sudo -n -u %s %s" % (step["as"], serve))
        else:
            line = "sudo -n -u %s sh -c '%s'" % (step["as"], BACKGROUND % serve)
        if tell(login, line + "\necho done\n", "done"):
            self.actors[step["id"]] = (login.vm, step["of"])

    def do_reap(self, step):
        """What a session left behind, or sudo began, ends."""
        machine, login = self.actors.get(step["id"], (None, None))
        if login is None or (login == step["id"] and self.logins[login].live):
            return
        self.sh('lab_in "$1" pkill -KILL -f "soakprobe.py serve $2$"', machine, step["id"], fail=False)
        del self.actors[step["id"]]

    def do_kick(self, step):
        number = self.session(step)
        if number and self.ctl("kick", str(number))[0] == 0:
            login = self.logins[step["id"]]
            login.live = False
            login.how = "kicked " + login.how

    def session(self, step):
        """What svm-idfw calls a live login's session, by its cgroup; None: not now."""
        login = self.logins.get(step["id"])
        if not login or not login.live or {"svm"} & {*self.down, *self.stopped}:
            return None
        answer = self.ask(login.vm, [step["id"]], [], [], 100).get(step["id"])
        rows = self.ctl("who", login.vm)[1] if answer else []
        return next((r["session"] for r in rows if r["cgroup"] and r["cgroup"] == answer["cgroup_id"]), None)

    def do_isolate(self, step):
        number = self.session(step)
        if number and step["id"] not in self.isolated and self.ctl("isolate", str(number))[0] == 0:
            login = self.logins[step["id"]]
            self.isolated[step["id"]] = (login.vm, number)
            self.touched.add((login.vm, login.user))
            self.changed = time.monotonic()

    def do_release(self, step):
        vm, number = self.isolated.get(step["id"], (None, None))
        if number and self.ctl("release", str(number))[0] == 0:
            del self.isolated[step["id"]]
            self.touched.add((vm, self.logins[step["id"]].user))
            self.changed = time.monotonic()

    def do_isolate_vm(self, step):
        if step["vm"] not in self.alone and self.ctl("isolate", "--vm", step["vm"])[0] == 0:
            self.alone.add(step["vm"])
            for login in self.logins.values(): # ssh's connection is cut: sshd may see it, and end the session
                login.sure = login.sure and (login.vm != step["vm"] or login.how == "su")
            self.changed = time.monotonic()

    def do_release_vm(self, step):
        if step["vm"] in self.alone and self.ctl("release", "--vm", step["vm"])[0] == 0:
            self.alone.discard(step["vm"])
            self.changed = time.monotonic()

    # ---- faults --------------------------------------------------------------------------------

    def do_kill(self, step):
        who = step["who"]
        if who in self.down:
            return
        if who == "dc":
            self.sh("lab_signal dc samba KILL")
        elif who in self.parts:
            # a service manager ends what is left of a unit; here it ends itself, when it goes on
            self.sh('kids=$(lab_in "$1" pgrep -P "$(lab_pid "$@")"); lab_kill9 "$@"; '
                    'for p in $kids; do lab_in "$1" kill -CONT "$p" || true; done', *DAEMONS[who])
        else:
            self.sh('lab_kill9 "$@"', *DAEMONS[who])
        self.stopped.pop(who, None)
        self.parts.discard(who)
        self.down.add(who)

    def do_start(self, step):
        who = step["who"]
        if who not in self.down:
            return
        if who == "dc":
            self.sh("lab_dc_run", timeout=180)
        else:
            self.sh('lab_daemon "$@"', *DAEMONS[who])
        self.down.discard(who)

    def do_stop(self, step):
        who = step["who"]
        if who in self.down or who in self.stopped:
            return
        self.sh('lab_signal "$1" "$2" STOP', *(("dc", "samba") if who == "dc" else DAEMONS[who]))
        self.stopped[who] = True

    def do_cont(self, step):
        who = step["who"]
        if self.stopped.pop(who, None):
            self.sh('lab_signal "$1" "$2" CONT', *(("dc", "samba") if who == "dc" else DAEMONS[who]))

    def part(self, step):
        """A process of a VM's agent below its first one, by its place: pid, or None."""
        script = 'lab_in "$1" pgrep -P "$(lab_pid "$1" gi-netagent)"'
        pids = self.sh(script, step["vm"], fail=False)[1].split()
        return pids[step["part"] % len(pids)] if pids else None

    def do_kill_part(self, step):
        pid = self.part(step)
        if pid and step["vm"] not in self.down:
            self.sh('lab_in "$1" kill -KILL "$2"', step["vm"], pid, fail=False)

    def do_stop_part(self, step):
        pid = self.part(step)
        if pid and step["vm"] not in self.down and step["vm"] not in self.parts:
            self.sh('lab_in "$1" kill -STOP "$2"', step["vm"], pid, fail=False)
            self.parts.add(step["vm"])

    def do_cont_parts(self, step):
        vm = step["vm"]
        if vm in self.parts:
            self.sh('for p in $(lab_in "$1" pgrep -P "$(lab_pid "$1" gi-netagent)"); do '
                    'lab_in "$1" kill -CONT "$p" || true; done', vm)
            self.parts.discard(vm)

    def do_cut(self, _step):
        self.sh("lab_in host ip link set svm down")
        self.cut = True

    def do_join(self, _step):
        if self.cut:
            self.sh("lab_in host ip link set svm up; "
                    "lab_in host ip addr replace fd77:9::1/64 dev svm nodad")
            self.cut = False

    def do_reboot(self, step):
        vm = step["vm"]
        self.sh('lab_reboot "$1"; lab_daemon "$1"', vm)
        self.down.discard(vm)
        self.stopped.pop(vm, None)
        self.parts.discard(vm)
        self.units.discard(vm)
        for name, (machine, login) in list(self.actors.items()):
            if machine == vm:
                del self.actors[name]
                if login in self.logins:
                    end(self.logins[login].client)
                    self.logins[login].live = False
        self.prepare(vm)

    # ---- the directory, the policy ---------------------------------------------------------------

    def do_group(self, step):
        if "dc" in self.down or "dc" in self.stopped:
            return
        # already so: no error to us
        self.sh('lab_ad_group_%s "$@"' % step["op"], step["group"], step["user"], fail=False)
        self.changed = self.directory_changed = time.monotonic()

    def do_account(self, step):
        if "dc" in self.down or "dc" in self.stopped:
            return
        self.sh('lab_ldapmodify', fail=False, given="dn: CN=%s,OU=People,DC=corp,DC=example\n"
                "changetype: modify\nreplace: userAccountControl\nuserAccountControl: %d\n" %
                (step["user"], 512 if step["enable"] else 514))
        self.changed = self.directory_changed = time.monotonic()

    def do_policy(self, step):
        if {"svm"} & {*self.down, *self.stopped}:
            return
        self.sh("lab_put svm /run/lab/soak.idfw", given=step["text"])
        status, out = self.sh("lab_ctl policy commit /run/lab/soak.idfw 2>&1", fail=False)
        if status:
            raise LabError("the policy is refused (%d): %s" % (status, out))
        self.policy_text = step["text"]
        self.changed = time.monotonic()

    def wall(self, vm):
        """The host lets nobody to @vm's port 22: nothing of ours knows of it."""
        self.sh('lab_in host nft "add table inet soak; add chain inet soak wall { type filter hook forward priority 0; }; '
                'add rule inet soak wall oifname $1 tcp dport 22 drop"', vm)

    def do_wait(self, step):
        time.sleep(step["ms"] / 1000)

    # ---- what the checker asks -------------------------------------------------------------------

    def mend(self):
        """All that was broken works again."""
        for vm in list(self.parts):
            self.do_cont_parts({"vm": vm})
        for who in list(self.stopped):
            self.do_cont({"who": who})
        self.do_join({})
        for who in sorted(self.down, key=lambda w: w != "dc"):
            self.do_start({"who": who})

    def ldif(self):
        """The directory's own words: not by our code, not by our account."""
        return self.sh(
            'lab_in dc env LDAPTLS_CACERT=/etc/idfw/tls/ca.crt timeout 20 ldapsearch -x -LLL '
            '-o ldif-wrap=no -H ldaps://dc1.corp.example -D Administrator@corp.example '
            '-w "$LAB_ADMIN_PASS" -b "$LAB_BASE" "(|(objectClass=group)(objectClass=user))" '
            'sAMAccountName member groupType userAccountControl')[1]

    def ask(self, machine, names, targets, flows, ms):
        _, out = self.sh('lab_in "$1" ' + PROBE + ' ask "$2" "$3" "$4" "$5"', machine, str(ms),
                         ",".join(names), ",".join(targets), ",".join(flows), fail=False)
        return json.loads(out) if out.strip() else {}


def pump(stream, lines):
    for line in stream:
        lines.put(line)
    lines.put(None)


def tell(login, text, answer):
    """Give the login's shell @text; the line that begins with @answer (None: its end), or None."""
    until = time.monotonic() + LOGIN_S
    try:
        login.client.stdin.write(text)
        login.client.stdin.flush()
        while True:
            line = login.lines.get(timeout=max(0.0, until - time.monotonic()))
            if line is None or (answer and line.startswith(answer)):
                return line
    except (OSError, queue.Empty):
        return None


def end(process):
    """And all of its process group."""
    if not process:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            try:
                stream.close()
            except (OSError, ValueError):
                pass
