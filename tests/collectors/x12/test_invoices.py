from __future__ import annotations

from collections.abc import Callable

from tower.network import Network
from tower.raw import Interpretation

Read = Callable[..., Interpretation]
Wrap = Callable[..., bytes]


def test_an_invoice_has_its_amounts_and_lines(read: Read, network: Network) -> None:
    reading = read("invoice_810.edi", network)
    assert reading.findings == ()
    event = reading.events[0]
    assert event.type == "invoice.received"
    assert dict(event.data) == {
        "supplier": "ACME",
        "invoice": "INV-9001",
        "currency": "USD",
        "tax": "40",  # tax segments; the same tax is also sent as a charge
        "total": "552.75",  # two implied decimals
        "lines": [
            {
                "invoice_line": "10",
                "erp": "main",
                "po": "4500001234",
                "line": "10",
                "item": "FST-00201",
                "qty": "40",
                "uom": "BX",
                "price": "12.5",
            },
            {
                "invoice_line": "2",
                "erp": "main",
                "po": "4500001235",
                "line": "1",
                "item": "000012345678",
                "qty": "3",
                "uom": "EA",
                "price": "4.25",
            },
        ],
    }


def test_a_credit_is_no_invoice(read: Read, network: Network) -> None:
    event = read("invoice_810.edi", network).events[1]
    assert (event.type, event.data["total"]) == ("credit.received", "-12.5")
    assert event.data["lines"][0] == {
        "invoice_line": "1",
        "erp": "main",
        "po": "4500001234",
        "qty": "1",
        "uom": "BX",
        "price": "12.5",
    }


def test_a_tax_charge_counts_where_no_tax_segment_is(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("810 BIG*20260402*I1~TDS*1000~SAC*C*H850***0150~SAC*C*G830***300~", kind="IN")
    assert read(body, network).events[0].data["tax"] == "1.5"


def test_an_amount_sent_with_a_point_is_taken_as_it_is_and_found(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap("810 BIG*20260402*I1~TDS*10.25~", kind="IN"), network)
    assert reading.events[0].data["total"] == "10.25"
    assert [f.code for f in reading.findings] == ["amount_with_point"]


def test_an_order_named_behind_a_line_is_the_lines_order(
    read: Read, wrap: Wrap, network: Network
) -> None:
    body = wrap("810 BIG*20260402*I1**P1~IT1*1*2*EA*1~REF*PO*P2~IT1*2*2*EA*1~TDS*400~", kind="IN")
    lines = read(body, network).events[0].data["lines"]
    assert [line["po"] for line in lines] == ["P2", "P1"]


def test_an_invoice_without_number_is_a_dead_letter(
    read: Read, wrap: Wrap, network: Network
) -> None:
    reading = read(wrap("810 BIG*20260402~TDS*400~", kind="IN"), network)
    assert [letter.code for letter in reading.dead_letters] == ["missing_key"]
    assert reading.outcome == "quarantined"
