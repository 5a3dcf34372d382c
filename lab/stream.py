#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""stream.py - the lab's little TCP services and their clients.

serve PORT...             to each connection, IPv4 or IPv6: a numbered line each 20 ms, until it ends
pull HOST PORT FILE [S]   connect, write "<unix ms> <line>" to FILE for each line that arrives;
                          ends when the peer ends or when S seconds passed without a byte
probe HOST PORT [MS]      one connection: exit 0 and the first line when data arrives within MS
                          (1000), else exit 1 and why not
until HOST PORT open|shut [MS]
                          probe again and again until the answer is that; print the unix ms then

Runs in a machine of the lab, as whoever is logged in there.
"""
import asyncio
import socket
import sys
import time

PERIOD_S = 0.02
ONE_TRY_S = 0.05


def now_ms():
    return int(time.time() * 1000)


async def feed(reader, writer):
    number = 0
    try:
        while True:
            number += 1
            writer.write(b"line %d\n" % number)
            await writer.drain()
            await asyncio.sleep(PERIOD_S)
    except (ConnectionError, TimeoutError, OSError):
        pass
    finally:
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
            line = conn.makefile().readline().rstrip("\n")
            return (line, "") if line else (None, "closed")
    except (TimeoutError, socket.timeout):
        return None, "no answer"
    except OSError as err:
        return None, err.strerror or str(err)


def pull(host, port, path, quiet_s=30.0):
    with socket.create_connection((host, int(port)), 5) as conn, open(path, "w") as out:
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


def main(argv):
    verbs = {"pull": pull, "probe": probe, "until": until}
    if len(argv) >= 3 and argv[1] == "serve":
        asyncio.run(serve(argv[2:]))
        return 0
    if len(argv) >= 4 and argv[1] in verbs:
        return verbs[argv[1]](*argv[2:])
    print(__doc__, file=sys.stderr)
    return 2


sys.exit(main(sys.argv))
