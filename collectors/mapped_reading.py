"""What is known while one message is read by its mapping, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from hashlib import sha256
from typing import Any

import orjson

from collectors import values
from collectors.answers import settle
from collectors.event_shape import shape_of
from collectors.mapped_program import Field, Program, Rule, Template, folded
from collectors.origins import LazyOrigins
from collectors.records import JsonRecord, Record, Seen, as_text, walk
from collectors.xml_records import XmlRecord
from tower import zones
from tower.codes import UNKNOWN
from tower.errors import PayloadRejected
from tower.event import Event, TimeQuality
from tower.network import Network, Source
from tower.raw import DeadLetter, Finding, Interpretation, Origin, Raw
from tower.vocabulary import make_event

MOST_ALIKE = 20
"""Findings of one kind that are listed one by one; the rest are counted."""

Note = tuple[str, Seen, str, str]
"""Path of a field in the event, where it was read, how ("" = to be seen), rule."""


class MappedReading:
    """One message, its mapping and the partner it belongs to."""

    def __init__(
        self, raw: Raw, net: Network, source: Source, partner: str | None, program: Program
    ) -> None:
        self.program = program
        self._raw = raw
        self._net = net
        self._source = source
        self._partner = partner
        profile = net.partners.get(partner or "")
        self._codes = (
            {name: folded(table) for name, table in profile.codes.items()} if (profile) else {}
        )
        self._zone = zones.zone(
            program.mapping.zone or (profile.zone if profile else None) or source.zone
        )
        self._events: list[Event] = []
        self._own_ids: dict[object, bytes] = {}
        self._partners: set[str | None] = set()
        self._sheets: list[Callable[[], tuple[Origin, ...]]] = []
        self._findings: list[Finding] = []
        self._alike: dict[tuple[str, str], int] = {}
        self._letters: list[DeadLetter] = []
        self._fired = 0
        self._records = 0

    @property
    def net(self) -> Network:
        return self._net

    @property
    def source(self) -> Source:
        return self._source

    # --- what comes of it -------------------------------------------------------------------------

    @property
    def held(self) -> int:
        """Events that no part has taken yet."""
        return len(self._events)

    def part(self, name: str, version: int) -> Interpretation:
        """The events since the last part, which are forgotten here."""
        taken = Interpretation(name, version, tuple(self._events), LazyOrigins(self._sheets))
        self._partners.update(event.partner for event in self._events)
        self._events, self._sheets = [], []
        return taken

    def result(self, name: str, version: int) -> Interpretation:
        findings = list(self._findings)
        for (code, subject), count in self._alike.items():
            if count > MOST_ALIKE:
                more = f"{count - MOST_ALIKE:,} more of this kind: {subject}"
                findings.append(Finding(code, more))
        if self._records and not self._fired and self._source.format not in ("log", "otlp"):
            findings.append(
                Finding("no_rule", f"no rule of mapping {self.program.name} applies to any record")
            )
        partners = self._partners | {event.partner for event in self._events}
        partner = self._partner or (partners.pop() if len(partners) == 1 else None)
        return Interpretation(
            interpreter=name,
            version=version,
            events=tuple(self._events),
            origins=LazyOrigins(self._sheets),
            findings=tuple(findings),
            dead_letters=tuple(self._letters),
            partner=partner,
        )

    def refuse(self, error: PayloadRejected, position: str) -> None:
        """A record, a row or the whole message becomes a dead letter; the others are read."""
        self._letters.append(
            DeadLetter(
                code=error.code,
                cause=str(error),
                advice=error.advice,
                position=position,
                offset=error.offset,
                partner=self._partner,
            )
        )

    def give_up(self, letter: DeadLetter) -> None:
        """What was read tells of a message that some system could not use."""
        self._letters.append(letter)

    def find(
        self,
        code: str,
        message: str,
        *,
        position: str = "",
        got: str = "",
        expected: str = "",
        subject: str = "",
        offset: int | None = None,
    ) -> None:
        """Something odd; the first of a kind are kept one by one."""
        kind = (code, subject or message)
        count = self._alike[kind] = self._alike.get(kind, 0) + 1
        if count <= MOST_ALIKE:
            self._findings.append(
                Finding(code, message, offset, expected=expected, got=got[:200], position=position)
            )

    def tell(
        self,
        type_: str,
        data: dict[str, Any],
        notes: list[Note],
        position: str,
        *,
        answers: tuple[str, ...] = (),
    ) -> None:
        """An event that the format itself tells, without a rule, such as a SOAP fault."""
        self._records += 1
        self._fired += 1
        if self._partner is not None and shape_of(type_).has_supplier:
            data = {"supplier": self._partner, **data}
            notes.append(("supplier", Seen(self._partner), "default", "partner of the feed"))
        event = make_event(
            type_,
            data,
            source=self._raw.source,
            raw_key=self._raw.key,
            position=position,
            occurred_at=self._raw.received_at,
            system=self._source.system,
            partner=self._partner,
            channel=self._source.channel,
            time_quality=TimeQuality.OBSERVED,
            answers=answers,
        )
        self._events.append(event)
        self._sheets.append(partial(_origins, notes, event))

    # --- records ----------------------------------------------------------------------------------

    def record(self, record: Record, rows: Sequence[Record] | None, position: str) -> None:
        """Every event of one record. ``rows`` are the lines of a CSV document."""
        self._records += 1
        seen: dict[str, int] = {}
        for rule in self.program.rules:
            try:
                if rule.when is not None and not rule.when(record):
                    continue
                self._fired += 1
                self._event(rule, record, rows, position, seen)
            except PayloadRejected as error:
                self.refuse(error, position)

    def _event(
        self,
        rule: Rule,
        record: Record,
        rows: Sequence[Record] | None,
        position: str,
        seen: dict[str, int],
    ) -> None:
        notes: list[Note] = []
        data = self._fields(rule.header, record, None, 0, position, notes, "")
        shape = shape_of(rule.event.type)
        if shape.wants_erp(data):
            self._default_erp(data, notes, "")
        partner = self._supplier(rule, record, data.get("erp", ""), notes)
        if partner is not None and shape.has_supplier:
            data["supplier"] = partner
        if rule.has_lines:
            lines = self._lines(rule, record, rows, position, notes)
            if lines is None:
                return
            data[rule.event.list_name] = lines
        occurred_at, quality = self._moment(rule, record, position, notes)
        settled = settle(rule.event.type, data)
        if settled.finding is not None:
            self.find(*settled.finding, position=position)
        place = self._place(settled.type, position, seen)
        own_id = _fill(rule.id, record)
        event = make_event(
            settled.type,
            settled.data,
            source=self._raw.source,
            raw_key=self._raw.key,
            position=place,
            occurred_at=occurred_at,
            own_id=own_id,
            system=self._system(rule, record),
            partner=partner,
            channel=self._source.channel,
            time_quality=quality,
            recorded_at=self._recorded(rule, record, position),
            correlation_id=_fill(rule.correlation, record),
            causation_id=_fill(rule.causation, record),
            carries=_filled(rule.carries, record),
            answers=_filled(rule.answers, record),
        )
        if self._is_first(event, own_id, position):
            self._events.append(event)
            self._sheets.append(partial(_origins, notes, event))

    def _is_first(self, event: Event, own_id: str | None, position: str) -> bool:
        """Whether no record before told this event. Only ids of the records' own can come twice;
        of what they told a digest is kept, as the events of former parts are gone.
        """
        if not own_id:
            return True
        told = sha256(orjson.dumps(event.data, default=str, option=orjson.OPT_SORT_KEYS)).digest()
        first = self._own_ids.setdefault(event.id, told)
        if first is told:
            return True
        if first != told:
            self.find(
                "doubled_id",
                "two records with the same id tell different things; the first counts",
                position=position,
                got=own_id,
            )
        return False

    def _place(self, type_: str, position: str, seen: dict[str, int]) -> str:
        """The position of an event; the second of its type in one record is told apart."""
        count = seen[type_] = seen.get(type_, 0) + 1
        return position if count == 1 else f"{position}/{count}"

    def _system(self, rule: Rule, record: Record) -> str:
        """The system that speaks, where it says so and we know it; else the source's."""
        said = None if rule.system is None else rule.system(record, None, 0)
        name = "" if said is None else as_text(said.value) or ""
        return name if name in self._net.systems else self._source.system

    # --- partner ----------------------------------------------------------------------------------

    def _supplier(self, rule: Rule, record: Record, erp: str, notes: list[Note]) -> str | None:
        said = rule.supplier(record, None, 0) if rule.supplier is not None else None
        if said is None:
            if self._partner is not None:
                notes.append(("supplier", Seen(self._partner), "default", "partner of the feed"))
            return self._partner
        name = as_text(said.value) or ""
        key = self._net.partner_by_any(name, erp)
        if key is None and rule.event.type.startswith("message."):
            return self._partner  # that a message is on its way is a fact, whoever it speaks of
        if key is None:
            raise PayloadRejected(
                f'"{name[:60]}" is the key, vendor number or identifier of no partner.',
                code="unknown_partner",
                advice="Add it to the profile of the partner in network.yaml and interpret again.",
            )
        if self._partner not in (None, key):
            raise PayloadRejected(
                f"The message belongs to {self._partner} but speaks for {key}.",
                code="wrong_partner",
                advice="Ask the sender; if several partners share the feed, remove the partner "
                "from its source.",
            )
        how = "copied" if key == name else "looked_up"
        notes.append(("supplier", said, how, "" if key == name else "network.yaml partners"))
        return key

    def _default_erp(self, data: dict[str, Any], notes: list[Note], path: str) -> None:
        """Numbers of orders belong to an ERP; where none is told, to the company's."""
        data["erp"] = self._net.company.erp
        notes.append((f"{path}erp", Seen(data["erp"]), "default", "network.yaml company.erp"))

    # --- lines ------------------------------------------------------------------------------------

    def _lines(
        self,
        rule: Rule,
        record: Record,
        rows: Sequence[Record] | None,
        position: str,
        notes: list[Note],
    ) -> list[dict[str, Any]] | None:
        """The usable lines; a bad one is a dead letter of its own. None if all are bad."""
        found: list[dict[str, Any]] = []
        wanted = refused = 0
        shape = shape_of(rule.event.type)
        for line, place in _line_records(rule, record, rows, position):
            if rule.lines_when is not None and not rule.lines_when(line):
                continue
            wanted += 1
            path = f"{rule.event.list_name}[{len(found)}]."
            line_notes: list[Note] = []
            try:
                data = self._fields(rule.lines, record, line, wanted, place, line_notes, path)
                if shape.line_wants_erp(data):
                    self._default_erp(data, line_notes, path)
                for spec in rule.event.lines:
                    if spec.required and data.get(spec.name) in (None, ""):
                        raise PayloadRejected(
                            f"{rule.event.type}: a line has no {spec.name}.",
                            code="missing_key",
                            advice=f"Ask the sender for {spec.name}, or correct the mapping.",
                        )
            except PayloadRejected as error:
                refused += 1
                self.refuse(_at_line(error, line), place)
                continue
            found.append(data)
            notes.extend(line_notes)
        return None if refused and not found else found

    # --- fields -----------------------------------------------------------------------------------

    def _fields(
        self,
        fields: tuple[Field, ...],
        record: Record,
        line: Record | None,
        number: int,
        position: str,
        notes: list[Note],
        path: str,
    ) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for field in fields:
            seen = field.read(record, line, number)
            if seen is None:
                continue
            spec = field.spec
            try:
                value, how, rule = self._value(field, seen, position)
            except values.Unreadable as error:
                shown = str(seen.value)[:60]
                if spec.kind in ("date", "when"):
                    self.find(
                        "bad_date",
                        f'{spec.name}: "{shown}" {error}; it is left out',
                        position=position,
                        got=shown,
                        subject=spec.name,
                    )
                    continue
                raise PayloadRejected(
                    f'{path}{spec.name}: "{shown}" {error}.',
                    code="bad_value",
                    advice="Correct the value at its sender, or the mapping that reads it.",
                ) from None
            data[spec.name] = value
            notes.append((path + spec.name, seen, how, rule))
        return data

    def _value(self, field: Field, seen: Seen, position: str) -> tuple[Any, str, str]:
        """The value in the vocabulary's form, how it came about, by which rule."""
        spec, value, mapping = field.spec, seen.value, self.program.mapping
        # A constant is written in network.yaml, so it already is in the tower's own form.
        otherwise = ("", "") if seen.record is not None else ("converted", seen.rule)
        if seen.is_constant:
            return self._coded(field, value, position, ("default", seen.rule))
        if spec.kind in ("qty", "money"):
            amount = values.number(value, mapping.decimal, mapping.thousands)
            by = [
                (sign, values.number(one, mapping.decimal, mapping.thousands))
                for sign, one in seen.scales
            ]
            if all(Decimal(one) == 1 for _, one in by):
                return amount, *otherwise
            return values.scaled(amount, by), "converted", seen.rule
        if spec.kind == "date":
            return values.day(value, mapping.date_format, self._zone), *otherwise
        if spec.kind == "when":
            return values.instant(value, mapping.time_format, self._zone)[0], *otherwise
        if spec.kind == "int":
            return values.whole(value, mapping.decimal, mapping.thousands), *otherwise
        if spec.kind == "flag":
            return values.flag(value), *otherwise
        if spec.kind == "list":
            return values.items(value), *otherwise
        return self._coded(field, values.text(value), position, otherwise)

    def _coded(
        self, field: Field, value: Any, position: str, otherwise: tuple[str, str]
    ) -> tuple[Any, str, str]:
        name = field.spec.name
        tables = [t for t in (self._codes.get(name), field.codes) if t is not None]
        if not tables:
            return value, *otherwise
        sent = str(value).strip().casefold()
        rule = f"codes.{name}"
        for table in tables:
            if sent in table:
                return table[sent], "looked_up", rule
        for table in tables:
            if "*" in table:
                return table["*"], "looked_up", rule
        if any(sent == word.casefold() for table in tables for word in table.values()):
            return value, *otherwise
        self.find(
            "unknown_code",
            f'{name}: "{str(value)[:60]}" is not among the codes of the mapping',
            position=position,
            got=str(value),
            subject=f"{name} {sent}",
        )
        return (UNKNOWN, "looked_up", rule) if field.spec.kind == "code" else (value, *otherwise)

    # --- time -------------------------------------------------------------------------------------

    def _moment(
        self, rule: Rule, record: Record, position: str, notes: list[Note]
    ) -> tuple[datetime, TimeQuality]:
        moment = self._instant(rule.time, record, position, "time")
        return moment or (self._raw.received_at, TimeQuality.OBSERVED)

    def _recorded(self, rule: Rule, record: Record, position: str) -> datetime | None:
        moment = self._instant(rule.recorded, record, position, "recorded")
        return None if moment is None else moment[0]

    def _instant(
        self, read: Any, record: Record, position: str, name: str
    ) -> tuple[datetime, TimeQuality] | None:
        seen: Seen | None = None if read is None else read(record, None, 0)
        if seen is None:
            return None
        try:
            return values.instant(seen.value, self.program.mapping.time_format, self._zone)
        except values.Unreadable as error:
            shown = str(seen.value)[:60]
            self.find(
                "bad_date",
                f'{name}: "{shown}" {error}; the time of receipt is taken',
                position=position,
                got=shown,
                subject=name,
            )
            return None


