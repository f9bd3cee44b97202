"""Access logs of API gateways: what one line tells about one call.

A line is JSON (Kong, nginx with a JSON log_format, any other by its paths), or the common or
combined format of Apache httpd and nginx, with ``name=value`` pairs behind it if there are any:

    203.0.113.7 - acme [27/Mar/2026:10:00:00 +0000] "POST /v1/orders HTTP/1.1" 201 52 "-" "curl"
    rt=0.120 rid=7f3a rl_limit=60 rl_remaining=12

Combined lines have the fields host, user, time, method, url, protocol, status, bytes, referer and
agent. Format: httpd.apache.org mod_log_config, nginx ngx_http_log_module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from collectors import values
from collectors.limits import parse_json
from collectors.mapped import MappedInterpreter
from collectors.mapped_reading import MappedReading
from collectors.records import Expression, JsonRecord, Place, as_text, compile_expression
from tower.errors import PayloadRejected
from tower.feeds import CallOptions, PushOptions
from tower.gateway import route_of
from tower.network import Network, Source
from tower.raw import Raw

_COMBINED = re.compile(
    rb"(?P<host>\S+) \S+ (?P<user>.+?) \[(?P<time>[^\]]+)\] "
    rb'"(?:(?P<method>[A-Z]+) (?P<url>\S+)(?: (?P<protocol>[^"]*))?|[^"]*)" '
    rb"(?P<status>\d{3}|-) (?P<bytes>\d+|-)"
    rb'(?: "(?P<referer>(?:[^"\\]|\\.)*)" "(?P<agent>(?:[^"\\]|\\.)*)")?'
    rb"(?P<more>(?: .*)?)\Z"
)
_PAIR = re.compile(rb'(?<=\s)([A-Za-z_][\w.-]*)=(?:"([^"]*)"|(\S+))')
_COMBINED_TIME = "%d/%b/%Y:%H:%M:%S %z"

_IN_JSON = {
    "time": "time | time_iso8601 | @timestamp | timestamp | time_local",
    "method": "method | request_method",
    "url": "request_uri | uri | path | url",
    "status": "status | status_code",
    "latency": "request_time | latency | duration",
    "partner": "partner | consumer | remote_user | user",
    "request_id": "request_id | id",
    "limit": "ratelimit_limit | rate_limit",
    "remaining": "ratelimit_remaining | rate_remaining",
}
_IN_KONG = {
    "time": "started_at",
    "route": "route.name",
    "method": "request.method",
    "url": "request.uri | request.url",
    "status": "response.status",
    "latency": "latencies.request",
    "partner": "consumer.username | consumer.custom_id | authenticated_entity.consumer_id",
    "request_id": "request.id | request.headers.x-request-id | response.headers.x-request-id",
    "limit": "response.headers.ratelimit-limit | response.headers.x-ratelimit-limit-minute",
    "remaining": "response.headers.ratelimit-remaining | "
    "response.headers.x-ratelimit-remaining-minute",
}
_IN_COMBINED = {
    "time": "time",
    "method": "method",
    "url": "url",
    "status": "status",
    "latency": "rt | request_time",
    "partner": "partner | user",
    "request_id": "rid | request_id",
    "limit": "rl_limit",
    "remaining": "rl_remaining",
}
PATHS = {"json": _IN_JSON, "kong": _IN_KONG, "combined": _IN_COMBINED}
"""Layout -> field -> expression."""
IN_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001}
LATENCY_IN = {"json": "s", "kong": "ms", "combined": "s"}


class AccessLine(JsonRecord):
    """One call: the fields of its line, and what is made of them.

    route, method, url, status (text), latency_ms, partner (key of a partner, else missing; what was
    sent for it in partner_sent), request_id, limit, remaining, outcome (ok, failed,
    throttled), error_class, text, time
    """

    __slots__ = ("_read_at", "latency_ms", "limit", "moment", "remaining")

    def __init__(
        self,
        sent: JsonRecord,
        told: Mapping[str, Any],
        read_at: Mapping[str, tuple[JsonRecord, str]],
        moment: datetime,
    ) -> None:
        super().__init__({**sent.value, **told}, "$", frozenset({""}))
        self._read_at = read_at
        self.moment = moment
        self.latency_ms: float | None = told["latency_ms"]
        self.limit: int | None = told["limit"]
        self.remaining: int | None = told["remaining"]

    @property
    def status(self) -> int | None:
        text = self.value["status"]
        return None if text is None else int(text)

    def place(self, path: str) -> Place:
        found = self._read_at.get(path.removesuffix("_sent"))
        if found is None:
            return Place("line", is_literal=False)
        record, where = found
        place = record.place(where)
        is_same = str(record.get(where)) == str(self.value.get(path))
        return place._replace(is_literal=place.is_literal and is_same)


class CombinedLine(JsonRecord):
    """The fields of a line in common or combined format, with the bytes they were read from."""

    __slots__ = ("_spans",)

    def __init__(self, line: bytes) -> None:
        match = _COMBINED.match(line.rstrip(b"\r"))
        if match is None:
            raise PayloadRejected(
                "The line is neither in common nor in combined format.",
                code="bad_row",
                advice="Correct layout in the options of the source, or the log_format of the "
                "gateway.",
            )
        spans = {
            name: match.span(name)
            for name, value in match.groupdict().items()
            if value not in (None, b"-") and name != "more"
        }
        for pair in _PAIR.finditer(line, match.start("more")):
            spans.setdefault(pair[1].decode(), pair.span(2 if pair[2] is not None else 3))
        found = {name: line[a:b].decode("utf-8", "replace") for name, (a, b) in spans.items()}
        super().__init__(found, "line", frozenset({"", "-"}))
        self._spans = spans

    def place(self, path: str) -> Place:
        start, end = self._spans.get(path, (0, 0))
        return Place(path, start, end - start)


class AccessLogInterpreter(MappedInterpreter):
    """Calls that failed, one event each, by the mapping ``access_log`` or one of the source's."""

    name = "access_log"
    version = 1

    def _read(self, reading: MappedReading, raw: Raw) -> None:
        reading.record(layout_of(reading.source, reading.net).read(raw.body), None, "line:1")


