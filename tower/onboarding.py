"""Bringing a partner in: what is expected of it, what has been seen, what is still missing.

A template says which documents a connection of its kind exchanges. The checklist lays beside each
of them what the tower really saw; nothing counts because somebody ticked it, but the sign-off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from tower.network import Network, Partner

State = Literal["done", "open", "wrong", "not_asked"]


class Expected(NamedTuple):
    """A document of a template.

    types    events that prove it; ``formats`` of the sources they must come from, any if empty
    asked    field of the profile that asks for it ("" = always); optional ones are shown, not asked
    """

    name: str
    label: str
    types: tuple[str, ...]
    formats: tuple[str, ...] = ()
    asked: str = ""
    optional: bool = False


_ANSWERS = ("po.acknowledged", "po.rejected", "po.change_proposed", "po.change_answered")
_ASN = ("asn.received", "asn.replaced")
_INVOICE = ("invoice.received", "credit.received")


def _edi(
    format_: str, order: str, receipt: str, answer: str, asn: str, invoice: str
) -> tuple[Expected, ...]:
    own = (format_,)
    return (
        Expected("order", f"{order} out", ("po.released", "po.transmitted"), own),
        Expected("receipt_in", f"{receipt} in", ("fa.received",), (), "expects_fa"),
        Expected("answer", f"{answer} read", _ANSWERS, own, "acknowledges"),
        Expected("receipt_out", f"{receipt} out", ("message.sent",), own, optional=True),
        Expected("asn", f"{asn} read", _ASN, own, "sends_asn"),
        Expected("invoice", f"{invoice} read", _INVOICE, own, optional=True),
    )


def _plain(order: str, answer: str) -> tuple[Expected, ...]:
    return (
        Expected(
            "order", order, ("po.transmitted", "message.delivered", "po.released"), optional=True
        ),
        Expected("answer", answer, _ANSWERS, (), "acknowledges"),
        Expected("asn", "shipment notice read", _ASN, (), "sends_asn"),
        Expected("invoice", "invoice read", _INVOICE, optional=True),
    )


TEMPLATES: Mapping[str, tuple[Expected, ...]] = {
    "edi_x12": _edi("x12", "850", "997", "855", "856", "810"),
    "edi_edifact": _edi("edifact", "ORDERS", "CONTRL", "ORDRSP", "DESADV", "INVOIC"),
    "api": _plain("order handed over", "answer by API read"),
    "file": _plain("order handed over", "answer file read"),
    "portal": _plain("order shown", "answer in the portal read"),
}
"""Template -> documents, in the order in which they are usually tried."""

FORMATS: Mapping[str, tuple[str, ...]] = {
    "edi_x12": ("x12",),
    "edi_edifact": ("edifact",),
    "api": ("cloudevents", "json", "xml"),
    "file": ("csv", "xml"),
    "portal": ("json", "cloudevents"),
}
"""Template -> formats of feeds that can bring its documents."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How often something was seen, first and last when (by its own time)."""

    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the database knows of one partner.

    feeds           name -> (state, complete up to) of its feeds that were ever read
    events          (type of event, source) -> seen
    unknown_codes   codes that nobody could interpret, and how often
    dead_letters    its open dead letters; ``newest_cause`` of the newest
    nameless        open dead letters of messages that name one of its identifiers, but came before
                    any profile had it
    """

    feeds: Mapping[str, tuple[str, datetime | None]] = field(default_factory=dict)
    events: Mapping[tuple[str, str], Seen] = field(default_factory=dict)
    unknown_codes: Mapping[str, int] = field(default_factory=dict)
    dead_letters: int = 0
    newest_cause: str = ""
    nameless: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist.

    state  done, open (not seen yet), wrong (seen and not right), not_asked (shown for information)
    """

    name: str
    label: str
    state: State
    what: str
    next_step: str = ""
    first_at: datetime | None = None
    last_at: datetime | None = None
    count: int | None = None


def checklist(key: str, partner: Partner, net: Network, seen: Evidence) -> tuple[Item, ...]:
    """What must be there before a partner goes live, and what of it is."""
    return tuple(_items(key, partner, net, seen))


def ready(items: Iterable[Item]) -> bool:
    """Whether nothing is open or wrong any more."""
    return all(item.state in ("done", "not_asked") for item in items)


def _items(key: str, partner: Partner, net: Network, seen: Evidence) -> Iterator[Item]:
    yield _identified(key, partner)
    yield _connected(key, partner, seen)
    formats = {name: source.format for name, source in net.sources.items()}
    for expected in TEMPLATES[partner.template]:
        yield _document(key, partner, expected, formats, seen)
    if seen.unknown_codes:
        told = ", ".join(f"{code} ({n})" for code, n in sorted(seen.unknown_codes.items())[:8])
        advice = f"say what they mean: partners.{key}.codes, or correct them at the sender"
        yield Item("codes", "codes known", "wrong", f"not understood: {told}", advice)
    else:
        yield Item("codes", "codes known", "done", "every code was understood")
    yield _letters(key, seen)
    if partner.signed_off:
        yield Item("sign_off", "signed off", "done", partner.signed_off)
    else:
        advice = f'write signed_off: "who, when" in partners.{key}'
        yield Item("sign_off", "signed off", "open", "nobody said yes yet", advice)


