"""The servers that are compared: starting them on core 0, what they use, stopping them."""
import atexit
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.abspath(os.environ.get("CARGO_TARGET_DIR") or os.path.join(HERE, "..", "target"))
OURS = os.environ.get("BENCH_BIN") or os.path.join(TARGET, "release", "pushgateway")
BARE = os.path.join(TARGET, "bare", "release", "pushgateway")
FLOOR = os.path.join(TARGET, "floor", "release", "floor")
ORIGINAL = "prometheus-pushgateway"
RESULTS = os.path.join(TARGET, "bench")
# On the disk: persistence is measured, and a file system in memory would make it look free.
os.makedirs(RESULTS, exist_ok=True)
WORK = tempfile.mkdtemp(prefix="run-", dir=RESULTS)
atexit.register(shutil.rmtree, WORK, ignore_errors=True)

SERVER_CORE, LOAD_CORE = 0, 1

NGINX = """daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile {sendfile}; tcp_nopush on; keepalive_requests 1000000000;
  types {{ }} default_type "text/plain; version=0.0.4; charset=utf-8";
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}; gzip_static on; }}
}}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def work_folder(name):
    """An empty folder of this name."""
    folder = os.path.join(WORK, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


class Server:
    """A process pinned to core 0. A context manager; `with` ends when the process has."""

    def __init__(self, command, port, ready="/-/ready", patience=60.0, log=None, is_disposable=False):
        self.port = port
        # Whether it may be killed: a server that is far behind would go on for minutes before it ends.
        self.is_disposable = is_disposable
        os.sched_setaffinity(0, {SERVER_CORE})
        output = open(log, "wb") if log else subprocess.DEVNULL
        begin = time.perf_counter()
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        finally:
            os.sched_setaffinity(0, {LOAD_CORE})
        self.pid = self.process.pid
        try:
            self._wait(ready, begin + patience)
        except BaseException:
            self.stop()
            raise
        self.ready_ms = (time.perf_counter() - begin) * 1000

    def _wait(self, path, end):
        """Asks until the server is ready, every fifth of a millisecond at first, as that is what is measured."""
        pause = 0.0002
        while time.perf_counter() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args[0]} has ended with status {self.process.returncode}")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                connection.request("GET", path)
                status = connection.getresponse().status
                connection.close()
                if status < 500:
                    return
            except OSError:
                pass
            time.sleep(pause)
            pause = min(pause * 1.05, 0.02)
        raise SystemExit(f"{self.process.args[0]} does not answer")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.is_disposable:
            self.process.kill()
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            print(f".. {self.process.args} has not ended within a minute", file=sys.stderr)
            self.process.kill()
            self.process.wait()

    def cpu(self):
        """CPU seconds of all threads so far."""
        nanoseconds = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                nanoseconds += int(file.read().split()[0])
        return nanoseconds / 1e9

    def waited(self):
        """Seconds for which the first thread, which serves, was ready and did not have its core."""
        with open(f"/proc/{self.pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9

    def memory(self, field="VmRSS"):
        """Resident memory in MiB; with VmHWM the most that it ever was."""
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith(field)) / 1024

    def forget_peak(self):
        """Lets VmHWM begin anew from what is resident now."""
        with open(f"/proc/{self.pid}/clear_refs", "w") as file:
            file.write("5")


def ours(*flags, binary=OURS, level="error", port=None, **options):
    port = port or free_port()
    command = [binary, f"--web.listen-address=127.0.0.1:{port}", f"--log.level={level}", *flags]
    return Server(command, port, **options)


def original(*flags, **options):
    if not any(flag.startswith("--persistence.file") for flag in flags):
        flags = ("--persistence.file=", *flags)
    return ours(*flags, binary=ORIGINAL, **options)


def floor(file=None):
    port = free_port()
    return Server([FLOOR, str(port), *([file] if file else [])], port, ready="/-/ready")


def nginx(text, compressed, sendfile=True):
    """Serves a scrape as a static file, and a compressed scrape where gzip is accepted."""
    folder = work_folder("nginx")
    for name, content in (("metrics", text), ("metrics.gz", compressed)):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)
    port = free_port()
    configuration = os.path.join(folder, "nginx.conf")
    with open(configuration, "w") as file:
        file.write(NGINX.format(folder=folder, port=port, sendfile="on" if sendfile else "off"))
    return Server(["nginx", "-c", configuration, "-p", folder], port, ready="/nginx.conf")
