"""What is sent to the servers, and how long they take for it."""
import contextlib
import json
import math
import os
import socket
import statistics
import subprocess
import threading
import time

from servers import HERE, LOAD_CORE

CLIENT = ["taskset", "-c", str(LOAD_CORE)]
FORMAT = "Content-Type: text/plain; version=0.0.4\r\n"
READ_BYTES = 1 << 20


class Failed(Exception):
    """An answer that is no success."""


# ---- bodies ----

def small(families=5, value=0):
    """A push of a batch job: one gauge in each family. The same text as in load.lua."""
    return "".join(
        f"# HELP batch_metric_{f} A metric pushed by a batch job.\n# TYPE batch_metric_{f} gauge\n"
        f'batch_metric_{f}{{phase="load",shard="{f}"}} {f * 17 + value}.5\n' for f in range(1, families + 1)).encode()


def large(series, value=0.25):
    """One family with many series of three labels."""
    lines = ["# HELP big_metric Big family.\n# TYPE big_metric gauge\n"]
    lines += [f'big_metric{{id="{i}",path="/var/lib/data/{i % 97}",zone="eu-west-{i % 3}"}} {i + value}\n'
              for i in range(series)]
    return "".join(lines).encode()


def medium(families=10, series=10, value=0, helps="Work done, by stage and shard."):
    """A push of a larger job: some families with some series each."""
    lines = []
    for f in range(families):
        lines.append(f"# HELP job_stage_{f}_total {helps}\n# TYPE job_stage_{f}_total counter\n")
        lines += [f'job_stage_{f}_total{{stage="stage-{s % 7}",shard="{s}"}} {f * 1000 + s + value}\n'
                  for s in range(series)]
    return "".join(lines).encode()


def push_request(path, body, method="PUT"):
    head = f"{method} /metrics/{path} HTTP/1.1\r\nHost: bench\r\n{FORMAT}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


# ---- one connection ----

class Connection:
    """A kept connection that reads answers into one buffer: what the client costs is little more than the copy."""

    def __init__(self, port, timeout=300.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = memoryview(bytearray(READ_BYTES))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, request):
        self.socket.sendall(request)

    def receive(self, keep=None):
        """Status and length of one answer; its body is appended to `keep`."""
        read, end = 0, -1
        while end < 0:
            count = self.socket.recv_into(self.buffer[read:])
            if count == 0:
                raise ConnectionError("closed without an answer")
            read += count
            end = bytes(self.buffer[:min(read, 65536)]).find(b"\r\n\r\n")
        head = bytes(self.buffer[:end]).decode("latin-1").lower()
        status, part = int(head.split(None, 2)[1]), self.buffer[end + 4:read]
        if keep is not None:
            keep += part
        if "\r\ntransfer-encoding: chunked" in head:
            return status, self._chunks(part, keep)
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        left = length - len(part)
        while left > 0:
            count = self.socket.recv_into(self.buffer, min(left, READ_BYTES))
            if count == 0:
                raise ConnectionError("closed within an answer")
            left -= count
            if keep is not None:
                keep += self.buffer[:count]
        return status, length

    def _chunks(self, part, keep):
        """Reads to the end of a chunked body; it is not taken apart, so that the client is as fast as with a length.

        Compressed bytes may hold what ends a body, but not at the end of what a server has sent so far.
        """
        length, tail = len(part), bytes(part[-5:])
        while tail != b"0\r\n\r\n":
            count = self.socket.recv_into(self.buffer)
            if count == 0:
                raise ConnectionError("closed within an answer")
            length += count
            tail = (tail + bytes(self.buffer[max(0, count - 5):count]))[-5:]
            if keep is not None:
                keep += self.buffer[:count]
        return length

    def push(self, path, body, method="PUT"):
        self.send(push_request(path, body, method))
        status, _ = self.receive()
        if status >= 300:
            raise Failed(f"push to {path}: {status}")

    def get(self, path="/metrics", encoding="identity", accept="text/plain", keep=None):
        self.send(f"GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: {accept}\r\n"
                  f"Accept-Encoding: {encoding}\r\n\r\n".encode())
        status, length = self.receive(keep)
        if status != 200:
            raise Failed(f"GET {path}: {status}")
        return length


def timed(action):
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def scrape_ms(connection, times=5, **request):
    """The median of some scrapes after a first one, which is not counted."""
    connection.get(**request)
    return statistics.median(timed(lambda: connection.get(**request)) for _ in range(times)) * 1000


