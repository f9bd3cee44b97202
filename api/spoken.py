"""Answers that somebody heard: ``POST /v1/answers``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse

from api.answers import accepted
from api.doors import Doors, Refused, bounded_body
from api.keys import Pusher
from collectors import manual_answers
from collectors.limits import parse_json
from db.reads.lookup import supplier_of_order
from tower.errors import ConfigError, PayloadRejected


def register(app: FastAPI) -> None:
    """Add the route to the application."""
    app.post("/v1/answers", status_code=202)(take_answer)


def take_answer(
    request: Request, who: Pusher, body: Annotated[bytes, Depends(bounded_body)]
) -> JSONResponse:
    """An answer by phone or mail, with who heard it from whom and when."""
    doors: Doors = request.app.state.doors
    net = doors.network()
    at = doors.clock()
    try:
        source = manual_answers.source_of(net)
        said = manual_answers.read(parse_json(body))
        erp = said.erp or net.company.erp
        with doors.engine.connect() as conn:
            supplier = said.supplier or supplier_of_order(conn, erp, said.po)
        if supplier is None:
            raise Refused(
                404,
                f"Order {said.po} is not known, so neither is its supplier. Nothing was kept.",
                "Correct po, or name the supplier.",
            )
        if who is not None and who.partner not in (None, supplier):
            raise Refused(
                404,
                f"Order {said.po} is not known to {who.partner}. Nothing was kept.",
                "Correct po.",
            )
        raw = manual_answers.raw_of(source, said, supplier, erp, at)
    except PayloadRejected as error:
        raise Refused(400, f"{error} Nothing was kept.", error.advice) from error
    except ConfigError as error:
        raise Refused(404, str(error), "Then send it again.") from error
    return accepted(doors.intake.accept(source, [raw]))
