"""Raw messages on their way into the ledger, and what is already known of them."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor
from sqlalchemy import Connection

from db import flows, records, staging
from db.arrivals import EVENT_COLUMNS, OBJECT_COLUMNS, Gathered, Identity, Item, gather
from db.families import partner_id
from db.tables import sighting
from tower.event import Event
from tower.failures import Failure
from tower.raw import DeadLetter, Finding, Origin, Raw
from tower.registers import microseconds
from tower.timelines import stamp

NAME_KEPT = 500  # characters of a name in a sighting: it is part of a key
COMPRESS_FROM = 1024  # bytes; below, zlib's frame eats what it saves
STREAM_FROM = 1 << 20  # bytes; from there on a body is packed and sent piece by piece
_WINDOW = 1 << 16

_LEDGER = "SELECT source, key, sha256 FROM ingest_ledger WHERE item_key = ANY(%s::bigint[])"
_EVENTS = (
    "SELECT e.event_id FROM unnest(%s::bigint[], %s::uuid[]) AS asked (home_key, event_id) "
    "JOIN event e ON e.home_key = asked.home_key AND e.event_id = asked.event_id"
)
_OBJECTS = (
    "SELECT e.event_id FROM unnest(%s::bigint[], %s::uuid[]) AS asked (home_key, event_id) "
    "JOIN event_object e ON e.home_key = asked.home_key AND e.event_id = asked.event_id "
    "AND NOT e.linked"
)


def known_keys(cursor: Cursor[Any], items: Sequence[Item]) -> dict[Identity, bytes]:
    """Keys that are in the ledger, with the hash of the bytes they came with."""
    cursor.execute(_LEDGER, (staging.numbers(item.item_key for item in items),))
    return {(source, key): bytes(sha256) for source, key, sha256 in cursor.fetchall()}


def write(cursor: Cursor[Any], new: Sequence[Item], now: datetime) -> None:
    """Ledger, bytes, findings, origins and dead letters of messages that are new."""
    new = sorted(new, key=lambda item: (item.item_key, item.identity))
    at, when = str(now), staging.timestamp(microseconds(now))
    ledger: list[bytes] = []
    readings: list[str] = []
    origins: list[str] = []
    letters: list[str] = []
    told, where = None, None
    for item in new:
        reading = item.reading
        if reading.origins is not told or len(reading.events) != 1 or item.n_known:
            told, where = reading.origins, _fields_at(item)
        ledger.append(_ledger_row(item, when, where))
        if where is None:
            origins += _origin_lines(item)
        if reading.findings:
            readings.append(_reading_line(item, at))
        if reading.dead_letters:
            letters += _letter_lines(item, now)
    staging.copy_binary(cursor, "ingest_ledger", LEDGER_COLUMNS, ledger)
    rows = [b"".join(_raw(item)) for item in new if len(item.raw.body) < STREAM_FROM]
    staging.copy_binary(cursor, "raw_message", RAW_COLUMNS, rows)
    for item in new:
        if len(item.raw.body) >= STREAM_FROM:
            staging.stream_binary(cursor, "raw_message", RAW_COLUMNS, _raw(item))
    staging.copy(cursor, "interpretation", READING_COLUMNS, readings)
    staging.copy(cursor, "origin", ORIGIN_COLUMNS, origins)
    staging.copy(cursor, "dead_letter", LETTER_COLUMNS, letters)


def write_events(cursor: Cursor[Any], gathered: Gathered) -> None:
    """The events that are new, and what they say about each document they name."""
    staging.copy_binary(cursor, "event", EVENT_COLUMNS, gathered.event_rows)
    staging.copy_binary(cursor, "event_object", OBJECT_COLUMNS, gathered.object_rows)


def write_origins(cursor: Cursor[Any], item: Item, without: Collection[UUID]) -> None:
    """Where the fields of a message's events stand, except of events that have theirs."""
    origins = [*_origin_lines(item, without)]
    staging.copy(cursor, "origin", ORIGIN_COLUMNS, origins)


def write_letters(cursor: Cursor[Any], item: Item, now: datetime) -> None:
    """The dead letters of a message that has none yet."""
    staging.copy(cursor, "dead_letter", LETTER_COLUMNS, [*_letter_lines(item, now)])