class Layout:
    """How the lines of one source are read."""

    def __init__(self, source: Source, options: CallOptions, net: Network) -> None:
        self._net = net
        self._options = options
        self._zone = net.zone(source.zone)
        paths = {**PATHS[options.layout], **options.fields}
        self._paths: dict[str, Expression] = {
            name: compile_expression(text) for name, text in paths.items()
        }
        self._to_ms = IN_MS[options.latency_in or LATENCY_IN[options.layout]]
        usual = {"combined": (_COMBINED_TIME,), "kong": ("epoch_ms",)}.get(options.layout)
        self._forms = options.time_format or usual or (_COMBINED_TIME,)

    def call(self, line: bytes) -> AccessLine | None:
        """The call that a line tells; None for one that cannot be read, and has to be kept."""
        try:
            return self.read(line)
        except Exception:
            # Also a bug of ours: the line is brought, and its interpreter makes it a dead letter.
            return None

    def read(self, line: bytes) -> AccessLine:
        """The call that a line tells. Raises PayloadRejected: ``bad_row`` or what parse_json
        raises; a call without time, status or URL is one.
        """
        sent: JsonRecord
        if self._options.layout == "combined":
            sent = CombinedLine(line)
        else:
            value = parse_json(line)
            if not isinstance(value, dict):
                raise _bad("is no JSON object")
            sent = JsonRecord(value, "$", frozenset({"", "-"}))
        read_at: dict[str, tuple[JsonRecord, str]] = {}
        found: dict[str, Any] = {}
        for name, read in self._paths.items():
            seen = read(sent, None, 0)
            if seen is not None:
                found[name] = seen.value
                if isinstance(seen.record, JsonRecord):
                    read_at[name] = (seen.record, seen.path)
        moment = self._moment(found.get("time"))
        status = _status(found.get("status"))
        url = as_text(found.get("url")) or ""
        method = as_text(found.get("method"))
        route = as_text(found.get("route"))
        if route is None:
            route = route_of(method, url, self._options.routes)
        latency = _number(found.get("latency"))
        partner = self._net.partner_by_any(as_text(found.get("partner")) or "")
        told = {
            **{name: value for name, value in found.items() if name not in ("latency", "partner")},
            "time": moment.isoformat(),
            "route": route[:200],
            "method": method,
            "url": url,
            "status": status,
            "latency_ms": None if latency is None else latency * self._to_ms,
            "partner": partner,
            "partner_sent": as_text(found.get("partner")) if partner else None,
            "request_id": as_text(found.get("request_id")),
            "limit": _whole(found.get("limit")),
            "remaining": _whole(found.get("remaining")),
            **self._outcome(status, method, url),
        }
        return AccessLine(sent, told, read_at, moment)

    def _moment(self, value: Any) -> datetime:
        if value is None:
            raise _bad("has no time")
        try:
            return values.instant(value, self._forms, self._zone)[0]
        except values.Unreadable as error:
            raise _bad(f'has a time, "{str(value)[:60]}", that {error}') from None

    def _outcome(self, status: str | None, method: str | None, url: str) -> dict[str, Any]:
        if status is None:
            return {"outcome": "failed", "error_class": "no_status", "text": "no status"}
        is_failed = status in self._options.failed or f"{status[0]}xx" in self._options.failed
        path = url.partition("?")[0][:200]
        said = f"{method or ''} {path} was answered {status}".strip()
        if status == "429":
            outcome = "throttled" if is_failed else "ok"
            return {"outcome": outcome, "error_class": "throttled", "text": said}
        outcome = "failed" if is_failed else "ok"
        return {"outcome": outcome, "error_class": f"http_{status[0]}xx", "text": said}


def layout_of(source: Source, net: Network) -> Layout:
    """How the lines of a source are read; raises PayloadRejected if it is no access log."""
    options: Any = source.feed
    if isinstance(options, PushOptions):
        options = options.access
    if not isinstance(options, CallOptions):
        raise PayloadRejected(
            f"A source of kind {source.kind} has no layout of an access log.",
            code="no_mapping",
            advice="Make it kind: access_log in network.yaml, or kind: push with options.access, "
            "and interpret again.",
        )
    return Layout(source, options, net)


def _status(value: Any) -> str | None:
    """The three digits of a status; None for one that was never sent."""
    text = (as_text(value) or "").strip()
    if value is None or text in ("-", "0", "000"):
        return None
    if len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "12345":
        return text
    raise _bad(f'has a status, "{str(value)[:20]}", that is none')


def _number(value: Any) -> float | None:
    """A latency as a number; several, as nginx writes for several upstreams, are no number."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if 0 <= found < 1e9 else None


def _whole(value: Any) -> int | None:
    """A count of calls; the first number of "60, 60;w=60", as RateLimit headers are written."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    match = re.match(r"\s*(\d{1,12})\b", str(value), re.ASCII)
    return int(match[1]) if match else None


def _bad(said: str) -> PayloadRejected:
    return PayloadRejected(
        f"The line {said}.",
        code="bad_row",
        advice="Correct layout, fields or time_format in the options of the source.",
    )
