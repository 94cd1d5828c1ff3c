"""The rows of the bench: each does the same work with the servers it names and returns what it measured.

A row is a function of a server's name and a Scale. It returns figures by name; a name says its unit. Or it is a
function of the names of servers that take turns, and returns the figures of each.
"""
import contextlib
import gzip
import os
import shutil
import statistics
import time

import servers
from load import (PROTOBUF, Connection, fill, large, meanwhile, medium_groups, scrape_ms, small_groups, timed, wrk)

ROWS = {}


class Scale:
    """How much work: the full bench, or a minute of it."""

    def __init__(self, is_smoke):
        # What takes the original many seconds is done in the first run only.
        self.is_first_run = True
        self.seconds = 1 if is_smoke else 2
        # Slices of a second in which servers that are compared take turns.
        self.slices = 1 if is_smoke else 3
        self.groups = [1, 200] if is_smoke else [1, 1000, 20_000, 100_000]
        # The original is asked to hold so many groups; beyond a bound each push takes it a second.
        self.original_groups_fast = 1000
        self.families = [1, 10] if is_smoke else [1, 10, 100]
        self.series = [1000, 20_000] if is_smoke else [1000, 100_000, 1_000_000]
        self.large = [20_000] if is_smoke else [100_000, 1_000_000]
        self.million = 50_000 if is_smoke else 1_000_000
        self.compared = 20_000 if is_smoke else 100_000
        self.churn = int(os.environ.get("BENCH_CHURN") or (20_000 if is_smoke else 1_000_000))
        self.durable_connections = [1, 64]
        # The reported workloads: how long each takes, and how long the original may take to store what is there before.
        self.reported_seconds = 1 if is_smoke else 20
        self.stored_seconds = 2 if is_smoke else 20


def row(name, *names):
    """Registers a row that is done with these servers, one after the other; those of a tuple together."""
    def register(function):
        ROWS[name] = (names, function)
        return function
    return register


