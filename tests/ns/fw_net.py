# SPDX-License-Identifier: GPL-2.0-or-later
"""fw_net.py - clients and servers of the fw-*.sh namespace tests.

  serve PORT...                     TCP (sends a byte, echoes) and UDP (echoes), both families
  feed PORT...                      TCP: sends a counter each 10 ms to whoever connected; both families
  drain ADDR PORT FILE [uid N] [sport N]      connects to a feed and checks the counters; FILE says how far
  udpfeed PORT...                   UDP: sends a packet each 10 ms to whoever sent one; both families
  udpdrain ADDR PORT FILE [uid N]   sends one packet to it, counts what comes
  hold PROTO ADDR PORT FILE [uid N] one connection to a serve, idle; FILE says what became of it
  udpping ADDR PORT FILE [uid N] [sport N]   UDP echo each 10 ms from one socket, counts the answers
  udptwo ADDR PORT PORT FILE        the same by one socket that is not connected, to both ports in turn;
                                    counts in FILE.1 and FILE.2
  icmpping ADDR FILE                echo each 10 ms by one socket, counts the answers
  probe PROTO ADDR [PORT,...] [uid N] [sport N]   open, refused, prohibited or silent; each port,
                                    all at the same time
  raw ADDR PORT FLAGS [sport N]     one bare TCP segment; what comes back: rst, synack or silent
  icmperr ADDR SPORT DPORT          an ICMP error for the TCP flow ADDR:SPORT -> us:DPORT, to ADDR
  onlo ADDR SPORT ADDR PORT [uid N]   one UDP packet from there to there, over loopback
  storm ADDR PORT SECONDS FILE [LEAST]   UDP echo as fast as it goes, until FILE.stop is there and LEAST
                                    were sent, or the time is over; counts answers and refusals;
                                    FILE.sent says how many up to now
  dhcpd DEV                         answers on UDP 67 to the broadcast address, on 547 from DEV's own
  dhcp DEV                          asks as DHCP and DHCPv6 clients do: "offered" or "silent" of each
"""
import errno
import os
import select
import socket
import struct
import sys
import threading
import time

# seconds that a probe, a raw segment, a storm's packet wait for an answer: "20", or "22:20 80:2" where
# ports differ
WAITS = os.environ.get("FW_NET_PATIENCE", "0.4")


def patience(port=None):
    if ":" not in WAITS:
        return float(WAITS)
    return float(dict(w.split(":") for w in WAITS.split())[str(port)])


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def options(args):
    opts = {}
    while len(args) >= 2 and args[-2] in ("uid", "sport"):
        opts[args[-2]] = int(args[-1])
        args = args[:-2]
    return args, opts


def become(opts):
    if "uid" in opts:
        os.setgid(opts["uid"])
        os.setuid(opts["uid"])


def put(path, text):
    """whole or not at all; the name that is being written is not one that a glob finds"""
    tmp = os.path.join(os.path.dirname(path), ".new." + os.path.basename(path))
    with open(tmp, "w") as f:
        f.write(text)
    os.rename(tmp, path)


def listeners(ports, udp):
    out = []
    for port in ports:
        for fam, any_ in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)[: 2 if udp else 1]:
                s = socket.socket(fam, kind)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if fam == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.bind((any_, int(port)))
                if kind == socket.SOCK_STREAM:
                    s.listen(64)
                out.append(s)
    print("ready", flush=True)
    return out


def serve(ports):
    socks = listeners(ports, True)
    listening = set(socks)
    while True:
        for s in select.select(socks, [], [])[0]:
            try:
                if s.type == socket.SOCK_DGRAM:
                    data, peer = s.recvfrom(2048)
                    s.sendto(data, peer)
                elif s in listening:
                    c = s.accept()[0]
                    c.send(b"!")
                    socks.append(c)
                else:
                    data = s.recv(4096)
                    if not data:
                        raise OSError
                    s.send(data)
            except OSError:
                if s not in listening:
                    socks.remove(s)
                    s.close()


