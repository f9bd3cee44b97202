"""Log maps: which words of a middleware's log tell that a message moved on, failed or died.

A middleware writes many lines for each message. A log map names the paths where a line says which
message it is about, which conversation it belongs to and what happened, and translates the
middleware's words for that into events. It is short for the ``emit`` rules it stands for
(tower/mapping.py); both may stand in one mapping.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from tower.strict_yaml import closest, mistake
from tower.vocabulary import EVENT_TYPES

STEPS = ("received", "transformed", "sent", "delivered", "failed", "retried", "dead_lettered")
"""Short words for the events about a message on its way: ``sent`` is ``message.sent``."""


def _step(value: str) -> str:
    """The event type that a word of ``words`` means."""
    type_ = f"message.{value}" if value in STEPS else value
    if type_ not in EVENT_TYPES:
        near = closest(value, [*STEPS, *EVENT_TYPES])
        raise mistake(
            f'"{value}" is neither a step of a message nor an event',
            f"write {near}" if near else f"write one of: {', '.join(STEPS)}",
        )
    return type_


def _field(name: str) -> str:
    known = {field.name for spec in EVENT_TYPES.values() for field in spec.header}
    if name not in known:
        near = closest(name, sorted(known))
        raise mistake(
            f"no event has a field {name}",
            f"write {near}" if near else "write one of those in docs/events.md",
        )
    return name


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _plain_word(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


Paths = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
SentWord = Annotated[str, BeforeValidator(_plain_word)]


class LogMap(BaseModel):
    """How the lines of one middleware are read. Paths and expressions as in mappings.

    status       paths of the words that tell what happened. The first path at which one of
                 ``words`` stands decides; a line without any of them tells nothing
    words        word as written (capitals do not matter) -> what it tells: a step of a message
                 (received, transformed, sent, delivered, failed, retried, dead_lettered), or any
                 event of docs/events.md
    time         when it happened
    message      expression of the id of the message
    correlation  expression of the id of the conversation the message belongs to
    id           expression of the line's own id, so that a line that comes twice counts once
    step         expression of the step or flow that speaks
    system       expression of the system that speaks; one that `systems` does not know is the
                 source's own
    fields       further fields of events (po, supplier, asn, error_class, code, text, attempt ...)
                 -> expression; each event takes those it has
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Paths
    words: dict[SentWord, Annotated[str, AfterValidator(_step)]] = Field(min_length=1)
    time: str | None = None
    message: str | None = None
    correlation: str | None = None
    id: str | None = None
    step: str | None = None
    system: str | None = None
    fields: dict[Annotated[str, AfterValidator(_field)], str] = Field(default_factory=dict)

    def emits(self) -> list[dict[str, Any]]:
        """The ``emit`` rules this map stands for, as plain values."""
        by_type: dict[str, list[str]] = {}
        for word, type_ in self.words.items():
            by_type.setdefault(type_, []).append(word)
        known = [f"!{word}" for word in self.words]
        found = []
        for n, path in enumerate(self.status):
            undecided = dict.fromkeys(self.status[:n], known)
            for type_, words in by_type.items():
                found.append(self._emit(type_, {**undecided, path: words}))
        return found

    def _emit(self, type_: str, when: dict[str, list[str]]) -> dict[str, Any]:
        given = {"message": self.message, "step": self.step, **self.fields}
        has = {field.name for field in EVENT_TYPES[type_].header}
        return {
            "event": type_,
            "when": when,
            "id": template_of(self.id),
            "time": self.time,
            "correlation": template_of(self.correlation),
            "system": self.system,
            "carries": [text for text in (template_of(self.message),) if text],
            "fields": {name: text for name, text in given.items() if text and name in has},
        }


def template_of(expression: str | None) -> str | None:
    """An expression as a template; one that already has parts in braces stays as it is."""
    if expression is None or "{" in expression:
        return expression
    return f"{{{expression}}}"
