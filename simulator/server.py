"""The pretend web services: the ERP's journal, the portal, the broker's management API.

One small threaded server of the standard library. It answers as of ``now``, which may be virtual,
and refuses with 503 while an outage is planned for that door.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from simulator.queues import Backlog, Broker, Stay
from simulator.stage import Stage

if TYPE_CHECKING:
    from simulator.world import World

Query = dict[str, str]

MOST_RECORDS = 1000


class Server:
    """Running until ``close``; usable as a context manager.

    now  the instant as of which it answers: a fixed one, or a function that tells it
    """

    def __init__(
        self,
        stage: Stage,
        broker: Broker,
        port: int = 0,
        now: datetime | Callable[[], datetime] | None = None,
    ) -> None:
        self.stage = stage
        self.broker = broker
        self.now: datetime | Callable[[], datetime] | None = now
        self._http = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.1,), name="pretend-services", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._http.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def instant(self) -> datetime:
        if self.now is None:
            return self.stage.now
        return self.now() if callable(self.now) else self.now

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def answer(self, path: str, query: Query) -> tuple[int, Any]:
        """(status, body) for a path; bodies are JSON values."""
        now = self.instant()
        door = path.split("/")[1]
        if self.stage.is_down(door, now):
            return 503, {"error": "Service unavailable", "reason": "maintenance of the host"}
        if path == "/erp/changes":
            return self._changes("erp", "value", path, query, now)
        if path == "/portal/activity":
            return self._changes("portal", "items", path, query, now)
        if path == "/api/overview":
            return 200, self.broker.overview(now)
        if path in ("/api/queues", "/api/queues/detailed"):
            totals_only = query.get("disable_stats") == "true" and path == "/api/queues"
            return 200, _paged(self.broker.queues(now, rates=not totals_only), query)
        return 404, {"error": "Object Not Found", "reason": "Not Found"}

    def _changes(
        self, door: str, name: str, path: str, query: Query, now: datetime
    ) -> tuple[int, Any]:
        """Records changed at or after ``changed_since``, oldest first, in pages of ``limit``."""
        try:
            limit = min(int(query.get("limit", "200")), MOST_RECORDS)
            skip = int(query.get("skip", "0"))
            since = datetime.fromisoformat(
                query.get("changed_since", "1970-01-01T00:00:00Z").replace(" ", "+")
            )
        except ValueError as error:
            return 400, {"error": "Bad request", "reason": str(error)}
        if limit < 1 or skip < 0:
            return 400, {"error": "Bad request", "reason": "limit and skip count records"}
        if since.tzinfo is None:
            since = since.replace(tzinfo=UTC)
        # Stamps are written in whole seconds: compare what a reader can know.
        found = [
            record
            for record in self.stage.records(door, now)
            if record.at.replace(microsecond=0) >= since
        ]
        page = found[skip : skip + limit]
        following = None
        if skip + limit < len(found):
            following = f"{self.url}{path}?{urlencode(query | {'skip': str(skip + limit)})}"
        return 200, {name: [record.body for record in page], "next": following}


def _paged(items: Sequence[Any], query: Query) -> Any:
    """A plain list, or with ``page`` the object that RabbitMQ wraps around a page."""
    if "page" not in query:
        return items
    size = max(1, min(int(query.get("page_size", "100")), 500))
    page = int(query["page"])
    shown = items[(page - 1) * size : page * size]
    return {
        "filtered_count": len(items),
        "item_count": len(shown),
        "items": shown,
        "page": page,
        "page_count": -(-len(items) // size),
        "page_size": size,
        "total_count": len(items),
    }


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
            status, body = server.answer(parts.path.rstrip("/"), query)
            content = json.dumps(body, ensure_ascii=False).encode()
            tag = f'"{hashlib.sha256(content).hexdigest()[:20]}"'
            if status == 200 and self.headers.get("If-None-Match") == tag:
                status, content = 304, b""
            self.send_response(status)
            if status == 200:
                self.send_header("Content-Type", "application/json; charset=utf-8")
            if status in (200, 304):
                self.send_header("ETag", tag)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
            """Nobody reads an access log of pretend services."""

    return Handler


def serve_stage(
    stage: Stage,
    seed: int,
    port: int = 0,
    stays: Sequence[Stay] = (),
    backlogs: Sequence[Backlog] = (),
) -> Server:
    return Server(stage, Broker(seed, stays, backlogs), port)


def serve(world: World, port: int = 0) -> Server:
    """Serve a world on 127.0.0.1; port 0 takes a free one. Answers as of ``world.now``."""
    return Server(world.stage, Broker(world.seed, world.stays, world.backlogs), port)