def feed(ports):
    socks = listeners(ports, False)
    conns = {}
    while True:
        for s in select.select(socks, [], [], 0.01)[0]:
            c = s.accept()[0]
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c.setblocking(False)
            conns[c] = 0
        for c in list(conns):
            try:
                c.send(struct.pack("!Q", conns[c]))
                conns[c] += 1
            except BlockingIOError:
                pass
            except OSError:
                del conns[c]
                c.close()


def out_of_order(s):
    """segments that came after a lost one: tcpi_rcv_ooopack"""
    return struct.unpack_from("I", s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256), 224)[0]


def drain(args):
    (addr, port, path), opts = options(args)
    become(opts)
    s = socket.socket(family(addr), socket.SOCK_STREAM)
    s.settimeout(30)
    if "sport" in opts:
        s.bind(("" if family(addr) == socket.AF_INET else "::", opts["sport"]))
    s.connect((addr, int(port)))
    want, buf, state, maxgap, ready = 0, b"", "run", 0.0, False
    last = time.monotonic()
    s.settimeout(0.02)
    while state == "run":
        try:
            data = s.recv(65536)
            now = time.monotonic()
            maxgap, last = max(maxgap, now - last), now
            buf += data
            state = "run" if data else "closed"
        except TimeoutError:
            pass
        except OSError as e:
            state = errno.errorcode.get(e.errno, "error")
        while len(buf) >= 8:
            if struct.unpack("!Q", buf[:8])[0] != want:
                state = "gap"
            want += 1
            buf = buf[8:]
        put(path, "%d %s %d %d\n" % (want, state, maxgap * 1000, out_of_order(s)))
        if want and not ready:
            ready = True
            print("ready", flush=True)


def udpfeed(ports):
    socks = [s for s in listeners(ports, True) if s.type == socket.SOCK_DGRAM]
    peers = set()
    while True:
        for s in select.select(socks, [], [], 0.01)[0]:
            peers.add((s, s.recvfrom(100)[1]))
        for s, peer in peers:
            try:
                s.sendto(b"!", peer)
            except OSError:
                pass


def udpdrain(args):
    (addr, port, path), opts = options(args)
    become(opts)
    s = socket.socket(family(addr), socket.SOCK_DGRAM)
    s.connect((addr, int(port)))
    s.send(b"?")
    count, ready = 0, False
    while True:
        s.recv(10)
        count += 1
        try:
            while True:  # a slow machine is not to have packets lie here when the flow is cut
                s.recv(10, socket.MSG_DONTWAIT)
                count += 1
        except BlockingIOError:
            pass
        put(path, "%d run 0 0\n" % count)
        if not ready:
            ready = True
            print("ready", flush=True)