def note_again(
    conn: Connection,
    cursor: Cursor[Any],
    again: Sequence[tuple[Raw, Item]],
    known: Mapping[Identity, bytes],
) -> None:
    """A known key is only noted; other bytes under it are told as a finding of the first."""
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    differing: dict[bytes, tuple[Raw, Item]] = {}
    for raw, item in again:
        sha256 = raw.sha256
        same = sha256 == known.get(item.identity, item.sha256)
        source, key = item.identity
        name = staging.storable(raw.name)[:NAME_KEPT]
        rows[(item.item_key, source, key, raw.received_at, name)] = {
            "item_key": item.item_key,
            "source": source,
            "key": key,
            "seen_at": raw.received_at,
            "name": name,
            "same_bytes": same,
        }
        if not same:
            differing[sha256] = (raw, item)
    records.put(
        conn,
        sighting,
        [rows[key] for key in sorted(rows)],
        conflict=("item_key", "source", "key", "seen_at", "name"),
    )
    for raw, item in differing.values():
        _note_other_bytes(cursor, raw, item)


def _note_other_bytes(cursor: Cursor[Any], raw: Raw, item: Item) -> None:
    finding = told(
        Finding(
            code="other_bytes",
            message="The key came again with other bytes; the first ones count.",
            got=raw.sha256.hex(),
        )
    )
    here = (item.item_key, *item.identity)
    _keep_reading(cursor, item)
    cursor.execute(
        "SELECT interpreter, version, findings::text FROM interpretation "
        "WHERE item_key = %s AND source = %s AND key = %s",
        here,
    )
    for interpreter, version, text in cursor.fetchall():
        findings = orjson.loads(text)
        if finding not in findings:
            cursor.execute(
                "UPDATE interpretation SET findings = %s::json WHERE item_key = %s "
                "AND source = %s AND key = %s AND interpreter = %s AND version = %s",
                (staging.dumped([*findings, finding]).decode(), *here, interpreter, version),
            )


def _keep_reading(cursor: Cursor[Any], item: Item) -> None:
    """Write down the reading in force, if so far it stands in the ledger alone."""
    cursor.execute(
        "INSERT INTO interpretation (item_key, source, key, interpreter, version, at, outcome, "
        "n_events) SELECT item_key, source, key, interpreter, version, read_at, outcome, n_events "
        "FROM ingest_ledger WHERE item_key = %s AND source = %s AND key = %s "
        "ON CONFLICT (item_key, source, key, interpreter, version, revision) DO NOTHING",
        (item.item_key, *item.identity),
    )


