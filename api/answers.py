"""What a sender is told of what it pushed."""

from __future__ import annotations

from fastapi.responses import JSONResponse

from worker.pipeline import Outcome


def accepted(outcome: Outcome) -> JSONResponse:
    """202: how many messages are stored, known before, and refused with cause and advice."""
    return JSONResponse(
        {
            "accepted": outcome.accepted,
            "repeated": outcome.repeated,
            "refused": [
                {"index": n, "cause": item.cause, "advice": item.advice}
                for n, item in outcome.refused
            ],
        },
        status_code=202,
    )
