"""One fault in many messages has one fingerprint; another fault has another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tower.failures import Failure

SEEN = Failure(
    source="broker", kind="deliver", step="erp.answers", type="po.acknowledged", code="rejected",
    text='Timeout at erp-3.example:8443 after 12:01:07 for order "4500001234" '
    "(3f2b8a10-0c1d-4e5f-8a9b-0c1d2e3f4a5b), line 17",
    partner="ACME",
)  # fmt: skip


def test_another_id_time_host_or_number_is_the_same_failure() -> None:
    other = replace(
        SEEN,
        text='Timeout at erp-7.example:443 after 03:59:59 for order "4500009999" '
        "(aaaaaaaa-0c1d-4e5f-8a9b-0c1d2e3f4a5b), line 3",
    )
    assert other.fingerprint == SEEN.fingerprint
    assert SEEN.fingerprint.startswith("v1:")


@pytest.mark.parametrize(
    "change",
    [
        {"source": "broker2"}, {"kind": "interpret"}, {"step": "erp.asn"}, {"partner": "BIRCH"},
        {"type": "asn.received"}, {"code": "expired"}, {"text": "Connection refused"},
    ],
)  # fmt: skip
def test_another_place_or_cause_is_another_failure(change: dict[str, str]) -> None:
    assert replace(SEEN, **change).fingerprint != SEEN.fingerprint  # type: ignore[arg-type]
