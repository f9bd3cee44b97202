"""Signed webhooks of shops, carriers and platforms: ``POST /v1/hooks/{source}``.

The signature is checked over the raw bytes before anything is read of them. What is not signed is
counted and told in the log, and nothing of it is kept.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Annotated

from fastapi import Depends, FastAPI, Path, Request
from fastapi.responses import JSONResponse

from api.answers import accepted
from api.doors import Doors, Refused, bounded_body
from api.keys import Signer
from collectors import cloudevents
from collectors.contract import secret
from collectors.webhook_signature import Unsigned, check
from tower.errors import ConfigError
from tower.feeds import PushOptions

log = logging.getLogger(__name__)

FORMATS = ("cloudevents", "x12", "edifact", "csv", "json", "xml", "log")
UNSIGNED: Counter[str] = Counter()
"""Calls without a valid signature since this process started, by source."""


def register(app: FastAPI) -> None:
    """Add the route to the application."""
    app.post("/v1/hooks/{source}", status_code=202)(take_hook)


def take_hook(
    request: Request,
    who: Signer,
    body: Annotated[bytes, Depends(bounded_body)],
    source: Annotated[str, Path()],
) -> JSONResponse:
    """A signed message in the source's own format. The same again counts once: by its signed id,
    else by its bytes.
    """
    doors: Doors = request.app.state.doors
    push = doors.push_source(source, *FORMATS, signed=True, who=who)
    options = push.feed
    if not isinstance(options, PushOptions) or options.secret_variable is None:
        raise Refused(
            404,
            f'"{source}" takes no signed webhooks.',
            "Set signature and secret_variable in its options in network.yaml.",
        )
    at = doors.clock()
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        # Two while one takes over from the other.
        secrets = secret(options.secret_variable, os.environ, source).split()
        check(options, secrets, headers, body, at)
    except Unsigned as error:
        UNSIGNED[source] += 1
        log.warning(
            "Unsigned webhook refused",
            extra={"action": "hook.unsigned", "source": source, "count": UNSIGNED[source]},
        )
        raise Refused(
            401, f"{error} Nothing of it was kept.", "Sign it with the secret that was agreed."
        ) from error
    except ConfigError as error:
        log.error("Webhook secret missing", extra={"action": "hook.no_secret", "cause": str(error)})
        raise Refused(
            503,
            f'The tower cannot check webhooks of "{source}" now. Nothing was kept.',
            "Send it again later; the tower's log says what is missing.",
            retry_after_s=60,
        ) from error
    if len(body) > options.max_bytes:
        raise Refused(
            413,
            f"The body is larger than {options.max_bytes:,} bytes. Nothing of it was kept.",
            "Send it in parts.",
        )
    if options.signature != "standard":
        # Its id is not signed: who repeats a call could give it a new one, and count twice.
        headers = {k: v for k, v in headers.items() if k not in ("webhook-id", "idempotency-key")}
    if push.format == "cloudevents":
        parcel = cloudevents.unpack(source, body, headers, at)
        outcome = doors.intake.accept(source, parcel.raws, admit=doors.admission(push, who))
        if parcel.broken:
            return JSONResponse(
                {"error": parcel.broken, "next": "Mend the envelope; it was kept."}, status_code=400
            )
        return accepted(outcome)
    raw = cloudevents.document(source, body, headers, at)
    return accepted(doors.intake.accept(source, [raw], admit=doors.admission(push, who)))