def _identified(key: str, partner: Partner) -> Item:
    ids = partner.ids
    has = {
        "ISA": bool(ids.isa or ids.gs),
        "UNB": bool(ids.unb),
        "GLN": bool(ids.gln),
        "DUNS": bool(ids.duns),
        "vendor number": bool(ids.erp_vendor),
    }
    named = [word for word, there in has.items() if there]
    base = f"partners.{key}.ids"
    if ids.gln and not gln_fits(ids.gln):
        return Item(
            "identifiers",
            "identifiers",
            "wrong",
            f"GLN {ids.gln} is mistyped: its check digit does not fit",
            f"correct {base}.gln",
        )
    if partner.template == "edi_x12" and not has["ISA"]:
        what, advice = "no ISA identifier", f'write isa: ["ZZ:..."] in {base}'
    elif partner.template == "edi_edifact" and not (has["UNB"] or has["GLN"]):
        what, advice = "no interchange identifier", f'write unb: ["..."] or gln: ... in {base}'
    elif not ids.erp_vendor:
        what = "no vendor number: orders of the ERP do not lead to it"
        advice = f'write erp_vendor: {{main: "..."}} in {base}'
    else:
        return Item("identifiers", "identifiers", "done", ", ".join(named))
    return Item("identifiers", "identifiers", "open", what, advice)


def gln_fits(gln: str) -> bool:
    """Whether the 13th digit is the check digit of the twelve before it (GS1, modulo 10)."""
    if len(gln) != 13 or not (gln.isascii() and gln.isdigit()):
        return False
    weighted = sum(int(digit) * (3 if n % 2 else 1) for n, digit in enumerate(gln[:12]))
    return (10 - weighted % 10) % 10 == int(gln[12])


def _connected(key: str, partner: Partner, seen: Evidence) -> Item:
    label = "connection"
    if not partner.feeds:
        return Item(
            label, label, "open", "no feed brings its answers", f"name feeds: in partners.{key}"
        )
    heard = [at for _, at in seen.feeds.values() if at is not None]
    broken = [name for name, (state, _) in seen.feeds.items() if state in ("down", "stopped")]
    if broken:
        return Item(
            label,
            label,
            "wrong",
            f"feed {', '.join(sorted(broken))} is {seen.feeds[broken[0]][0]}",
            "tower status says why",
        )
    if len(heard) < len(partner.feeds):
        missing = sorted(set(partner.feeds) - {n for n, (_, at) in seen.feeds.items() if at})
        return Item(
            label,
            label,
            "open",
            f"feed {', '.join(missing)} was never read",
            "start the worker, or let the sender send or beat",
        )
    return Item(
        label,
        label,
        "done",
        f"feed {', '.join(partner.feeds)} read",
        last_at=min(heard),
    )


def _document(
    key: str,
    partner: Partner,
    expected: Expected,
    formats: Mapping[str, str],
    seen: Evidence,
) -> Item:
    found = [
        one
        for (type_, source), one in seen.events.items()
        if type_ in expected.types
        and (not expected.formats or formats.get(source) in expected.formats)
    ]
    if found:
        count = sum(one.count for one in found)
        return Item(
            expected.name,
            expected.label,
            "done",
            f"seen {count:,} {'time' if count == 1 else 'times'}",
            first_at=min(one.first_at for one in found),
            last_at=max(one.last_at for one in found),
            count=count,
        )
    wanted = not expected.asked or bool(getattr(partner, expected.asked))
    if expected.optional or not wanted:
        because = f" ({expected.asked} is false)" if expected.asked and not wanted else ""
        return Item(expected.name, expected.label, "not_asked", f"not seen, not asked{because}")
    advice = "let the partner send one, or try: tower ingest FILE --partner " + key
    if expected.name == "order":
        advice = "release a test order to this supplier"
    return Item(expected.name, expected.label, "open", "not seen yet", advice)


def _letters(key: str, seen: Evidence) -> Item:
    label = "no dead letters"
    if seen.dead_letters:
        return Item(
            "dead_letters",
            label,
            "wrong",
            f"{seen.dead_letters} open; the newest: {seen.newest_cause}",
            "tower unmatched lists them with place and advice",
            count=seen.dead_letters,
        )
    if seen.nameless:
        return Item(
            "dead_letters",
            label,
            "wrong",
            f"{seen.nameless} came with an identifier of {key} before its profile had it",
            "let them be interpreted again: they are kept",
            count=seen.nameless,
        )
    return Item("dead_letters", label, "done", "none open")
