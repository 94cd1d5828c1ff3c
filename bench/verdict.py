"""The numbers that are wanted, and whether they hold."""
import math


class Number:
    """A wanted number. `found` takes a look-up of medians and returns what is compared with `bound`."""

    def __init__(self, text, sign, bound, found):
        self.text, self.sign, self.bound, self.found = text, sign, bound, found

    def judge(self, look):
        try:
            found = self.found(look)
        except (KeyError, ZeroDivisionError):
            return None
        if math.isnan(found):
            return None
        return found, found >= self.bound if self.sign == ">=" else found <= self.bound


def ratio(figure, server, row, inverse=False):
    """Ours by another server's; `inverse` for times, where less is more."""
    def found(look):
        ours, theirs = look(row, "ours", figure), look(row, server, figure)
        return theirs / ours if inverse else ours / theirs
    return found


def figure(row, *names):
    """The worst (highest) of some figures of ours."""
    return lambda look: max(look(row, "ours", name) for name in names)


GROUPS = ["1", "1k", "20k", "100k"]
SHAPES = ["groups of 10 x 10", "groups of 5", "one push"]


def numbers():
    push = [f"small push, {groups} groups" for groups in GROUPS]
    wanted = []
    for kind, bound in (("kept", 0.75), ("new", 0.9)):
        wanted += [Number(f"{label}, {kind}: of the floor", ">=", bound, ratio(f"{label}, {kind}, pushes/s", "floor", "push"))
                   for label in push]
    wanted += [
        Number("small push at 100k groups: of the rate at one group", ">=", 0.85, lambda look:
               look("push", "ours", f"{push[3]}, kept, pushes/s") / look("push", "ours", f"{push[0]}, kept, pushes/s")),
        Number("small push, 16 connections: worst p99 ms", "<=", 1,
               figure("push", *(f"{label}, {kind}, p99 ms" for label in push for kind in ("kept", "new")))),
    ]
    for size, bound in (("100k", 250), ("1M", 200)):
        label = f"large push, {size} series"
        wanted += [
            Number(f"{label}: first, MB/s", ">=", bound, figure("large", f"{label}, first MB/s")),
            Number(f"{label}: replacing, MB/s", ">=", bound, figure("large", f"{label}, replacing MB/s")),
            Number(f"{label}: small pushes meanwhile, p99 ms", "<=", 5,
                   figure("large", f"{label}, small meanwhile p99 ms")),
        ]
    for size in ("100k", "1M"):
        label = f"scrape, {size} series"
        wanted += [Number(f"{label}, {kind}: of {server}", ">=", 0.8, ratio(f"{label}, {kind} ms", server, "scrape", True))
                   for kind in ("identity", "gzip warm") for server in ("nginx", "nginx, copying")]
        wanted += [Number(f"{label}, gzip cold: MB/s of text", ">=", 200, figure("scrape", f"{label}, gzip cold MB/s"))]
        wanted += [Number(f"{label}, gzip after 1 % changed ({where}): of cold", "<=", 0.05,
                          figure("scrape", f"{label}, gzip, 1 % {where} of cold")) for where in ("neighbours", "spread")]
    for shape in SHAPES:
        label = f"1M series, {shape}"
        wanted += [Number(f"{label}: RSS/text", "<=", 1.7, figure("memory", f"{label}, RSS/text")),
                   Number(f"{label}: peak/text", "<=", 2.2, figure("memory", f"{label}, peak/text")),
                   Number(f"{label}: peak/text when pushed twice", "<=", 2.2,
                          figure("memory", f"{label}, peak/text, pushed twice"))]
    wanted += [
        Number("RSS idle without persistence, MiB", "<=", 3.5, figure("memory", "RSS idle MiB")),
        Number("RSS after replacing pushes: of the start", "<=", 1.05,
               figure("memory", "RSS after replacing pushes, of the start")),
        Number("binary, MB", "<=", 5, figure("size", "binary MB")),
        Number("binary without features, MB", "<=", 1.5, figure("size", "binary without features MB")),
        Number("ready empty, ms", "<=", 5, figure("start", "ready empty ms")),
    ]
    return wanted + against_the_original()


def against_the_original():
    return [
        Number("small pushes at one group: of the original", ">=", 30,
               ratio("small push, 1 groups, kept, pushes/s", "original", "push")),
        Number("small pushes at 1,000 groups: of the original", ">=", 500,
               ratio("small push, 1k groups, kept, pushes/s", "original", "push")),
        Number("large push of 100k series: of the original", ">=", 15,
               ratio("large push, 100k series, replacing MB/s", "original", "large")),
        Number("warm identity scrape of 100k series: of the original", ">=", 20,
               ratio("scrape, 100k series, identity ms", "original", "scrape", True)),
        Number("warm gzip scrape of 100k series: of the original", ">=", 20,
               ratio("scrape, 100k series, gzip warm ms", "original", "scrape", True)),
        Number("memory at 100k series: of the original's", "<=", 1 / 8,
               ratio("RSS, 100k series in one push and scraped, MiB", "original", "memory")),
    ]


def hostile_numbers(figures):
    """What is wanted of each hostile row that was measured."""
    beside = lambda ending: [name for name in figures if name.endswith(ending) and "alone" not in name]
    take = lambda name: lambda look: look("hostile", "ours", name)
    wanted = [Number(f"{name}", "<=", 5, take(name)) for name in beside(", p99 ms")]
    wanted += [Number(f"{name}", "<=", 30, take(name)) for name in beside(", worst ms")]
    failed = beside(", honest requests failed")
    wanted += [Number("requests of honest clients that failed", "<=", 0, lambda look:
                      sum(look("hostile", "ours", name) for name in failed))]
    return wanted + [Number(name, ">=", 0.3, take(name)) for name in figures if name.endswith("of the rate alone")]


def verdict(look, wanted=None):
    """Lines of the table of those numbers that were measured."""
    judged = [(number, number.judge(look)) for number in wanted or numbers()]
    lines = [f"{'number':84} {'wanted':>10} {'found':>10}"]
    for number, found in judged:
        if found:
            value, holds = found
            wanted = f"{number.sign} {number.bound:.4g}"
            lines.append(f"{number.text:84} {wanted:>10} {value:>10.4g}  {'holds' if holds else 'MISSED'}")
    return lines
