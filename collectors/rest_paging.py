"""Which address comes next: from a stamp to the first page, from a page to the one behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit
from zoneinfo import ZoneInfo

from collectors import values
from collectors.outgoing import Answer, joined
from collectors.records import as_text, walk
from tower.errors import ConfigError
from tower.polled_feeds import RestOptions

LONGEST_NEXT = 6000  # a bookmark has 8 KB

Next = str | int
"""What leads to a page: its address, cursor, number, offset, or offset and stamp ("3|2026-...")."""


class Paging:
    """The ways of paging that options name, and how stamps are compared and asked for."""

    def __init__(self, source: str, options: RestOptions, zone: ZoneInfo) -> None:
        self._source = source
        self._options = options
        self._zone = zone

    # --- addresses --------------------------------------------------------------------------------

    def address(self, since: str | None, at: Next | None, query: Mapping[str, str]) -> str:
        """The page ``at``, or the first one of a pass from the stamp ``since``."""
        options = self._options
        if options.paging == "link" and at is not None:
            return str(at)
        offset, asked = "0", self.since(since)
        if options.paging == "stamp" and at is not None:
            offset, _, stamp = str(at).partition("|")
            asked = self.literal(stamp)
        elif options.paging == "offset" and at is not None:
            offset = str(at)
        given = {
            "since": asked,
            "page_size": str(options.page_size),
            "offset": offset,
            "cursor": str(at) if at is not None else None,
            "page": str(at if at is not None else options.first_page),
        }
        parts = urlsplit(options.url)
        filled_in = parse_qsl(parts.query, keep_blank_values=True)
        for name, text in query.items():
            filled = _filled(text, given)
            if filled is not None:
                filled_in.append((name, filled))
        encoded = urlencode(filled_in, quote_via=quote)
        return urlunsplit(parts._replace(query=encoded, fragment=""))

    def following(
        self, answer: Answer, body: Any, records: Sequence[Any], at: Next | None, url: str
    ) -> Next | None:
        """What leads to the next page; None at the end of the pass."""
        options = self._options
        is_full = len(records) >= options.page_size
        if options.more is not None and records:
            is_full = walk(body, options.more) is True
        following: Next | None = None
        if options.paging == "page":
            number = int(at if at is not None else options.first_page)
            following = number + 1 if is_full else None
        elif options.paging == "offset":
            following = int(at or 0) + len(records) if is_full else None
        elif options.paging == "cursor":
            following = as_text(walk(body, options.next or ""))
        elif options.paging == "link":
            link = _linked(walk(body, options.next)) if options.next else _link_header(answer)
            following = joined(url, link) if link else None
        elif options.paging == "stamp" and is_full:
            following = self.behind(records, at)
        return self._bearable(following, at)

    def behind(self, records: Sequence[Any], at: Next | None) -> Next | None:
        """The page from the greatest stamp of this one on: what changes meanwhile moves behind it,
        so that nothing is stepped over. Only a page of one single stamp is counted off.
        """
        last = self.greatest(records, None)
        if last is None:
            raise ConfigError(
                f'Source "{self._source}" gives records without {self._options.stamp}, by which '
                "they are paged. Correct stamp in its options in network.yaml."
            )
        offset, _, stamp = str(at or "0|").partition("|")
        if stamp and self.rank(stamp) == self.rank(last):
            return f"{int(offset) + len(records)}|{stamp}"
        return f"0|{last}"

    def _bearable(self, following: Next | None, at: Next | None) -> Next | None:
        if isinstance(following, str) and len(following) > LONGEST_NEXT:
            raise ConfigError(
                f'Source "{self._source}" names a next page of {len(following):,} characters, '
                "which no bookmark can hold. Use another way of paging, if it offers one."
            )
        if following is not None and following == at:
            raise ConfigError(
                f'Source "{self._source}" names the same next page again and again. Check paging '
                "and next in its options in network.yaml."
            )
        return following

    # --- stamps -----------------------------------------------------------------------------------

    def since(self, stamp: str | None) -> str | None:
        """The stamp to ask from: the greatest one less the overlap, written as the source does."""
        if stamp is None:
            return self._options.since_initial
        moment = self.instant(stamp)
        if moment is None or self._options.stamp is None:
            return stamp
        return self.written(moment - self._options.overlap, stamp)

    def literal(self, stamp: str) -> str:
        """A stamp of the source's as it is asked for."""
        return stamp

    def written(self, moment: datetime, like: str) -> str:
        """An instant in the way in which the source writes ``like``, or wants to be asked."""
        if self._options.since_format is not None:
            return moment.astimezone(self._zone).strftime(self._options.since_format)
        try:
            sample = datetime.fromisoformat(like)
        except ValueError:
            return _zulu(moment)
        if sample.tzinfo is not None:
            return _zulu(moment)
        here = moment.astimezone(self._zone).replace(tzinfo=None)
        return here.isoformat(" " if like[10:11] == " " else "T")

    def greatest(self, records: Sequence[Any], known: str | None) -> str | None:
        """The greatest stamp of the records and ``known``; None without stamps."""
        if self._options.stamp is None:
            return None
        found = (self._stamp_of(record) for record in records)
        stamps = [text for text in (known, *found) if text]
        return max(stamps, key=self.rank, default=None)

    def rank(self, stamp: str) -> tuple[int, float, str]:
        """How far a stamp is: times among times, numbers among numbers."""
        if stamp.isascii() and stamp.isdigit():
            return 1, float(stamp), stamp.zfill(40)
        moment = self.instant(stamp)
        if moment is not None:
            return 1, moment.timestamp(), stamp
        return 0, 0.0, stamp

    def instant(self, stamp: str | None) -> datetime | None:
        if stamp is None or (stamp.isascii() and stamp.isdigit()):
            return None
        try:
            return values.instant(stamp, (), self._zone)[0]
        except values.Unreadable:
            return None

    def _stamp_of(self, record: Any) -> str | None:
        return as_text(walk(record, self._options.stamp or ""))


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _filled(text: str, given: Mapping[str, str | None]) -> str | None:
    """A parameter with its placeholders filled in; None if one has no value yet."""
    for name, value in given.items():
        placeholder = "{" + name + "}"
        if placeholder in text:
            if value is None:
                return None
            text = text.replace(placeholder, value)
    return text


def _linked(found: Any) -> str | None:
    """An address, or the one of a list of links that is called next."""
    if isinstance(found, list):
        for link in found:
            if isinstance(link, dict) and link.get("rel") == "next":
                return as_text(link.get("href"))
        return None
    return as_text(found)


def _link_header(answer: Answer) -> str | None:
    """The address that the Link header calls next."""
    for part in answer.headers.get("link", "").split(","):
        target, _, parameters = part.strip().partition(";")
        if target.startswith("<") and target.endswith(">"):
            words = [word.strip().replace('"', "").lower() for word in parameters.split(";")]
            if "rel=next" in words:
                return target[1:-1]
    return None