def _line_records(
    rule: Rule,
    record: Record,
    rows: Sequence[Record] | None,
    position: str,
) -> Iterator[tuple[Record, str]]:
    """The lines of a record with their positions."""
    if rows is not None:
        for row in rows:
            yield row, _row_position(row) or position
        return
    if rule.lines_from is not None and isinstance(record, XmlRecord):
        for n, item in enumerate(record.items(rule.lines_from)):
            yield item, f"{position}/line:{n}"
        return
    if rule.lines_from is None or not isinstance(record, JsonRecord):
        yield record, position
        return
    found = walk(record.value, rule.lines_from)
    lines = found if isinstance(found, list) else [] if found is None else [found]
    for n, line in enumerate(lines):
        yield record.item(rule.lines_from, n, line), f"{position}/line:{n}"


def _row_position(record: Record) -> str:
    row = getattr(record, "row", None)
    return "" if row is None else f"row:{row.number}"


def _at_line(error: PayloadRejected, line: Record) -> PayloadRejected:
    row = getattr(line, "row", None)
    if row is None:
        return error
    return PayloadRejected(
        f"Row {row.number}: {error}",
        code=error.code,
        advice=error.advice,
        offset=row.offset if error.offset is None else error.offset,
    )


def _fill(template: Template | None, record: Record) -> str | None:
    return None if template is None else template(record, None)


def _filled(templates: tuple[Template, ...], record: Record) -> tuple[str, ...]:
    """The ids that could be filled in, each once."""
    found = (template(record, None) for template in templates)
    return tuple(dict.fromkeys(text for text in found if text))


def _origins(notes: Sequence[Note], event: Event) -> tuple[Origin, ...]:
    found = (_origin(event.data, path, seen, how, rule) for path, seen, how, rule in notes)
    return tuple(origin for origin in found if origin is not None)


def _origin(data: Mapping[str, Any], path: str, seen: Seen, how: str, rule: str) -> Origin | None:
    value = walk(data, path.replace("[", ".").replace("]", ""))
    if value is None:
        return None  # the canonical form has no place for it
    if seen.record is None:
        return Origin(path, "", None, None, how or "default", rule or seen.rule)
    place = seen.record.place(seen.path)
    if not how:
        same = place.is_literal and str(seen.value) == str(value)
        how = "copied" if same else "converted"
    return Origin(path, place.element, place.offset, place.length, how, rule)
