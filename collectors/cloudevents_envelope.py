"""The CloudEvents 1.0 envelope: what must be there, and in which form.

Follows the specification strictly, so that what is accepted here can be handed on to others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple
from urllib.parse import unquote

from tower.errors import PayloadRejected

REQUIRED = ("id", "source", "type")
_STANDARD = frozenset(
    {"specversion", "datacontenttype", "dataschema", "subject", "time", *REQUIRED}
)
_DATA = frozenset({"data", "data_base64"})
LONGEST = 4096
"""Characters of one attribute; the spec wants intermediaries to carry envelopes of 64 KB."""

HEADER_PREFIX = "ce-"

_NAME = re.compile(r"[a-z0-9]+\Z")
_USUAL_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}(?:\d{3})?)?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:)(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z", re.ASCII
)
_REFERENCE = re.compile(r"[^\s<>\"{}|\\^`\x00-\x1f\x7f-\x9f]+\Z")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.")
_MEDIA_TYPE = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    r"(?:\s*;\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|\"[^\"]*\"))*\s*\Z"
)
_JSON_TYPE = re.compile(r"[^;]*[/+]json\s*(?:;|\Z)", re.IGNORECASE)
# Control characters and what Unicode calls noncharacters; the spec forbids both in strings.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


class Envelope(NamedTuple):
    """The attributes of one event, checked. ``time`` is aware UTC; ``data`` a JSON value, a text
    or bytes; ``extensions`` are written as texts ("true", "7"), empty ones left out.
    """

    id: str
    source: str
    type: str
    subject: str | None
    time: datetime | None
    datacontenttype: str | None
    data: Any
    extensions: Mapping[str, str]

    @property
    def says_json(self) -> bool:
        """Whether the data are JSON; they are if nothing is said."""
        return self.datacontenttype is None or bool(_JSON_TYPE.match(self.datacontenttype))


def from_structured(value: Any) -> Envelope:
    """The envelope of a structured event; raises PayloadRejected ``invalid_envelope``."""
    if not isinstance(value, dict):
        raise _invalid("the event is no JSON object")
    data = value.get("data") if "data_base64" not in value else _data_of(value)
    return _envelope(value, data)


def from_binary(headers: Mapping[str, str], body: bytes) -> Envelope:
    """The envelope of an event whose attributes are HTTP headers; ``data`` are the bytes."""
    attributes: dict[str, Any] = {}
    for header, given in headers.items():
        name = header.lower()
        if name.startswith(HEADER_PREFIX):
            attributes[name.removeprefix(HEADER_PREFIX)] = _header_text(given)
    content_type = next((v for k, v in headers.items() if k.lower() == "content-type"), None)
    if content_type:
        attributes["datacontenttype"] = content_type.strip()
    return _envelope(attributes, body or None)


def _envelope(attributes: Mapping[str, Any], data: Any) -> Envelope:
    standard, extensions = _if_all_usual(attributes) or _one_by_one(attributes)
    get = standard.get
    if get("specversion") != "1.0":
        version = get("specversion")
        raise _invalid(
            "specversion is missing" if version is None else f'specversion "{version}" is not 1.0'
        )
    for name in REQUIRED:
        if name not in standard:
            raise _invalid(f"{name} is missing")
    source, schema, content_type, time = (
        standard["source"],
        get("dataschema"),
        get("datacontenttype"),
        get("time"),
    )
    _check_reference("source", source)
    if schema is not None:
        _check_reference("dataschema", schema)
        if not _SCHEME.match(schema):
            raise _invalid("dataschema is not an absolute URI")
    if content_type is not None:
        _check_media_type(content_type)
    return Envelope(
        standard["id"],
        source,
        standard["type"],
        get("subject"),
        None if time is None else timestamp("time", time),
        content_type,
        data,
        extensions,
    )


def _if_all_usual(
    attributes: Mapping[str, Any],
) -> tuple[Mapping[str, str], dict[str, str]] | None:
    """Standard attributes and extensions, seen at one glance if all are short plain texts.

    Most envelopes of a sender have the same names and nothing odd in them; None for all others.
    """
    try:
        take, extra = _layout(tuple(attributes))
        given = take(attributes)
        together = "".join(given)
    except (ValueError, TypeError):
        return None
    if "" in given or len(together) > LONGEST or not together.isprintable():
        return None
    return attributes, {name: attributes[name] for name in extra}


@lru_cache(maxsize=256)
def _layout(names: tuple[str, ...]) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    """A function that takes all attributes out of an envelope with these names, and the extensions
    among them; raises ValueError (which is not remembered) if that is no usual envelope.
    """
    wanted = [name for name in names if name not in _DATA]
    extra = tuple(name for name in wanted if name not in _STANDARD)
    if not 1 < len(wanted) < 32 or any(len(name) > 64 or not _NAME.match(name) for name in extra):
        raise ValueError("unusual names")
    return itemgetter(*wanted), extra


def _one_by_one(attributes: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Standard attributes and extensions, each checked by itself."""
    standard: dict[str, str] = {}
    extensions: dict[str, str] = {}
    for name, given in attributes.items():
        if given is None or name in _DATA:
            continue
        _check_value(name, given)
        if name in _STANDARD:
            if not isinstance(given, str) or not given:
                raise _invalid(f"{name} is not a text with at least one character")
            standard[name] = given
        elif not _NAME.match(name):
            raise _invalid(f'attribute name "{name[:40]}" has other signs than a-z and 0-9')
        elif given != "":
            extensions[name] = str(given).lower() if isinstance(given, bool) else str(given)
    return standard, extensions


