"""Mappings: how a partner's or a system's own columns and paths become canonical events.

One model for CSV files, JSON records and log lines. A *record* yields one event for every ``emit``
rule whose ``when`` holds; a record that fires no rule yields nothing.

Records
    csv   one row; with ``group_by`` all rows of the file with equal values in those columns are one
          record: header fields come from its first row, each row is one line
    json  each object of the list at ``records`` ("" = the body itself, an object or a list); a body
          that a polling reader cut out of its page (header ``rendered: json``) is one record
    log   one JSON object per text line
    xml   the root element, or each element at ``records``, whose first step names the root
          ("*/IDOC"); a SOAP envelope is taken off before, a fault is told as "message.failed"

Expressions (right side of ``fields`` and ``lines``; ``time``, ``recorded``, ``supplier``)
    number            column, or dotted path ("header.no", "items.0.sku"); a key that itself
                      contains dots is found too; in xml a path as in tower/xml_paths.py
                      ("cac:Item/cbc:Name", "@date", "E1EDKA1[PARVW='LF']/PARTN"); blanks at the
                      ends of values do not count
    =main             the constant text after the equals sign
    {po}-{line}       a template; missing as a whole as soon as one part is missing
    price // per      of quantities and amounts: one of so many (a price per 100). price * factor
                      multiplies, and both go on: price * so // many // per. A part that is missing
                      counts as 1, the first one is needed
    confirmed | qty   the first of several expressions (blanks around the bar) that has a value
    ^number           inside ``lines``: read from the record, not from the line
    "#"               inside ``lines``: the number of the line in its document, from 1
    {no:control}      in a template: without the zeros in front, as names of X12 messages are made

Missing means: no such key, JSON null, an empty text, or a text listed in ``nulls``.

Conditions (``when``, ``lines_when``: column or path -> accepted value or list of them)
    word   equals, capitals do not matter     "*"  any value
    !word  anything else, also missing        "-"  missing
    Of several !words none may stand there.

Values are read by the kind of the canonical field (docs/events.md lists fields and kinds)
    qty, money  by ``decimal`` and ``thousands``     date  by ``date_format``, else ISO 8601; a date
    when        by ``time_format``, else ISO 8601          with time keeps the day as it is written
    code, text  through ``codes`` if the field is listed there
    flag        true/yes/y/1, false/no/n/0           list  a JSON list; in CSV cut at ";"
Formats are strptime forms, or epoch_s, epoch_ms, epoch_us, epoch_ns; of a list of them the first
that fits is taken. ISO 8601 and "/Date(1700000000000)/" are always understood. A time without zone
takes ``zone`` of the mapping, else the zone of the partner the feed, folder or file belongs to,
else ``zone`` of the source. A date that cannot be read is left out and reported as a finding; a
quantity or amount that cannot be read refuses its row.

Suppliers are looked up: partner key, vendor number (of the event's ERP), ISA id, GLN or DUNS. A
value that no profile knows is a dead letter ``unknown_partner``. Without ``supplier`` (and without
``fields.supplier``) it is the partner the feed, folder or file belongs to; a feed of one partner
may not speak for another (``wrong_partner``). ``erp`` defaults to the company's ERP, in lines too.

Which mapping: a partner's own (``partners.<key>.mapping``) before the source's (``sources.<name>.
mapping``), where the feed, folder or file belongs to a partner.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tower.log_map import LogMap
from tower.strict_yaml import closest, mistake
from tower.vocabulary import EVENT_TYPES
from tower.xml_paths import BadPath, parse_path
from tower.zones import ZoneName

EPOCHS = {"epoch_s": 1, "epoch_ms": 1_000, "epoch_us": 1_000_000, "epoch_ns": 1_000_000_000}
"""Time formats that count from 1970: parts per second."""

SCALES = re.compile(r" (//|\*) ")
"""Between the parts of an expression that is divided and multiplied."""

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


def _plain_word(value: Any) -> Any:
    """A bare 10 or true in the file means the text that the sender writes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _usable_form(value: str) -> str:
    if value in EPOCHS:
        return value
    try:
        sample = datetime(2026, 3, 27, 14, 5, tzinfo=UTC).strftime(value)
        datetime.strptime(sample, value)  # noqa: DTZ007  only the form is tried
    except ValueError:
        sample = value
    if sample == value:
        raise mistake(f'"{value}" is not a usable form of dates', "write one like %d.%m.%Y")
    return value


def _listed(value: Any) -> Any:
    """One form, or several of which the first that fits is taken."""
    return () if value is None else (value,) if isinstance(value, str) else value


