"""What hostile clients do, each in a process of its own: requests again and again on one connection, or by a crowd of
readers. They cost little, as they sleep in the kernel and read much at once; the server is what is busy."""
import mmap
import os
import select
import signal
import socket
import struct
import time

from load import READ_BYTES, Connection

TALLY = struct.Struct("=qqqq")


class Tally:
    """Requests of one attacker by what became of them, and its reads, in memory shared with the bench."""

    def __init__(self):
        self.shared = mmap.mmap(-1, TALLY.size)
        self.counts = [0, 0, 0, 0]

    def count(self, done=0, refused=0, lost=0, reads=0):
        self.counts = [count + more for count, more in zip(self.counts, (done, refused, lost, reads))]
        TALLY.pack_into(self.shared, 0, *self.counts)

    def read(self):
        return TALLY.unpack_from(self.shared)


class Attackers:
    """Processes that attack while the body of `with` runs; then they are killed, and their connections cut."""

    def __init__(self, attackers, port):
        self.tallies, self.children = [], []
        for attacker in attackers:
            tally = Tally()
            child = os.fork()
            if child == 0:
                try:
                    os.nice(10)
                    attacker(port, tally)
                finally:
                    os._exit(1)
            self.tallies.append(tally)
            self.children.append(child)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in self.children:
            os.kill(child, signal.SIGKILL)
        for child in self.children:
            os.waitpid(child, 0)

    def counts(self):
        """Of all: requests that were done, that were refused, whose connection was cut."""
        return tuple(map(sum, zip(*(tally.read()[:3] for tally in self.tallies))))

    def has_each_begun(self):
        """Whether each has had an answer, or a part of one."""
        return all(sum(tally.read()) > 0 for tally in self.tallies)


def get(path, headers=""):
    return f"GET {path} HTTP/1.1\r\nHost: hostile\r\n{headers}\r\n".encode()


def repeat(*requests):
    """Sends these requests in turn on one connection, each after the answer to the last."""
    def attack(port, tally):
        connection = None
        while True:
            for request in requests:
                try:
                    connection = connection or Connection(port)
                    connection.send(request)
                    status, _ = connection.receive()
                    tally.count(done=status < 300, refused=status >= 300)
                except OSError:
                    tally.count(lost=1)
                    connection = None
                    time.sleep(0.01)
    return attack


class Reader:
    """One of a crowd: a connection on which an answer is awaited, or many that were asked for at once."""

    def __init__(self, port, request, answers):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.request, self.answers = request, answers
        self.ask()

    def ask(self):
        self.left, self.tail = self.answers, b""
        self.socket.sendall(self.request)

    def take(self, buffer, read):
        """How many answers, all of them chunked, have ended with what was read; None if it is a refusal."""
        if not self.tail and not buffer.startswith(b"HTTP/1.1 2"):
            return None
        if self.answers > 1:
            # Heads within what was read, and one that began before it.
            across = self.tail[-8:] + buffer[:min(8, read)]
            self.left -= across.count(b"HTTP/1.1 ") + buffer.count(b"HTTP/1.1 ", 0, read)
        self.tail = (self.tail + buffer[max(0, read - 8):read])[-8:]
        is_over = self.tail.endswith(b"0\r\n\r\n") and (self.answers == 1 or self.left == 0)
        return self.answers if is_over else 0


def crowd(connections, request, answers=1):
    """Sends this request, which asks for so many answers, on each connection, and again once they have come."""
    def attack(port, tally):
        poll, readers, buffer = select.epoll(), {}, bytearray(READ_BYTES)

        def join():
            reader = Reader(port, request, answers)
            readers[reader.socket.fileno()] = reader
            poll.register(reader.socket, select.EPOLLIN)

        def leave(reader):
            del readers[reader.socket.fileno()]
            reader.socket.close()

        while True:
            try:
                for _ in range(connections - len(readers)):
                    join()
            except OSError:
                tally.count(lost=1)
                time.sleep(0.05)
            for number, _ in poll.poll(0.1):
                reader = readers[number]
                try:
                    read = reader.socket.recv_into(buffer)
                    done = reader.take(buffer, read) if read else None
                    if done:
                        reader.ask()
                except OSError:
                    read, done = 0, None
                if done is None:
                    leave(reader)
                tally.count(done=done or 0, refused=done is None and read > 0, lost=read == 0, reads=1)
    return attack
