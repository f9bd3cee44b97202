"""A NATS server with JetStream of a test's own."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from tests.collectors.conformance import World
from tests.collectors.worlds import network
from tower.network import Network

PASSWORD = "a-password-of-this-test"


class Server:
    """A server with JetStream, and one account without it."""

    def __init__(self) -> None:
        program = shutil.which("nats-server")
        if program is None:
            pytest.fail("TOWER_REQUIRE names nats, but there is no nats-server on the PATH.")
        self.program = program
        self.folder = Path(tempfile.mkdtemp(prefix="tower-nats-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (self.folder / "server.conf").write_text(
            f'listen: "127.0.0.1:{self.port}"\n'
            f'jetstream: {{store_dir: "{self.folder}/store"}}\n'
            "accounts: {\n"
            f'  WITH: {{jetstream: enabled, users: [{{user: tower, password: "{PASSWORD}"}}]}}\n'
            f'  BARE: {{users: [{{user: bare, password: "{PASSWORD}"}}]}}\n'
            "}\n"
        )
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [self.program, "-c", str(self.folder / "server.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.02)
        raise AssertionError("the server does not start")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def do(self, work: Callable[[Any], Awaitable[None]]) -> None:
        """Let a client work on its JetStream."""

        async def run() -> None:
            client = await nats.connect(self.url, user="tower", password=PASSWORD)
            try:
                await work(client.jetstream())
            finally:
                await client.close()

        asyncio.run(run())


def net_with(url: str, options: str = "", user: str = "tower") -> Network:
    return network(
        "sources:\n  feed: {kind: nats, format: queue, system: erp, options: "
        f"{{url: '{url}', user: {user}, password_variable: PW, timeout: 3s{options}}}}}"
    )


class ServerWorld(World):
    """A server that can go away."""

    secret = PASSWORD
    pace = timedelta(minutes=1)

    def __init__(self, folder: Path) -> None:
        self.server = Server()
        super().__init__(folder)

    def secrets(self) -> Mapping[str, str]:
        return {"PW": PASSWORD}

    @contextlib.contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()

    def close(self) -> None:
        self.server.close()
