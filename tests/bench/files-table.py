#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""files-table.py FILE - the rows of tests/bench/files as a table: medians of the runs, the ratio to
no agent just before, the ratio of the floor (an agent that allows at once), and what we aim at. The
aim of a first touch was what the barest chain cost on another machine: chain is that on this one."""
import json
import statistics
import sys

# (measurement, cores): (aim, its unit): "x" is the ratio to no agent, the others as measured
AIMS = {
    ("open, 1 thread, again", "busy"): (1.10, "x"),
    ("open, 1 thread, again", "idle"): (1.10, "x"),
    ("open, 4 threads, again", "busy"): (1.15, "x"),
    ("open, 4 threads, again", "idle"): (1.15, "x"),
    ("open, 4 threads, again", "both"): (1.15, "x"),
    ("open, 1 thread, first touch", "busy"): (35, "us"),
    ("open, 1 thread, first touch", "idle"): (130, "us"),
    ("open, 4 threads, first touch", "both"): (40000, "/s"),
    ("grep -r, again", "busy"): (1.05, "x"),
    ("grep -r, again", "idle"): (1.05, "x"),
    ("exec, again", "busy"): (1.02, "x"),
    ("exec, again", "idle"): (1.02, "x"),
    ("tar x", "busy"): (1.6, "x"),
    ("tar x", "idle"): (3.0, "x"),
    ("grep -r, first touch", "busy"): (1300, "ms"),
}
ONLY = {35: "idfw-hash", 130: "idfw-hash", 40000: "idfw-hash", 1300: "idfw"}


def name_of(row, again):
    bench = row["bench"]
    if bench == "open":
        touch = "first touch" if row["pass"] == 1 else "again"
        return "open, %d thread%s, %s" % (row["threads"], "s" * (row["threads"] > 1), touch)
    return {
        "grep": "grep -r, first touch",
        "grep2": "grep -r, again",
        "tar": "tar x",
        "exec": "exec, again" if again else "exec, first 500",
    }.get(bench, bench)


def read(path):
    """(subject, cores, measurement) -> its values in ns, each pass of each run; the other rows"""
    timed, others, seen = {}, [], {}
    with open(path, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.startswith("{")]
    for row in rows:
        if "ns_each" not in row:
            others.append(row)
            continue
        at = (row["subject"], row["cores"])
        again = row["bench"] == "exec" and seen.pop(at, False)
        if row["bench"] == "exec" and not again:
            seen[at] = True
        timed.setdefault(at + (name_of(row, again),), []).append((row["ns_each"], row.get("n", 0)))
    return timed, others


def median(timed, *key):
    values = [ns for ns, _ in timed.get(key, [])]
    return statistics.median(values) if values else None


def aim_of(subject, measurement, cores, each_us, n, ratio, bare_us):
    aim = AIMS.get((measurement, cores))
    if not aim or not subject.startswith("idfw") or ONLY.get(aim[0], subject) != subject:
        return ""
    value, unit = aim
    if unit == "x":
        return "<= %.2f %s" % (value, "" if ratio is None else "ok" if ratio <= value else "MISSED")
    if unit == "/s":
        rate = 1e6 / each_us
        return ">= %d/s: %d %s" % (value, rate, "ok" if rate >= value else "MISSED")
    if unit == "ms":
        words = "<= %d ms: %d %s" % (value, each_us * n / 1e3, "ok" if each_us * n / 1e3 <= value else "MISSED")
        return words + ("; bare libclamav here %d ms" % (bare_us * n / 1e3) if bare_us else "")
    words = "<= %d us %s" % (value, "ok" if each_us <= value else "MISSED")
    return words + ("; chain here %.1f us: %.2f x" % (bare_us, each_us / bare_us) if bare_us else "")


def main():
    timed, others = read(sys.argv[1])
    line = "%-10s %-5s %-38s %11s %8s %8s  %s"
    print(line % ("subject", "cores", "measurement", "each", "ratio", "floor", "aim"))
    for key, values in timed.items():
        subject, cores, measurement = key
        if subject.startswith("none before "):
            continue
        each = median(timed, *key)
        none = median(timed, "none before " + subject, cores, measurement)
        floor = median(timed, "floor", cores, measurement)
        floor_none = median(timed, "none before floor", cores, measurement)
        ratio = each / none if none else None
        if measurement.startswith("grep"):
            bare = median(timed, "libclamav", "busy", "bare libclamav")
        else:
            bare = median(timed, "chain", cores, measurement)
        print(line % (
            subject, cores, measurement, "%.1f us" % (each / 1e3),
            "%.2f" % ratio if ratio else "-",
            "%.2f" % (floor / floor_none) if floor and floor_none else "-",
            aim_of(subject, measurement, cores, each / 1e3, values[0][1], ratio, bare / 1e3 if bare else None)))
    for row in others:
        words = {k: v for k, v in row.items() if k not in ("subject", "cores", "bench")}
        print("%-10s %-5s %-38s %s" % (row["subject"], row.get("cores", ""), row["bench"], words))
    print("aims besides: eicar max_us <= 50000, readable and left 0; gi-fileagent <= 8192 KiB with 64 Ki entries")


if __name__ == "__main__":
    main()
