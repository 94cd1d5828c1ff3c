#!/usr/bin/env python3
"""Puts the same load on the gateway, the original, nginx and a floor, one after the other, and prints what they did.

The server has core 0, the load core 1. Environment:

BENCH_RUNS    how often everything is done; medians are shown (5)
BENCH_ROWS    which rows, separated by commas (all but `growth`; `all` is all); `hostile` is done once
BENCH_SMOKE   1: little of everything, to see that it works
BENCH_CHURN   how many replacing pushes (1,000,000)
BENCH_BIN     the binary to measure instead of the release build
BENCH_ATTACKS which attacks of the row `hostile`, words of their names, separated by commas (all)
BENCH_NICE    the priority of everything that is measured, for machines on which others work: -15, say, as root
BENCH_LOCK    a file that is locked while a server is measured, for machines that are shared
"""
import atexit
import contextlib
import fcntl
import json
import os
import platform
import signal
import statistics
import sys
import time

import servers
from growth import growth
from hostile import hostile
from reported import REPORTED
from rows import ROWS, Scale
from verdict import hostile_numbers, verdict

SERVERS = ["ours", "original", "nginx", "nginx, copying", "floor"]


class Machine:
    """The machine, held for itself while a server is measured if BENCH_LOCK names a file; a context manager.

    The lock is kept from one server to the next for a while, since getting it takes long when many want it.
    """

    HELD_SECONDS, PAUSE_SECONDS = 180, 60

    def __init__(self, path, priority):
        self.file = open(path, "a") if path else None
        self.priority, self.since = priority, None

    def __enter__(self):
        if self.since is None:
            if self.file:
                fcntl.flock(self.file, fcntl.LOCK_EX)
            self.since = time.monotonic()
            if self.priority:
                prefer(self.priority)

    def __exit__(self, *_):
        if self.file and time.monotonic() - self.since > self.HELD_SECONDS:
            self.release()
            time.sleep(self.PAUSE_SECONDS)

    def release(self):
        if self.priority:
            prefer(0)
        self.since = None
        if self.file:
            fcntl.flock(self.file, fcntl.LOCK_UN)


def prefer(priority):
    """Sets the priority of this session. That of a process counts within its session alone, where the kernel groups
    processes by session."""
    with contextlib.suppress(FileNotFoundError), open("/proc/self/autogroup", "w") as file:
        file.write(str(priority))


def describe():
    """The machine, as it is now."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / (1 << 20)
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores {model}, {memory:.0f} GiB, Linux {platform.release()}, load average {load:.1f}"


def measure(rows, runs, scale, machine):
    """Figures by row, server and name: a list with one value per run."""
    results = {}
    for run in range(runs):
        scale.is_first_run = run == 0
        for name in rows:
            names, function = ROWS[name]
            for asked in names:
                with machine:
                    begin = time.perf_counter()
                    found = function(asked, scale)
                    figures = found if isinstance(asked, tuple) else {asked: found}
                    seconds = time.perf_counter() - begin
                print(f".. run {run + 1}: {name}, {', '.join(figures)}: {seconds:.1f} s", file=sys.stderr)
                for server, figure, value in ((s, *item) for s, found in figures.items() for item in found.items()):
                    results.setdefault(name, {}).setdefault(figure, {}).setdefault(server, []).append(value)
                # Kept at once: what was measured is there even if the rest is not waited for.
                with open(os.path.join(servers.RESULTS, "results.json"), "w") as file:
                    json.dump(results, file, indent=1)
    return results


def number(value):
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(results, rows):
    """One line per figure: medians of all servers, and ours by each of the others'."""
    medians = {name: {figure: {server: statistics.median(values) for server, values in by_server.items()}
                      for figure, by_server in results[name].items()} for name in rows}
    used = [server for server in SERVERS if any(server in by for figures in medians.values() for by in figures.values())]
    others = [server for server in used if server != "ours"]
    head = [f"{'':66}"] + [f"{server:>16}" for server in used] + [f"{'/ ' + server:>18}" for server in others]
    lines = ["".join(head)]
    for name in rows:
        for figure, by_server in medians[name].items():
            cells = [f"{number(by_server.get(server)):>16}" for server in used]
            for server in others:
                both = by_server.get("ours") is not None and by_server.get(server)
                cells.append(f"{number(by_server['ours'] / by_server[server]) if both else '':>18}")
            lines.append(f"{figure:66}" + "".join(cells))
    return medians, lines


def choice():
    """The names of the rows to do."""
    known = [*ROWS, "reported", "hostile", "growth"]
    asked = os.environ.get("BENCH_ROWS") or ",".join(known[:-1])
    chosen = known if asked == "all" else asked.split(",")
    if unknown := set(chosen) - set(known):
        raise SystemExit(f"no rows {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return chosen


def main():
    scale = Scale(os.environ.get("BENCH_SMOKE") == "1")
    runs = int(os.environ.get("BENCH_RUNS") or 5)
    chosen, priority = choice(), int(os.environ.get("BENCH_NICE") or 0)
    machine = Machine(os.environ.get("BENCH_LOCK"), priority)
    atexit.register(machine.release)
    # So that servers end and the machine is released.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    os.sched_setaffinity(0, {servers.LOAD_CORE})
    os.nice(priority)
    begin = time.time()
    print(f"{describe()}; medians of {runs} runs", flush=True)
    rows = [name for name in chosen if name in ROWS]
    results = measure(rows, runs, scale, machine)
    if rows:
        medians, lines = table(results, rows)
        look = lambda row, server, figure: medians[row][figure][server]
        print("\n".join(["", *lines, "", *verdict(look)]), flush=True)
    if "reported" in chosen:
        print()
        for workload in REPORTED:
            for line in workload(scale, machine):
                print(line, flush=True)
    if "hostile" in chosen:
        print()
        figures = hostile(scale, machine, lambda line: print(line, flush=True))
        look = lambda row, server, figure: figures[figure]
        print("\n".join(["", *verdict(look, hostile_numbers(figures))]), flush=True)
    if "growth" in chosen:
        for lines in growth(scale, machine):
            print("\n".join(["", *lines]), flush=True)
    print(f"\n{time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