def hold(args):
    (proto, addr, port, path), opts = options(args)
    become(opts)
    s = socket.socket(family(addr), socket.SOCK_STREAM if proto == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(30)
    s.connect((addr, int(port)))
    if proto == "udp":
        s.send(b"?")
    s.recv(1)
    put(path, "1 run 0 0\n")
    print("ready", flush=True)
    s.settimeout(None)
    try:
        state = "more" if s.recv(1) else "closed"
    except OSError as e:
        state = errno.errorcode.get(e.errno, "error")
    put(path, "1 %s 0 0\n" % state)


def echoes(s, path, question):
    """Asks, waits a moment for the answer, writes down how many came and what the last error was."""
    s.settimeout(0.01)
    count, state = 0, "run"
    while True:
        try:
            s.send(question(count))
            s.recv(100)
            count += 1
            state = "run"
        except TimeoutError:
            pass
        except OSError as e:
            state = errno.errorcode.get(e.errno, "error")
        put(path, "%d %s 0 0\n" % (count, state))
        if count == 1:
            print("ready", flush=True)
        time.sleep(0.01)


def udpping(args):
    (addr, port, path), opts = options(args)
    become(opts)
    s = socket.socket(family(addr), socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "sport" in opts:
        s.bind(("" if family(addr) == socket.AF_INET else "::", opts["sport"]))
    s.connect((addr, int(port)))
    echoes(s, path, lambda count: b"?")


def udptwo(args):
    addr, one, two, path = args
    s = socket.socket(family(addr), socket.SOCK_DGRAM)
    s.settimeout(0.01)
    ports = [int(one), int(two)]
    counts = dict.fromkeys(ports, 0)
    ready = False
    while True:
        for port in ports:
            try:
                s.sendto(b"?", (addr, port))
            except OSError:
                pass  # dropped or rejected on the way out
        try:
            while True:
                counts[s.recvfrom(10)[1][1]] += 1
        except OSError:
            pass
        for i, port in enumerate(ports):
            put("%s.%d" % (path, i + 1), "%d run 0 0\n" % counts[port])
        if not ready and all(counts.values()):
            ready = True
            print("ready", flush=True)


def icmpping(args):
    addr, path = args
    four = family(addr) == socket.AF_INET
    s = socket.socket(family(addr), socket.SOCK_DGRAM, socket.IPPROTO_ICMP if four else socket.IPPROTO_ICMPV6)
    s.connect((addr, 0))
    echoes(s, path, lambda count: struct.pack("!BBHHH", 8 if four else 128, 0, 0, 0, count & 0xFFFF))


def probe(args):
    args, opts = options(args)
    ports = args[2].split(",") if len(args) > 2 else ["0"]
    become(opts)
    found = {}
    jobs = [threading.Thread(target=lambda p=p: found.update({p: probe_one(args[0], args[1], int(p), opts)}))
            for p in ports]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    if len(set(found.values())) == 1:
        return found[ports[0]]
    return " ".join(p + ":" + found.get(p, "failed") for p in ports)


def probe_one(proto, addr, port, opts):
    fam = family(addr)
    if proto == "tcp":
        s = socket.socket(fam, socket.SOCK_STREAM)
    elif proto == "udp":
        s = socket.socket(fam, socket.SOCK_DGRAM)
    else:
        s = socket.socket(fam, socket.SOCK_DGRAM,
                          socket.IPPROTO_ICMP if fam == socket.AF_INET else socket.IPPROTO_ICMPV6)
    s.settimeout(patience(port))
    try:
        if "sport" in opts:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("" if fam == socket.AF_INET else "::", opts["sport"]))
        s.connect((addr, port))
        if proto == "tcp":
            return "open" if s.recv(1) else "closed"
        echo = struct.pack("!BBHHH", 8 if fam == socket.AF_INET else 128, 0, 0, 0, 1)
        try:
            s.send(echo if proto == "icmp" else b"?")
        except PermissionError:
            pass  # dropped on the way out; when it was rejected, the error is there to receive
        return "open" if s.recv(100) else "closed"
    except TimeoutError:
        return "silent"
    except OSError as e:
        if e.errno in (errno.ECONNREFUSED, errno.ECONNRESET):
            return "refused"
        if e.errno in (errno.EHOSTUNREACH, errno.EACCES, errno.ENETUNREACH):
            return "prohibited"
        if e.errno == errno.EPERM:
            return "silent"
        raise


def checksum(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def raw(args):
    (addr, port, flags), opts = options(args)
    bits = sum({"f": 1, "s": 2, "r": 4, "a": 16}[c] for c in flags)
    sport = opts.get("sport", 40000 + os.getpid() % 20000)
    fam = family(addr)
    s = socket.socket(fam, socket.SOCK_RAW, socket.IPPROTO_TCP)
    s.connect((addr, 0))
    src = socket.inet_pton(fam, s.getsockname()[0])
    dst = socket.inet_pton(fam, addr)
    tcp = struct.pack("!HHIIBBHHH", sport, int(port), 1000, 2000 if bits & 16 else 0, 5 << 4, bits, 1024, 0, 0)
    pseudo = src + dst + (struct.pack("!BBH", 0, 6, 20) if len(src) == 4 else struct.pack("!II", 20, 6))
    s.send(tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:])
    end = time.monotonic() + patience()
    while time.monotonic() < end:
        if not select.select([s], [], [], end - time.monotonic())[0]:
            break
        data = s.recv(2048)
        if fam == socket.AF_INET:
            data = data[(data[0] & 15) * 4:]
        p_from, p_to = struct.unpack("!HH", data[:4])
        if p_from == int(port) and p_to == sport:
            return "rst" if data[13] & 4 else "synack" if data[13] & 18 == 18 else "segment"
    return "silent"


def icmperr(args):
    addr, sport, dport = args[0], int(args[1]), int(args[2])
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    s.connect((addr, 0))
    src, dst = socket.inet_aton(addr), socket.inet_aton(s.getsockname()[0])
    inner = struct.pack("!BBHHHBBH", 0x45, 0, 40, 1, 0, 64, 6, 0) + src + dst
    inner = inner[:10] + struct.pack("!H", checksum(inner)) + inner[12:] + struct.pack("!HHI", sport, dport, 1000)
    icmp = struct.pack("!BBHI", 3, 1, 0, 0) + inner
    s.send(icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:])


