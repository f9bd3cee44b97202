"""A new partner as text of network.yaml, and its place in a file that people wrote.

The file is never written anew from data: that would lose its comments. One block of lines is put
in; before it is accepted the new text is read again and must say exactly what it said, plus one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tower import strict_yaml
from tower.errors import ConfigError, Problem
from tower.network import Network, load_network
from tower.onboarding import FORMATS, TEMPLATES

KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,59}\Z")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*( [A-Za-z0-9_./&-]+)*\Z")
_WORDS = frozenset({"null", "true", "false"})
_COMMENT_AT = 46


@dataclass(frozen=True, slots=True)
class NewPartner:
    """What is known of a partner that comes in; empty where nothing is known yet."""

    key: str
    name: str
    template: str = "edi_x12"
    stage: str = "onboarding"
    tier: str = ""
    country: str = ""
    zone: str = ""
    calendar: str = ""
    isa: Sequence[str] = ()
    gln: str = ""
    duns: str = ""
    erp_vendor: Mapping[str, str] = field(default_factory=dict)
    feeds: Sequence[str] = ()
    expects_fa: bool | None = None
    sends_asn: bool = True
    per_minute: int | None = None
    contacts: Mapping[str, str] = field(default_factory=dict)


def block(new: NewPartner, net: Network) -> list[str]:
    """The lines of a partner, indented by two, each with what it is for.

    What is not known stands there as a comment, so that the next reader sees what can be said.
    """
    edi = new.template.startswith("edi_")
    asked = ", ".join(e.label for e in TEMPLATES[new.template] if not e.optional)
    expects_fa = edi if new.expects_fa is None else new.expects_fa
    feeds = list(new.feeds)
    fitting = [n for n, s in net.sources.items() if s.format in FORMATS[new.template]]
    if not feeds and len(fitting) == 1:
        feeds = fitting
    ids = [
        _id("isa", _list(new.isa) if new.isa else "", '["ZZ:THEIRID"]', "as in ISA05-06"),
        _id("gln", _text(new.gln), '"4000001000005"', "13 digits"),
        _id("duns", _text(new.duns), '"123456789"', "9 digits"),
        _id(
            "erp_vendor",
            _map(new.erp_vendor) if new.erp_vendor else "",
            f'{{{net.company.erp}: "1730"}}',
            "its number in each ERP",
        ),
    ]
    known_ids = any(not line.startswith("#") for line in ids)
    lines = [
        _say("name", _text(new.name)),
        _say("template", new.template, asked),
        _say("stage", new.stage, f"live when `tower partner check {new.key}` has nothing open")
        if new.stage == "onboarding"
        else _say("stage", new.stage),
        _hint("signed_off", '"who, when"', "the last step before live"),
        _say("tier", _text(new.tier)) if new.tier else _hint("tier", "B", "what the rules ask for"),
        _say("country", _text(new.country)) if new.country else "",
        _say("zone", _text(new.zone)) if new.zone else "",
        _say("calendar", _text(new.calendar), "its working hours")
        if new.calendar
        else _hint("calendar", net.company.calendar, "its working hours"),
        _say("ids" if known_ids else "# ids", "", "an identifier belongs to one partner only"),
        *(line if line.startswith("#") else f"  {line}" for line in ids),
        _say("feeds", f"[{', '.join(feeds)}]", "where its answers come from")
        if feeds
        else _hint("feeds", f"[{', '.join(fitting) or 'NAME'}]", "where its answers come from"),
        _say("expects_fa", _flag(expects_fa), "997, 999 or CONTRL agreed") if edi else "",
        _say("sends_asn", "false") if not new.sends_asn else "",
        _say("limits", f"{{per_minute: {new.per_minute}}}", "more are told 429")
        if new.per_minute
        else _hint("limits", "{per_minute: 60, max_bytes: 2MB}", "more are told 429"),
        _hint("codes", "{ack_line: {ZZ: on_hold}}", "its own meaning of codes"),
        _hint("mapping", "NAME", "its own columns and fields") if not edi else "",
        _hint("resend", "ask_partner", "or same_control_number, new_control_number"),
        _say("contacts", _map(new.contacts), "addresses, or names in people")
        if new.contacts
        else _hint("contacts", "{ack: edi@partner.example}", "addresses, or names in people"),
    ]
    return [f"  {new.key}:", *(f"    {line}".rstrip() for line in lines if line)]


def insert(text: str, new: NewPartner, name: str) -> str:
    """The text of a network file with one more partner, everything else as it was.

    Raises ConfigError if the file is wrong, has the partner already, or would be wrong with it.
    """
    net = load_network(text, name)
    if new.key in net.partners:
        _, marks = strict_yaml.load(text, name)
        place = marks.keys[("partners", new.key)]
        raise ConfigError(
            [
                Problem(
                    name, place.line, place.col, f"partners.{new.key}", "is there already",
                    "change it there, or choose another key",
                )
            ]
        )  # fmt: skip
    data, marks = strict_yaml.load(text, name)
    result = _placed(text, data, marks, block(new, net), name)
    after, _ = strict_yaml.load(result, name)
    partners = after.get("partners") or {}
    added = {key: value for key, value in partners.items() if key != new.key}
    if (after | {"partners": added}) != (data | {"partners": data.get("partners") or {}}):
        raise _by_hand(name, 1, "the block would change more than it adds")
    load_network(result, name)
    return result


def _placed(
    text: str, data: dict[str, Any], marks: strict_yaml.Marks, lines: list[str], name: str
) -> str:
    ending = "\r\n" if "\r\n" in text else "\n"
    rows = text.splitlines()
    key = marks.keys.get(("partners",))
    if key is None:
        while rows and not rows[-1].strip():
            rows.pop()
        return ending.join([*rows, "", "partners:", *lines]) + ending
    value = marks.values[("partners",)]
    known = data.get("partners")
    row = rows[value.line - 1]
    if known == {} or (known and row[value.col - 1 : value.col] == "{"):
        if known or row[value.col - 1 :].partition("#")[0].strip() != "{}":
            raise _by_hand(name, value.line, "partners stands in braces on one line")
        rows[value.line - 1] = (row[: value.col - 1] + row[value.col + 1 :]).rstrip()
        at = value.line
    else:
        first = min(mark for path, mark in marks.keys.items() if path[:1] == ("partners",)
                    and len(path) == 2)  # fmt: skip
        lines = [" " * (first.col - 3) + line if first.col > 3 else line[3 - first.col :]
                 for line in lines]  # fmt: skip
        later = [mark.line for path, mark in marks.keys.items() if len(path) == 1
                 and mark.line > key.line]  # fmt: skip
        at = min(later, default=len(rows) + 1) - 1
        # Comments and blank lines right above the next section belong to it.
        while at > first.line and (not rows[at - 1].strip() or rows[at - 1].startswith("#")):
            at -= 1
    return ending.join([*rows[:at], *lines, *rows[at:]]) + ending


def _by_hand(name: str, line: int, said: str) -> ConfigError:
    return ConfigError(
        [
            Problem(
                name,
                line,
                1,
                "partners",
                said,
                "put the block in by hand: tower partner add ... --print shows it",
            )
        ]
    )


def _say(key: str, value: str, comment: str = "", *, deep: int = 4) -> str:
    """One line; ``deep`` is how far it will stand from the margin."""
    said = f"{key}: {value}"
    return f"{said.ljust(_COMMENT_AT - deep - 1)} # {comment}" if comment else said


def _id(key: str, value: str, example: str, comment: str) -> str:
    if value:
        return _say(key, value, comment, deep=6)
    return _hint(f"  {key}", example, comment)


def _hint(key: str, value: str, comment: str, *, deep: int = 4) -> str:
    return _say(f"# {key}", value, comment, deep=deep)


def _text(value: str) -> str:
    """A word as YAML; "" stays empty."""
    if not value:
        return ""
    if _PLAIN.match(value) and value.lower() not in _WORDS:
        return value
    return _quoted(value)


def _quoted(value: str) -> str:
    """In double quotes; what YAML takes for an end of line, or nobody can see, as its number."""
    return "".join(
        sign if sign.isprintable() else f"\\U{ord(sign):08x}"
        for sign in json.dumps(value, ensure_ascii=False)
    )


def _list(values: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, values))}]"


def _map(values: Mapping[str, str]) -> str:
    said = ", ".join(f"{_text(k)}: {_quoted(v)}" for k, v in values.items())
    return f"{{{said}}}"


def _flag(value: bool) -> str:
    return "true" if value else "false"