def read_again(
    cursor: Cursor[Any],
    item: Item,
    now: datetime,
    *,
    by: str = "",
    taken_back: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Note a newer interpretation of a message; letters of the former ones are superseded.

    ``by`` asked for it; ``taken_back`` are the events that leave, kept with the former one.
    """
    here = (item.item_key, *item.identity)
    reading = item.reading
    _keep_reading(cursor, item)
    if taken_back:
        cursor.execute(
            "UPDATE interpretation i SET taken_back = %s::json FROM ingest_ledger l "
            "WHERE l.item_key = %s AND l.source = %s AND l.key = %s AND i.item_key = l.item_key "
            "AND i.source = l.source AND i.key = l.key AND i.interpreter = l.interpreter "
            "AND i.version = l.version AND i.revision = (SELECT max(revision) FROM interpretation "
            "o WHERE o.item_key = i.item_key AND o.source = i.source AND o.key = i.key "
            "AND o.interpreter = i.interpreter AND o.version = i.version)",
            (staging.dumped(list(taken_back)).decode(), *here),
        )
    where = _fields_at(item)
    cursor.execute(
        "UPDATE ingest_ledger SET outcome = %s, n_events = %s, n_known = %s, "
        "homes = %s::bigint[], interpreter = %s, version = %s, read_at = %s, fields_at = %s "
        "WHERE item_key = %s AND source = %s AND key = %s",
        (
            reading.outcome,
            len(reading.events),
            item.n_known,
            staging.numbers(sorted(item.homes)),
            reading.interpreter,
            reading.version,
            now,
            where,
            *here,
        ),
    )
    cursor.execute(
        "SELECT coalesce(max(revision), 0) + 1 FROM interpretation WHERE item_key = %s "
        "AND source = %s AND key = %s AND interpreter = %s AND version = %s",
        (*here, reading.interpreter, reading.version),
    )
    line = f"{_reading_line(item, str(now))}\t{_first(cursor)}\t{staging.text(by)}"
    staging.copy(cursor, "interpretation", READING_COLUMNS + ", revision, read_by", [line])
    cursor.execute("DELETE FROM origin WHERE item_key = %s AND source = %s AND key = %s", here)
    if where is None:
        staging.copy(cursor, "origin", ORIGIN_COLUMNS, [*_origin_lines(item)])
    cursor.execute(
        "UPDATE dead_letter SET state = 'superseded', state_at = %s "
        "WHERE item_key = %s AND source = %s AND key = %s AND kind = 'interpret' "
        "AND state IN ('open', 'in_replay')",
        (now, *here),
    )
    cursor.execute(
        "SELECT coalesce(max(attempt), 0) + 1 FROM dead_letter "
        "WHERE item_key = %s AND source = %s AND key = %s",
        here,
    )
    attempt = _first(cursor)
    staging.copy(
        cursor, "dead_letter", LETTER_COLUMNS, [*_letter_lines(item, now, attempt, again=True)]
    )


def _first(cursor: Cursor[Any]) -> int:
    row = cursor.fetchone()
    return row[0] if row else 1


def gather_unknown(
    cursor: Cursor[Any], found: dict[UUID, tuple[Event, Item]], *, careful: bool
) -> Gathered:
    """What those of the events add that no earlier message told; the others leave ``found``."""
    gathered = gather(found)
    known = known_events(cursor, gathered, careful=careful)
    if not known:
        return gathered
    for event_id in known:
        _, item = found.pop(event_id)
        item.n_known += 1
    return gather(found)


def known_events(cursor: Cursor[Any], gathered: Gathered, *, careful: bool) -> set[UUID]:
    """Events that an earlier message told already."""
    if not gathered.living:
        return set()
    standing = flows.look_up(cursor, sorted({home for home, _ in gathered.living}))
    asked = [
        (home, event_id)
        for home, event_id in gathered.living
        if home in standing and standing[home].n_events
    ]
    known = _probe_ids(cursor, _EVENTS, asked)
    if careful:
        # The same id with other content may live elsewhere, yet speak of the same documents.
        known |= _probe_ids(cursor, _OBJECTS, gathered.spoken)
    return known


def _probe_ids(cursor: Cursor[Any], query: str, asked: Sequence[tuple[int, UUID]]) -> set[UUID]:
    if not asked:
        return set()
    ids = "{" + ",".join([event_id.hex for _, event_id in asked]) + "}"
    cursor.execute(query, (staging.numbers(home for home, _ in asked), ids))
    return {row[0] for row in cursor.fetchall()}


# --- rows of a COPY -----------------------------------------------------------------------------

LEDGER_COLUMNS = (
    "item_key, source, key, sha256, received_at, outcome, n_events, n_known, homes, interpreter, "
    "version, read_at, fields_at"
)
RAW_COLUMNS = (
    "item_key, source, key, received_at, media_type, name, headers, partner_id, encoding, size, "
    "body"
)
READING_COLUMNS = "item_key, source, key, interpreter, version, at, outcome, n_events, findings"
ORIGIN_COLUMNS = "item_key, source, key, event_id, fields"
LETTER_COLUMNS = (
    "item_key, source, key, attempt, position, message, kind, code, cause, advice, byte_offset, "
    "fingerprint, state, partner_id, partner, received_at, state_at"
)


def _ledger_row(item: Item, at: bytes, fields_at: str | None) -> bytes:
    reading = item.reading
    word, integer = staging.word, staging.integer
    return b"".join(
        (
            _LEDGER_FIELDS,
            item.key,
            staging.octets(item.sha256),
            item.received,
            word(reading.outcome),
            integer(len(reading.events)),
            integer(item.n_known),
            staging.bigints(sorted(item.homes)),
            word(reading.interpreter),
            integer(reading.version),
            at,
            staging.maybe_word(fields_at),
        )
    )


_LEDGER_FIELDS = staging.fields(LEDGER_COLUMNS)


def _raw(item: Item) -> Iterator[bytes]:
    """The row of a message, in pieces."""
    raw = item.raw
    partner = item.reading.partner
    octets, word = staging.octets, staging.word
    encoding, pieces = _packed(raw.body)
    yield b"".join(
        (
            _RAW_FIELDS,
            item.key,
            item.received,
            word(raw.media_type),
            word(raw.name),
            octets(staging.dumped(raw.headers)) if raw.headers else _NO_HEADERS,
            staging.NO_VALUE if partner is None else staging.bigint(partner_id(partner)),
            encoding,
            staging.integer(len(raw.body)),
        )
    )
    yield from pieces


_RAW_FIELDS = staging.fields(RAW_COLUMNS)
_PLAIN, _ZLIB, _NO_HEADERS = map(staging.octets, (b"plain", b"zlib", b"{}"))


def _packed(body: bytes) -> tuple[bytes, Iterable[bytes]]:
    """(encoding, field with the bytes to keep in pieces)."""
    if len(body) <= COMPRESS_FROM:
        return _PLAIN, (staging.octets(body),)
    if len(body) < STREAM_FROM:
        small = zlib.compress(body, 1)
        if len(small) < len(body):
            return _ZLIB, (staging.octets(small),)
        return _PLAIN, (staging.octets(body),)
    # The length stands before the bytes. Packing twice costs less than holding what was packed.
    size = sum(map(len, _packing(body)))
    if size < len(body):
        return _ZLIB, itertools.chain((staging.length(size),), _packing(body))
    return _PLAIN, itertools.chain((staging.length(len(body)),), _windows(body))


def _packing(body: bytes) -> Iterator[bytes]:
    packer = zlib.compressobj(1)
    for window in _windows(body):
        yield packer.compress(window)
    yield packer.flush()


def _windows(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _WINDOW] for at in range(0, len(body), _WINDOW))


def _reading_line(item: Item, at: str) -> str:
    reading = item.reading
    return (
        f"{item.named}\t{staging.text(reading.interpreter)}\t{reading.version}\t{at}\t"
        f"{reading.outcome}\t{len(reading.events)}\t"
        f"{staging.json([told(f) for f in reading.findings])}"
    )


def told(finding: Finding) -> dict[str, Any]:
    """A finding as it is kept; empty parts are left out."""
    values = {
        "code": finding.code,
        "message": finding.message,
        "offset": finding.offset,
        "expected": finding.expected,
        "got": finding.got,
        "position": finding.position,
    }
    return {name: value for name, value in values.items() if value not in (None, "")}


def _fields_at(item: Item) -> str | None:
    """The one element below which all fields of a message's events stand, if that is all there is
    to tell. None for a message that tells what another one told: its events are kept there.
    """
    origins, elements = item.reading.origins, set()
    for index in range(len(item.reading.events)):
        match origins.get(index):
            case (Origin(field="*", offset=None, length=None, how="copied", rule="") as only,):
                elements.add(only.element)
            case _:
                return None
    return elements.pop() if len(elements) == 1 and not item.n_known else None


def _origin_lines(item: Item, without: Collection[UUID] = ()) -> Iterator[str]:
    events = item.reading.events
    seen: set[UUID] = set(without)
    told = item.reading.origins
    for index in told:
        event_id = events[index].id
        if event_id in seen:
            continue  # not looked at: origins are worked out when they are asked for
        origins = told[index]
        if origins:
            seen.add(event_id)
            fields = [(o.field, o.element, o.offset, o.length, o.how, o.rule) for o in origins]
            yield f"{item.named}\t{event_id}\t{staging.json(fields)}"


def _letter_lines(
    item: Item, now: datetime, attempt: int = 1, *, again: bool = False
) -> Iterator[str]:
    """Rows of a message's dead letters. Read ``again``, those that a broker gave up stay as they
    are: only another death makes another attempt.
    """
    letters: dict[str, DeadLetter] = {}
    for letter in item.reading.dead_letters:
        if not (again and letter.kind != "interpret"):
            letters.setdefault(letter.position, letter)  # one per position
    for position in sorted(letters):
        letter = letters[position]
        partner = letter.partner or item.reading.partner
        text = staging.text
        failure = Failure(
            item.raw.source, letter.kind, letter.step, letter.type, letter.code, letter.words,
            partner or "",
        )  # fmt: skip
        nth = attempt if letter.kind == "interpret" else letter.attempt
        yield (
            f"{item.named}\t{nth}\t{text(position)}\t{staging.maybe(letter.message)}\t"
            f"{text(letter.kind)}\t"
            f"{text(letter.code)}\t{text(letter.cause)}\t{text(letter.advice)}\t"
            f"{staging.number(letter.offset)}\t{failure.fingerprint}\topen\t"
            f"{staging.NULL if partner is None else partner_id(partner)}\t"
            f"{staging.maybe(partner)}\t{stamp(item.heard)}\t{now}"
        )
