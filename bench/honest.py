"""The honest client of the hostile rows: one small request every few milliseconds on a kept connection, and how long
each one waits for its answer.

It is a process of its own that goes before everything else on its core, so that what it waits for is the server and not
the load beside it. What it finds stands in memory that it shares with the bench, which may look at any time.
"""
import contextlib
import gc
import mmap
import os
import signal
import socket
import struct
import time

PAUSE_SECONDS = 0.0025
# How long the bench waits for an answer that is overdue when it wants to know.
PATIENCE_SECONDS = 20
RECORDS_MAX = 400_000

PRIORITIES = ["real-time priority", "priority -10", "no priority of its own: its own delays count as the server's"]
# Number of records; place in PRIORITIES; since when a request has been waiting (0: none is); milliseconds for which the
# process was ready and did not have its core.
HEADER = struct.Struct("=qqdd")
# When it was sent, how many seconds it waited, whether it was answered 2xx.
RECORD = struct.Struct("=ddd")


def push(at):
    body = b"honest_a %d\nhonest_b 2\n" % at
    return b"PUT /metrics/job/honest HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def healthy(_):
    return b"GET /-/healthy HTTP/1.1\r\nHost: h\r\n\r\n"


class Waits:
    """What requests of some time waited, in ms, and how many were not answered as they should be."""

    def __init__(self, waits, failed):
        self.ordered, self.failed = sorted(waits), failed

    def percentile(self, share):
        if not self.ordered:
            return float("inf")
        return self.ordered[min(len(self.ordered) - 1, int(share * len(self.ordered)))]

    def p50(self):
        return self.percentile(0.5)

    def p99(self):
        return self.percentile(0.99)

    def worst(self):
        return self.percentile(1)

    def lost_percent(self, bound):
        """The part of the time that went by in waits longer than `bound` ms. A client that asks nothing while it waits
        sees a long wait only once, so that percentiles show too little of it."""
        whole = sum(self.ordered) + len(self.ordered) * PAUSE_SECONDS * 1000
        return 100 * sum(wait for wait in self.ordered if wait > bound) / whole if whole else float("inf")


class Honest:
    """The client at work: it begins when this is made, and ends with `with`. It waits for a server that does not listen
    yet."""

    def __init__(self, port, request=push):
        self.shared = mmap.mmap(-1, HEADER.size + RECORD.size * RECORDS_MAX)
        self.child = os.fork()
        if self.child == 0:
            try:
                work(port, request, self.shared)
            finally:
                os._exit(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        self.shared.close()

    def header(self):
        return HEADER.unpack_from(self.shared)

    def priority(self):
        return PRIORITIES[self.header()[1]]

    def held_up_ms(self):
        """For how long the client itself did not get its core, so far."""
        return self.header()[3]

    def records(self, first=0):
        end = HEADER.size + RECORD.size * self.header()[0]
        return list(RECORD.iter_unpack(self.shared[HEADER.size + RECORD.size * first:end]))

    def waits(self, begin, end):
        """Of the requests that were sent from `begin` to `end`. One that is not answered yet is waited for, within
        limits; then it counts with what it has waited."""
        while 0 < self.header()[2] < end and time.perf_counter() < end + PATIENCE_SECONDS:
            time.sleep(0.001)
        found = [record for record in self.records() if begin <= record[0] < end]
        waits = [seconds * 1000 for _, seconds, _ in found]
        pending = self.header()[2]
        if begin <= pending < end:
            waits.append((time.perf_counter() - pending) * 1000)
        return Waits(waits, sum(not is_done for _, _, is_done in found))

    def wait_until_quiet(self, patience):
        """Until 100 requests in a row waited less than 5 ms, within `patience` seconds."""
        end = time.perf_counter() + patience
        while time.perf_counter() < end:
            first = self.header()[0]
            time.sleep(0.5)
            recent = self.records(first)
            if len(recent) >= 100 and all(seconds < 0.005 for _, seconds, _ in recent):
                return


def go_first():
    """Puts this process before others on its core, as far as it may; the place in PRIORITIES of what it got."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
        return 0
    with contextlib.suppress(OSError):
        os.nice(-10)
        return 1
    return 2


def connected(port):
    while True:
        with contextlib.suppress(OSError):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        time.sleep(0.001)


def work(port, request, shared):
    gc.disable()
    priority, connection = go_first(), connected(port)
    # Read from /proc once in a while: nanoseconds on the core, nanoseconds ready without it, times on it.
    schedule = os.open("/proc/self/schedstat", os.O_RDONLY)
    for count in range(RECORDS_MAX):
        message, begin = request(count), time.perf_counter()
        if count % 100 == 0:
            held_up = int(os.pread(schedule, 100, 0).split()[1]) / 1e6
        HEADER.pack_into(shared, 0, count, priority, begin, held_up)
        answer = b""
        with contextlib.suppress(OSError):
            connection.sendall(message)
            answer = connection.recv(1 << 16)
        seconds = time.perf_counter() - begin
        RECORD.pack_into(shared, HEADER.size + RECORD.size * count, begin, seconds, answer.startswith(b"HTTP/1.1 2"))
        HEADER.pack_into(shared, 0, count + 1, priority, 0, held_up)
        if not answer:
            connection.close()
            connection = connected(port)
        time.sleep(PAUSE_SECONDS)
