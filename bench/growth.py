"""How cost grows: small tables of what a push, a scrape and memory cost as there is more of something."""
import servers
from load import Connection, fill, scrape_ms, small, small_groups, timed, wrk


def line(*cells):
    return "".join(f"{cell:>20}" if isinstance(cell, str) else f"{cell:>20,.4g}" if cell < 1000 else f"{cell:>20,.0f}"
                   for cell in cells)


def push_cost(server, seconds, groups, families=5):
    before = server.cpu()
    found = wrk(server.port, seconds, PUSH_GROUPS=groups, PUSH_FAMILIES=families)
    return (server.cpu() - before) / max(1, found["requests"]) * 1e6, found["rate"], found["p99"]


def by_groups(scale):
    yield "push cost against groups stored (5 families each)"
    yield line("groups", "CPU us/push", "pushes/s", "p99 ms", "floor pushes/s")
    for groups in ([1, 1000] if scale.seconds == 1 else [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]):
        with servers.floor() as server:
            floor = wrk(server.port, scale.seconds, PUSH_GROUPS=groups)["rate"]
        with servers.ours() as server:
            fill(server.port, small_groups(groups))
            yield line(groups, *push_cost(server, scale.seconds, groups), floor)


def by_families_stored(scale):
    yield "push cost against families in the store (the push has 5; 1,000 groups; the others are in one group of their own)"
    yield line("families", "CPU us/push", "pushes/s", "p99 ms")
    for families in ([10, 1000] if scale.seconds == 1 else [10, 100, 1000, 10_000, 100_000]):
        others = "".join(f"# TYPE other_{f} gauge\nother_{f} {f}\n" for f in range(families)).encode()
        with servers.ours() as server:
            fill(server.port, [("job/others", others), *small_groups(1000)])
            yield line(families, *push_cost(server, scale.seconds, 1000))


def by_families_pushed(scale):
    yield "push cost against families per push (100 groups)"
    yield line("families", "CPU us/push", "us/family", "pushes/s", "p99 ms")
    for families in ([1, 10] if scale.seconds == 1 else [1, 2, 5, 10, 20, 50, 100, 200]):
        with servers.ours() as server:
            fill(server.port, small_groups(100, families))
            used, rate, p99 = push_cost(server, scale.seconds, 100, families)
            yield line(families, used, used / families, rate, p99)


def by_page_fill(scale):
    yield "push cost against what shares the pages of its family (one family of one line; as many groups as are shown)"
    yield line("groups", "KiB of family", "CPU us/push", "pushes/s", "p99 ms")
    for groups in ([1, 300] if scale.seconds == 1 else [1, 10, 30, 100, 200, 300, 400, 600, 1000, 3000]):
        with servers.ours() as server, Connection(server.port) as connection:
            fill(server.port, small_groups(groups, 1))
            scrape = bytearray()
            connection.get(keep=scrape)
            text = sum(len(shown) + 1 for shown in scrape.splitlines() if shown.startswith(b"batch_metric_1{"))
            yield line(groups, text / 1024, *push_cost(server, scale.seconds, groups, 1))


def by_changed(scale):
    groups = 2000 if scale.seconds == 1 else 20_000
    yield f"gzip scrape against changed groups ({groups} groups of 5 families; changed ones spread over all, or neighbours)"
    yield line("changed %", "spread ms", "neighbours ms", "spread of all", "neighbours of all")
    with servers.ours() as server, Connection(server.port) as connection:
        ordered = sorted(small_groups(groups))
        fill(server.port, ordered)
        connection.get(encoding="gzip")
        rows, value = [], 0
        for percent in (0, 0.1, 1, 2, 5, 10, 25, 50, 100):
            number, times = int(groups * percent / 100), []
            for step in (groups // max(1, number), 1):
                value = (value + 1) % 10
                some = [(path, small(5, value)) for path, _ in ordered[::step][:number]]
                if some:
                    fill(server.port, some)
                times.append(timed(lambda: connection.get(encoding="gzip")) * 1000)
            rows.append((percent, times))
        whole = rows[-1][1]
        for percent, times in rows:
            yield line(percent, *times, times[0] / whole[0], times[1] / whole[1])


def by_size(scale):
    yield "scrape cost against series (groups of 5 families)"
    yield line("series", "identity ms", "warm gzip ms", "us per 1k identity", "us per 1k gzip")
    for groups in ([200, 2000] if scale.seconds == 1 else [200, 2000, 20_000, 200_000]):
        with servers.ours() as server, Connection(server.port) as connection:
            fill(server.port, small_groups(groups))
            identity, compressed = scrape_ms(connection, 5), scrape_ms(connection, 5, encoding="gzip")
            per = groups * 5 / 1000
            yield line(groups * 5, identity, compressed, identity / per * 1000, compressed / per * 1000)


def memory_of(pushes, series):
    with servers.ours() as server, Connection(server.port) as connection:
        empty = server.memory()
        fill(server.port, pushes)
        used, peak = server.memory() - empty, server.memory("VmHWM") - empty
        text = connection.get() / (1 << 20)
        return text, used, used / text, peak / text, used * (1 << 20) / series, (used - text) * (1 << 20) / series


MEMORY = ("text MiB", "RSS MiB", "RSS/text", "peak/text", "bytes/series", "beyond text")


def memory_by_series(scale):
    for shape, per in (("groups of 5 families of one series", 5), ("groups of one family of one series", 1)):
        yield f"memory against series ({shape}); without what an empty gateway takes"
        yield line("series", *MEMORY)
        for series in ([1000, 10_000] if scale.seconds == 1 else [1000, 10_000, 100_000, 1_000_000]):
            yield line(series, *memory_of(small_groups(series // per, per), series))


def memory_by_label(scale):
    series = 2000 if scale.seconds == 1 else 100_000
    yield f"memory against label length ({series:,} series in groups of 100, one label)"
    yield line("label bytes", *MEMORY)
    for length in (1, 10, 50, 100, 500, 1000):
        body = "".join(f'm{{x="{"v" * length}{s:02}"}} {s}\n' for s in range(100)).encode()
        yield line(length, *memory_of(((f"job/labels/i/{g}", body) for g in range(series // 100)), series))


def memory_by_families(scale):
    series = 2000 if scale.seconds == 1 else 100_000
    yield f"memory against families ({series:,} series; each group has the same families of one series)"
    yield line("families", *MEMORY)
    for families in (1, 10, 100, 1000):
        yield line(families, *memory_of(small_groups(series // families, families), series))
    yield "the same, but each group with families of its own"
    yield line("families/group", *MEMORY)
    for families in (1, 10, 100, 1000):
        own = ((f"job/own/i/{g}", "".join(f"g{g}_f{f} {f}\n" for f in range(families)).encode())
               for g in range(series // families))
        yield line(families, *memory_of(own, series))


TABLES = [by_groups, by_families_stored, by_families_pushed, by_page_fill, by_changed, by_size, memory_by_series,
          memory_by_label, memory_by_families]


def growth(scale, machine):
    """The tables, each as a list of lines."""
    for table in TABLES:
        with machine:
            lines = list(table(scale))
        yield lines
