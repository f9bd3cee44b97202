"""A web server of our own that keeps what it is sent and answers as a test wishes."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class HttpSink:
    """``answers`` are given one by one, then 200; ``calls`` holds method, path and body."""

    answers: list[int] = field(default_factory=list)
    calls: list[tuple[str, str, bytes]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)  # of the calls, names in lower case
    headers: dict[str, str] = field(default_factory=dict)
    slow_s: float = 0.0
    port: int = 0
    server: Any = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret-part"

    def open(self) -> None:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def _take(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                sink.heads.append({k.lower(): v for k, v in self.headers.items()})
                sink.calls.append((self.command, self.path, self.rfile.read(length)))
                time.sleep(sink.slow_s)
                status = sink.answers.pop(0) if sink.answers else 200
                self.send_response(status)
                for name, value in sink.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_GET = do_POST = _take  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
