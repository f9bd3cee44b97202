"""What a rule may ask about a subject, in conditions, dates and titles.

Whoever judges gives these values as a flat mapping; what is not known is left out, and a
comparison with a missing value is false.
"""

from __future__ import annotations

from dataclasses import dataclass

_TABLE = """
po.number|number of the purchase order
po.erp|ERP whose number it is
po.type|standard, rush, blanket... as the ERP says
po.buyer|buyer's name or code
po.warehouse|where the goods shall go
po.currency|currency of its prices
po.channel|edi, api, portal, file or manual
po.revision|revision the supplier holds
po.acknowledge_by|date or instant by which the order itself asks for an answer
po.ship_by|latest shipping date in the order
po.cancel_after|date after which the order is void
po.value|ordered value in its currency
po.affected_orders|customer orders no longer covered
po_line.number|number of its purchase order
po_line.line|line number
po_line.item|item number
po_line.description|what the item is called
po_line.category|category of goods the item belongs to
po_line.requested_date|date the buyer asked for
po_line.first_confirmed_date|first date the supplier confirmed
po_line.last_confirmed_date|latest date the supplier confirmed
po_line.answer|answer to the line
po_line.affected_orders|customer orders no longer covered
asn.number|number of the shipment notice
asn.eta|expected arrival
asn.ship_date|shipping date
asn.warehouse|where the goods arrive
asn.carrier|who carries them
asn.rule|check that failed
asn.reason|why it failed
supplier.key|key in network.yaml
supplier.name|name
supplier.tier|A, B, C... as the network says
supplier.group|own, or a group of suppliers
supplier.country|country code
supplier.channel|how it is connected
supplier.acknowledges|whether it answers orders at all
supplier.expects_fa|whether functional acknowledgements are agreed
supplier.sends_asn|whether it announces shipments
supplier.answer_within|time to answer agreed with it, from network.yaml
supplier.max_errors|share of errors agreed with it, from network.yaml
supplier.open_pos|number of its open orders; known to rules of kind volume alone
supplier.open_since|since when the oldest of these is out; known to rules of kind volume alone
partner.key|key in network.yaml
partner.name|name
partner.stage|onboarding, live, paused or ended
order.number|number of the customer order
order.customer|customer number
order.customer_name|customer
order.priority|priority
order.warehouse|where it ships from
order_line.line|line number
order_line.item|item number
order_line.promised_date|date told to the customer
receipt.number|number of the receipt
receipt.warehouse|where it was posted
invoice.number|number of the invoice
source.name|name in network.yaml
source.system|system it belongs to
source.held|subjects whose clocks wait for it
queue.name|queue
queue.broker|broker it lives in
queue.dead_letters|whether it keeps dead letters
queue.max_depth|agreed depth, from network.yaml
"""

ATTRIBUTES: dict[str, str] = {
    row.partition("|")[0]: row.partition("|")[2] for row in _TABLE.strip().splitlines()
}

SUBJECTS = (
    "po", "po_line", "asn", "receipt", "invoice", "order", "order_line", "source", "queue",
    "partner", "supplier",
)  # fmt: skip

_OF_SUPPLIERS_ALONE = frozenset({"supplier.open_pos", "supplier.open_since"})

_VISIBLE: dict[str, frozenset[str]] = {
    "po": frozenset({"po", "supplier", "partner"}),
    "po_line": frozenset({"po_line", "po", "supplier", "partner"}),
    "asn": frozenset({"asn", "po", "supplier", "partner"}),
    "receipt": frozenset({"receipt", "supplier", "partner"}),
    "invoice": frozenset({"invoice", "supplier", "partner"}),
    "order": frozenset({"order"}),
    "order_line": frozenset({"order_line", "order"}),
    "source": frozenset({"source", "partner", "supplier"}),
    "queue": frozenset({"queue"}),
    "partner": frozenset({"partner", "supplier"}),
    "supplier": frozenset({"supplier", "partner"}),
}


def visible(about: str) -> frozenset[str]:
    """Names of the attributes that a rule about such a subject can see."""
    families = _VISIBLE[about]
    found = frozenset(name for name in ATTRIBUTES if name.split(".", 1)[0] in families)
    return found if about == "supplier" else found - _OF_SUPPLIERS_ALONE


_PLACED = ("po.released", "po.revised")
_ANSWERS = ("po.acknowledged", "po.rejected", "po.change_proposed", "po.change_answered")
_SHIPMENT = ("asn.received", "asn.replaced")
_CONFIRMED = ("confirmed_date", "ship_date")  # a supplier that only says when it ships, says that


@dataclass(frozen=True, slots=True)
class Statement:
    """How a subject's own events state an attribute.

    types        events that may state it
    facts        names of the fact, the first one that is there counts
    first_stays  the first statement stays, later ones do not change it
    """

    types: frozenset[str]
    facts: tuple[str, ...]
    first_stays: bool = False


def _stated(types: tuple[str, ...], *names: str) -> dict[str, Statement]:
    return {name: Statement(frozenset(types), (name.split(".", 1)[1],)) for name in names}


STATEMENTS: dict[str, Statement] = {
    **_stated(_PLACED, "po.type", "po.buyer", "po.currency", "po.warehouse", "po.value"),
    **_stated(_PLACED, "po.acknowledge_by", "po.ship_by", "po.cancel_after"),
    **_stated(_PLACED, "po_line.item", "po_line.description", "po_line.category"),
    **_stated(_PLACED, "po_line.requested_date"),
    **_stated(_ANSWERS, "po_line.answer"),
    "po_line.first_confirmed_date": Statement(frozenset(_ANSWERS), _CONFIRMED, first_stays=True),
    "po_line.last_confirmed_date": Statement(frozenset(_ANSWERS), _CONFIRMED),
    **_stated(_SHIPMENT, "asn.eta", "asn.ship_date", "asn.warehouse", "asn.carrier"),
    **_stated(("asn.rejected",), "asn.rule", "asn.reason"),
}
"""Attributes that clocks read from the signs themselves, so that nothing else can alter them."""