def onlo(args):
    (src, sport, dst, dport), opts = options(args)
    become(opts)
    s = socket.socket(family(src), socket.SOCK_DGRAM)
    if family(src) == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
    else:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo\0")
    s.bind((src, int(sport)))
    s.sendto(b"?", (dst, int(dport)))


def storm(args):
    args, opts = options(args)
    addr, port, seconds, path = args[:4]
    least = int(args[4]) if len(args) > 4 else 1
    become(opts)
    sent = answered = refused = eperm = 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end and not (sent >= least and os.path.exists(path + ".stop")):
        s = socket.socket(family(addr), socket.SOCK_DGRAM)
        s.settimeout(patience())
        sent += 1
        try:
            s.connect((addr, int(port)))
            s.send(b"?")
            s.recv(10)
            answered += 1
        except PermissionError:
            eperm += 1
        except TimeoutError:
            pass
        except OSError:
            refused += 1
        s.close()
        if sent == 1 or sent % 50 == 0:
            put(path + ".sent", "%d\n" % sent)
        if sent == 1:
            print("ready", flush=True)
    put(path, "%d %d %d %d\n" % (sent, answered, refused, eperm))


def on_dev(fam, dev, port):
    s = socket.socket(fam, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode() + b"\0")
    if fam == socket.AF_INET:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.bind(("0.0.0.0" if fam == socket.AF_INET else "::", port))
    return s


DHCP6_SERVERS = "ff02::1:2"


def dhcpd(args):
    dev = args[0]
    v4, v6 = on_dev(socket.AF_INET, dev, 67), on_dev(socket.AF_INET6, dev, 547)
    v6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP,
                  socket.inet_pton(socket.AF_INET6, DHCP6_SERVERS) + struct.pack("@I", socket.if_nametoindex(dev)))
    print("ready", flush=True)
    while True:
        for s in select.select([v4, v6], [], [])[0]:
            _, who = s.recvfrom(100)
            try:
                s.sendto(b"offer", ("255.255.255.255", 68) if s is v4 else who)
            except OSError:
                pass


def dhcp(args):
    dev, said = args[0], []  # who asks again is what they do, too
    scope = socket.if_nametoindex(dev)
    for fam, mine, server in ((socket.AF_INET, 68, ("255.255.255.255", 67)),
                              (socket.AF_INET6, 546, (DHCP6_SERVERS, 547, 0, scope))):
        s = on_dev(fam, dev, mine)
        s.settimeout(0.5)
        said.append("silent")
        for _ in range(60):
            try:
                s.sendto(b"discover", server)
                if s.recv(100) == b"offer":
                    said[-1] = "offered"
                    break
            except (TimeoutError, PermissionError):
                pass
            except OSError as e:
                if e.errno not in (errno.EHOSTUNREACH, errno.EACCES, errno.ENETUNREACH):
                    raise
        s.close()
    return " ".join(said)


def main():
    verb, args = sys.argv[1], sys.argv[2:]
    out = {"serve": serve, "feed": feed, "drain": drain, "probe": probe, "raw": raw, "icmperr": icmperr, "onlo": onlo, "udpfeed": udpfeed,
           "udpdrain": udpdrain, "hold": hold, "udpping": udpping, "udptwo": udptwo, "icmpping": icmpping,
           "storm": storm, "dhcpd": dhcpd, "dhcp": dhcp}[verb](args)
    if out:
        print(out)


main()