Word = Annotated[str, BeforeValidator(_plain_word)]
Forms = Annotated[
    tuple[Annotated[str, AfterValidator(_usable_form)], ...], BeforeValidator(_listed)
]
Conditions = dict[str, list[Word] | Word]


def _field_of(info: ValidationInfo, part: str, name: str, *, header: bool, lines: bool) -> str:
    spec = EVENT_TYPES.get(info.data.get("event", ""))
    if spec is None:  # the event itself is reported already
        return name
    known = [f.name for f in spec.header] if header else []
    known += [f.name for f in spec.lines] if lines else []
    if name not in known:
        near = closest(name, known)
        listing = ", ".join(dict.fromkeys(known)) or "none"
        raise mistake(
            f"{spec.type} has no {part} {name}",
            f"write {near}" if near else f"its fields are: {listing}",
        )
    return name


def _header_field(name: str, info: ValidationInfo) -> str:
    return _field_of(info, "field", name, header=True, lines=False)


def _line_field(name: str, info: ValidationInfo) -> str:
    return _field_of(info, "line field", name, header=False, lines=True)


def _coded_field(name: str, info: ValidationInfo) -> str:
    bare = name.removeprefix("lines.")
    _field_of(info, "field", bare, header=bare == name, lines=True)
    return name


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Emit(_Strict):
    """One event that a record may yield.

    event        its type. "po.acknowledged" whose ``answer`` is rejected becomes "po.rejected"; one
                 that only holds (on_hold or unknown in header and lines) is no answer yet and
                 becomes "message.received", so that the answer clock runs on
    when         all of these conditions must hold; empty = always
    id           template ("{number}:{version}") of the source's own id of this fact: the same fact
                 sent again, also in another file, is then one event. Without it the id follows from
                 the bytes and the place in them
    time         when it happened; a bare date is that day's start in the zone, marked "date".
                 Missing or unreadable: the time of receipt, marked "observed"
    recorded     when the source noted it
    system       expression of the system that tells it; one that `systems` does not know, or none,
                 is the system of the source
    fields       canonical header field -> expression
    lines_from   json, log, xml: path of the list of lines inside the record. Without it, but with
                 ``lines``, the record is its own single line. csv: not used, rows are the lines
    lines_when   which of the lines count; empty = all
    lines        canonical line field -> expression
    codes        canonical field -> {value as sent: canonical word}, "*" = any other value. Holds
                 for header and lines alike; write "lines.answer" for the lines alone. A value that
                 is not listed becomes "unknown" with a finding; ``codes`` of the partner's profile
                 come first
    supplier     expression of the partner this record belongs to
    correlation  template of the explicit correlation id
    causation    template of the id of the message that caused this one
    carries      templates of ids of messages that carry this document
    answers      templates of ids of messages this event answers or descends from
    """

    event: str
    when: Conditions = Field(default_factory=dict)
    id: str | None = None
    time: str | None = None
    recorded: str | None = None
    system: str | None = None
    fields: dict[Annotated[str, AfterValidator(_header_field)], Word] = Field(default_factory=dict)
    lines_from: str | None = None
    lines_when: Conditions = Field(default_factory=dict)
    lines: dict[Annotated[str, AfterValidator(_line_field)], Word] = Field(default_factory=dict)
    codes: dict[Annotated[str, AfterValidator(_coded_field)], dict[str, Word]] = Field(
        default_factory=dict
    )
    supplier: str | None = None
    correlation: str | None = None
    causation: str | None = None
    carries: list[str] = Field(default_factory=list)
    answers: list[str] = Field(default_factory=list)

    @field_validator("event")
    @classmethod
    def _known_event(cls, value: str) -> str:
        if value not in EVENT_TYPES:
            near = closest(value, frozenset(EVENT_TYPES))
            raise mistake(
                f'"{value}" is an unknown event',
                f"write {near}" if near else "write one of those in docs/events.md",
            )
        return value

    @model_validator(mode="after")
    def _divides_amounts(self) -> Self:
        spec = EVENT_TYPES[self.event]
        for part, known, given in (("fields", spec.header, self.fields),
                                   ("lines", spec.lines, self.lines)):  # fmt: skip
            kinds = {field.name: field.kind for field in known}
            for name, text in given.items():
                if kinds.get(name) not in ("qty", "money") and SCALES.search(str(text)):
                    raise mistake(
                        f'{part}.{name} is no number, "{text}" divides or multiplies one',
                        "leave out the other parts",
                    )
        return self


