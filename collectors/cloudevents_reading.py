"""What is known while one message of CloudEvents is read, and what comes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

from collectors.answers import ANSWERING, settle
from collectors.cloudevents_envelope import Envelope, from_structured, timestamp
from collectors.contract import PARTNER
from collectors.event_shape import SHAPES, Shape
from collectors.limits import parse_json
from collectors.origins import LazyOrigins
from tower.errors import PayloadRejected
from tower.event import Event, TimeQuality
from tower.network import Network, Source
from tower.raw import DeadLetter, Finding, Interpretation, Origin, Raw
from tower.vocabulary import EVENT_TYPES, make_event

ALL_OTHERS = "*"
ONLY_DATA = "$.data"
"""Where the data of a structured event stand that is alone in its message."""

AS_SENT: Mapping[int, tuple[Origin, ...]] = MappingProxyType(
    {0: (Origin(ALL_OTHERS, f"{ONLY_DATA}.{ALL_OTHERS}", None, None),)}
)
"""The origins of such an event when nothing had to be changed: most events share them."""

_VERSION = ".v1"
_EXACT = TimeQuality.EXACT  # looking a member up in its enumeration costs more than one thinks
_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_CHANNELS = frozenset({"edi", "api", "portal", "file", "manual"})


class EventReading:
    """One message while its events are read."""

    __slots__ = (
        "_as_sent",
        "_events",
        "_findings",
        "_letters",
        "_net",
        "_partner",
        "_prefix",
        "_raw",
        "_sheets",
        "_source",
    )

    def __init__(self, raw: Raw, net: Network, source: Source) -> None:
        self._raw = raw
        self._net = net
        self._source = source
        self._partner = raw.headers.get(PARTNER) or source.partner
        self._prefix = str(source.options.get("type_prefix", ""))
        self._events: dict[Any, Event] = {}
        self._sheets: list[partial[tuple[Origin, ...]]] = []
        self._as_sent = False  # the only event, and its data are the very object that was sent
        self._findings: list[Finding] = []
        self._letters: list[DeadLetter] = []

    def result(self, name: str, version: int) -> Interpretation:
        events = tuple(self._events.values())
        partner = self._partner
        if not partner and events:
            partner = events[0].partner
            if len(events) > 1 and any(event.partner != partner for event in events):
                partner = None
        return Interpretation(
            name,
            version,
            events,
            AS_SENT if self._as_sent else LazyOrigins(self._sheets),
            tuple(self._findings),
            tuple(self._letters),
            partner,
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
        type_ = envelope.type.removeprefix(self._prefix).removesuffix(_VERSION)
        shape = SHAPES.get(type_)
        if shape is None:
            self.find("unsupported", "an event of a type the tower does not know", position, type_)
            return
        sent = envelope.data if envelope.data.__class__ is dict else _object(envelope)
        says = envelope.extensions.get
        partner, data = self._who(shape, says("partner"), sent)
        if type_ in ANSWERING:
            type_, data, finding = settle(type_, data)
            if finding is not None:
                self.find(*finding, position=position)
        occurred_at, quality = self._moment(envelope.time, says("timequality"), position)
        event = make_event(
            type_,
            data,
            source=self._raw.source,
            raw_key=self._raw.key,
            position=position,
            occurred_at=occurred_at,
            own_id=f"{envelope.source} {envelope.id}",
            system=self._source.system,
            partner=partner,
            channel=self._channel(says("channel"), position),
            time_quality=quality,
            recorded_at=self._recorded(says("recordedtime"), position),
            correlation_id=says("correlationid") or _trace(says("traceparent")),
            causation_id=says("causationid"),
            carries=_several(says("carries")),
            answers=_several(says("answers")),
        )
        first = self._events.setdefault(event.id, event)
        if first is event:
            self._sheets.append(partial(_origins, event, sent, where))
            self._as_sent = event.data is sent and where == ONLY_DATA
        elif first.data != event.data:
            self.find("doubled_id", "the same id tells two things", position, envelope.id)

    def _who(
        self, shape: Shape, named: str | None, data: Mapping[str, Any]
    ) -> tuple[str | None, Mapping[str, Any]]:
        """The partner it is about, and the data with supplier and ERP as the tower names them.

        ``named`` is the partner that the envelope tells. Data that need no change stay the object
        they are.
        """
        house = self._net.company.erp
        if shape.wants_erp(data):
            data = {**data, "erp": house}
        if shape.lines_have_erp:
            data = _with_erp(shape, data, house)
        partner = self._partner
        supplier = data.get("supplier")
        for name in (named, supplier):
            if name is None or name == "":
                continue
            key = self._net.partner_by_any(str(name), str(data.get("erp") or ""))
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
        if partner is not None and partner != supplier and shape.has_supplier:
            data = {**data, "supplier": partner}
        return partner, data

    def _moment(
        self, told: datetime | None, said: str | None, position: str
    ) -> tuple[datetime, TimeQuality]:
        if told is None:
            return self._raw.received_at, TimeQuality.OBSERVED
        if said is None:
            return told, _EXACT
        try:
            return told, TimeQuality(said)
        except ValueError:
            self.find("unknown_code", "timequality is unknown", position, said)
            return told, _EXACT

    def _recorded(self, said: str | None, position: str) -> datetime | None:
        if said is None:
            return None
        try:
            return timestamp("recordedtime", said)
        except PayloadRejected:
            self.find("bad_date", "recordedtime is not a time with zone", position, said)
            return None

    def _channel(self, said: str | None, position: str) -> str | None:
        if said is None or said in _CHANNELS:
            return said or self._source.channel
        self.find("unknown_code", "channel is none that the tower knows", position, said)
        return self._source.channel


def _with_erp(shape: Shape, data: Mapping[str, Any], house: str) -> Mapping[str, Any]:
    """The data, each line with the ERP whose order it names."""
    lines = data.get(shape.list_name)
    if not isinstance(lines, list):
        return data
    wanting = [isinstance(line, dict) and shape.line_wants_erp(line) for line in lines]
    if not any(wanting):
        return data
    full = [
        {**line, "erp": house} if wants else line
        for line, wants in zip(lines, wanting, strict=True)
    ]
    return {**data, shape.list_name: full}


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


def _trace(parent: str | None) -> str | None:
    """The trace id of a W3C ``traceparent``."""
    match = _TRACE.match(parent) if parent else None
    return match[1] if match and match[1].strip("0") else None


def _several(said: str | None) -> tuple[str, ...]:
    return tuple(said.split()) if said else ()


def _origins(event: Event, sent: Mapping[str, Any], where: str) -> tuple[Origin, ...]:
    """Origins of the fields that are not as they were sent, and one ("*") for all that are: those
    stand in the payload under the name they have here.
    """
    rest = Origin(ALL_OTHERS, f"{where}.{ALL_OTHERS}", None, None)
    if event.data is sent or event.data == sent:
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