PROTOBUF = ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")


# ---- many requests ----

def fill(port, pushes, window=64):
    """Sends pushes (paths and bodies) over one connection, `window` at a time without waiting for answers."""
    with Connection(port) as connection:
        waiting = 0

        def settle(count):
            # Answers to pushes have no body and are counted by their status lines.
            found = b""
            while count > 0:
                data = connection.socket.recv(1 << 16)
                if not data:
                    raise ConnectionError("closed while pushes waited")
                found += data
                count -= found.count(b"HTTP/1.1 2")
                if b"HTTP/1.1 4" in found or b"HTTP/1.1 5" in found:
                    raise Failed(found[:300].decode("latin-1"))
                found = found[-9:] if not found.endswith(b"\r\n\r\n") else b""
            return count

        batch = []
        for path, body in pushes:
            batch.append(push_request(path, body))
            if len(batch) == window:
                connection.send(b"".join(batch))
                waiting = settle(waiting + len(batch))
                batch = []
        connection.send(b"".join(batch))
        settle(waiting + len(batch))


def small_groups(count, families=5, value=0):
    body = small(families, value)
    return ((f"job/bench/instance/i{g}", body) for g in range(count))


def medium_groups(count, families=10, series=10, value=0):
    body = medium(families, series, value)
    return ((f"job/work/instance/w{g}", body) for g in range(count))


def wrk(port, seconds, connections=16, **environment):
    """What wrk found: rate and latencies in ms."""
    values = dict(os.environ, **{name: str(value) for name, value in environment.items()})
    command = [*CLIENT, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s",
               "-s", os.path.join(HERE, "load.lua"), f"http://127.0.0.1:{port}"]
    output = subprocess.run(command, env=values, capture_output=True, text=True, check=True).stdout
    found = json.loads(output[output.index("{"):])
    found["rate"] = found["requests"] / found["seconds"]
    return found


@contextlib.contextmanager
def meanwhile(action):
    """Repeats an action in a process of its own, of low priority, while the body of `with` runs; yields how to ask how
    often it was done."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.nice(10)
            while True:
                action()
                os.write(writing, b"x")
        finally:
            os._exit(1)
    os.set_blocking(reading, False)

    def done():
        try:
            return len(os.read(reading, 1 << 16))
        except BlockingIOError:
            return 0

    try:
        yield done
    finally:
        os.kill(child, 15)
        os.waitpid(child, 0)
        os.close(reading)
        os.close(writing)


class Outcome:
    """What became of requests that were due at given times."""

    def __init__(self):
        self.latencies, self.failures, self.skipped = [], 0, 0
        self.lock = threading.Lock()

    def add(self, seconds, is_done):
        with self.lock:
            if is_done:
                self.latencies.append(seconds)
            else:
                self.failures += 1

    def percentile(self, share):
        """In ms, of those that were done."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000 if ordered else math.nan


def paced(port, pushes, rate, seconds, workers=64, timeout=30.0, retries=0, kept=True):
    """Sends pushes at a rate, whether or not earlier ones were answered; latencies count from when a push was due.

    A push is a path and a body, or a call that makes one. `kept` keeps connections; a push without an answer after
    `timeout` has failed, and is sent again up to `retries` times.
    """
    outcome, queue, begin = Outcome(), iter(pushes), time.perf_counter()
    lock, sent = threading.Lock(), [0]

    def next_due():
        with lock:
            due = sent[0] / rate
            if due >= seconds:
                return None
            push = next(queue, None)
            if push is None:
                return None
            sent[0] += 1
            return due, push

    def attempt(connection, path, body):
        connection = connection or Connection(port, timeout)
        try:
            connection.push(path, body)
        except (OSError, Failed):
            connection.socket.close()
            return None
        if not kept:
            connection.socket.close()
            return False
        return connection

    def work():
        connection = None
        while (item := next_due()) is not None:
            due, (path, body) = item
            time.sleep(max(0.0, begin + due - time.perf_counter()))
            if time.perf_counter() > begin + seconds + timeout:
                with outcome.lock:
                    outcome.skipped += 1
                continue
            for _ in range(1 + retries):
                try:
                    answer = attempt(connection or None, path, body)
                except OSError:
                    answer = None
                connection = answer or None
                if answer is not None:
                    break
                with outcome.lock:
                    outcome.failures += 1
            if answer is not None:
                outcome.add(time.perf_counter() - begin - due, True)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outcome.wall = time.perf_counter() - begin
    return outcome
