#!/usr/bin/env python3
"""Prints how many instructions each case of the micro-benchmarks takes, counted by valgrind.

A case runs under callgrind twice, the second time with more repetitions: the difference is what repetitions take,
without start and preparation. Profiles are kept for callgrind_annotate. Environment:

BASE    a file of counts that an earlier call has left, to compare with
CASES   which cases, separated by commas (all)
"""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.abspath(os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "..", "target"))
FEW, MANY = 20, 120
FOLDER = os.path.join(TARGET, "callgrind")


def built():
    # Apart from the release build, whose binary cargo would replace by one with the features of tests.
    folder = os.path.join(TARGET, "micro")
    command = ["cargo", "bench", "--bench", "micro", "--no-run", "--message-format=json", "--target-dir", folder]
    output = subprocess.run(command, cwd=os.path.dirname(HERE), stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = map(json.loads, output.splitlines())
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "micro")


def counted(binary, case, times):
    profile = os.path.join(FOLDER, f"{case}.{times}.out")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={profile}", binary, "--repeat", case, str(times)]
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True)
    with open(profile) as file:
        return int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.M).group(1))


def read(path):
    with open(path) as file:
        return {case: float(value) for case, value in (line.split() for line in file)}


def main():
    os.makedirs(FOLDER, exist_ok=True)
    base = read(os.environ["BASE"]) if os.environ.get("BASE") else {}
    binary = built()
    cases = subprocess.run([binary, "--list-cases"], capture_output=True, text=True, check=True).stdout.split()
    wanted = os.environ.get("CASES")
    cases = [case for case in cases if not wanted or case in wanted.split(",")]
    print(f"{'instructions':32}{'':>14}" + (f"{'base':>14}{'change':>10}" if base else ""))
    counts = {}
    for case in cases:
        counts[case] = (counted(binary, case, MANY) - counted(binary, case, FEW)) / (MANY - FEW)
        line = f"{case:32}{counts[case]:14,.0f}"
        if base.get(case):
            line += f"{base[case]:14,.0f}{(counts[case] / base[case] - 1) * 100:9.2f}%"
        print(line, flush=True)
    path = os.path.join(FOLDER, "counts.txt")
    with open(path, "w") as file:
        file.writelines(f"{case} {count}\n" for case, count in counts.items())
    print(f"kept in {path}", file=sys.stderr)


if __name__ == "__main__":
    main()
