"""Reading JSON that strangers wrote: bounded in size and depth, strict about numbers."""

from __future__ import annotations

from typing import Any

import orjson

from tower.errors import PayloadRejected

MAX_BYTES = 50_000_000
MAX_DEPTH = 64
BOM = b"\xef\xbb\xbf"
SAFE_INTEGER = 2**53
"""Beyond it a number that went through a float may not be the one that was sent."""


def parse_json(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of a JSON text, parsed once.

    Raises PayloadRejected: ``empty``, ``too_large``, ``undecodable``, ``truncated``,
    ``invalid_json`` or ``too_deep``, with the byte offset where it is known. NaN and Infinity are
    no JSON and refused.
    """
    if len(body) > max_bytes:
        raise PayloadRejected(
            f"The body has {len(body):,} bytes, more than the {max_bytes:,} that are read.",
            code="too_large",
            advice="Send it in parts.",
        )
    start = len(BOM) if body.startswith(BOM) else 0
    text = body[start:] if start else body
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if not text.strip():
            raise PayloadRejected(
                "The body is empty.",
                code="empty",
                advice="Ask the sender for the content.",
                offset=0,
            ) from None
        raise _refusal(text, start, error) from None
    # A body with few brackets cannot be deep: most need no walk.
    if text.count(b"{") + text.count(b"[") > max_depth and _deeper_than(value, max_depth):
        raise PayloadRejected(
            f"The body is nested deeper than {max_depth} levels.",
            code="too_deep",
            advice="Send a flatter body; no business document needs such depth.",
        )
    return value


def _refusal(text: bytes, start: int, error: orjson.JSONDecodeError) -> PayloadRejected:
    said = error.msg
    if "UTF-8" in said or "surrogate" in said:
        offset = _first_undecodable(text)
        return PayloadRejected(
            f"The body is not UTF-8 text: byte {start + offset} cannot be read."
            if offset is not None
            else "The body holds half a character (a lone surrogate).",
            code="undecodable",
            advice="Send JSON as UTF-8.",
            offset=None if offset is None else start + offset,
        )
    offset = start + len(error.doc[: error.pos].encode("utf-8", "surrogatepass"))
    if "depth" in said:
        return PayloadRejected(
            "The body is nested far too deeply.",
            code="too_deep",
            advice="Send a flatter body; no business document needs such depth.",
            offset=offset,
        )
    if "unexpected end" in said:
        return PayloadRejected(
            f"The JSON text ends at byte {offset} before it is complete.",
            code="truncated",
            advice="The sender stopped in the middle: ask for the whole message.",
            offset=offset,
        )
    return PayloadRejected(
        f"The body is no JSON: {said} at byte {offset}.",
        code="invalid_json",
        advice="Correct it at its sender; NaN and Infinity are no JSON either.",
        offset=offset,
    )


def _first_undecodable(text: bytes) -> int | None:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = (
            [
                child
                for parent in level
                for child in (parent.values() if isinstance(parent, dict) else parent)
                if isinstance(child, (dict, list))
            ]
            if isinstance(level[0], (dict, list))
            else []
        )
        if not level:
            return False
    return True
