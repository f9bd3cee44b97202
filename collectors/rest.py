"""Records polled from a web service: an ERP's orders, a portal's answers.

A *pass* reads all pages since the greatest stamp that the source itself gave, less an overlap; it
may need several reads. The bookmark holds the stamp and, inside a pass, the next page. Every record
is a raw message of its own, so that each change is kept once; a page that cannot be read is kept
whole. Records that the overlap brings again and that have not changed are left out.

A list that only names its records is followed record by record (``detail``). A source whose records
have a ``key`` is compared once a day with what the tower knows (collectors/key_sweep.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any
from urllib.parse import quote, urlsplit

import orjson

from collectors.cloudevents import event_key
from collectors.contract import RENDERED, Spending, bounded_key, position_in
from collectors.key_sweep import (
    Known,
    SweepPlan,
    entity_of,
    key_of,
    living,
    tombstone,
    values_of,
)
from collectors.limits import parse_json
from collectors.mapped import records_in
from collectors.mapped_program import Program, program_of
from collectors.outgoing import Answer, Outgoing, joined, raise_for
from collectors.rate_limits import pause
from collectors.records import JsonRecord, as_text, compile_template, walk
from collectors.rest_paging import Next, Paging
from collectors.sign_in import SignIn
from tower import zones
from tower.errors import ConfigError, PayloadRejected, SourceThrottled, SourceUnavailable
from tower.network import Network, Source
from tower.polled_feeds import RestOptions
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

VERSION = 1
MOST_REMEMBERED = 50_000  # records known to be stored, so that an overlap need not bring them again


@dataclass(frozen=True, slots=True)
class _Progress:
    """The bookmark's content.

    since     greatest stamp of the last complete pass, as the source wrote it
    greatest  greatest stamp of the pass that runs
    next      address, cursor or number of the next page; None outside a pass
    started   when the running pass began: the source is complete up to then at its end
    polled    when the last complete pass began
    etag      (hash of the address, ETag) of the last pass, if it was one page
    swept     day of the last sweep; None where no keys are swept
    """

    since: str | None = None
    greatest: str | None = None
    next: Next | None = None
    started: str | None = None
    polled: str | None = None
    etag: tuple[str, str] | None = None
    swept: str | None = None

    @classmethod
    def load(cls, value: Mapping[str, Any]) -> _Progress:
        etag = value.get("etag")
        names = ("since", "greatest", "next", "started", "polled", "swept")
        known = {name: value.get(name) for name in names}
        return cls(**known, etag=(etag[0], etag[1]) if etag else None)

    def mark(self) -> Mark:
        value = {
            "since": self.since,
            "greatest": self.greatest,
            "next": self.next,
            "started": self.started,
            "polled": self.polled,
            "etag": list(self.etag) if self.etag else None,
            "swept": self.swept,
        }
        return Mark(VERSION, {k: v for k, v in value.items() if v is not None})


@dataclass(frozen=True, slots=True)
class _Page:
    """What one page brought. ``after``: the progress behind it; at the end of the pass ``done`` and
    the messages ``last`` to come with the beat.
    """

    batches: tuple[Batch, ...]
    after: _Progress | None = None
    records: int = 0
    done: _Progress = _Progress()
    last: tuple[Raw, ...] = ()
    failure: SourceUnavailable | None = None


class RestRecords:
    """Reader of one polled address."""

    def __init__(
        self,
        name: str,
        source: Source,
        options: RestOptions,
        net: Network,
        secrets: Mapping[str, str],
        known: Known | None = None,
        *,
        paging: Paging | None = None,
    ) -> None:
        self._name = name
        self._source = source
        self._options = options
        self._paging = paging or Paging(name, options, zones.zone(source.zone))
        self._key_paging: Paging = self._paging
        found = net.mapping_for(source, source.partner)
        self._program: Program | None = None if found is None else program_of(found[1], found[0])
        if self._program is None and source.format != "cloudevents":
            raise ConfigError(
                f'Source "{name}" has no mapping that says how its {source.format} is read. '
                "Name one in network.yaml."
            )
        self._sign_in = SignIn(name, options, secrets)
        self._outgoing = Outgoing(
            name,
            options.url,
            timeout_s=options.timeout.total_seconds(),
            max_bytes=options.max_bytes,
            networks=options.networks,
            headers=options.headers,
        )
        self._detail = None if options.detail is None else compile_template(options.detail)
        self._known = known if options.key and options.sweep_query else None
        self._plan = SweepPlan(
            options.sweep_at if self._known is not None else None,
            zones.zone(source.zone),
            options.sweep_within,
            options.sweep_most,
        )
        self._stored: OrderedDict[str, bytes] = OrderedDict()
        self._listed: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._closed_until: datetime | None = None

    # --- reading ----------------------------------------------------------------------------------

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """A batch per page, more for a page larger than the budget; the last one beats. The first
        complete pass of a day sweeps too.
        """
        progress = _Progress.load(position_in(mark, VERSION, self._name))
        if self._known is not None and progress.swept is None:
            progress = replace(progress, swept=self._plan.first_day(now))
        self._wait_as_told(now)
        with self._outgoing.talking():
            yield from self._pass(progress, budget, now)

    def settle(self, batch: Batch) -> None:
        """Remember what is stored; the source is told nothing."""
        for raw in batch.raws:
            self._stored[raw.key] = _digest(raw.body)
            self._stored.move_to_end(raw.key)
        for remembered in (self._stored, self._listed):
            while len(remembered) > MOST_REMEMBERED:
                remembered.popitem(last=False)

    def _pass(self, progress: _Progress, budget: Budget, now: datetime) -> Iterator[Batch]:
        spending = Spending(budget)
        while True:
            resumed = progress.next is not None
            if not resumed:
                progress = replace(progress, started=now.isoformat(), greatest=progress.since)
            url = self._paging.address(progress.since, progress.next, self._options.query)
            answer = self._ask(url, progress, now)
            if resumed and answer.status in (400, 404, 410):
                # The next page is not known any more: the pass begins again.
                progress = replace(progress, next=None)
                continue
            raise_for(answer, self._name, now)
            if answer.status == 304:
                done = replace(progress, next=None, polled=progress.started)
                yield from self._ending(done, (), budget, now)
                return
            page = self._page(answer, url, progress, budget, now)
            yield from page.batches
            if page.failure is not None:
                raise page.failure
            if page.after is None:
                yield from self._ending(page.done, page.last, budget, now)
                return
            progress = page.after
            spending.add(len(answer.body), page.records)
            if spending.is_spent:
                return
            self._wait_as_told(now)

    def _page(
        self, answer: Answer, url: str, progress: _Progress, budget: Budget, now: datetime
    ) -> _Page:
        """The batches of one page and where the pass goes on."""
        try:
            body = parse_json(answer.body, max_bytes=self._options.max_bytes)
            listed = self._records(body)
        except PayloadRejected as error:
            failure = SourceUnavailable(
                f'Source "{self._name}" sent a body that cannot be read: {error} It was kept as a '
                "dead letter; the source is asked again."
            )
            return _Page((self._unreadable(answer, progress, now),), failure=failure)
        following = self._paging.following(answer, body, listed, progress.next, url)
        whole = list(self._whole(listed, url, now))
        # Of a list that only names its records, they themselves tell the stamps.
        stamped = [*listed, *whole] if self._detail is not None else listed
        greatest = self._paging.greatest(stamped, progress.greatest)
        made = [self._raw(record, body, answer, progress, now) for record in whole]
        progress = replace(progress, greatest=greatest)
        raws = [raw for raw in made if self._stored.get(raw.key) != _digest(raw.body)]
        size = max(1, budget.messages)
        parts = [tuple(raws[at : at + size]) for at in range(0, len(raws), size)] or [()]
        # A kill between them reads the page again: the bookmark stays before it.
        batches = [Batch(self._name, part, mark=progress.mark(), more=True) for part in parts[:-1]]
        if following is None:
            done = self._complete(answer, url, progress)
            return _Page(tuple(batches), done=done, last=parts[-1])
        after = replace(progress, next=following)
        batches.append(Batch(self._name, parts[-1], mark=after.mark(), more=True))
        return _Page(tuple(batches), after, len(listed))

    def _complete(self, answer: Answer, url: str, progress: _Progress) -> _Progress:
        etag = answer.headers.get("etag")
        is_one_page = progress.next is None
        return replace(
            progress,
            since=progress.greatest,
            greatest=None,
            next=None,
            polled=progress.started,
            etag=(_hash(url), etag) if etag and is_one_page else None,
        )

    def _ending(
        self, progress: _Progress, raws: tuple[Raw, ...], budget: Budget, now: datetime
    ) -> Iterator[Batch]:
        """The last batches of a pass: those of a sweep, if one is due, and the beat."""
        started = datetime.fromisoformat(progress.started) if progress.started else now
        progress = replace(progress, started=None, greatest=None)
        day = self._plan.due(progress.swept, now)
        if day is not None:
            if raws:
                yield Batch(self._name, raws, mark=progress.mark(), more=True)
            found = self._swept(day, now)
            size = max(1, budget.messages)
            parts = [tuple(found[at : at + size]) for at in range(0, len(found), size)] or [()]
            for part in parts[:-1]:
                yield Batch(self._name, part, mark=progress.mark(), more=True)
            raws = parts[-1]
            progress = replace(progress, swept=day)
        newest = self._paging.instant(progress.since)
        beat = Heartbeat(self._name, complete_to=started, seen_at=now, newest=newest)
        yield Batch(self._name, raws, heartbeat=beat, mark=progress.mark())

    # --- asking -----------------------------------------------------------------------------------

    def _ask(self, url: str, progress: _Progress, now: datetime) -> Answer:
        headers = {}
        if progress.next is None and progress.etag and progress.etag[0] == _hash(url):
            headers["if-none-match"] = progress.etag[1]
        return self._get(url, now, headers)

    def _get(self, url: str, now: datetime, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to one call; a token that ended early is asked for anew, once."""
        answer = self._outgoing.get(url, {**(headers or {}), **self._sign_in.headers(now)})
        if answer.status == 401 and self._sign_in.refused():
            answer = self._outgoing.get(url, {**(headers or {}), **self._sign_in.headers(now)})
        wait_s = pause(answer.headers, now)
        self._closed_until = None if wait_s is None else now + timedelta(seconds=wait_s)
        return answer

    def _wait_as_told(self, now: datetime) -> None:
        """Raise SourceThrottled while the source has said that no calls are left."""
        if self._closed_until is not None and now < self._closed_until:
            wait_s = (self._closed_until - now).total_seconds()
            raise SourceThrottled(
                f'Source "{self._name}" says that no calls are left for {wait_s:.0f} s.', wait_s
            )

    def _value(self, answer: Answer, now: datetime) -> Any:
        """The parsed body of a further call inside a page; what is wrong with it ends the read."""
        raise_for(answer, self._name, now)
        try:
            return parse_json(answer.body, max_bytes=self._options.max_bytes)
        except PayloadRejected as error:
            raise SourceUnavailable(
                f'Source "{self._name}" sent a body that cannot be read: {error} It is asked again.'
            ) from error

    # --- records ----------------------------------------------------------------------------------

    def _records(self, body: Any) -> list[Any]:
        path = self._program.mapping.records if self._program is not None else ""
        return [record for record, _ in records_in(body, self._options.records or path)]

    def _whole(self, listed: Sequence[Any], url: str, now: datetime) -> Iterator[Any]:
        """The records themselves, where the list only names them."""
        if self._detail is None:
            yield from listed
            return
        for entry in listed:
            named, shown = _digest(_rendered(entry)), self._detail_of(entry, url)
            known = self._listed.get(shown)
            tells = self._options.stamp is not None and walk(entry, self._options.stamp) is not None
            if tells and known is not None and known[0] == named and known[1] in self._stored:
                continue  # the list says that it has not changed since it was stored
            self._wait_as_told(now)
            answer = self._get(shown, now)
            if answer.status in (404, 410):
                continue  # deleted meanwhile: a sweep tells
            record = self._value(answer, now)
            if self._options.detail_record is not None:
                record = walk(record, self._options.detail_record)
            self._listed[shown] = (named, self._key(record, _rendered(record)))
            yield record

    def _detail_of(self, entry: Any, url: str) -> str:
        """The address of a record that a list names."""
        if self._detail is None or not isinstance(entry, dict):
            raise ConfigError(
                f'Source "{self._name}" lists something that is no object. Correct records and '
                "detail in its options in network.yaml."
            )
        quoted = {
            name: quote(text, safe="") if (text := as_text(value)) is not None else value
            for name, value in entry.items()
            if not isinstance(value, str) or not value.startswith(("http://", "https://"))
        }
        filled = self._detail(JsonRecord({**entry, **quoted}, "$", frozenset()), None)
        if filled is None:
            raise ConfigError(
                f'Source "{self._name}" lists a record without what detail needs '
                f"({self._options.detail}). Correct detail in its options in network.yaml."
            )
        return joined(url, filled)

    def _raw(
        self, record: Any, body: Any, answer: Answer, progress: _Progress, now: datetime
    ) -> Raw:
        is_whole = record is body
        content = answer.body if is_whole else _rendered(record)
        headers = {"polled-to": now.isoformat()}
        if progress.polled is not None:
            headers["polled-from"] = progress.polled
        if not is_whole:
            headers[RENDERED] = "json"
        return Raw(
            source=self._name,
            key=self._key(record, content),
            body=content,
            received_at=now,
            media_type="application/json",
            headers=headers,
            name=urlsplit(answer.url).path[:300],
        )

    def _key(self, record: Any, content: bytes) -> str:
        if self._options.key:
            return key_of(self._entity(record), content)
        if self._program is None:
            return event_key(record, content)
        own = None
        if self._program.key is not None and isinstance(record, dict):
            own = self._program.key(JsonRecord(record, "$", self._program.nulls), None)
        return sha256(content).hexdigest() if own is None else bounded_key(own)

    def _entity(self, record: Any) -> str:
        found = [as_text(walk(record, path)) for path in self._options.key]
        if any(part is None for part in found):
            raise ConfigError(
                f'Source "{self._name}" gives a record without its key '
                f"({', '.join(self._options.key)}). Correct key in its options in network.yaml."
            )
        return entity_of([part or "" for part in found])

    def _unreadable(self, answer: Answer, progress: _Progress, now: datetime) -> Batch:
        """The page as it came: its interpreter says what is wrong with it."""
        raw = Raw(
            source=self._name,
            key=sha256(answer.body).hexdigest(),
            body=answer.body,
            received_at=now,
            media_type=answer.headers.get("content-type", "").partition(";")[0].strip(),
            name=urlsplit(answer.url).path[:300],
        )
        return Batch(self._name, (raw,), mark=progress.mark())

    # --- sweeping ---------------------------------------------------------------------------------

    def _swept(self, day: str, now: datetime) -> list[Raw]:
        """What the comparison of all keys brings."""
        if self._known is None:
            return []
        # The tower's side first: what comes into the source meanwhile is not missed by it.
        recent = living(self._known(self._name, now - self._options.sweep_within))
        there = self._all_keys(now)
        gone = sorted(recent - there.keys())
        self._plan.check(self._name, len(recent), len(gone))
        name = urlsplit(self._options.url).path[:300]
        names = [path.rpartition(".")[2] for path in self._options.key]
        found = [
            tombstone(self._name, entity, names, day, now, name)
            for entity in gone
            # A list that shifts while it is read may leave one out.
            if not self._is_there(entity, now)
        ]
        ever = recent if there.keys() <= recent else living(self._known(self._name, _BEGINNING))
        missed = [there[entity] for entity in sorted(there.keys() - ever)]
        answer = Answer(200, {}, b"", self._options.url)
        for record in self._missed(missed, now):
            found.append(self._raw(record, None, answer, _Progress(), now))
        return found

    def _all_keys(self, now: datetime) -> dict[str, Any]:
        """Every entity of the source with what its list says of it."""
        found: dict[str, Any] = {}
        at: Next | None = None
        while True:
            url = self._key_paging.address(None, at, self._options.sweep_query)
            answer = self._get(url, now)
            body = self._value(answer, now)
            try:
                records = self._records(body)
            except PayloadRejected as error:
                raise ConfigError(
                    f'Source "{self._name}": the list of keys cannot be read: {error} Correct '
                    "sweep_query in its options in network.yaml."
                ) from error
            found |= {self._entity(record): record for record in records}
            at = self._key_paging.following(answer, body, records, at, url)
            if at is None:
                return found
            self._wait_as_told(now)

    def _is_there(self, entity: str, now: datetime) -> bool:
        """Whether the source still knows it when it is asked for this one alone."""
        if self._detail is None:
            return False
        entry = dict(zip(self._options.key, values_of(entity), strict=True))
        answer = self._get(self._detail_of(entry, self._options.url), now)
        if answer.status in (404, 410):
            return False
        raise_for(answer, self._name, now)
        return True

    def _missed(self, entries: Sequence[Any], now: datetime) -> Iterator[Any]:
        """The records of entities that the tower never saw."""
        if self._detail is not None:
            yield from self._whole(entries, self._options.url, now)


_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


def _rendered(record: Any) -> bytes:
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=12).digest()


def _hash(url: str) -> str:
    return blake2b(url.encode(), digest_size=8).hexdigest()
