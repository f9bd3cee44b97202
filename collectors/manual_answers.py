"""An answer that somebody heard: by phone, in a mail, at a fair. It counts like any other answer.

It becomes an ordinary event of the vocabulary, in a source of its own (channel ``manual``), with
who wrote it down, from whom, when, and a note. The same answer told twice is one. What a supplier
writes into the form of its portal comes the same way, in a source ``portal-form``.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, AwareDatetime, Field, ValidationError

from collectors.cloudevents import STRUCTURED, event_key
from tower.errors import ConfigError, PayloadRejected
from tower.network import Network
from tower.option_types import Strict
from tower.raw import Raw
from tower.strict_yaml import closest
from tower.vocabulary import ANSWER_WORDS

WORDS = tuple(sorted(ANSWER_WORDS - {"none", "unknown"}))
AHEAD = timedelta(minutes=5)  # two clocks need not agree to the second
SNIPPET = (
    "manual: {kind: push, format: cloudevents, system: <system>, channel: manual, "
    "silent_after: 87600h}"
)

PORTAL_FORM = "portal-form"
PORTAL_SNIPPET = (
    "portal-form: {kind: push, format: cloudevents, system: <system>, channel: portal, "
    "silent_after: 87600h}"
)


def _word(value: str) -> str:
    if value not in WORDS:
        near = closest(value, WORDS)
        raise ValueError(f"is none of {', '.join(WORDS)}" + (f"; write {near}" if near else ""))
    return value


Word = Annotated[str, AfterValidator(_word)]
Day = date  # a field of that name would hide it
Text = Annotated[str, Field(min_length=1, max_length=500)]


class AnsweredLine(Strict):
    """What was said of one line; ``date`` is the day of delivery."""

    line: Text
    answer: Word | None = None
    qty: Decimal | None = Field(default=None, ge=0)
    uom: Text | None = None
    date: Day | None = None
    price: Decimal | None = Field(default=None, ge=0)


class ManualAnswer(Strict):
    """What was said of an order.

    supplier     key, vendor number or other identifier; "" = the supplier of the order
    answer       of the whole order; None where lines are named = said of these lines alone
    heard_from   who said it; recorded_by: who wrote it down
    heard_at     when, an instant with zone
    """

    po: Text
    erp: str = ""
    supplier: str = ""
    answer: Word | None = None
    lines: list[AnsweredLine] = Field(default_factory=list, max_length=1000)
    reason: str = Field(default="", max_length=500)
    heard_from: Text
    heard_at: AwareDatetime
    recorded_by: Text
    note: str = Field(default="", max_length=500)

    @property
    def word(self) -> str | None:
        """What was said of the whole order: yes, where nothing else and no line was named."""
        return self.answer or (None if self.lines else "accepted")


def read(value: Any) -> ManualAnswer:
    """The answer in its checked form; raises PayloadRejected naming the field."""
    try:
        return ManualAnswer.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        said = str(first["msg"]).removeprefix("Value error, ")
        raise PayloadRejected(
            f"{where}: {said[:1].lower()}{said[1:]}.",
            code="bad_value",
            advice=f"Correct {where}; its fields are {', '.join(ManualAnswer.model_fields)}.",
        ) from None


def source_of(net: Network) -> str:
    """The source that manual answers belong to; ConfigError if network.yaml has none."""
    for name, source in net.sources.items():
        if source.kind == "push" and source.channel == "manual" and source.format == "cloudevents":
            return name
    raise ConfigError(
        "network.yaml has no source for manual answers. Add one under sources and try again: "
        f"{SNIPPET}"
    )


def portal_form_of(net: Network) -> str:
    """The source that answers from the portal belong to; ConfigError if network.yaml has none."""
    source = net.sources.get(PORTAL_FORM)
    if source is None or source.kind != "push" or source.format != "cloudevents":
        raise ConfigError(
            "network.yaml has no source for answers from the portal. Add it under sources and try "
            f"again: {PORTAL_SNIPPET}"
        )
    return PORTAL_FORM


def raw_of(
    source: str,
    said: ManualAnswer,
    supplier: str,
    erp: str,
    now: datetime,
    *,
    channel: Literal["manual", "portal"] = "manual",
    seen: int | None = None,
) -> Raw:
    """The answer as a message. Its id follows from what was said, whoever wrote it down.

    ``seen``: revision of the order that the answer was given to. Then the instant is no part of
    the id, so that a form that is sent twice is one answer; to an order that has moved on, the same
    words are a new one. Raises PayloadRejected if it was heard in the future.
    """
    if said.heard_at > now + AHEAD:
        raise PayloadRejected(
            f"heard_at {said.heard_at.isoformat()} has not been yet.",
            code="bad_value",
            advice="Give the time at which it was heard.",
        )
    heard_at = said.heard_at.astimezone(UTC).isoformat()
    lines = [
        {**one.model_dump(mode="json", exclude_none=True), **_kind_of(one)} for one in said.lines
    ]
    data = {
        "erp": erp,
        "po": said.po,
        "supplier": supplier,
        "answer": said.word,
        "lines": lines,
        "reason": said.reason,
        "heard_from": said.heard_from,
        "heard_at": heard_at,
    }
    told = {k: v for k, v in data.items() if v not in ("", [], None)}
    same: dict[str, Any] = told
    if seen is not None:
        same = {**{k: v for k, v in told.items() if k != "heard_at"}, "seen": seen}
    own_id = sha256(orjson.dumps(same, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]
    recorded = {"recorded_by": said.recorded_by, **({"note": said.note} if said.note else {})}
    event = {
        "specversion": "1.0",
        "id": own_id,
        "source": f"/tower/{channel}",
        "type": "po.rejected" if said.word == "rejected" else "po.acknowledged",
        "time": heard_at,
        "recordedtime": now.astimezone(UTC).isoformat(),
        "channel": channel,
        "data": {**told, **recorded},
    }
    body = orjson.dumps(event)
    return Raw(source, event_key(event, body), body, now, STRUCTURED, {"content-type": STRUCTURED})


def _kind_of(line: AnsweredLine) -> dict[str, str]:
    return {} if line.date is None else {"date_kind": "delivery"}
