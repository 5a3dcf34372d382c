#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
# dns_answers.py - a name server for tests/ns/dir-*.sh: SRV and A records from a file, read at each question
#
#   dns_answers.py ADDRESS FILE
# FILE: "SRV NAME TTL PRIORITY WEIGHT PORT TARGET" and "A NAME TTL ADDRESS" a line; what is not in it is not
# there (NXDOMAIN). Each question is appended to FILE.asked, as "SRV NAME". Prints "ready".
import socket
import struct
import sys

TYPES = {1: "A", 28: "AAAA", 33: "SRV"}


def encode(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\0"


def question(packet):
    at, parts = 12, []
    while packet[at]:
        parts.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(parts).lower(), struct.unpack(">H", packet[at + 1:at + 3])[0], packet[12:at + 5]


def record(words):
    if words[0] == "A":
        data = socket.inet_aton(words[3])
    else:
        data = struct.pack(">HHH", *map(int, words[3:6])) + encode(words[6])
    kind = {"A": 1, "SRV": 33}[words[0]]
    return encode(words[1]) + struct.pack(">HHIH", kind, 1, int(words[2]), len(data)) + data


def answer(packet, path):
    name, kind, asked = question(packet)
    with open(path) as f:
        lines = [line.split() for line in f if line.strip()]
    found = [record(w) for w in lines if w[0] == TYPES.get(kind) and w[1].lower() == name]
    known = any(w[1].lower() == name for w in lines)
    with open(path + ".asked", "a") as f:
        f.write("%s %s\n" % (TYPES.get(kind, kind), name))
    return (packet[:2] + struct.pack(">HHHHH", 0x8580 if known else 0x8583, 1, len(found), 0, 0) + asked +
            b"".join(found))


s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 53))
print("ready", flush=True)
while True:
    data, who = s.recvfrom(4096)
    s.sendto(answer(data, sys.argv[2]), who)