def count(number):
    """A number as people write it in the names of figures: 1k, 100k, 1M."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return str(number)


# ---- stores of the original, made once ----

def original_store(name, pushes):
    """A persistence file of the original with these groups in it, filled without its check, which would take hours."""
    folder = os.path.join(servers.WORK, "original")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        with servers.original(f"--persistence.file={path}.new", "--push.disable-consistency-check") as server:
            fill(server.port, pushes)
        os.rename(f"{path}.new", path)
    return path


def original_with(name, pushes):
    """The original, checked as by default, with these groups stored."""
    path = original_store(name, pushes)
    shutil.copy(path, f"{path}.used")
    return servers.original(f"--persistence.file={path}.used", patience=120, is_disposable=True)


def open_empty(name):
    return {"ours": servers.ours, "original": servers.original, "floor": servers.floor}[name]()


def filled_medium(name, series):
    groups = series // 100
    if name == "original":
        return original_with(f"medium-{groups}", medium_groups(groups))
    server = servers.ours()
    fill(server.port, medium_groups(groups))
    return server


# ---- small pushes ----

def push_figures(by_name, label, slices, seconds=1, **load):
    """Rates and latencies of wrk by server, and what its processor did for a push. Servers take turns, a slice of time
    each: a machine that is shared is faster at one moment than at the next."""
    found, used = {name: [] for name in by_name}, dict.fromkeys(by_name, 0.0)
    for _ in range(slices):
        for name, server in by_name.items():
            before = server.cpu()
            found[name].append(wrk(server.port, seconds, **load))
            used[name] += server.cpu() - before
    return {name: push_summary(label, found[name], used[name]) for name in by_name}


def push_summary(label, slices, used):
    middle = lambda key: statistics.median(found[key] for found in slices)
    done = max(1, sum(found["requests"] for found in slices))
    return {f"{label}, pushes/s": middle("rate"), f"{label}, p50 ms": middle("p50"), f"{label}, p99 ms": middle("p99"),
            f"{label}, p99.9 ms": middle("p99.9"), f"{label}, CPU s/M": used / done * 1e6,
            f"{label}, failed": sum(found["failed"] for found in slices)}


def open_filled(stack, names, pushes):
    """Servers by name with these groups stored, as far as they store any; they end with the stack."""
    by_name = {name: stack.enter_context(open_empty(name)) for name in names}
    for name, server in by_name.items():
        if name != "floor":
            fill(server.port, pushes())
    return by_name


def add_figures(figures, more):
    for name, found in more.items():
        figures[name] |= found


@row("push", ("ours", "floor"), ("original",))
def small_pushes(names, scale):
    """Small pushes, with a kept connection and one for each, with more and more groups stored."""
    figures = {name: {} for name in names}
    for groups in scale.groups:
        is_slow = names == ("original",) and groups > scale.original_groups_fast
        if is_slow and not scale.is_first_run:
            continue
        with contextlib.ExitStack() as stack:
            label = f"small push, {count(groups)} groups"
            if is_slow:
                server = stack.enter_context(original_with(f"small-{groups}", small_groups(groups)))
                slow = dict(slices=1, seconds=3 * scale.seconds, connections=2, PUSH_GROUPS=groups)
                add_figures(figures, push_figures({"original": server}, f"{label}, kept", **slow))
                continue
            by_name = open_filled(stack, names, lambda: small_groups(groups))
            for kind, load in (("kept", {}), ("new", {"PUSH_CLOSE": 1})):
                found = push_figures(by_name, f"{label}, {kind}", scale.slices, PUSH_GROUPS=groups, **load)
                add_figures(figures, found)
    return figures


@row("families", ("ours", "floor"), ("original",))
def families(names, scale):
    """Pushes of more and more families to 100 groups."""
    figures = {name: {} for name in names}
    for number in scale.families:
        with contextlib.ExitStack() as stack:
            by_name = open_filled(stack, names, lambda: small_groups(100, number))
            load = dict(PUSH_GROUPS=100, PUSH_FAMILIES=number)
            for name, found in push_figures(by_name, f"{number} families", scale.slices, **load).items():
                wanted = (label for label in found if not label.endswith(("p50 ms", "p99.9 ms")))
                figures[name] |= {label: found[label] for label in wanted}
    return figures


# ---- large pushes ----

@row("large", "ours", "original", "floor")
def large_pushes(name, scale):
    """One push of many series: into an empty store, again, and small pushes on other connections meanwhile."""
    figures = {}
    for series in scale.large:
        label, bodies = f"large push, {count(series)} series", [large(series), large(series, 0.5)]
        megabytes = len(bodies[0]) / 1e6
        is_slow = name == "original" and series > 100_000
        if is_slow and not scale.is_first_run:
            continue
        with open_empty(name) as server, Connection(server.port) as connection:
            push = lambda at: connection.push("job/big", bodies[at % 2])
            figures[f"{label}, first MB/s"] = megabytes / timed(lambda: push(0))
            if is_slow:
                continue
            before = server.cpu()
            times = sorted(timed(lambda: push(at)) for at in range(1, 4))
            figures[f"{label}, replacing MB/s"] = megabytes / times[1]
            figures[f"{label}, CPU s per GB"] = (server.cpu() - before) / 3 / megabytes * 1000
            if name != "floor":
                figures |= small_while_large(server, label, bodies, scale)
    return figures


def small_while_large(server, label, bodies, scale):
    paced = dict(PUSH_GROUPS=100, PUSH_DELAY=5)
    alone = wrk(server.port, scale.seconds, 15, **paced)

    def push_large():
        with Connection(server.port) as connection:
            for body in bodies:
                connection.push("job/big", body)

    with meanwhile(push_large) as done:
        found = wrk(server.port, scale.seconds * 2, 15, **paced)
        pushed = done()
    return {f"{label}, pushed while small ones were": pushed,
            f"{label}, small alone p99 ms": alone["p99"], f"{label}, small meanwhile p50 ms": found["p50"],
            f"{label}, small meanwhile p99 ms": found["p99"], f"{label}, small meanwhile p99.9 ms": found["p99.9"],
            f"{label}, small meanwhile failed": found["failed"]}


# ---- scrapes ----

def scraped(series):
    """Text and compressed text of our scrape of so many series, for the servers that can only send a file."""
    folder = os.path.join(servers.WORK, "scraped")
    os.makedirs(folder, exist_ok=True)
    paths = [os.path.join(folder, f"{series}.{ending}") for ending in ("txt", "gz")]
    if not all(os.path.exists(path) for path in paths):
        with filled_medium("ours", series) as server, Connection(server.port) as connection:
            for path, encoding in zip(paths, ("identity", "gzip")):
                body = bytearray()
                connection.get(encoding=encoding, keep=body)
                with open(path, "wb") as file:
                    file.write(body)
    with open(paths[0], "rb") as text, open(paths[1], "rb") as compressed:
        return paths[0], text.read(), compressed.read()


def scrape_server(name, series):
    if name in ("ours", "original"):
        return filled_medium(name, series)
    path, text, compressed = scraped(series)
    if name == "floor":
        return servers.floor(path)
    return servers.nginx(text, compressed, sendfile=name == "nginx")


@row("scrape", "ours", "original", "nginx", "nginx, copying", "floor")
def scrapes(name, scale):
    """Scrapes of groups with 10 families of 10 series each."""
    figures = {}
    for series in scale.series:
        if name == "original" and series > 100_000:
            continue
        label = f"scrape, {count(series)} series"
        with scrape_server(name, series) as server, Connection(server.port) as connection:
            if series <= 1000:
                for encoding in ("identity", "gzip"):
                    found = wrk(server.port, scale.seconds, SCRAPE=encoding)
                    figures[f"{label}, {encoding} warm 1/s"] = found["rate"]
                continue
            figures |= scrape_figures(name, label, server, connection, series)
    return figures


def scrape_figures(name, label, server, connection, series):
    """Times and sizes of single scrapes over a kept connection."""
    times = 3 if series > 100_000 or name == "original" else 7
    figures = {}

    def measure(what, encoding, accept="text/plain"):
        request = dict(encoding=encoding, accept=accept)
        figures[f"{label}, {what} ms"] = scrape_ms(connection, times, **request)

    before = server.cpu()
    measure("identity", "identity")
    figures[f"{label}, identity CPU ms"] = (server.cpu() - before) / (times + 1) * 1000
    figures[f"{label}, text MB"] = connection.get() / 1e6
    if name == "floor":
        return figures
    if name == "ours":
        figures |= cold_figures(label, server, connection, series)
    measure("gzip warm", "gzip")
    figures[f"{label}, gzip MB"] = connection.get(encoding="gzip") / 1e6
    if name in ("ours", "original"):
        measure("protobuf", "identity", PROTOBUF)
    return figures


def cold_figures(label, server, connection, series):
    """Compressed scrapes after everything has changed, and after one group in a hundred has: of groups all over the
    store, and of neighbours."""
    groups = list(medium_groups(series // 100, value=1))
    fill(server.port, groups)
    text = connection.get()
    cold = timed(lambda: connection.get(encoding="gzip"))
    figures = {f"{label}, gzip cold ms": cold * 1000, f"{label}, gzip cold MB/s": text / 1e6 / cold}
    changed = list(medium_groups(series // 100, value=2))
    ordered = sorted(changed)
    connection.get(encoding="gzip")
    for what, some in (("spread", ordered[::100]), ("neighbours", ordered[:len(ordered) // 100])):
        fill(server.port, some)
        seconds = timed(lambda: connection.get(encoding="gzip"))
        figures[f"{label}, gzip, 1 % {what} ms"] = seconds * 1000
        figures[f"{label}, gzip, 1 % {what} of cold"] = seconds / cold
    return figures


@row("mixed", "ours", "original")
def pushes_while_scraped(name, scale):
    """Small pushes at a steady pace while scrapes follow one another without a pause."""
    figures = {}
    for series in scale.series[1:]:
        if name == "original" and series > 100_000:
            continue
        with filled_medium(name, series) as server:
            for encoding in ("identity", "gzip"):
                # Bound early: the child process keeps what it sees now.
                connection = Connection(server.port)
                with meanwhile(lambda: connection.get(encoding=encoding)) as done:
                    seconds = scale.seconds * (3 if name == "original" else 1)
                    begin = time.perf_counter()
                    found = wrk(server.port, seconds, PUSH_GROUPS=100, PUSH_DELAY=5)
                    rate = done() / (time.perf_counter() - begin)
                connection.socket.close()
                label = f"pushes while {encoding} scrapes of {count(series)} series run"
                figures |= {f"{label}, {key} ms": found[key] for key in ("p50", "p99", "p99.9")}
                figures[f"{label}, pushes/s"] = found["rate"]
                figures[f"{label}, scrapes/s"] = rate
    return figures


# ---- memory ----

@row("memory", "ours", "original")
def memory(name, scale):
    """Resident memory: idle, with so many series in three shapes, at its peak, after many replacing pushes."""
    figures = {}
    with open_empty(name) as server:
        time.sleep(0.5)
        figures["RSS idle MiB"] = server.memory()
    with open_empty(name) as server, Connection(server.port) as connection:
        connection.push("job/big", large(scale.compared))
        for _ in range(3):
            connection.get(encoding="gzip")
        figures[f"RSS, {count(scale.compared)} series in one push and scraped, MiB"] = server.memory()
    if name == "ours":
        figures |= memory_of_shapes(scale)
        figures |= churn(scale)
    return figures


def memory_of_shapes(scale):
    figures, number = {}, scale.million
    shapes = {
        "groups of 10 x 10": lambda: medium_groups(number // 100),
        "groups of 5": lambda: small_groups(number // 5),
        "one push": lambda: [("job/big", large(number))],
    }
    for shape, pushes in shapes.items():
        label = f"{count(number)} series, {shape}"
        with servers.ours() as server, Connection(server.port) as connection:
            empty = server.memory()
            fill(server.port, pushes())
            loaded, peak = server.memory(), server.memory("VmHWM")
            text = connection.get() / (1 << 20)
            figures |= {f"{label}, text MiB": text, f"{label}, RSS MiB": loaded, f"{label}, RSS/text": loaded / text,
                        f"{label}, peak/text": peak / text,
                        f"{label}, bytes per series": (loaded - empty) * (1 << 20) / number}
            connection.get(encoding="gzip")
            figures[f"{label}, RSS/text after a gzip scrape"] = server.memory() / text
            figures |= replaced(server, label, pushes, text)
    return figures


def replaced(server, label, pushes, text):
    """Everything pushed once more."""
    fill(server.port, pushes())
    return {f"{label}, RSS/text, pushed twice": server.memory() / text,
            f"{label}, peak/text, pushed twice": server.memory("VmHWM") / text}


def churn(scale):
    """Many pushes that replace groups, with values of different lengths."""
    values = [0, 123_456, 7, 1_234_567_890, 89]
    with servers.ours() as server:
        for value in values:
            fill(server.port, small_groups(1000, value=value))
        start, begin = server.memory(), time.perf_counter()
        for at in range(scale.churn // 1000):
            fill(server.port, small_groups(1000, value=values[at % len(values)]))
        seconds = time.perf_counter() - begin
        return {f"RSS after {count(scale.churn)} replacing pushes, MiB": server.memory(),
                "RSS after replacing pushes, of the start": server.memory() / start,
                "replacing pushes sent in advance 1/s": scale.churn / seconds}


# ---- start, size, disk ----

@row("start", "ours", "original")
def start(name, scale):
    """The time until a server is ready: empty, and with a file of many groups."""
    figures = {}
    for _ in range(3):
        with open_empty(name) as server:
            figures["ready empty ms"] = min(server.ready_ms, figures.get("ready empty ms", 1e9))
    number = scale.million
    label = f"ready with {count(number)} series ms"
    if name == "original" and not scale.is_first_run:
        return figures
    if name == "original":
        with original_with(f"medium-{number // 100}", medium_groups(number // 100)) as server:
            return figures | {label: server.ready_ms}
    path = os.path.join(servers.work_folder("start"), "metrics.redb")
    flags = (f"--persistence.file={path}", "--persistence.sync=interval")
    with servers.ours(*flags) as server:
        figures["ready with an empty file ms"] = server.ready_ms
        figures["RSS idle with a file MiB"] = server.memory()
        fill(server.port, medium_groups(number // 100))
    figures["persistence file MB"] = os.path.getsize(path) / 1e6
    with servers.ours(*flags) as server, Connection(server.port) as connection:
        figures[label] = server.ready_ms
        figures["RSS/text after loading"] = server.memory() * (1 << 20) / connection.get()
    return figures


@row("size", "ours", "original")
def size(name, scale):
    """The binary, and what the compressed scrape saves beside gzip -6."""
    if name == "original":
        return {"binary MB": os.path.getsize(shutil.which(servers.ORIGINAL)) / 1e6}
    _, text, compressed = scraped(scale.compared)
    return {"binary MB": os.path.getsize(servers.OURS) / 1e6,
            "binary without features MB": os.path.getsize(servers.BARE) / 1e6,
            "gzip bytes, of gzip -6": len(compressed) / len(gzip.compress(text, 6))}


@row("durable", "ours", "original")
def durable(name, scale):
    """Pushes that are kept: on the disk before the answer, at an interval, and (the original) in five minutes."""
    figures = {}
    kinds = ["interval"] if name == "original" else ["always", "interval"]
    for kind in kinds:
        path = os.path.join(servers.work_folder("durable"), "metrics")
        sync = [] if name == "original" else [f"--persistence.sync={kind}"]
        opened = servers.original if name == "original" else servers.ours
        with opened(f"--persistence.file={path}", *sync) as server:
            fill(server.port, small_groups(100))
            for connections in scale.durable_connections:
                found = wrk(server.port, scale.seconds, connections, PUSH_GROUPS=100)
                label = f"kept pushes, {kind}, {connections} connections"
                figures |= {f"{label}, 1/s": found["rate"], f"{label}, p99 ms": found["p99"]}
    return figures
