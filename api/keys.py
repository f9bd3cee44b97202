"""Who speaks at the machine door: API keys, by header alone.

``Reader`` and ``Pusher`` are the dependencies of routes. Reading always needs a key of the scope
"read". Pushing needs one of the scope "push" where the setting TOWER_API_KEYS is "required";
where it is "optional" a request without key passes, as before there were keys, but a key that is
presented must hold: one that is wrong is told at once.
"""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import Depends, Request

from api.doors import Doors, Refused
from db import keys as key_store
from db import throttles
from tower import keys
from tower.keys import PUSH, READ, Key, Principal

log = logging.getLogger(__name__)

_HOW = "Send it as: Authorization: Bearer tower_..."


def reader(request: Request) -> Principal:
    """The holder of a key that may read; its ``scope`` goes to every read function."""
    found = _presented(request, READ)
    if found is None:
        raise _unknown("This address needs an API key.")
    _throttle(request, found.key, 1)
    return found


def pusher(request: Request) -> Principal | None:
    """The holder of a key that may push; None without a key where none is required.

    What is pushed is charged to the key message by message, by ``Doors.admission``.
    """
    doors: Doors = request.app.state.doors
    found = _presented(request, PUSH)
    if found is None and doors.keys_required:
        raise _unknown("This address needs an API key. Nothing was kept.")
    return found


def signer(request: Request) -> Principal | None:
    """The same for messages that are signed: the signature is proof enough, a key may be added."""
    return _presented(request, PUSH)


def lister(request: Request) -> Principal | None:
    """The holder of a key that may read; None without a key where none is required."""
    doors: Doors = request.app.state.doors
    found = _presented(request, READ)
    if found is None and doors.keys_required:
        raise _unknown("This address needs an API key.")
    return found


Reader = Annotated[Principal, Depends(reader)]
Pusher = Annotated[Principal | None, Depends(pusher)]
Signer = Annotated[Principal | None, Depends(signer)]
Lister = Annotated[Principal | None, Depends(lister)]


def _presented(request: Request, scope: str) -> Principal | None:
    """Who presents a key; None without one. Refused for one that does not hold here."""
    if keys.shows_a_key(request.url.query) or keys.shows_a_key(request.url.path):
        raise Refused(
            400,
            "A key stands in the address, where logs of proxies and browsers keep it.",
            f"Revoke it and use another. {_HOW}",
        )
    text = _text(request)
    if text is None:
        return None
    doors: Doors = request.app.state.doors
    now = doors.clock()
    with doors.engine.begin() as conn:
        found = key_store.recognise(conn, text, now)
    # Which of the reasons it was is told to the log alone.
    if found is None:
        _log("api.key_refused", keys.id_of(text), "unknown, revoked or ended")
        raise _unknown("This key is not in force.")
    address = request.client.host if request.client else None
    if not keys.comes_from(address, found.networks):
        _log("api.key_refused", found.id, f"from {address}")
        raise _unknown("This key is not in force.")
    if scope not in found.scopes:
        raise Refused(
            403,
            f"This key may not {scope}.",
            f"Use a key with the scope {scope}: tower keys add NAME --scope {scope}.",
        )
    return keys.principal(found)


def _text(request: Request) -> str | None:
    """The key of the headers; None without one."""
    found = request.headers.getlist("x-api-key")
    for value in request.headers.getlist("authorization"):
        kind, _, rest = value.partition(" ")
        # Other sign-ins (a proxy's own) are not ours to judge.
        if kind.lower() == "bearer" and rest.strip().startswith("tower_"):
            found.append(rest)
    if len(found) > 1:
        raise Refused(400, "Several keys were sent.", "Send one.")
    return found[0].strip() if found else None


def _throttle(request: Request, key: Key, cost: int) -> None:
    doors: Doors = request.app.state.doors
    rate = throttles.Rate(key.per_minute, key.per_minute)
    with doors.engine.begin() as conn:
        wait_s = throttles.take(conn, f"key/{key.id}", cost, rate, doors.clock())
    if wait_s is not None:
        raise Refused(
            429,
            f"This key is used more than {key.per_minute:,} times in a minute.",
            f"Wait {wait_s} s and ask again.",
            retry_after_s=wait_s,
        )


def _unknown(error: str) -> Refused:
    return Refused(401, error, f"{_HOW} Keys are made by: tower keys add.")


def _log(action: str, key_id: str | None, why: str) -> None:
    log.warning("API key refused", extra={"action": action, "key": key_id, "cause": why})
