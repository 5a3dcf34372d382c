#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""opener.py DIR SECONDS: save EICAR under new names and read each at once, again and again.

Prints "slow MS NAME" for what took over 30 s, and at the end "given N": how often the content came
out, and "done N": how many files it tried.
"""
import os
import sys
import time

MARK = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


def save_and_read(name):
    """True when what was saved could be read."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(fd, MARK)
    finally:
        os.close(fd)
    fd = os.open(name, os.O_RDONLY)
    try:
        return MARK in os.read(fd, 200)
    finally:
        os.close(fd)


def main():
    where, end = sys.argv[1], time.monotonic() + float(sys.argv[2])
    tried = given = 0
    while time.monotonic() < end:
        name = "%s/n%d-%d" % (where, os.getpid(), tried)
        tried += 1
        start = time.monotonic()
        try:
            given += save_and_read(name)
        except OSError:
            pass
        took = time.monotonic() - start
        if took > 30:
            print("slow", int(took * 1000), name)
        time.sleep(0.002)
    print("given", given)
    print("done", tried)


main()