def timestamp(name: str, text: str) -> datetime:
    """An RFC 3339 time with zone as aware UTC; raises PayloadRejected ``invalid_envelope``."""
    if _USUAL_TIME.fullmatch(text):
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            pass  # a leap second, or no time at all: looked at more closely
    match = _TIME.match(text)
    if match:
        day, minutes, seconds, fraction, zone = match.groups()
        # A leap second counts as the second before it: datetime knows none.
        seconds = "59" if seconds == "60" else seconds
        written = f"{day}T{minutes}{seconds}{(fraction or '')[:7]}{zone.upper()}"
        try:
            return datetime.fromisoformat(written).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _invalid(f'{name} "{text[:40]}" is not a time like 2026-03-27T14:00:00Z')


def _check_value(name: str, given: Any) -> None:
    """Type and size of one attribute."""
    if isinstance(given, str):
        if len(given) > LONGEST:
            raise _invalid(f"{name} has {len(given):,} characters, more than {LONGEST:,}")
        if _FORBIDDEN.search(given):
            raise _invalid(f"{name} holds control characters")
    elif isinstance(given, bool):
        pass
    elif isinstance(given, int):
        if not -(2**31) <= given < 2**31:
            raise _invalid(f"{name} is outside the whole numbers of 32 bits")
    else:
        raise _invalid(f"{name} is neither text, whole number nor truth value")


@lru_cache(maxsize=1024)
def _check_media_type(given: str) -> None:
    if not _MEDIA_TYPE.match(given):
        raise _invalid(f'datacontenttype "{given[:60]}" is not a media type')


@lru_cache(maxsize=1024)
def _check_reference(name: str, given: str) -> None:
    if not _REFERENCE.match(given) or _BAD_PERCENT.search(given) or given.count("#") > 1:
        raise _invalid(f'{name} "{given[:60]}" is not a URI reference')


def _data_of(value: Mapping[str, Any]) -> Any:
    encoded = value.get("data_base64")
    if encoded is None:
        return value.get("data")
    if value.get("data") is not None:
        raise _invalid("data and data_base64 are both there")
    if not isinstance(encoded, str):
        raise _invalid("data_base64 is not a text")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise _invalid("data_base64 is not base64") from None


def _header_text(given: str) -> str:
    """A header's value: quotes around it taken off, %xx read as UTF-8."""
    text = given.strip()
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _invalid("a header's percent-encoding is not UTF-8") from None


def _invalid(said: str) -> PayloadRejected:
    return PayloadRejected(
        f"No valid CloudEvents 1.0 envelope: {said}.",
        code="invalid_envelope",
        advice="Correct the envelope at its sender and send the event again.",
    )
