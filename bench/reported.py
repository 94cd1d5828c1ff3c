"""Workloads that users of the original reported as failing, each with both servers.

What takes users a minute is done in less, at the same or a higher rate, and bounded in time: what a server has not done
by then it has not done. Latencies count from when a push was due.
"""
import itertools
import os
import threading
import time

import servers
from load import Connection, Failed, fill, medium, paced, small, small_groups, timed


class Workload:
    """A name, what a server is started with, what is stored first, and the load: a call that returns an Outcome and
    what else there is to say."""

    def __init__(self, name, load, flags=(), stored=lambda: ()):
        self.name, self.load, self.flags, self.stored = name, load, flags, stored

    def __call__(self, scale, machine):
        yield self.name
        for name in ("ours", "original"):
            with machine:
                line = f"    {name:10}" + self.run(name, scale)
            yield line

    def run(self, name, scale):
        opened = {"ours": servers.ours, "original": servers.original}[name]
        log = os.path.join(servers.WORK, "log")
        with opened(*self.flags, level="info", log=log, is_disposable=True) as server:
            # The original checks everything at each push: it gets some seconds for what is to be stored.
            stored, end = 0, time.perf_counter() + (scale.stored_seconds if name == "original" else 60)
            pushes = iter(self.stored())
            while time.perf_counter() < end and (some := list(itertools.islice(pushes, 10))):
                fill(server.port, some, window=1)
                stored += len(some)
            before = server.cpu()
            outcome, remark = self.load(server, scale.reported_seconds)
            used = server.cpu() - before
            done, missed = len(outcome.latencies), outcome.failures + outcome.skipped
            text = (f"{done:6} done, {missed:5} failed or given up; ms p50 {outcome.percentile(.5):9.1f}, "
                    f"p99 {outcome.percentile(.99):9.1f}, max {outcome.percentile(1):9.1f}; "
                    f"CPU {used / outcome.wall * 100:4.0f} %, RSS {server.memory():5.0f} MiB")
            return text + (f"; {stored} groups stored before" if stored else "") + remark


def no_remark(load):
    return lambda server, seconds: (load(server, seconds), "")


def many_series(server, seconds):
    """100 clients with 15,000 series each, two rounds in the time of at most 20 s each."""
    clients = 100 if seconds >= 10 else 5
    bodies = [medium(15, 1000, value=value) for value in (0, 1)]
    pushes = ((f"job/fleet/client/c{at % clients}", bodies[at // clients % 2]) for at in range(2 * clients))
    return paced(server.port, pushes, rate=clients / seconds, seconds=2 * seconds, workers=clients, timeout=2 * seconds)


def sustained(server, seconds):
    pushes = (push for _ in itertools.count() for push in small_groups(1000))
    return paced(server.port, pushes, rate=300, seconds=seconds)


def many_clients(server, seconds):
    """Each client connects, pushes a group of its own and goes."""
    body = small(20)
    pushes = ((f"job/batch/instance/client{at}", body) for at in itertools.count())
    return paced(server.port, pushes, rate=50, seconds=seconds, kept=False)


def groups_of_80_kb(value=0):
    body = medium(10, 100, value=value, helps="Work done by this batch job, counted by stage and by shard.")
    return ((f"job/etl/instance/node{g}", body) for g in range(300))


def pushes_of_80_kb(server, seconds):
    pushes = (push for value in itertools.count(1) for push in groups_of_80_kb(value))
    return paced(server.port, pushes, rate=10, seconds=seconds)


def wipe_under_load(server, seconds):
    took = []

    def wipe():
        time.sleep(seconds / 2)
        with Connection(server.port) as connection:
            begin = time.perf_counter()
            connection.send(b"PUT /api/v1/admin/wipe HTTP/1.1\r\nHost: bench\r\nContent-Length: 0\r\n\r\n")
            status, _ = connection.receive()
            took.append((status, (time.perf_counter() - begin) * 1000))

    wiper = threading.Thread(target=wipe)
    wiper.start()
    pushes = ((f"job/other/instance/i{at % 50}", small()) for at in itertools.count())
    outcome = paced(server.port, pushes, rate=200, seconds=seconds)
    wiper.join()
    with Connection(server.port) as connection:
        left = bytearray()
        connection.get(keep=left)
    status, milliseconds = took[0]
    gone = "gone" if b'job="bench"' not in left else "still there at the end"
    return outcome, f"; wipe answered {status} in {milliseconds:.1f} ms, groups {gone}"


def mismatched_helps(server, seconds):
    """15 groups of 1,000 series each under the same names, every push with help texts of its own."""
    pushes = ((f"job/app/instance/v{at % 15}", medium(10, 100, helps=f"Work done, as of build {at}."))
              for at in itertools.count())
    outcome = paced(server.port, pushes, rate=3, seconds=seconds)
    with Connection(server.port) as connection:
        took = timed(connection.get) * 1000
    log = os.path.getsize(os.path.join(servers.WORK, "log")) / 1e6
    return outcome, f"; scrape {took:.0f} ms, log {log:.1f} MB"


def impatient(server, seconds):
    """100 clients with 1,000 series each want to push every second, give up after one, and try again at once."""
    body = medium(10, 100)
    pushes = ((f"job/edge/instance/e{at % 100}", body) for at in itertools.count())
    return paced(server.port, pushes, rate=100, seconds=seconds, workers=100, timeout=1, retries=3)


REPORTED = [
    Workload("1.5M series: 100 clients push 15,000 each, twice", no_remark(many_series)),
    Workload("300 small pushes a second, to 1,000 groups", no_remark(sustained), stored=lambda: small_groups(1000)),
    Workload("50 new clients a second (1,000 in 20 s), a group of 20 families each", no_remark(many_clients)),
    Workload("300,000 series: 10 pushes of 80 KB a second", no_remark(pushes_of_80_kb), stored=groups_of_80_kb),
    Workload("a wipe of 5,000 groups under 200 pushes a second", wipe_under_load, ("--web.enable-admin-api",),
             lambda: small_groups(5000)),
    Workload("15,000 series, 3 pushes a second whose help texts never match", mismatched_helps),
    Workload("100 clients that push 1,000 series a second, give up after 1 s and retry", no_remark(impatient)),
]
