#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ldap_liar.py DIR ADDR PORT SERVER - an LDAP server that lies, for tests/ns/dir-hostile.sh

Speaks TLS (DIR/srv.crt, srv.key) on ADDR:PORT, asks the real server at SERVER:PORT (TLS too) and hands
its answers on, message by message (RFC 4511), as DIR/mode says at that moment:

  honest          as they are
  stall           nothing any more
  half            half of the next message, then the connection ends
  length          a message that says it has 512 MiB, and zeros as long as somebody reads
  endless         the first entry again and again
  fat BYTES       each entry gets a memberOf value of so many bytes
  many N          each entry gets N memberOf values
  deep            what follows is 200,000 SEQUENCEs in each other
  rubbish         random bytes
  fuzz SEED       two of five messages with some bytes changed, put in, left out; the length right or not
  wrongid         message numbers that nobody asked for come first
  notice          a Notice of Disconnection (RFC 4511 4.4.1) in place of each result
  referral ADDR   results say: ask ADDR
  limit           results say sizeLimitExceeded
  controls        entries' names with a newline, NUL and broken UTF-8
  twice           each entry twice
  lookups [NAME]  who looks an account up (that one) is disconnected; others are served
  stalls NAME     who looks that account up gets no answer to that; others, and all else, are served
To standard output: "did MODE", once for each that was used; "sent KIB" after each length and endless;
"broke" for each that was disconnected by lookups, or not answered by stalls.
"""
import os
import random
import re
import select
import socket
import ssl
import sys
import threading

ENTRY, DONE, BIND_DONE, SYNC_INFO = 0x64, 0x65, 0x61, 0x79
GULP = 1 << 16


class Gone(Exception):
    """the connection is at its end"""


def tlv(tag, content):
    n = len(content)
    if n < 128:
        return bytes([tag, n]) + content
    size = (n.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + n.to_bytes(size, "big") + content


def parts(content):
    """the elements of a constructed one, as (tag, bytes)"""
    at = 0
    while at < len(content):
        tag, first = content[at], content[at + 1]
        at += 2
        if first & 0x80:
            size = first & 0x7F
            first = int.from_bytes(content[at : at + size], "big")
            at += size
        yield tag, content[at : at + first]
        at += first


def read_exact(s, n):
    got = b""
    while len(got) < n:
        piece = s.recv(n - len(got))
        if not piece:
            raise Gone
        got += piece
    return got


def read_message(s):
    """the content of the next LDAPMessage"""
    head = read_exact(s, 2)
    n = head[1]
    if n & 0x80:
        n = int.from_bytes(read_exact(s, n & 0x7F), "big")
    return read_exact(s, n)


def message(ident, tag, content):
    return tlv(0x30, ident + tlv(tag, content))


def result(code, text=b"", referral=None):
    more = b"" if referral is None else tlv(0xA3, tlv(0x04, referral))
    return tlv(0x0A, bytes([code])) + tlv(0x04, b"") + tlv(0x04, text) + more


def with_values(entry, values):
    """an entry (DN, attributes) with one attribute memberOf more"""
    (_, dn), (_, attrs) = list(parts(entry))
    more = tlv(0x30, tlv(0x04, b"memberOf") + tlv(0x31, b"".join(tlv(0x04, v) for v in values)))
    return tlv(0x04, dn) + tlv(0x30, attrs + more)


def mutated(raw, rnd):
    out = bytearray(raw)
    for _ in range(rnd.randint(1, 4)):
        at = rnd.randrange(len(out)) if out else 0
        what = rnd.randrange(4)
        if what == 0 and out:
            out[at] ^= 1 << rnd.randrange(8)
        elif what == 1 and out:
            out[at] = rnd.choice((0, 0x7F, 0x80, 0x84, 0xFF, 0x30))
        elif what == 2:
            out[at:at] = rnd.randbytes(rnd.randint(1, 8))
        else:
            del out[at : at + rnd.randint(1, 8)]
    return bytes(out)


class Liar:
    def __init__(self, where, addr, port, server):
        self.where, self.addr, self.port, self.server = where, addr, port, server
        self.said, self.fuzzed = set(), {}
        self.lock = threading.Lock()

    def mode(self):
        with open(os.path.join(self.where, "mode"), encoding="ascii") as f:
            words = f.read().split()
        with self.lock:
            key = " ".join(words)
            if key not in self.said:
                self.said.add(key)
                print("did", key, flush=True)
        return words

    def random_of(self, seed):
        with self.lock:
            return self.fuzzed.setdefault(seed, random.Random(int(seed)))

    def send_flood(self, s, piece, head=b""):
        sent = 0
        try:
            s.sendall(head)
            while True:
                s.sendall(piece)
                sent += len(piece)
        finally:
            print("sent", sent >> 10, flush=True)

    def breaks(self, asked):
        """is it (uid=NAME) in a filter? (uid=*), which asks for anybody, is not"""
        words = self.mode()
        name = words[1].encode() if words[1:] else b""
        return words[0] in ("lookups", "stalls") and re.search(rb"\x04\x03uid\x04." + name, asked, re.S)

    def lie(self, s, content):
        """one message of the real server, on its way to the client"""
        (id_tag, id_bytes), (tag, body) = list(parts(content))[:2]
        ident = tlv(id_tag, id_bytes)
        raw = tlv(0x30, content)
        words = self.mode()
        name = words[0]
        if name == "stall":
            pass
        elif name == "half":
            s.sendall(raw[: len(raw) // 2])
            raise Gone
        elif name == "length":
            self.send_flood(s, bytes(GULP), b"\x30\x84\x20\x00\x00\x00" + ident + b"\x64\x84\x1f\xff\xff\xf0")
        elif name == "deep":
            s.sendall(tlv(0x30, ident + b"\x64\x83\x09\x27\xc0" + b"\x30\x83\x09\x27\xc0" * 100000))
        elif name == "rubbish":
            s.sendall(os.urandom(4096))
        elif name == "fuzz":
            rnd = self.random_of(words[1])
            with self.lock:
                what = rnd.random()
                if what < 0.2:
                    raw = mutated(raw, rnd)
                elif what < 0.4:
                    raw = tlv(0x30, mutated(content, rnd))
            s.sendall(raw)
        elif name == "endless" and tag == ENTRY:
            self.send_flood(s, raw * (1 + GULP // len(raw)))
        elif name == "fat" and tag == ENTRY:
            s.sendall(message(ident, tag, with_values(body, [b"cn=" + b"x" * int(words[1])])))
        elif name == "many" and tag == ENTRY:
            values = [b"cn=g%d,dc=nowhere" % i for i in range(int(words[1]))]
            s.sendall(message(ident, tag, with_values(body, values)))
        elif name == "controls" and tag == ENTRY:
            s.sendall(message(ident, tag, re.sub(rb"al(ice|l)", lambda m: b"a\n\0\xff\xfe"[: len(m[0])], body)))
        elif name == "twice" and tag == ENTRY:
            s.sendall(raw * 2)
        elif name == "wrongid":
            for n in (0, 1, 99, 2**31 - 1):
                s.sendall(message(tlv(2, n.to_bytes(4, "big")), tag, body))
            s.sendall(raw)
        elif name == "notice" and tag == DONE:
            oid = tlv(0x8A, b"1.3.6.1.4.1.1466.20036")
            s.sendall(message(tlv(2, b"\0"), 0x78, result(52, b"going away") + oid))
        elif name == "referral" and tag == DONE:
            s.sendall(message(ident, tag, result(10, b"", b"ldap://%s/dc=corp" % words[1].encode())))
        elif name == "limit" and tag == DONE:
            s.sendall(message(ident, tag, result(4, b"that is all you get")))
        else:
            s.sendall(raw)

    def connection(self, plain, tls, to_real):
        try:
            client = tls.wrap_socket(plain, server_side=True)
            real = to_real.wrap_socket(
                socket.create_connection((self.server, self.port)), server_hostname=self.server
            )
        except OSError:
            plain.close()
            return
        try:
            while True:
                ready = [s for s in (client, real) if s.pending()]
                ready = ready or select.select([client, real], [], [])[0]
                if client in ready:
                    asked = read_message(client)
                    if self.breaks(asked):
                        print("broke", flush=True)
                        if self.mode()[0] == "stalls":
                            continue
                        raise Gone
                    real.sendall(tlv(0x30, asked))
                else:
                    self.lie(client, read_message(real))
        except (Gone, OSError):
            pass
        client.close()
        real.close()

    def serve(self):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(os.path.join(self.where, "srv.crt"), os.path.join(self.where, "srv.key"))
        to_real = ssl.create_default_context(cafile=os.path.join(self.where, "ca.crt"))
        listener = socket.create_server((self.addr, self.port), backlog=64)
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=self.connection, args=(plain, tls, to_real), daemon=True).start()


def main():
    where, addr, port, server = sys.argv[1:]
    Liar(where, addr, int(port), server).serve()


main()
