"""Set-up of a RabbitMQ broker: where messages would be lost, and where nobody would notice.

Reads what its management API tells of queues, exchanges and bindings; touches nothing. Arguments of
a queue win over its policy. Rules: rabbitmq.com/docs/dlx, /quorum-queues, /ttl, /maxlength.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Told = Mapping[str, Any]
LOSS, RISK, HINT = "loss", "risk", "hint"
WEIGHTS = (LOSS, RISK, HINT)
_NOT_DEFAULT_LIMIT = re.compile(r"[0-3]\.")


@dataclass(frozen=True, slots=True)
class Remark:
    """One weakness. ``weight``: loss (messages vanish), risk (they can, or pile up), hint."""

    weight: str
    code: str
    vhost: str
    queue: str
    cause: str
    advice: str


class Broker:
    """What one broker told, made ready for questions."""

    def __init__(
        self,
        queues: Sequence[Told],
        exchanges: Sequence[Told],
        bindings: Sequence[Told],
        version: str = "",
        dead_letter_suffix: Sequence[str] = (),
    ) -> None:
        self._queues = {_identity(queue): queue for queue in queues}
        self._exchanges = {_identity(one): one for one in exchanges}
        self._bindings: dict[tuple[str, str], list[Told]] = {}
        for binding in bindings:
            key = (str(binding.get("vhost", "/")), str(binding.get("source", "")))
            self._bindings.setdefault(key, []).append(binding)
        self._has_default_limit = bool(version) and not _NOT_DEFAULT_LIMIT.match(version)
        self._leads_to = {key: self._targets(key[0], queue) for key, queue in self._queues.items()}
        self._dead = {target for targets in self._leads_to.values() for target in targets}
        # A queue that gives its own dead letters back is a waiting room, not a grave.
        named = {
            key
            for key in self._queues
            if any(key[1].endswith(suffix) for suffix in dead_letter_suffix)
        }
        self._graves = {
            key
            for key in (self._dead | named) & self._queues.keys()
            if _setting(self._queues[key], "dead-letter-exchange") is None
        }

    def remarks(self, wanted: Sequence[Told] | None = None) -> list[Remark]:
        """Every weakness of the wanted queues (default: all), the heaviest first."""
        keys = self._queues.keys() if wanted is None else {_identity(queue) for queue in wanted}
        found: list[Remark] = []
        for key in keys & self._queues.keys():
            queue = self._queues[key]
            if queue.get("exclusive") or queue.get("auto_delete"):
                continue  # it is meant to go, with all that is in it
            said = self._grave(queue) if key in self._graves else self._working(key, queue)
            found += [
                Remark(weight, code, key[0], key[1], cause, advice)
                for weight, code, cause, advice in said
            ]
        return sorted(found, key=lambda r: (WEIGHTS.index(r.weight), r.vhost, r.queue, r.code))

    # --- queues that work -------------------------------------------------------------------------

    def _working(self, key: tuple[str, str], queue: Told) -> Iterator[tuple[str, str, str, str]]:
        kind = _kind(queue)
        if kind == "stream":
            return  # keeps its messages, and has neither dead letters nor limits of delivery
        yield from self._dead_letters(key, queue, kind)
        has_limit = self._has_default_limit or _setting(queue, "delivery-limit") is not None
        if kind == "quorum" and not has_limit:
            yield (
                RISK, "no_delivery_limit",
                "a message that its consumer always gives back is delivered for ever",
                "Set delivery-limit in a policy, together with a dead-letter-exchange.",
            )  # fmt: skip
        if queue.get("consumers") == 0:
            yield (
                RISK, "no_consumers",
                f"nobody consumes it ({_waiting(queue)})",
                "Start its consumer, or remove the binding and the queue.",
            )  # fmt: skip
        limits = ("message-ttl", "max-length", "max-length-bytes", "expires")
        if all(_setting(queue, name) is None for name in limits):
            yield (
                HINT, "no_ttl",
                "neither an age nor a length bounds it: a dead consumer fills the broker's disk",
                "Set message-ttl or max-length with overflow: reject-publish in a policy, with a "
                "dead-letter-exchange.",
            )  # fmt: skip
        if not queue.get("durable", True):
            yield (
                RISK, "not_durable",
                "the queue and its messages are gone when the broker restarts",
                "Declare it durable.",
            )  # fmt: skip
        fixed = sorted(
            name.removeprefix("x-")
            for name in _table(queue, "arguments")
            if name.removeprefix("x-").startswith(("dead-letter", "message-ttl", "max-length",
                                                   "delivery-limit", "overflow"))
        )  # fmt: skip
        if fixed:
            yield (
                HINT, "fixed_by_arguments",
                f"{', '.join(fixed)} stand in arguments: no policy can change them, only a new "
                "queue",
                "Set them in a policy when the queue is next declared.",
            )  # fmt: skip

    def _dead_letters(
        self, key: tuple[str, str], queue: Told, kind: str
    ) -> Iterator[tuple[str, str, str, str]]:
        vhost = key[0]
        exchange = _setting(queue, "dead-letter-exchange")
        routing_key = _setting(queue, "dead-letter-routing-key")
        if exchange is None:
            yield (
                RISK, "no_dlx",
                "it has no dead-letter-exchange: what is refused or expires vanishes",
                "Set dead-letter-exchange and dead-letter-routing-key in a policy.",
            )  # fmt: skip
            return
        shown = f'"{exchange}"' if exchange else "the default exchange"
        if exchange and (vhost, str(exchange)) not in self._exchanges:
            yield (
                LOSS, "dlx_missing",
                f"its dead-letter-exchange {shown} does not exist: dead letters vanish",
                "Declare the exchange and bind a queue to it.",
            )  # fmt: skip
        elif not self._leads_to[key] and not self._has_alternate(vhost, str(exchange)):
            said = f" with routing key {routing_key}" if routing_key is not None else ""
            yield (
                LOSS, "dlx_unbound",
                f"no queue gets what {shown} is given{said}: dead letters vanish",
                "Bind a queue for dead letters, or correct dead-letter-routing-key.",
            )  # fmt: skip
        if kind == "quorum":
            strategy = _setting(queue, "dead-letter-strategy")
            if strategy != "at-least-once" or _setting(queue, "overflow") != "reject-publish":
                yield (
                    RISK, "at_most_once",
                    "dead letters are published once and not confirmed: a node that fails then "
                    "loses them",
                    "Set dead-letter-strategy: at-least-once and overflow: reject-publish.",
                )  # fmt: skip
        if self._is_in_expiry_loop(key):
            yield (
                LOSS, "expiry_loop",
                "its messages expire round a circle of queues: the broker drops them silently",
                "Let one queue of the circle have no message-ttl.",
            )  # fmt: skip

    # --- queues of dead letters -------------------------------------------------------------------

    def _grave(self, queue: Told) -> Iterator[tuple[str, str, str, str]]:
        for name in ("message-ttl", "expires", "max-length", "max-length-bytes"):
            value = _setting(queue, name)
            if value is not None:
                yield (
                    LOSS, "dlq_forgets",
                    f"it holds dead letters, and {name} ({value}) drops them",
                    f"Remove {name}; capture or replay the dead letters instead.",
                )  # fmt: skip
        if not queue.get("durable", True):
            yield (
                LOSS, "not_durable",
                "it holds dead letters, and is gone when the broker restarts",
                "Declare it durable.",
            )  # fmt: skip

    # --- where dead letters go --------------------------------------------------------------------

    def _targets(self, vhost: str, queue: Told) -> set[tuple[str, str]]:
        """The queues that get the dead letters of a queue; of an exchange by pattern or headers all
        that are bound to it, as it depends on the message.
        """
        exchange = _setting(queue, "dead-letter-exchange")
        key = _setting(queue, "dead-letter-routing-key")
        if exchange is None:
            return set()
        if exchange == "":
            # Without a key of its own a message goes on under the name of the queue it came to.
            target = (vhost, str(key if key is not None else queue.get("name")))
            return {target} & self._queues.keys()
        found: set[tuple[str, str]] = set()
        seen = {str(exchange)}
        waiting = [str(exchange)]
        while waiting:
            name = waiting.pop()
            kind = str(self._exchanges.get((vhost, name), {}).get("type", ""))
            for binding in self._bindings.get((vhost, name), ()):
                if key is not None and not _fits(kind, str(binding.get("routing_key", "")), key):
                    continue
                bound = str(binding.get("destination"))
                if binding.get("destination_type") == "queue":
                    found.add((vhost, bound))
                elif bound not in seen:
                    seen.add(bound)
                    waiting.append(bound)
        return found

    def _has_alternate(self, vhost: str, exchange: str) -> bool:
        told = self._exchanges.get((vhost, exchange), {})
        policy = told.get("effective_policy_definition") or {}
        return "alternate-exchange" in _table(told, "arguments") or "alternate-exchange" in policy

    def _is_in_expiry_loop(self, start: tuple[str, str]) -> bool:
        """Whether messages can come round to this queue by expiry alone."""
        seen: set[tuple[str, str]] = set()
        waiting = [start]
        while waiting:
            key = waiting.pop()
            queue = self._queues.get(key)
            if queue is None or key in seen or _setting(queue, "message-ttl") is None:
                continue
            seen.add(key)
            if start in self._leads_to[key]:
                return True
            waiting += self._leads_to[key]
        return False


def _identity(told: Told) -> tuple[str, str]:
    return str(told.get("vhost", "/")), str(told.get("name", ""))


def _table(told: Told, name: str) -> Told:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _setting(queue: Told, name: str) -> Any:
    """The value in force; None if it is not set."""
    arguments = _table(queue, "arguments")
    if f"x-{name}" in arguments:
        return arguments[f"x-{name}"]
    policy = _table(queue, "effective_policy_definition")
    return policy.get(name)


def _kind(queue: Told) -> str:
    return str(queue.get("type") or _table(queue, "arguments").get("x-queue-type") or "classic")


def _waiting(queue: Told) -> str:
    count = queue.get("messages")
    return "how many wait is not told" if count is None else f"{count:,} messages wait"


def _fits(kind: str, bound: str, key: Any) -> bool:
    """Whether a message with this routing key goes by this binding."""
    if kind in ("fanout", "headers", "x-consistent-hash", ""):
        return True
    if kind == "topic":
        return _topic(bound.split("."), str(key).split("."))
    return bound == str(key)


def _topic(pattern: Sequence[str], words: Sequence[str]) -> bool:
    if not pattern:
        return not words
    if pattern[0] == "#":
        return _topic(pattern[1:], words) or bool(words and _topic(pattern, words[1:]))
    return bool(words) and pattern[0] in ("*", words[0]) and _topic(pattern[1:], words[1:])
