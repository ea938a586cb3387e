"""Odoo as servers of its own, for tests and benches: one, or several nodes behind a load balancer."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import requests

ROOT = pathlib.Path(__file__).resolve().parent.parent


def find_ports(count):
    """Return ports of this machine that nobody listens on."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _number in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Node:
    """A server of Odoo on a database."""

    def __init__(self, database, *options, environ=None):
        """Describe a server.

        :param options: of Odoo's command line
        :param environ: further variables of its environment
        """
        # The second one is for the process that keeps connections open, of servers with workers.
        self.port, kept_open = find_ports(2)
        self.base = f"http://127.0.0.1:{self.port}"
        self.process = None
        self._command = [
            *(sys.executable, "-W", "ignore", ROOT / "tools" / "odoo_server.py", "-d", database),
            *("--http-port", str(self.port), "--gevent-port", str(kept_open)),
            *("--db-filter", f"^{database}$", "--db_maxconn", "64", "--log-level", "error"),
            *options,
        ]
        self._environ = {
            **os.environ,
            "ODOO_RC": str(ROOT / "var" / "odoo.conf"),
            **(environ or {}),
        }

    def start(self):
        # With the processes that it starts in a group of its own.
        self.process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environ, start_new_session=True
        )

    def wait_until_ready(self):
        for _time in range(120):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.base}/web/health", timeout=30).ok:
                    return
            time.sleep(0.5)  # between two looks at whether it answers
        raise AssertionError("The server does not answer")

    def stop(self):
        self.process.terminate()
        self.process.wait(30)

    def kill(self):
        """Have it and all its processes die at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@contextlib.contextmanager
def serve(database, *options):
    """Run Odoo on a database, with options of its command line; yield its address and process."""
    node = Node(database, *options)
    node.start()
    try:
        node.wait_until_ready()
        yield node.base, node.process
    finally:
        node.stop()


class Balancer:
    """Passes connections on to nodes, to each in its turn, and past those that do not answer."""

    def __init__(self):
        """Listen on a port of this machine."""
        self.nodes = []
        self._turns = itertools.count()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._socket.close()

    def _accept(self):
        while True:
            try:
                connection, _address = self._socket.accept()
            except OSError:  # it is closed
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection):
        with connection, contextlib.suppress(OSError):
            first = next(self._turns)
            for number in range(len(self.nodes)):
                node = self.nodes[(first + number) % len(self.nodes)]
                with contextlib.suppress(ConnectionRefusedError):
                    with socket.create_connection(("127.0.0.1", node.port)) as there:
                        back = threading.Thread(target=relay, args=(there, connection), daemon=True)
                        back.start()
                        relay(connection, there)
                        back.join()
                    return


def relay(source, target):
    """Pass on what comes, until it ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def serve_nodes(database, count, *options, places=2, workers=2):
    """Run nodes with a job queue behind a load balancer; yield them once the database has a runner.

    :param places: how many jobs of ours run at the same time
    :param workers: of each node
    """
    balancer = Balancer()
    environ = {
        "ODOO_QUEUE_JOB_CHANNELS": f"root:{places + 1},root.reseller_billing:{places}",
        "ODOO_QUEUE_JOB_HOST": "127.0.0.1",
        "ODOO_QUEUE_JOB_PORT": str(balancer.port),
    }
    nodes = [
        Node(
            database,
            *("--workers", str(workers), "--max-cron-threads", "0"),
            *("--load", "base,rpc,web,queue_job"),
            *options,
            environ=environ,
        )
        for _number in range(count)
    ]
    balancer.nodes = nodes
    try:
        for node in nodes:
            node.start()
        for node in nodes:
            node.wait_until_ready()
        yield nodes
    finally:
        balancer.close()
        for node in nodes:
            with contextlib.suppress(ProcessLookupError):
                node.kill()
