#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""soakprobe.py - somebody in a machine of the lab who tries what he is asked to try.

serve NAME            stay, and answer on the abstract socket idfw-soak-NAME of this machine: one JSON
                      request, one JSON answer. It never does anything else: in a session it is
                      that session's process, after the logout it is what the session left behind.
ask MS NAMES TARGETS FLOWS
                      ask all of NAMES (comma) at once: which of TARGETS (host/port, comma) can you
                      reach within MS, how are your long connections, hold one to each of FLOWS.
                      Prints {NAME: answer or null}. Root's, in the machine.

listen PORT...        accept TCP connections and do nothing with them; udp:PORT: send back what comes.

An answer: {"open": [target...], "flows": {target: ms since the last byte, or -1: it is closed},
"cgroup": path, "uid": N}. A target is ADDRESS/PORT (open when a TCP connection is made), ADDRESS/udp:PORT or
ADDRESS/icmp (open when the answer to just this question comes), and shut otherwise.
"""
import asyncio
import json
import os
import random
import socket
import struct
import sys
import time

LIMIT = 1 << 20
STALLED_MS = 5000
SPREAD_S = 0.3 # not all at once: no queue of a listener is to overflow
AGAIN_S = 0.5  # a datagram may be lost
BEAT_S = 0.1


def address(name):
    return "\0idfw-soak-" + name


def datagrams(target):
    """(socket, what to send) for ADDRESS/udp:PORT and ADDRESS/icmp; errors of the network later"""
    host, port = target.rsplit("/", 1)
    six = ":" in host
    family = socket.AF_INET6 if six else socket.AF_INET
    if port != "icmp":
        return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK), (host, int(port[4:])), b"soak"
    proto = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    request = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 1) + b"soak"
    return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, proto), (host, 0), request


async def echo(target):
    """Until our own answer comes, or somebody says no. One that comes late to whom had this port before is
    not ours: nobody's firewall could know."""
    sock, peer, request = datagrams(target)
    loop, token = asyncio.get_running_loop(), os.urandom(8)

    async def ours():
        while not (await loop.sock_recv(sock, 1024)).endswith(token):
            pass

    with sock:
        sock.connect(peer)
        while True:
            sock.send(request + token)
            try:
                await asyncio.wait_for(ours(), AGAIN_S)
                return True
            except asyncio.TimeoutError:
                pass


class Flow:
    """A long connection to a service that never stops to send, or datagrams that come back."""

    def __init__(self, target):
        self.target, self.last, self.closed = target, time.monotonic(), False
        self.task = asyncio.ensure_future(self.beat() if "/udp:" in target else self.run())

    async def beat(self):
        """One socket for ever: what is not answered is no end of it."""
        sock, peer, request = datagrams(self.target)
        with sock:
            sock.connect(peer)
            while True:
                for call in (lambda: sock.send(request), lambda: sock.recv(1024)):
                    try:
                        if call() == request:
                            self.last = time.monotonic()
                    except OSError:
                        pass
                await asyncio.sleep(BEAT_S)

    async def run(self):
        host, port = self.target.rsplit("/", 1)
        try:
            reader, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 3)
            while await reader.read(65536):
                self.last = time.monotonic()
            writer.close()
        except (OSError, asyncio.TimeoutError):
            pass
        self.closed = True

    def age(self):
        return -1 if self.closed else int((time.monotonic() - self.last) * 1000)


async def reach(target, timeout_s):
    host, port = target.rsplit("/", 1)
    await asyncio.sleep(random.random() * SPREAD_S)
    if not port.isdigit():
        try:
            return await asyncio.wait_for(echo(target), timeout_s)
        except (OSError, asyncio.TimeoutError):
            return False
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), timeout_s)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.transport.abort()
    return True


async def answer(flows, request):
    targets = request["targets"]
    ages = {t: f.age() for t, f in flows.items()}
    found = await asyncio.gather(*(reach(t, request["ms"] / 1000) for t in targets))
    for target in list(flows):
        if target not in request["flows"] or not 0 <= ages[target] < STALLED_MS:
            flows.pop(target).task.cancel()
    for target in request["flows"]:
        if target not in flows:
            flows[target] = Flow(target)
    with open("/proc/self/cgroup") as groups:
        own = [line[3:].strip() for line in groups if line.startswith("0::")]
    return {"open": [t for t, f in zip(targets, found) if f], "flows": ages,
            "cgroup": own[0] if own else "", "uid": os.getuid()}


async def serve(name):
    flows = {}

    async def client(reader, writer):
        line = await reader.readline()
        if line:
            writer.write(json.dumps(await answer(flows, json.loads(line))).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(client, address(name), limit=LIMIT)
    await server.serve_forever()


async def ask_one(name, request, timeout_s):
    try:
        reader, writer = await asyncio.open_unix_connection(address(name), limit=LIMIT)
        writer.write(json.dumps(request).encode() + b"\n")
        line = await asyncio.wait_for(reader.readline(), timeout_s)
        writer.close()
        return json.loads(line) if line else None
    except (OSError, asyncio.TimeoutError):
        return None


class Back(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)


async def listen(ports):
    async def client(_reader, writer):
        writer.close()

    for port in ports:
        if port.startswith("udp:"):
            for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                sock = socket.socket(family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((host, int(port[4:])))
                await asyncio.get_running_loop().create_datagram_endpoint(Back, sock=sock)
            continue
        await asyncio.start_server(client, ["0.0.0.0", "::"], int(port), backlog=1024)
    await asyncio.Event().wait()


def cgroup_id(path):
    """What the kernel compares: the number of the cgroup's directory."""
    try:
        return os.stat("/run/lab/cgroup/." + path).st_ino
    except OSError:
        return 0


async def ask(ms, names, targets, flows):
    request = {"ms": int(ms), "targets": [t for t in targets.split(",") if t],
               "flows": [f for f in flows.split(",") if f]}
    names = [n for n in names.split(",") if n]
    answers = await asyncio.gather(*(ask_one(n, request, int(ms) / 1000 + 10) for n in names))
    for one in answers:
        if one:
            one["cgroup_id"] = cgroup_id(one["cgroup"])
    print(json.dumps(dict(zip(names, answers))))


if sys.argv[1:2] == ["serve"]:
    asyncio.run(serve(sys.argv[2]))
elif sys.argv[1:2] == ["ask"]:
    asyncio.run(ask(*sys.argv[2:6]))
elif sys.argv[1:2] == ["listen"]:
    asyncio.run(listen(sys.argv[2:]))
else:
    sys.exit(__doc__)
