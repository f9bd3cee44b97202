"""Entities of an OData service, version 2 or 4, with what they expand to.

The pass, its bookmark and its sweep are those of a polled service (collectors/rest.py); here stands
what the protocol fixes: how a list and its next page are written, how stamps and keys are asked
for, and that a list inside an entity may go on on a page of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from collectors.key_sweep import Known, values_of
from collectors.outgoing import Answer, joined, raise_for
from collectors.records import as_text, walk
from collectors.rest import RestRecords
from collectors.rest_paging import Next, Paging
from tower import zones
from tower.errors import ConfigError, PayloadRejected
from tower.network import Network, Source
from tower.polled_feeds import ODataOptions, RestOptions

NEXT_LINK = "@odata.nextLink"
BEGINNING = "1970-01-01T00:00:00Z"
ASKED_AT_ONCE = 20  # keys in one filter: addresses may not grow for ever
MOST_PAGES = 1_000  # of one list inside an entity
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class ODataPaging(Paging):
    """Links first; where the client pages, then the page behind the greatest stamp."""

    def __init__(self, source: str, odata: ODataOptions, options: RestOptions, zone: Any) -> None:
        super().__init__(source, options, zone)
        self._odata = odata

    def address(self, since: str | None, at: Next | None, query: Mapping[str, str]) -> str:
        return str(at) if _is_link(at) else super().address(since, at, query)

    def following(
        self, answer: Answer, body: Any, records: Sequence[Any], at: Next | None, url: str
    ) -> Next | None:
        link = as_text(walk(body, NEXT_LINK if self._odata.version == 4 else "d.__next"))
        if link:
            return self._bearable(joined(url, link), at)
        # Behind the last link of a page that the service cut, there may be more pages of ours.
        came_by_link = _is_link(at) and bool(records)
        if self._options.paging == "stamp" and came_by_link:
            return self.behind(records, None)
        return super().following(answer, body, records, at, url)

    def since(self, stamp: str | None) -> str:
        if stamp is None:
            given = self._options.since_initial
            return self.literal(given or ("0" if self._kind == "number" else BEGINNING))
        moment = self.instant(stamp)
        if moment is None:
            return self.literal(stamp)
        return self._quoted(moment - self._options.overlap)

    def literal(self, stamp: str) -> str:
        moment = self.instant(stamp)
        return stamp if moment is None else self._quoted(moment)

    @property
    def _kind(self) -> str:
        usual = "datetimeoffset" if self._odata.version == 2 else "instant"
        return self._odata.stamp_type or usual

    def _quoted(self, moment: datetime) -> str:
        """An instant as the filter of this version writes it."""
        here = moment.astimezone(UTC).replace(tzinfo=None)
        text = here.isoformat(timespec="milliseconds" if here.microsecond else "seconds")
        match self._kind:
            case "datetimeoffset":
                return f"datetimeoffset'{text}Z'"
            case "datetime":
                return f"datetime'{text}'"
            case "date":
                return here.date().isoformat()
        return f"{text}Z"


class _KeyPaging(ODataPaging):
    """Counts entities off, also where the service cuts a page of ours: "start|read|link"."""

    def address(self, since: str | None, at: Next | None, query: Mapping[str, str]) -> str:
        start, _, link = str(at or "0||").split("|", 2)
        return link or super().address(since, int(start), query)

    def following(
        self, answer: Answer, body: Any, records: Sequence[Any], at: Next | None, url: str
    ) -> Next | None:
        start, read, _ = str(at or "0||").split("|", 2)
        count = int(read or 0) + len(records)
        link = as_text(walk(body, NEXT_LINK if self._odata.version == 4 else "d.__next"))
        if link:
            return self._bearable(f"{start}|{count}|{joined(url, link)}", at)
        if self._options.paging == "none" or count < self._options.page_size:
            return None
        return f"{int(start) + count}||"


class ODataEntities(RestRecords):
    """Reader of one entity set."""

    def __init__(
        self,
        name: str,
        source: Source,
        options: ODataOptions,
        net: Network,
        secrets: Mapping[str, str],
        known: Known | None = None,
    ) -> None:
        self._odata = options
        polled = _as_rest(options)
        paging = ODataPaging(name, options, polled, zones.zone(source.zone))
        super().__init__(name, source, polled, net, secrets, known, paging=paging)
        is_client = options.paging == "client"
        counted = polled.model_copy(update={"paging": "offset" if is_client else "none"})
        self._key_paging = _KeyPaging(name, options, counted, zones.zone(source.zone))

    def _records(self, body: Any) -> list[Any]:
        """The list of a page. Version 2 wraps it in "d", most services in "results" too."""
        if self._odata.version == 4:
            found = body.get("value") if isinstance(body, dict) else None
        else:
            found = walk(body, "d")
            found = found.get("results") if isinstance(found, dict) else found
        if not isinstance(found, list):
            path = "value" if self._odata.version == 4 else "d.results"
            raise PayloadRejected(
                f'The body has no list at "{path}", as OData {self._odata.version} wants it.',
                code="missing_key",
                advice="Correct version and url in the options of the source in network.yaml.",
            )
        return found

    def _whole(self, listed: Sequence[Any], url: str, now: datetime) -> Iterator[Any]:
        """The entities with every list inside them read to its end."""
        for entity in listed:
            yield self._completed(entity, url, now)

    def _completed(self, value: Any, url: str, now: datetime) -> Any:
        if isinstance(value, list):
            return [self._completed(item, url, now) for item in value]
        if not isinstance(value, dict):
            return value
        found = {k: self._completed(v, url, now) for k, v in value.items()}
        link = found.pop("__next", None)
        if isinstance(link, str) and isinstance(found.get("results"), list):
            found["results"] += self._rest_of(link, url, now)
        for name in [n for n in found if n.endswith(NEXT_LINK) and n != NEXT_LINK]:
            link = found.pop(name)
            items = found.get(name.removesuffix(NEXT_LINK))
            if isinstance(link, str) and isinstance(items, list):
                items += self._rest_of(link, url, now)
        return found

    def _rest_of(self, link: str, url: str, now: datetime) -> list[Any]:
        """The further pages of a list inside an entity."""
        found: list[Any] = []
        following: str | None = joined(url, link)
        for _ in range(MOST_PAGES):
            if following is None:
                return found
            self._wait_as_told(now)
            at = following
            body = self._value(self._get(at, now), now)
            found += [self._completed(item, at, now) for item in self._listed_in(body)]
            link_text = as_text(walk(body, NEXT_LINK if self._odata.version == 4 else "d.__next"))
            following = joined(at, link_text) if link_text else None
        raise ConfigError(
            f'Source "{self._name}" has an entity with more than {MOST_PAGES:,} pages of '
            f"{urlsplit(url).path[:100]}. Remove it from expand in its options in network.yaml."
        )

    def _listed_in(self, body: Any) -> list[Any]:
        try:
            return self._records(body)
        except PayloadRejected as error:
            raise ConfigError(
                f'Source "{self._name}": a page of a list inside an entity cannot be read: {error}'
            ) from error

    # --- keys -------------------------------------------------------------------------------------

    def _is_there(self, entity: str, now: datetime) -> bool:
        return bool(self._asked_for([values_of(entity)], now))

    def _missed(self, entries: Sequence[Any], now: datetime) -> Iterator[Any]:
        keys = [[as_text(walk(e, name)) or "" for name in self._odata.key] for e in entries]
        for at in range(0, len(keys), ASKED_AT_ONCE):
            yield from self._asked_for(keys[at : at + ASKED_AT_ONCE], now)

    def _asked_for(self, keys: Sequence[Sequence[str]], now: datetime) -> list[Any]:
        """The entities of these keys that there are."""
        conditions = [
            " and ".join(
                f"{name} eq {self._key_literal(value)}"
                for name, value in zip(self._odata.key, key, strict=True)
            )
            for key in keys
        ]
        wanted = {"$filter": " or ".join(f"({one})" for one in conditions), **_shape(self._odata)}
        parts = urlsplit(self._odata.url)
        url = urlunsplit(parts._replace(query=urlencode(wanted, quote_via=quote)))
        answer = self._get(url, now)
        raise_for(answer, self._name, now)
        found = self._listed_in(self._value(answer, now))
        return [self._completed(entity, url, now) for entity in found]

    def _key_literal(self, value: str) -> str:
        if _GUID.match(value):
            return value if self._odata.version == 4 else f"guid'{value}'"
        return "'" + value.replace("'", "''") + "'"


def _as_rest(options: ODataOptions) -> RestOptions:
    """The same in the words of a polled service."""
    kept = {name: getattr(options, name) for name in PASSED_ON}
    page = {"$top": "{page_size}", "$skip": "{offset}"} if options.paging == "client" else {}
    condition = f"{options.stamp} ge {{since}}"
    if options.filter:
        condition = f"({options.filter}) and {condition}"
    keys = ",".join(options.key)
    query = {
        "$filter": condition,
        "$orderby": f"{options.stamp},{keys}",
        **page,
        **_shape(options),
    }
    sweep = {"$select": keys, "$orderby": keys, **page, **_format(options)}
    if options.filter:
        sweep["$filter"] = options.filter
    headers = dict(options.headers)
    if options.version == 4 and options.paging == "server":
        headers.setdefault("Prefer", f"odata.maxpagesize={options.page_size}")
    return RestOptions.model_validate(
        {
            **kept,
            "headers": headers,
            "query": query,
            "sweep_query": sweep,
            "paging": "stamp" if page else "none",
        }
    )


PASSED_ON = (
    *("url", "auth_header", "auth_variable", "user", "password_variable", "oauth2", "stamp"),
    *("overlap", "since_initial", "page_size", "sweep_at", "sweep_within", "sweep_most"),
    *("timeout", "max_bytes", "networks", "key"),
)


def _shape(options: ODataOptions) -> dict[str, str]:
    found = _format(options)
    if options.expand:
        found["$expand"] = ",".join(options.expand)
    if options.select:
        found["$select"] = ",".join(options.select)
    return found


def _format(options: ODataOptions) -> dict[str, str]:
    return {**({"$format": "json"} if options.version == 2 else {}), **options.parameters}


def _is_link(at: Next | None) -> bool:
    return isinstance(at, str) and at.startswith(("http://", "https://"))
