#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""stream.py - the lab's little TCP services and their clients.

serve PORT...             to each connection, IPv4 or IPv6: a numbered line each 20 ms, until it ends;
                          lines that come are sent back
pull HOST PORT FILE [S]   connect, write "<unix ms> <line>" to FILE for each line that arrives;
                          ends when the peer ends or when S seconds passed without a byte
probe HOST PORT [MS]      one connection: exit 0 and the first line when it is made within MS (1000; the
                          kernels alone do that), else exit 1 and why not
until HOST PORT open|shut [MS]
                          probe again and again until the answer is that; print the unix ms then
watch FLOW...             FLOW is NAME:LEASE_S:HOST:PORT: hold a connection and open new ones, and tell
                          of each line, as it happens, until standard input ends (docs/control.md)
try FLOW...               the same without held connections
relay PATH TO             a socket at PATH, each connection passed on to the one at TO: who is in
                          another pid namespace has no pid there, and svm-idfw refuses him

Runs in a machine of the lab, as whoever is logged in there.
"""
import asyncio
import os
import socket
import sys
import threading
import time

PERIOD_S = 0.02
ONE_TRY_S = 0.05
LINE_S = 30 # once there is a connection, its other end may be a busy process
NEW_TRY_S = 1.0
NEW_EVERY_S = 0.1


def now_ms():
    return int(time.time() * 1000)


async def echo(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
    except (OSError, ValueError):
        pass


async def feed(reader, writer):
    number = 0
    back = asyncio.ensure_future(echo(reader, writer))
    try:
        while True:
            number += 1
            writer.write(b"line %d\n" % number)
            await writer.drain()
            await asyncio.sleep(PERIOD_S)
    except (ConnectionError, TimeoutError, OSError):
        pass
    finally:
        back.cancel()
        writer.close()


async def serve(ports):
    servers = []
    for port in ports:
        servers.append(await asyncio.start_server(feed, host=["0.0.0.0", "::"], port=int(port)))
    print("serving", *ports, flush=True)
    await asyncio.gather(*(s.serve_forever() for s in servers))


def first_line(host, port, timeout_s):
    """The first line from the service, or None and the reason."""
    try:
        with socket.create_connection((host, int(port)), timeout_s) as conn:
            conn.settimeout(LINE_S)
            line = conn.makefile().readline().rstrip("\n")
            return (line, "") if line else (None, "closed")
    except (TimeoutError, socket.timeout):
        return None, "no answer"
    except OSError as err:
        return None, err.strerror or str(err)


def pull(host, port, path, quiet_s=30.0):
    with socket.create_connection((host, int(port)), 30) as conn, open(path, "w") as out:
        conn.settimeout(float(quiet_s))
        rest = b""
        try:
            while data := conn.recv(65536):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    out.write("%d %s\n" % (now_ms(), line.decode()))
                out.flush()
        except OSError as err:
            print("pull:", err, file=sys.stderr)
            return 1
    return 0


def probe(host, port, timeout_ms="1000"):
    line, why = first_line(host, port, int(timeout_ms) / 1000)
    print(line or why)
    return 0 if line else 1


def until(host, port, want, timeout_ms="5000"):
    end = now_ms() + int(timeout_ms)
    while now_ms() < end:
        line, why = first_line(host, port, ONE_TRY_S)
        if (line is not None) == (want == "open"):
            print(now_ms())
            return 0
        if why != "no answer":
            time.sleep(0.005)
    print("still", "shut" if want == "open" else "open")
    return 1


def say(*words):
    try:
        print(*words, flush=True)
    except OSError:
        os._exit(1)


async def upwards(writer):
    while True:
        writer.write(b"up\n")
        await asyncio.sleep(PERIOD_S)


async def hold(name, host, port):
    up = None
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), 5)
        up = asyncio.ensure_future(upwards(writer))
        while line := await reader.readline():
            say("up" if line == b"up\n" else "down", name)
        say("end", name, "closed by the other end")
    except (OSError, asyncio.TimeoutError) as err:
        say("end", name, getattr(err, "strerror", None) or "no answer")
    finally:
        if up:
            up.cancel()


async def try_once(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    try:
        if not await reader.readline():
            raise OSError(0, "closed")
    finally:
        writer.transport.abort()


async def tries(name, host, port):
    while True:
        start = time.monotonic()
        why = None
        try:
            await asyncio.wait_for(try_once(host, port), NEW_TRY_S)
        except asyncio.TimeoutError:
            why = "no answer"
        except OSError as err:
            why = err.strerror or str(err)
        took = int((time.monotonic() - start) * 1000)
        say(*(("shut", name, took, why) if why else ("open", name, took)))
        await asyncio.sleep(NEW_EVERY_S)


async def watch_flows(flows, held):
    for name, lease_s, _, _ in flows:
        say("flow", name, lease_s)
    say("flows")
    for name, _, host, port in flows:
        if held:
            asyncio.ensure_future(hold(name, host, int(port)))
        asyncio.ensure_future(tries(name, host, int(port)))
    while True:
        say("tick")
        await asyncio.sleep(PERIOD_S)


def watch(flows, held):
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
    asyncio.run(watch_flows([f.split(":") for f in flows], held))


async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass


async def pass_on(reader, writer, to):
    try:
        there = await asyncio.open_unix_connection(to)
        both = [asyncio.ensure_future(copy(reader, there[1])), asyncio.ensure_future(copy(there[0], writer))]
        await both[1]
        both[0].cancel()
        there[1].close()
    except OSError:
        pass
    finally:
        writer.close()


async def relay(path, to):
    if os.path.exists(path):
        os.unlink(path)
    server = await asyncio.start_unix_server(lambda r, w: pass_on(r, w, to), path)
    os.chmod(path, 0o600)
    await server.serve_forever()


def main(argv):
    verbs = {"pull": pull, "probe": probe, "until": until}
    if len(argv) >= 3 and argv[1] == "serve":
        asyncio.run(serve(argv[2:]))
        return 0
    if len(argv) == 4 and argv[1] == "relay":
        asyncio.run(relay(*argv[2:]))
    if len(argv) >= 3 and argv[1] in ("watch", "try"):
        watch(argv[2:], argv[1] == "watch")
    if len(argv) >= 4 and argv[1] in verbs:
        return verbs[argv[1]](*argv[2:])
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main(sys.argv))
