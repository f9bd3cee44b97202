"""Records polled from a web service: an ERP's orders, a portal's answers.

A *pass* reads all pages since the greatest stamp that the source itself gave, less an overlap; it
may need several reads. The bookmark holds the stamp and, inside a pass, the next page. Every record
is a raw message of its own, so that each change is kept once; a page that cannot be read is kept
whole. Records that the overlap brings again and that have not changed are left out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b, sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import orjson

from collectors import values
from collectors.cloudevents import event_key
from collectors.contract import RENDERED, Spending, bounded_key, position_in, secret
from collectors.limits import parse_json
from collectors.mapped import records_in
from collectors.mapped_program import Program, program_of
from collectors.outgoing import Answer, Outgoing, joined, raise_for
from collectors.records import JsonRecord, as_text, walk
from tower import zones
from tower.errors import ConfigError, PayloadRejected, SourceUnavailable
from tower.feeds import RestOptions
from tower.network import Network, Source
from tower.raw import Batch, Budget, Heartbeat, Mark, Raw

VERSION = 1
MOST_REMEMBERED = 50_000  # records known to be stored, so that an overlap need not bring them again
LONGEST_NEXT = 6000  # a bookmark has 8 KB


@dataclass(frozen=True, slots=True)
class _Progress:
    """The bookmark's content.

    since     greatest stamp of the last complete pass, as the source wrote it
    greatest  greatest stamp of the pass that runs
    next      address, cursor or number of the next page; None outside a pass
    started   when the running pass began: the source is complete up to then at its end
    polled    when the last complete pass began
    etag      (hash of the address, ETag) of the last pass, if it was one page
    """

    since: str | None = None
    greatest: str | None = None
    next: str | int | None = None
    started: str | None = None
    polled: str | None = None
    etag: tuple[str, str] | None = None

    @classmethod
    def load(cls, value: Mapping[str, Any]) -> _Progress:
        etag = value.get("etag")
        known = {k: value.get(k) for k in ("since", "greatest", "next", "started", "polled")}
        return cls(**known, etag=(etag[0], etag[1]) if etag else None)

    def mark(self) -> Mark:
        value = {
            "since": self.since,
            "greatest": self.greatest,
            "next": self.next,
            "started": self.started,
            "polled": self.polled,
            "etag": list(self.etag) if self.etag else None,
        }
        return Mark(VERSION, {k: v for k, v in value.items() if v is not None})


@dataclass(frozen=True, slots=True)
class _Page:
    """What one page brought. ``after``: the progress behind it, None if the pass is at its end."""

    batches: tuple[Batch, ...]
    after: _Progress | None = None
    records: int = 0
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
    ) -> None:
        self._name = name
        self._source = source
        self._options = options
        self._zone = zones.zone(source.zone)
        found = net.mapping_for(source, source.partner)
        self._program: Program | None = None if found is None else program_of(found[1], found[0])
        if self._program is None and source.format != "cloudevents":
            raise ConfigError(
                f'Source "{name}" has no mapping that says how its {source.format} is read. '
                "Name one in network.yaml."
            )
        hidden = {}
        if options.auth_variable is not None:
            value = secret(options.auth_variable, secrets, name)
            hidden[options.auth_header.lower()] = value
        self._outgoing = Outgoing(
            name,
            options.url,
            timeout_s=options.timeout.total_seconds(),
            max_bytes=options.max_bytes,
            networks=options.networks,
            headers=options.headers,
            secret_headers=hidden,
        )
        self._stored: OrderedDict[str, bytes] = OrderedDict()

    # --- reading ----------------------------------------------------------------------------------

    def read(self, mark: Mark | None, budget: Budget, now: datetime) -> Iterator[Batch]:
        """A batch per page, more for a page larger than the budget; the last one beats."""
        progress = _Progress.load(position_in(mark, VERSION, self._name))
        with self._outgoing.talking():
            yield from self._pass(progress, budget, now)

    def settle(self, batch: Batch) -> None:
        """Remember what is stored; the source is told nothing."""
        for raw in batch.raws:
            self._stored[raw.key] = _digest(raw.body)
            self._stored.move_to_end(raw.key)
        while len(self._stored) > MOST_REMEMBERED:
            self._stored.popitem(last=False)

    def _pass(self, progress: _Progress, budget: Budget, now: datetime) -> Iterator[Batch]:
        spending = Spending(budget)
        while True:
            resumed = progress.next is not None
            if not resumed:
                progress = replace(progress, started=now.isoformat(), greatest=progress.since)
            url = self._address(progress)
            answer = self._ask(url, progress)
            if resumed and answer.status in (400, 404, 410):
                # The next page is not known any more: the pass begins again.
                progress = replace(progress, next=None)
                continue
            raise_for(answer, self._name, now)
            if answer.status == 304:
                yield self._beat(replace(progress, next=None, polled=progress.started), now)
                return
            page = self._page(answer, url, progress, budget, now)
            yield from page.batches
            if page.failure is not None:
                raise page.failure
            if page.after is None:
                return
            progress = page.after
            spending.add(len(answer.body), page.records)
            if spending.is_spent:
                return

    def _page(
        self, answer: Answer, url: str, progress: _Progress, budget: Budget, now: datetime
    ) -> _Page:
        """The batches of one page and where the pass goes on."""
        try:
            body = parse_json(answer.body, max_bytes=self._options.max_bytes)
            records = [record for record, _ in self._records(body)]
        except PayloadRejected as error:
            failure = SourceUnavailable(
                f'Source "{self._name}" sent a body that cannot be read: {error} It was kept as a '
                "dead letter; the source is asked again."
            )
            return _Page((self._unreadable(answer, progress, now),), failure=failure)
        progress = replace(progress, greatest=self._greatest(records, progress.greatest))
        following = self._following(answer, body, len(records), progress, url)
        made = [self._raw(record, body, answer, progress, now) for record in records]
        raws = [raw for raw in made if self._stored.get(raw.key) != _digest(raw.body)]
        size = max(1, budget.messages)
        parts = [tuple(raws[at : at + size]) for at in range(0, len(raws), size)] or [()]
        # A kill between them reads the page again: the bookmark stays before it.
        batches = [Batch(self._name, part, mark=progress.mark(), more=True) for part in parts[:-1]]
        after = None if following is None else replace(progress, next=following)
        if after is None:
            last = self._beat(self._complete(answer, url, progress), now, parts[-1])
        else:
            last = Batch(self._name, parts[-1], mark=after.mark(), more=True)
        return _Page((*batches, last), after, len(records))

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

    def _beat(self, progress: _Progress, now: datetime, raws: tuple[Raw, ...] = ()) -> Batch:
        started = datetime.fromisoformat(progress.started) if progress.started else now
        newest = self._instant(progress.since)
        beat = Heartbeat(self._name, complete_to=started, seen_at=now, newest=newest)
        progress = replace(progress, started=None, greatest=None)
        return Batch(self._name, raws, heartbeat=beat, mark=progress.mark())

    # --- asking -----------------------------------------------------------------------------------

    def _ask(self, url: str, progress: _Progress) -> Answer:
        headers = {}
        if progress.next is None and progress.etag and progress.etag[0] == _hash(url):
            headers["if-none-match"] = progress.etag[1]
        return self._outgoing.get(url, headers)

    def _address(self, progress: _Progress) -> str:
        options = self._options
        if options.paging == "link" and progress.next is not None:
            return str(progress.next)
        since = self._since(progress.since)
        given = {
            "since": since,
            "page_size": str(options.page_size),
            "cursor": str(progress.next) if progress.next is not None else None,
            "page": str(progress.next if progress.next is not None else options.first_page),
        }
        parts = urlsplit(options.url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        for name, text in options.query.items():
            filled = _filled(text, given)
            if filled is not None:
                query.append((name, filled))
        return urlunsplit(parts._replace(query=urlencode(query, quote_via=quote), fragment=""))

    def _since(self, stamp: str | None) -> str | None:
        """The stamp to ask from: the greatest one less the overlap, written as the source does."""
        if stamp is None:
            return self._options.since_initial
        moment = self._instant(stamp)
        if moment is None or self._options.stamp is None:
            return stamp
        moment -= self._options.overlap
        try:
            is_zoned = datetime.fromisoformat(stamp).tzinfo is not None
        except ValueError:
            is_zoned = True
        if not is_zoned:
            return moment.astimezone(self._zone).replace(tzinfo=None).isoformat()
        return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"

    def _following(
        self, answer: Answer, body: Any, count: int, progress: _Progress, url: str
    ) -> str | int | None:
        """What leads to the next page; None at the end of the pass."""
        options = self._options
        following: str | int | None = None
        if options.paging == "page":
            number = int(progress.next if progress.next is not None else options.first_page)
            following = number + 1 if count >= options.page_size else None
        elif options.paging == "cursor":
            following = as_text(walk(body, options.next or ""))
        elif options.paging == "link":
            link = as_text(walk(body, options.next)) if options.next else _link_header(answer)
            following = joined(url, link) if link else None
        if isinstance(following, str) and len(following) > LONGEST_NEXT:
            raise ConfigError(
                f'Source "{self._name}" names a next page of {len(following):,} characters, which '
                "no bookmark can hold. Use another way of paging, if it offers one."
            )
        if following is not None and following == progress.next:
            raise ConfigError(
                f'Source "{self._name}" names the same next page again and again. Check paging and '
                "next in its options in network.yaml."
            )
        return following

    # --- records ----------------------------------------------------------------------------------

    def _records(self, body: Any) -> Iterator[tuple[Any, str]]:
        path = self._program.mapping.records if self._program is not None else ""
        return records_in(body, path)

    def _raw(
        self, record: Any, body: Any, answer: Answer, progress: _Progress, now: datetime
    ) -> Raw:
        is_whole = record is body
        content = answer.body if is_whole else orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
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
        if self._program is None:
            return event_key(record, content)
        own = None
        if self._program.key is not None and isinstance(record, dict):
            own = self._program.key(JsonRecord(record, "$", self._program.nulls), None)
        return sha256(content).hexdigest() if own is None else bounded_key(own)

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

    # --- stamps -----------------------------------------------------------------------------------

    def _greatest(self, records: list[Any], known: str | None) -> str | None:
        path = self._options.stamp
        if path is None:
            return None
        found = [as_text(walk(record, path)) for record in records]
        stamps = [text for text in (known, *found) if text]
        return max(stamps, key=self._rank, default=None)

    def _rank(self, stamp: str) -> tuple[int, float, str]:
        """How far a stamp is: times among times, numbers among numbers."""
        if stamp.isascii() and stamp.isdigit():
            return 1, float(stamp), stamp.zfill(40)
        moment = self._instant(stamp)
        if moment is not None:
            return 1, moment.timestamp(), stamp
        return 0, 0.0, stamp

    def _instant(self, stamp: str | None) -> datetime | None:
        if stamp is None or (stamp.isascii() and stamp.isdigit()):
            return None
        try:
            return values.instant(stamp, (), self._zone)[0]
        except values.Unreadable:
            return None


def _filled(text: str, given: Mapping[str, str | None]) -> str | None:
    """A parameter with its placeholders filled in; None if one has no value yet."""
    for name, value in given.items():
        placeholder = "{" + name + "}"
        if placeholder in text:
            if value is None:
                return None
            text = text.replace(placeholder, value)
    return text


def _link_header(answer: Answer) -> str | None:
    """The address that the Link header calls next."""
    for part in answer.headers.get("link", "").split(","):
        target, _, parameters = part.strip().partition(";")
        if target.startswith("<") and target.endswith(">"):
            words = [word.strip().replace('"', "").lower() for word in parameters.split(";")]
            if "rel=next" in words:
                return target[1:-1]
    return None


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=12).digest()


def _hash(url: str) -> str:
    return blake2b(url.encode(), digest_size=8).hexdigest()
