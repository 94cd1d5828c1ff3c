"""What one honest client notices of hostile ones: a table of its waits beside each of them, and beside all at once.

A stage is a server with something stored, to which some attacks are done one after the other. Before each the honest
client is measured alone. Sizes are those at which a server that does its work in one go stands still for seconds.
"""
import contextlib
import functools
import itertools
import json
import math
import os
import shutil
import statistics
import sys
import time

import servers
from attackers import Attackers, crowd, get, repeat
from honest import Honest, Waits, healthy
from load import PROTOBUF, Connection, fill, large, medium_groups, push_request, small_groups
from rows import count, original_store

LATE_MS = 5
NAMES = [f"l{at}" for at in range(10)]


class Attack:
    """A name, and a call that makes attackers. It goes on for some seconds, and until each of them has had an answer,
    or a part of one if it is a crowd of readers."""

    SECONDS, SMOKE_SECONDS, MORE_SECONDS = 4, 1, 15

    def __init__(self, name, attackers):
        self.name, self.attackers = name, attackers


class Stage:
    """Pushes that are stored first, and the attacks."""

    def __init__(self, stored, *attacks, flags=()):
        self.stored, self.attacks, self.flags = stored, attacks, flags


class Size:
    """How much of everything: a twentieth for a look whether it works."""

    def __init__(self, is_smoke):
        self.is_smoke = is_smoke
        self.seconds = Attack.SMOKE_SECONDS if is_smoke else Attack.SECONDS
        self.alone_seconds = 0.5 if is_smoke else 1.5

    def __call__(self, number):
        return max(1, number // 20) if self.is_smoke else number


# ---- bodies ----

def families(number, prefix="f"):
    return "".join(f"{prefix}{at} {at}\n" for at in range(number)).encode()


def histogram(buckets):
    lines = [f'h_bucket{{le="{at}"}} {at}\n' for at in range(buckets)]
    return "".join(["# TYPE h histogram\n", *lines, f"h_sum 1\nh_count {buckets}\n"]).encode()


def helps(number, letter):
    """So many families with a help text of 100 kB each."""
    text = letter * 100_000
    lines = (f"# HELP helped_{at} {text}\n# TYPE helped_{at} gauge\nhelped_{at} 1\n" for at in range(number))
    return "".join(lines).encode()


def labelled(series):
    """One family whose series have ten labels."""
    return "".join("f{" + ",".join(f'{name}="{at}"' for name in NAMES) + "} 1\n" for at in range(series)).encode()


def sets_of_names(number):
    """Groups with so many different sets of label names, made of ten names; each holds the family of `labelled`."""
    chosen = (itertools.compress(NAMES, map(int, f"{mask:010b}")) for mask in range(1, number + 1))
    return (("job/x" + "".join(f"/{name}/v" for name in names), b"f 1\n") for names in chosen)


def put(path, body):
    return push_request(path, body)


def delete(path):
    return f"DELETE /metrics/{path} HTTP/1.1\r\nHost: hostile\r\n\r\n".encode()


# ---- the attacks ----

SEARCH = get("/api/v1/groups?search=")
# As many terms as there may be, all of which hold for all groups, an order of its own, and the longest page.
COSTLY = get("/api/v1/groups?sort=-pushed&limit=10000&search=" + "%20".join(f"absent{at}!=x" for at in range(16)))
GROUP = get("/api/v1/groups/job/a")


def protobuf(encoding, more=""):
    return get("/metrics", f"Accept: {PROTOBUF.replace('delimited', encoding)}\r\n{more}")


READERS = {"JSON": GROUP, "protobuf, delimited": protobuf("delimited"),
           "protobuf, delimited, gzip": protobuf("delimited", "Accept-Encoding: gzip\r\n"),
           "protobuf, text": protobuf("text"), "protobuf, compact text": protobuf("compact-text")}


def searching(size):
    groups, searches = size(100_000), size(600)
    name = f"{searches} pipelined searches in {count(groups)} groups"
    return Stage(lambda: small_groups(groups),
                 Attack(name, lambda: [crowd(1, SEARCH * searches, searches)]),
                 Attack(f"{name}, with 16 terms and 10,000 found", lambda: [crowd(1, COSTLY * searches, searches)]),
                 Attack(f"{name}, on ten connections", lambda: [crowd(10, SEARCH * searches, searches)]))


def naming(size):
    sets, series = size(990), size(20_000)
    return Stage(lambda: sets_of_names(sets),
                 Attack(f"push of {count(series)} series with 10 labels beside {sets} sets of names",
                        lambda: [repeat(put("job/big", labelled(series)))]))


def listing(size):
    number = size(64_000)
    body = families(number)
    return Stage(lambda: ((f"job/wide/instance/i{at}", body) for at in range(40)),
                 Attack(f"list of 40 groups of {count(number)} families", lambda: [repeat(get("/api/v1/groups"))]))


def one_large_group(size):
    number = size(1_000_000)
    label = f"a group of {count(number)} families"
    push = lambda: put("job/a", families(number))
    return Stage(lambda: [("job/a", families(number))],
                 Attack(f"JSON of {label}", lambda: [repeat(GROUP)]),
                 Attack(f"PUT of {label}, again and again", lambda: [repeat(push())]),
                 Attack(f"PUT and DELETE of {label}", lambda: [repeat(push(), delete("job/a"))]))


def pushed_buckets(size, buckets):
    number = size(buckets)
    return Stage(lambda: [], Attack(f"push of a histogram with {count(number)} buckets",
                                    lambda: [repeat(put("job/a", histogram(number)))]))


def shown_buckets(size, buckets):
    number = size(buckets)
    return Stage(lambda: [("job/a", histogram(number))],
                 Attack(f"JSON of a histogram with {count(number)} buckets", lambda: [repeat(GROUP)]))


def reading(size):
    series, readers = size(100_000), size(100)
    attack = lambda kind, request: Attack(f"{readers} readers of {kind}, {count(series)} series",
                                          lambda: [crowd(readers, request)])
    return Stage(lambda: [("job/a", large(series))], *(attack(*item) for item in READERS.items()))


def pushing(size):
    number, long = size(200_000), size(1000)
    # Each push has names of its own, so that it makes all its families and ends those of the last one.
    pushes = lambda: [put("job/a", families(number, prefix)) for prefix in ("first_", "second_")]
    texts = lambda: [put("job/b", helps(long, letter)) for letter in "xy"]
    return Stage(lambda: [],
                 Attack(f"{count(number)} new families in one push", lambda: [repeat(*pushes())]),
                 Attack(f"replacing {long / 10:g} MB of help", lambda: [repeat(*texts())]))


def unchecked(size):
    series = size(1_000_000)
    return Stage(lambda: medium_groups(series // 100),
                 Attack(f"/-/ready in a loop, unchecked, {count(series)} series", lambda: [repeat(get("/-/ready"))]),
                 flags=("--push.disable-consistency-check",))


def mix(size):
    """All of them at once, each with a part of its size, so that the server has memory and the load a core for them."""
    def stored():
        body = families(size(200_000))
        yield from small_groups(size(50_000))
        yield from sets_of_names(size(990))
        yield from ((f"job/wide/instance/i{at}", body) for at in range(4))
        yield "job/histogram", histogram(size(1_000_000))
        yield "job/a", large(size(50_000))

    def attackers():
        readers = [crowd(size(20), request) for request in READERS.values()]
        return [crowd(2, SEARCH * size(600), size(600)), crowd(1, COSTLY), repeat(get("/api/v1/groups")),
                repeat(put("job/big", labelled(size(20_000)))),
                repeat(get("/api/v1/groups/job/wide/instance/i0")),
                repeat(get("/api/v1/groups/job/histogram")), repeat(put("job/h", histogram(size(100_000)))),
                repeat(put("job/o", families(size(100_000), "other_")), delete("job/o")),
                repeat(*(put("job/t", helps(size(200), letter)) for letter in "xy")), *readers]

    return Stage(stored, Attack("all of these at once", attackers))


BUCKETS = [functools.partial(stage, buckets=number) for number in (1_000_000, 8_000_000)
           for stage in (pushed_buckets, shown_buckets)]
STAGES = [searching, naming, listing, one_large_group, *BUCKETS, reading, pushing, unchecked, mix]


# ---- measuring ----

class Found:
    """What was found of one attack: the honest client's waits alone and beside it; hostile requests done and refused,
    and connections cut; the server's memory in MiB before it and at its peak; for how many ms others had its core."""

    def __init__(self, name, alone, beside, counts=(0, 0, 0), memory=(math.nan, math.nan), noise=math.nan, remark=""):
        self.name, self.alone, self.beside, self.counts = name, alone, beside, counts
        self.memory, self.noise, self.remark = memory, noise, remark

    def figures(self):
        return {f"{self.name}, {key}": value for key, value in {
            "alone p50 ms": self.alone.p50(), "alone p99 ms": self.alone.p99(), "alone worst ms": self.alone.worst(),
            "p50 ms": self.beside.p50(), "p99 ms": self.beside.p99(), "worst ms": self.beside.worst(),
            "later than 5 ms, % of the time": self.beside.lost_percent(LATE_MS),
            "honest requests failed": self.beside.failed, "hostile requests done": self.counts[0],
            "hostile requests refused": self.counts[1], "hostile connections cut": self.counts[2],
            "RSS before MiB": self.memory[0],
            "RSS peak MiB": self.memory[1], "noise ms": self.noise}.items()}

    def line(self):
        waits = [wait for found in (self.alone, self.beside) for wait in (found.p50(), found.p99(), found.worst())]
        cells = [*(f"{wait:11.2f}" for wait in waits), f"{self.beside.lost_percent(LATE_MS):7.1f}",
                 *(f"{number:8}" for number in (self.beside.failed, *self.counts)),
                 *(f"{number:8.0f}" for number in (*self.memory, self.noise))]
        return f"{self.name:70}{''.join(cells)}{self.remark}"


WAITS = "".join(f"{name:>11}" for name in ("alone: p50", "p99", "worst", "beside: p50", "p99", "worst"))
COUNTS = "".join(f"{name:>8}" for name in ("failed", "done", "refused", "cut", "MiB", "peak", "noise"))
HEAD = f"{'ms that an honest client waits':70}{WAITS}{'late %':>7}{COUNTS}"


def attacked(server, honest, attack, size):
    """One attack on a server that has all that is stored first."""
    honest.wait_until_quiet(10)
    begin = time.perf_counter()
    time.sleep(size.alone_seconds)
    alone = honest.waits(begin, time.perf_counter())
    with contextlib.suppress(OSError):
        server.forget_peak()
    before, made = server.memory(), attack.attackers()
    begin, waited = time.perf_counter(), server.waited()
    with Attackers(made, server.port) as attackers:
        time.sleep(size.seconds)
        while not attackers.has_each_begun() and time.perf_counter() < begin + size.seconds + Attack.MORE_SECONDS:
            time.sleep(0.1)
        counts = attackers.counts()
    # That the attackers are gone is noticed as well.
    time.sleep(0.3)
    beside = honest.waits(begin, time.perf_counter())
    if server.process.poll() is not None:
        return Found(attack.name, alone, Waits([math.inf], 0), counts, remark="  the server has ended")
    noise = (server.waited() - waited) * 1000
    return Found(attack.name, alone, beside, counts, (before, server.memory("VmHWM")), noise)


def played(stage, size, wanted):
    """What was found of those attacks of a stage that are wanted."""
    attacks = [attack for attack in stage.attacks if wanted(attack.name)]
    if not attacks:
        return
    with servers.ours(*stage.flags, is_disposable=True) as server:
        fill(server.port, stage.stored())
        with Honest(server.port) as honest:
            for attack in attacks:
                if server.process.poll() is None:
                    yield attacked(server, honest, attack, size)
                else:
                    dead = Waits([math.inf], 0)
                    yield Found(attack.name, dead, dead, remark="  the server has ended")


def taken_over(size, wanted):
    """Starts with a file of the original. The honest client asks whether the server is healthy: it takes no pushes."""
    series = size(1_000_000)
    name = f"taking over a file of the original with {count(series)} series"
    if not wanted(name):
        return
    source = original_store(f"medium-{series // 100}", medium_groups(series // 100))
    waits, failed, peak = [], 0, 0
    for _ in range(3):
        path, port = os.path.join(servers.work_folder("import"), "metrics"), servers.free_port()
        shutil.copy(source, path)
        with Honest(port, healthy) as honest:
            begin = time.perf_counter()
            with servers.ours(f"--persistence.file={path}", port=port, patience=120) as server:
                beside = honest.waits(begin, time.perf_counter())
                waits, failed, peak = waits + beside.ordered, failed + beside.failed, max(peak, server.memory("VmHWM"))
                honest.wait_until_quiet(10)
                begin = time.perf_counter()
                time.sleep(size.alone_seconds)
                alone = honest.waits(begin, time.perf_counter())
    yield Found(name, alone, Waits(waits, failed), (3, 0, 0), (0, peak))


def pipelined_rate(port, request, seconds, batch=64):
    """Pushes a second on one connection, on which two batches of them are always under way: what the server can do."""
    done, left, tail, begin = 0, 0, b"", time.perf_counter()
    with Connection(port) as connection:
        connection.send(request * batch)
        while (now := time.perf_counter()) < begin + seconds:
            connection.send(request * batch)
            left += batch
            while left > 0:
                read = tail + connection.socket.recv(1 << 16)
                # Answers to pushes have no body; the end of one may be the beginning of what is looked for.
                found, tail = read.count(b"HTTP/1.1 200"), read[-len(b"HTTP/1.1 20"):]
                left, done = left - found, done + found
    return done / (now - begin)


def rate_beside_names(size, scale):
    """The rate of small pushes with ten labels, alone and beside many sets of names: two servers that take turns."""
    sets, rates = size(990), {"alone": [], "beside": []}
    with servers.ours() as alone, servers.ours() as beside:
        fill(beside.port, sets_of_names(sets))
        for _ in range(scale.slices):
            for name, server in (("alone", alone), ("beside", beside)):
                rates[name].append(pipelined_rate(server.port, put("job/big", labelled(1)), 1))
    alone, beside = (statistics.median(rates[name]) for name in ("alone", "beside"))
    return {"small pushes with 10 labels, alone 1/s": alone,
            f"small pushes with 10 labels, beside {sets} sets of names 1/s": beside,
            "small pushes with 10 labels, beside sets of names: of the rate alone": beside / alone}


def found_of(stage, size, wanted):
    begin = time.perf_counter()
    for found in stage(size, wanted) if stage is taken_over else played(stage(size), size, wanted):
        print(f".. hostile, {found.name}: {time.perf_counter() - begin:.1f} s", file=sys.stderr)
        yield found
        begin = time.perf_counter()


def hostile(scale, machine, show):
    """Shows the lines of the table, each as it is found; the figures by name."""
    size, figures = Size(scale.seconds == 1), {}
    words = [word for word in os.environ.get("BENCH_ATTACKS", "").split(",") if word]
    wanted = lambda name: not words or any(word in name for word in words)
    show(HEAD)
    for stage in [*STAGES[:-1], taken_over, STAGES[-1]]:
        with machine:
            for found in found_of(stage, size, wanted):
                show(found.line())
                figures |= found.figures()
    if wanted("rate"):
        with machine:
            rates = rate_beside_names(size, scale)
        figures |= rates
        for name, value in rates.items():
            show(f"{name:80}{value:12,.4g}")
    with open(os.path.join(servers.RESULTS, "hostile.json"), "w") as file:
        json.dump(figures, file, indent=1)
    return figures
