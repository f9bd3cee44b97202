"""JSON that strangers wrote: bounded, strict, and told where it breaks."""

from __future__ import annotations

import pytest

from collectors.limits import parse_json
from tower.errors import PayloadRejected


@pytest.mark.parametrize(
    ("body", "code", "offset"),
    [
        (b"", "empty", 0),
        (b" \n", "empty", 0),
        (b"\xef\xbb\xbf", "empty", 0),
        (b'{"a": ', "truncated", 6),
        (b'{"\xc3\xa4": x}', "invalid_json", 7),
        (b'\xef\xbb\xbf{"a": x}', "invalid_json", 9),
        (b'{"a": NaN}', "invalid_json", 6),
        (b'{"a": Infinity}', "invalid_json", 6),
        (b'{"a": -1e999}', "invalid_json", 6),
        (b'{"a": "\xe4"}', "undecodable", 7),
        (b'"\\ud800"', "undecodable", None),
        (b"[" * 5000, "too_deep", 1025),
        (b"[" * 65 + b"]" * 65, "too_deep", None),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "too_deep", None),
        (b"1" * 101, "too_large", None),
    ],
)
def test_a_bad_text_is_refused_with_code_and_offset(
    body: bytes, code: str, offset: int | None
) -> None:
    with pytest.raises(PayloadRejected) as caught:
        parse_json(body, max_bytes=100 if code == "too_large" else 10_000)
    assert (caught.value.code, caught.value.offset) == (code, offset)
    assert caught.value.advice


def test_brackets_inside_texts_and_wide_bodies_are_not_depth() -> None:
    assert parse_json(b'["' + b"[{" * 200 + b'"]') == ["[{" * 200]
    assert len(parse_json(b"[" + b"[],{}," * 500 + b"[]]")) == 1001
    assert parse_json(b"[" * 64 + b"]" * 64)[0]


def test_a_byte_order_mark_is_no_content() -> None:
    assert parse_json(b'\xef\xbb\xbf {"a": 1}\r\n') == {"a": 1}
