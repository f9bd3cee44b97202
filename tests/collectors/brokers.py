"""A virtual host of a test's own on the real RabbitMQ, and a way to cut the line to it."""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import threading
import time
import urllib.request
from typing import Any
from urllib.parse import quote

import pika

MANAGEMENT = "http://127.0.0.1:15672"
GUEST = pika.PlainCredentials("guest", "guest")


class RabbitHost:
    """A virtual host with an account of its own; ``close`` removes both."""

    def __init__(self) -> None:
        self.vhost = f"tower-{secrets.token_hex(4)}"
        self.user, self.password = f"u-{self.vhost}", secrets.token_urlsafe(12)
        self.call("PUT", f"/api/vhosts/{self.vhost}")
        self.set_password(self.password)
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        for user in (self.user, "guest"):
            self.call("PUT", f"/api/permissions/{self.vhost}/{user}", rights)
        self._connection = pika.BlockingConnection(
            pika.ConnectionParameters(  # a test may leave it alone for minutes
                "127.0.0.1", virtual_host=self.vhost, credentials=GUEST, heartbeat=0
            )
        )
        self.channel = self._connection.channel()
        self.channel.confirm_delivery()

    def set_password(self, password: str) -> None:
        self.call("PUT", f"/api/users/{self.user}", {"password": password, "tags": "monitoring"})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        asked = urllib.request.Request(  # noqa: S310  this machine's broker
            f"{MANAGEMENT}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "authorization": "Basic " + base64.b64encode(b"guest:guest").decode(),
                "content-type": "application/json",
            },
        )
        with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310
            text = answer.read()
        return json.loads(text) if text else None

    def declare(self, queue: str, **arguments: Any) -> None:
        kept = {name.replace("_", "-"): value for name, value in arguments.items()}
        self.channel.queue_declare(queue, durable=True, arguments=kept)

    def publish(self, queue: str, body: bytes, **properties: Any) -> None:
        self.channel.basic_publish("", queue, body, pika.BasicProperties(**properties))

    def depth(self, queue: str) -> int:
        """Messages that are ready, once none is on its way back to the queue any more."""
        until = time.monotonic() + 20
        seen = [-1, -2, -3]
        while time.monotonic() < until:
            found = self.channel.queue_declare(queue, passive=True)
            seen = [*seen[1:], found.method.message_count]
            if len(set(seen)) == 1:
                break
            time.sleep(0.02)
        return seen[-1]

    def address(self, port: int = 5672) -> str:
        return f"amqp://127.0.0.1:{port}/{quote(self.vhost, safe='')}"

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()
        self.call("DELETE", f"/api/vhosts/{self.vhost}")
        self.call("DELETE", f"/api/users/{self.user}")


class Line:
    """A TCP line to a port of this machine that can be cut and mended."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._is_cut = False
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._is_cut = True
        for one in self._open:
            one.close()
        self._open.clear()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listening.accept()
            except OSError:
                return
            if self._is_cut:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._to))
            self._open += [here, there]
            for one, other in ((here, there), (there, here)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
