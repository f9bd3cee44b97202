"""The canonical form of the fields of events: how a text, a quantity or a date is written.

Nearly every record arrives in this form already. So ``checked`` writes one function per list of
fields that says whether a record needs any work; only one that does is brought into form, field by
field, by ``in_form``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from tower.errors import PayloadRejected

LONGEST_TEXT = 500
"""Characters of a text that are kept."""

Check = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field: its name and its kind as listed in ``tower.vocabulary``."""

    name: str
    kind: str
    required: bool


def in_form(
    specs: tuple[FieldSpec, ...], data: Mapping[str, Any], type_: str, prefix: str
) -> dict[str, Any]:
    """A record with these fields in canonical form; others are dropped, empty ones left out.

    Raises PayloadRejected, code ``missing_key`` or ``bad_value``; ``type_`` and ``prefix``
    ("lines[0].") say where.
    """
    result: dict[str, Any] = {}
    get = data.get
    for spec in specs:
        value = get(spec.name)
        if value.__class__ is str and not value.strip():
            value = None
        if value is not None:
            try:
                value = _CONVERT[spec.kind](value)
            except (ValueError, TypeError, ArithmeticError) as error:
                said = f'"{str(value)[:60]}" is not a {_SAID[spec.kind]}'
                raise bad_value(type_, prefix + spec.name, said) from error
        # A text of control characters alone is empty too.
        if value is None or value == "":
            if spec.required:
                raise PayloadRejected(
                    f"{type_} has no {prefix}{spec.name}",
                    code="missing_key",
                    advice=f"Send {prefix}{spec.name}, or correct the mapping that should give it.",
                )
            continue
        result[spec.name] = value
    return result


def bad_value(type_: str, field: str, what: str) -> PayloadRejected:
    """The error of a value that is not what its field holds."""
    return PayloadRejected(
        f"{type_}: {field} {what}",
        code="bad_value",
        advice="Correct the value at its sender, or the mapping that reads it.",
    )


# --- the forms ------------------------------------------------------------------------------------


def decimal_text(value: Any) -> str:
    """Canonical decimal string: no exponent, no trailing zeros; floats by their shortest form."""
    if value.__class__ is str:
        # Nearly every quantity is a short plain number: no need for arithmetic.
        if len(value) < 16 and value.isdigit() and value.isascii() and value[0] != "0":
            return str(value)
    elif value.__class__ is int:
        return str(value)
    elif isinstance(value, bool):
        raise TypeError("a truth value is not a number")
    number = Decimal(str(value) if isinstance(value, float) else value)
    if not number.is_finite() or abs(number.adjusted()) > 30:
        raise ValueError("not a usable number")
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text)
    digits = digits.lstrip("0") or "0"
    if digits[0] == ".":
        digits = "0" + digits
    return "0" if digits == "0" else sign + digits


def instant(value: Any) -> datetime:
    """An aware UTC instant from ISO text; a text without zone is refused."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
    if moment.tzinfo is None:
        raise ValueError("a time without zone")
    return moment.astimezone(UTC)


def _text(value: Any) -> str:
    if value.__class__ is not str:
        if isinstance(value, (dict, list, bool)):
            raise TypeError("not a text")
        value = str(value)
    text: str = value.strip()[:LONGEST_TEXT].strip()
    if text.isprintable():
        return text
    # Control characters and halves of characters: no database, mail or screen takes them.
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _word(value: Any) -> str:
    return _text(value).lower()


@lru_cache(maxsize=4096)
def _day(text: str) -> str:
    return date.fromisoformat(text).isoformat()


def _date(value: Any) -> str:
    text = str(value).strip()
    return _day(text[:10] if text[10:11] in ("T", " ") else text)


def _when(value: Any) -> str:
    return instant(value).isoformat()


def _int(value: Any) -> int:
    number = Decimal(str(value))
    if number.is_finite() and number.adjusted() > 30:
        raise ValueError("not a usable number")
    return int(number)


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError("not true or false")


def _list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise TypeError("not a list")


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "code": _word,
    "qty": decimal_text,
    "money": decimal_text,
    "date": _date,
    "when": _when,
    "int": _int,
    "flag": _flag,
    "list": _list,
}
_SAID = {
    "text": "text",
    "code": "word",
    "qty": "quantity",
    "money": "amount",
    "date": "date (write 2026-03-27)",
    "when": "time with zone (write 2026-03-27T14:00:00Z)",
    "int": "whole number",
    "flag": "truth value",
    "list": "list",
}


# --- whether a record is in form ------------------------------------------------------------------

# A plain "9.25" is seen without the pattern, which takes twice as long. Longer numbers, and the few
# that are no quantity (-0), are left to ``decimal_text``.
_NUMBER = re.compile(r"(?:-(?!0\Z))?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,11}[1-9])?")


@lru_cache(maxsize=4096)
def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_when(value: Any) -> bool:
    try:
        return bool(_when(value) == value)
    except (ValueError, TypeError, OverflowError):
        return False


_IS_NUMBER = (
    "v.__class__ is str and (v.isdigit() and v.isascii() and len(v) < 16 and v[0] != '0'"
    " or v.replace('.', '', 1).isdigit() and v.isascii() and v[0] > '0' < v[-1] and len(v) < 14"
    " or number(v) is not None)"
)
_IN_FORM = {
    # kind: whether the value v is in form. No answer may be True that _CONVERT would change.
    "text": f"v.__class__ is str and len(v) <= {LONGEST_TEXT}"
    " and (v.isalnum() or len(v) > 0 and v.isprintable() and v == v.strip())",
    "code": f"v.__class__ is str and 0 < len(v) <= {LONGEST_TEXT} and v.isprintable()"
    " and v == v.strip().lower()",
    "qty": _IS_NUMBER,
    "money": _IS_NUMBER,
    "date": "v.__class__ is str and len(v) == 10 and day(v)",
    "when": "v.__class__ is str and when(v)",
    "int": "v.__class__ is int",
    "flag": "v is True or v is False",
    "list": "v.__class__ is list",
}
_NAMES = {"number": _NUMBER.fullmatch, "day": _is_day, "when": _is_when}


def checked(specs: tuple[FieldSpec, ...]) -> Check:
    """A function that says whether ``in_form`` with these fields would change nothing.

    It may err to the one side only: what it says is in form is. The function is written out, field
    after field, because a loop over the fields takes four times as long, and every line of every
    document passes here. For ``line!:text flag:flag``:

        def is_in_form(record):
            get = record.get
            known = 0
            v = get('line')
            if not (v.__class__ is str and ...): return False
            known += 1
            v = get('flag')
            if v is not None:
                if not (v is True or v is False): return False
                known += 1
            return known == len(record)
    """
    lines = ["def is_in_form(record):", " get = record.get", " known = 0"]
    for spec in specs:
        lines.append(f" v = get({spec.name!r})")
        pad = " "
        if not spec.required:
            lines.append(" if v is not None:")
            pad = "  "
        lines.append(f"{pad}if not ({_IN_FORM[spec.kind]}): return False")
        lines.append(f"{pad}known += 1")
    lines.append(" return known == len(record)")
    made: dict[str, Any] = dict(_NAMES)
    exec("\n".join(lines), made)  # noqa: S102  # of nothing but the words of the vocabulary
    check: Check = made["is_in_form"]
    return check