class Mapping(_Strict):
    """How records are found in the bytes and how their values are written.

    encoding, errors   of csv; "replace" turns unreadable bytes into the replacement sign
    delimiter, quote, header, columns   of csv. ``columns`` names them where there is no header row
    skip_rows    rows before the header row (titles)
    records      json: path of the list of records ("value", "data.items"); "" = the whole body.
                 xml: path of the elements that are records, from the root on ("*/IDOC")
    namespaces   xml: prefix in the paths of this mapping -> namespace; the prefix "" stands for
                 names without one
    key          template for the raw message key of a polled record or a log line
                 ("po:{number}:{version}"); without it the key follows from the bytes
    group_by     csv columns whose equal values make one document
    nulls        texts that mean "no value"
    other_lines  log: what a line that is no JSON object becomes: a dead letter, or nothing
    log_map      log: a short form of ``emit`` for the log of a middleware (tower/log_map.py)
    """

    format: Literal["csv", "json", "log", "xml"]
    encoding: str = "utf-8-sig"
    errors: Literal["strict", "replace"] = "strict"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    header: bool = True
    columns: list[str] = Field(default_factory=list)
    skip_rows: int = Field(default=0, ge=0)
    decimal: Literal[".", ","] = "."
    thousands: str = Field(default="", max_length=1)
    date_format: Forms = ()
    time_format: Forms = ()
    zone: ZoneName | None = None
    nulls: list[str] = Field(default_factory=lambda: [""])
    records: str = ""
    namespaces: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)
    key: str | None = None
    group_by: list[str] = Field(default_factory=list)
    other_lines: Literal["refuse", "ignore"] = "refuse"
    log_map: LogMap | None = None
    emit: list[Emit] = Field(default_factory=list)

    @cached_property
    def rules(self) -> tuple[Emit, ...]:
        """All rules, those of the log map first."""
        mapped = [] if self.log_map is None else self.log_map.emits()
        return (*(Emit.model_validate(emit) for emit in mapped), *self.emit)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise mistake(
                f'"{value}" is not an encoding', "write utf-8-sig, cp1252 or iso-8859-1"
            ) from None
        return value

    @model_validator(mode="after")
    def _fits_format(self) -> Self:
        if self.log_map is not None and self.format != "log":
            raise mistake(f"log_map belongs to format log, not {self.format}", "remove it")
        if self.log_map is None and not self.emit:
            raise mistake("no rule says what a record tells", "write one in emit")
        if self.format == "csv":
            if not self.header and not self.columns:
                raise mistake(
                    "a csv without header row must name its columns", "write columns: [name, name]"
                )
            if self.thousands and self.thousands == self.decimal:
                raise mistake("thousands and decimal are the same sign", "write two signs")
            if self.quote == self.delimiter:
                raise mistake("quote and delimiter are the same sign", "write two signs")
            return self
        for name in ("group_by", "columns"):
            if getattr(self, name):
                raise mistake(f"{name} belongs to format csv, not {self.format}", "remove it")
        if self.format == "xml":
            self._has_usable_paths()
        elif self.namespaces:
            raise mistake(f"namespaces belongs to format xml, not {self.format}", "remove it")
        return self

    def _has_usable_paths(self) -> None:
        templates = [self.key] if self.key else []
        for path in [*([self.records.lstrip("/")] if self.records else []),
                     *(path for text in templates for path in _paths(text)),
                     *(path for emit in self.emit for path in _paths_of(emit))]:  # fmt: skip
            try:
                parse_path(path, self.namespaces)
            except BadPath as error:
                raise mistake(
                    f'the path "{path}" {error}', "write it as tower/xml_paths.py describes"
                ) from None


def _paths_of(emit: Emit) -> Iterator[str]:
    """Every path that a rule reads, of format xml."""
    yield from (*emit.when, *emit.lines_when)
    if emit.lines_from is not None:
        yield emit.lines_from
    texts = [emit.time, emit.recorded, emit.system, emit.supplier, emit.id, emit.correlation]
    texts += [emit.causation, *emit.carries, *emit.answers]
    for text in (*texts, *emit.fields.values(), *emit.lines.values()):
        if text is not None:
            yield from _paths(text)


def _paths(expression: str) -> Iterator[str]:
    text = expression.strip()
    if not text or text == "#" or text.startswith("="):
        return
    if " | " in text:
        for part in text.split(" | "):
            yield from _paths(part)
    elif "{" in text:
        for name in placeholders(text):
            yield from _paths(name.removesuffix(":control"))
    elif SCALES.search(text):
        for part in SCALES.split(text)[::2]:
            yield from _paths(part)
    else:
        yield text.removeprefix("^").strip()


def placeholders(template: str) -> tuple[str, ...]:
    """The expressions between the braces of a template, in order."""
    return tuple(name.strip() for name in _PLACEHOLDER.findall(template))
