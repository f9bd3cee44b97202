"""What is known while one message of CloudEvents is read, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from collectors.answers import settle
from collectors.cloudevents_envelope import Envelope, from_structured, timestamp
from collectors.contract import PARTNER
from collectors.event_shape import shape_of
from collectors.limits import parse_json
from collectors.origins import LazyOrigins
from tower.errors import PayloadRejected
from tower.event import Event, TimeQuality
from tower.network import Network, Source
from tower.raw import DeadLetter, Finding, Interpretation, Origin, Raw
from tower.vocabulary import EVENT_TYPES, EventSpec, make_event

ALL_OTHERS = "*"
_VERSION = re.compile(r"\.v1\Z")
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CHANNELS = frozenset({"edi", "api", "portal", "file", "manual"})


class EventReading:
    """One message while its events are read."""

    def __init__(self, raw: Raw, net: Network, source: Source) -> None:
        self._raw = raw
        self._net = net
        self._source = source
        self._partner = raw.headers.get(PARTNER) or source.partner
        self._prefix = str(source.options.get("type_prefix", ""))
        self._events: dict[Any, Event] = {}
        self._sheets: list[partial[tuple[Origin, ...]]] = []
        self._findings: list[Finding] = []
        self._letters: list[DeadLetter] = []

    def result(self, name: str, version: int) -> Interpretation:
        partners = {event.partner for event in self._events.values()}
        return Interpretation(
            interpreter=name,
            version=version,
            events=tuple(self._events.values()),
            origins=LazyOrigins(self._sheets),
            findings=tuple(self._findings),
            dead_letters=tuple(self._letters),
            partner=self._partner or (partners.pop() if len(partners) == 1 else None),
        )

    def refuse(self, error: PayloadRejected, position: str) -> None:
        self._letters.append(
            DeadLetter(
                error.code,
                str(error),
                error.advice,
                position=position,
                offset=error.offset,
                partner=self._partner,
            )
        )

    def find(self, code: str, message: str, position: str, got: str = "") -> None:
        self._findings.append(Finding(code, message, got=got[:200], position=position))

    def take_all(self, values: list[Any]) -> None:
        for n, value in enumerate(values):
            position = f"item:{n}"
            try:
                self.take(from_structured(value), position, f"$[{n}].data")
            except PayloadRejected as error:
                self.refuse(error, position)

    def take(self, envelope: Envelope, position: str, where: str) -> None:
        """One event; raises PayloadRejected if its data cannot be used."""
        type_ = _VERSION.sub("", envelope.type.removeprefix(self._prefix))
        spec = EVENT_TYPES.get(type_)
        if spec is None:
            self.find("unsupported", "an event of a type the tower does not know", position, type_)
            return
        sent = _object(envelope)
        partner, data = self._who(envelope, spec, sent)
        settled = settle(type_, data)
        if settled.finding is not None:
            self.find(*settled.finding, position=position)
        says = envelope.text
        occurred_at, quality = self._moment(envelope, position)
        event = make_event(
            settled.type,
            settled.data,
            source=self._raw.source,
            raw_key=self._raw.key,
            position=position,
            occurred_at=occurred_at,
            own_id=f"{envelope.source} {envelope.id}",
            system=self._source.system,
            partner=partner,
            channel=self._channel(envelope, position),
            time_quality=quality,
            recorded_at=self._recorded(envelope, position),
            correlation_id=says("correlationid") or _trace(envelope),
            causation_id=says("causationid"),
            carries=tuple((says("carries") or "").split()),
            answers=tuple((says("answers") or "").split()),
        )
        if event.id not in self._events:
            self._events[event.id] = event
            self._sheets.append(partial(_origins, event, sent, where))
        elif self._events[event.id].data != event.data:
            self.find("doubled_id", "the same id tells two things", position, envelope.id)

    def _who(
        self, envelope: Envelope, spec: EventSpec, sent: Mapping[str, Any]
    ) -> tuple[str | None, dict[str, Any]]:
        """The partner it is about, and the data with supplier and ERP as the tower names them."""
        data = dict(sent)
        shape = shape_of(spec.type)
        house = self._net.company.erp
        if shape.wants_erp(data):
            data["erp"] = house
        lines = data.get(spec.list_name) if shape.lines_have_erp else None
        if isinstance(lines, list):
            data[spec.list_name] = [
                {**line, "erp": house}
                if isinstance(line, dict) and shape.line_wants_erp(line)
                else line
                for line in lines
            ]
        said = [envelope.text("partner"), data.get("supplier")]
        erp = str(data.get("erp") or "")
        partner = self._partner
        for name in said:
            if name is None or name == "":
                continue
            key = self._net.partner_by_any(str(name), erp)
            if key is None:
                raise PayloadRejected(
                    f'"{str(name)[:60]}" is the key, vendor number or identifier of no partner.',
                    code="unknown_partner",
                    advice="Add it to the profile of the partner in network.yaml and interpret "
                    "again.",
                )
            if partner not in (None, key):
                raise PayloadRejected(
                    f"The event belongs to {partner} but speaks for {key}.",
                    code="wrong_partner",
                    advice="Ask the sender; if several partners share the feed, remove the partner "
                    "from its source.",
                )
            partner = key
        if partner is not None and shape.has_supplier:
            data["supplier"] = partner
        return partner, data

    def _moment(self, envelope: Envelope, position: str) -> tuple[datetime, TimeQuality]:
        if envelope.time is None:
            return self._raw.received_at, TimeQuality.OBSERVED
        said = envelope.text("timequality")
        try:
            return envelope.time, TimeQuality(said) if said else TimeQuality.EXACT
        except ValueError:
            self.find("unknown_code", "timequality is unknown", position, said or "")
            return envelope.time, TimeQuality.EXACT

    def _recorded(self, envelope: Envelope, position: str) -> datetime | None:
        said = envelope.text("recordedtime")
        if said is None:
            return None
        try:
            return timestamp("recordedtime", said)
        except PayloadRejected:
            self.find("bad_date", "recordedtime is not a time with zone", position, said)
            return None

    def _channel(self, envelope: Envelope, position: str) -> str | None:
        said = envelope.text("channel")
        if said is None or said in _CHANNELS:
            return said or self._source.channel
        self.find("unknown_code", "channel is none that the tower knows", position, said)
        return self._source.channel


def _object(envelope: Envelope) -> dict[str, Any]:
    """The data as an object, whether they came as JSON, as bytes or not at all."""
    data = envelope.data
    if isinstance(data, bytes):
        if not envelope.says_json:
            raise _not_an_object(f"are {envelope.datacontenttype}")
        data = parse_json(data)
    if data is None:
        raise _not_an_object("are missing")
    if not isinstance(data, dict):
        raise _not_an_object("are no JSON object")
    return data


def _not_an_object(said: str) -> PayloadRejected:
    return PayloadRejected(
        f"The data of the event {said}.",
        code="bad_value",
        advice="Send the fields of docs/events.md as a JSON object in data.",
    )


def _trace(envelope: Envelope) -> str | None:
    match = _TRACE.match(envelope.text("traceparent") or "")
    return match[1] if match and match[1].strip("0") else None


def _origins(event: Event, sent: Mapping[str, Any], where: str) -> tuple[Origin, ...]:
    """Origins of the fields that are not as they were sent, and one ("*") for all that are: those
    stand in the payload under the name they have here.
    """
    rest = Origin(ALL_OTHERS, f"{where}.{ALL_OTHERS}", None, None)
    if event.data == sent:
        return (rest,)
    found = []
    spec = EVENT_TYPES[event.type]
    for field, value in event.data.items():
        if field != spec.list_name or not spec.lines:
            found.append(_origin(field, value, sent.get(field), f"{where}.{field}"))
            continue
        lines = sent.get(field) or []
        for n, line in enumerate(value):
            told = lines[n] if n < len(lines) else {}
            for name, item in line.items():
                path = f"{field}[{n}].{name}"
                found.append(_origin(path, item, told.get(name), f"{where}.{path}"))
    return (*(origin for origin in found if origin is not None), rest)


def _origin(field: str, value: Any, sent: Any, element: str) -> Origin | None:
    if sent is None or sent == "":
        return Origin(field, "", None, None, "default", "network.yaml, or the rule for answers")
    if sent == value or str(sent).strip() == str(value):
        return None
    if field == "supplier":
        return Origin(field, element, None, None, "looked_up", "network.yaml partners")
    return Origin(field, element, None, None, "converted")
