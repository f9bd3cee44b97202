"""Goods on their way: notices, verdicts of the warehouse, receipts, invoices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from random import Random

from simulator import limits
from simulator.business import (
    Invoice,
    Po,
    PoLine,
    Receipt,
    ReceiptLine,
    Shipment,
    ShipmentLine,
)
from simulator.cast import HQ, Supplier
from simulator.edi import Gateway
from simulator.house import House, Journey
from simulator.partners import Arrival, Partners
from simulator.plots import Plot, Plotter, dispatch
from simulator.queues import Stay
from simulator.stage import Stage

_CARRIERS = ("UPSN", "FDEG", "ODFL", "SAIA", "XPOL", "RDWY", "MAEU", "DHLC")
_REFUSALS = (
    ("QTY_OVER_PO", "More announced than is open on the order"),
    ("SSCC_REPEATED", "Carton label was used in an earlier shipment"),
    ("ITEM_UNKNOWN", "Item number is not on the order"),
    ("CARTON_COUNT", "Carton count differs from the packs listed"),
)
MERGED_DAYS = timedelta(days=2)
"""Lines due within two days of each other travel together."""


@dataclass(frozen=True, slots=True)
class Load:
    """Goods of one or more orders that travel together and are due on ``deliver``."""

    deliver: date
    ship_at: datetime
    parts: tuple[tuple[Po, PoLine, int], ...]


@dataclass(slots=True)
class Teller:
    """What every teller needs.

    stays  messages that lie in a queue of dead letters
    pace   of machines and people between two steps; below 1 they hurry (live operation)
    """

    stage: Stage
    house: House
    gateway: Gateway
    partners: Partners
    plotter: Plotter
    stays: list[Stay]
    pace: float = 1.0

    def _after(self, rng: Random, least: float, most: float) -> timedelta:
        """So many minutes, at the pace of this teller."""
        return timedelta(minutes=rng.uniform(least, most) * self.pace)

    def _moments(self, rng: Random, least: float, most: float) -> timedelta:
        """The same for seconds."""
        return self._after(rng, least / 60, most / 60)

    def _stated(self, supplier: Supplier, at: datetime) -> datetime:
        skew = self.plotter.skew
        return skew.stated(supplier, at) if skew is not None else at

    def _inbound(self, rng: Random, supplier: Supplier) -> Journey:
        serial = f"{rng.getrandbits(40):010x}"
        return Journey(f"gls-in-{serial}", f"msg-in-{serial}", supplier)


@dataclass(slots=True)
class GoodsTeller(Teller):
    """Plans everything from dispatch to the closed order."""

    def deliver(self, rng: Random, pos: Sequence[Po], plot: Plot) -> None:
        together = len(pos) == 1 or rng.random() < 0.6
        shipped: dict[str, datetime] = {}
        received: dict[str, datetime] = {}
        for bunch in [list(pos)] if together else [[po] for po in pos]:
            for load in self._loads(bunch, plot):
                at = self._move(rng, load, plot)
                for po, _, _ in load.parts:
                    shipped[po.number] = max(shipped.get(po.number, load.ship_at), load.ship_at)
                    received[po.number] = max(received.get(po.number, at), at)
        for po in pos:
            self._settle(rng, po, plot, shipped[po.number], received[po.number])

    def _loads(self, pos: Sequence[Po], plot: Plot) -> list[Load]:
        """What travels together: everything due within two days of the first."""
        due: list[tuple[date, Po, PoLine, int]] = []
        for po in pos:
            rows = plot.rows.get(po.number) if plot.code not in ("RD", "RJ") else None
            if rows is None:
                due += [(line.wanted, po, line, line.quantity) for line in po.lines]
            else:
                due += [
                    (day, po, row.line, quantity) for row in rows for _, quantity, day in row.parts
                ]
        due.sort(key=lambda part: (part[0], part[1].number, int(part[2].line)))
        loads: list[Load] = []
        supplier = pos[0].supplier
        while due:
            first = due[0][0]
            parts = [part for part in due if part[0] <= first + MERGED_DAYS]
            due = due[len(parts) :]
            ship_at = plot.ship_at
            if ship_at is None:
                raise AssertionError("goods without a time of dispatch")
            if first != plot.deliver:
                ship_at = max(ship_at, dispatch(supplier, first, 5, 0.5))
            loads.append(Load(first, ship_at, tuple((po, line, n) for _, po, line, n in parts)))
        return loads

    def _move(self, rng: Random, load: Load, plot: Plot) -> datetime:
        """ASN, verdict of the warehouse, receipt. Returns when the goods are on the dock."""
        po = load.parts[0][0]
        supplier, warehouse = po.supplier, po.warehouse
        deliver = max(load.deliver, plot.proposed) if plot.proposal_at else load.deliver
        arrives = self._dock_day(rng, load, plot, deliver)
        opening = warehouse.hours.opening(arrives)
        on_dock = warehouse.hours.add(opening, rng.uniform(15, 420))
        number = ""
        rest: list[tuple[Po, PoLine, int]] = []
        if supplier.sends_asn:
            asn = self._asn(rng, load, deliver)
            if plot.fault == "ASN_SHORT":
                asn, rest = _shortened(asn)
                load = replace(
                    load, parts=tuple((row.po, row.line, row.quantity) for row in asn.lines)
                )
            if plot.fault == "ASN_MISSING":
                number = self._missing_asn(rng, asn, plot)
            else:
                number = asn.number
                self._announce(rng, asn, plot)
        self._receive(rng, load, number, on_dock)
        if rest:
            self.plotter.book.plant(
                "ASN_SHORT", asn.ref, load.ship_at, load.ship_at,
                f"{rest[0][2]} of line {rest[0][1].line} are missing", _names([po]),
            )  # fmt: skip
            self._later_rest(rng, po, rest, plot, on_dock)
        return on_dock

    def _dock_day(self, rng: Random, load: Load, plot: Plot, deliver: date) -> date:
        hours = load.parts[0][0].warehouse.hours
        chance = rng.random()
        if plot.fault == "ASN_MISSING":
            # The goods would settle the case: they must not come before it is true.
            return hours.shift_days(hours.open_day_on_or_after(deliver), rng.randint(1, 2))
        if chance < 0.07:
            return hours.shift_days(deliver, -1)
        if chance < 0.16:
            return hours.shift_days(deliver, rng.randint(1, 4))
        return hours.open_day_on_or_after(deliver)

    def _asn(self, rng: Random, load: Load, deliver: date) -> Shipment:
        po = load.parts[0][0]
        supplier = po.supplier
        serial = self.stage.number("asn", supplier.key)
        rows = tuple(
            ShipmentLine(po, line, quantity, _sscc(self.stage.number("sscc")))
            for po, line, quantity in load.parts
        )
        return Shipment(
            f"{supplier.key[:3]}{200_000 + serial}",
            supplier,
            po.warehouse,
            load.ship_at,
            self._stated(supplier, load.ship_at),
            deliver,
            rng.choice(_CARRIERS),
            f"BOL{supplier.vendor[-4:]}{serial:05d}",
            rows,
        )

    def _send(self, rng: Random, asn: Shipment) -> datetime:
        """The ASN goes out; returns when it is here."""
        supplier = asn.supplier
        arrives = asn.at + (
            self._after(rng, 0.1, 0.8) if supplier.channel == "api" else self._after(rng, 2, 10)
        )
        repeated = self._after(rng, 30, 300) if rng.random() < 0.012 else None
        self.partners.ship(asn, Arrival(arrives, self._after(rng, 3, 25), repeated))
        journey = self._inbound(rng, supplier)
        at = arrives + self._moments(rng, 4, 40)
        self.house.log(
            at, "inbound.received", journey, hop=f"{supplier.channel}>middleware",
            text="Shipment notice taken in",
        )  # fmt: skip
        at += self._moments(rng, 3, 30)
        self.house.log(
            at, "inbound.mapped", journey, asn=asn.number, hop="middleware",
            ms=rng.randint(20, 210),
        )  # fmt: skip
        at += self._moments(rng, 5, 90)
        self.house.log(
            at, "erp.posted", journey, asn=asn.number, hop="middleware>wms",
            ms=rng.randint(70, 600),
        )  # fmt: skip
        return arrives

    def _announce(self, rng: Random, asn: Shipment, plot: Plot) -> None:
        fault = plot.fault
        wrong = asn
        rule, message = _REFUSALS[plot.variant % len(_REFUSALS)]
        if fault == "ASN_INVALID" and rule == "QTY_OVER_PO":
            first = asn.lines[0]
            more = replace(first, quantity=first.quantity + max(2, first.quantity // 4))
            wrong = replace(asn, lines=(more, *asn.lines[1:]))
        arrives = self._send(rng, wrong)
        checked = arrives + self._after(rng, 6, 40)
        if fault != "ASN_INVALID":
            self.house.verdict(asn, checked)
            if fault == "ASN_DUPLICATE":
                self._contradict(rng, asn, checked)
            return
        self.house.verdict(wrong, checked, rule, message)
        self.plotter.book.plant(
            "ASN_INVALID", asn.ref, asn.at, checked, f"{rule}: {message}", _names(asn.pos)
        )
        # One in four stays as it is: the goods come with a wrong notice.
        if plot.variant % 4 != 3:
            again = asn.supplier.hours.add(checked, rng.uniform(120, 900))
            mended = replace(asn, at=again, stated=self._stated(asn.supplier, again), purpose="05")
            self.house.verdict(mended, self._send(rng, mended) + self._after(rng, 6, 40))

    def _contradict(self, rng: Random, asn: Shipment, checked: datetime) -> None:
        """The same number once more as an original, with another quantity."""
        first = asn.lines[0]
        other = replace(first, quantity=max(1, first.quantity - max(1, first.quantity // 10)))
        at = checked + self._after(rng, 60, 300)
        self._send(
            rng,
            replace(
                asn,
                at=at,
                stated=self._stated(asn.supplier, at),
                lines=(other, *asn.lines[1:]),
            ),
        )
        self.plotter.book.plant(
            "ASN_DUPLICATE", asn.ref, asn.at, at, "The number comes again with another quantity",
            _names(asn.pos),
        )  # fmt: skip

    def _missing_asn(self, rng: Random, asn: Shipment, plot: Plot) -> str:
        """No notice until the limit is long past, or none at all. Returns its number, if any."""
        po = asn.lines[0].po
        due = limits.asn_due(asn.arrives)
        late = plot.variant % 2 == 0
        self.plotter.book.plant(
            "ASN_MISSING", po.ref, po.released, due,
            "The notice comes shortly before the goods" if late else "The goods come unannounced",
            [f"po_line:main:{po.number}:{line.line}" for line in po.lines],
        )  # fmt: skip
        if not late:
            return ""
        at = HQ.add(due, rng.uniform(560, 800))
        late_asn = replace(asn, at=at, stated=self._stated(asn.supplier, at))
        self.house.verdict(late_asn, self._send(rng, late_asn) + self._after(rng, 6, 40))
        return asn.number

    def _receive(self, rng: Random, load: Load, asn: str, at: datetime) -> None:
        po = load.parts[0][0]
        warehouse = po.warehouse
        rows = []
        for owner, line, quantity in load.parts:
            damaged = rng.randint(1, max(1, quantity // 10)) if rng.random() < 0.02 else 0
            rows.append(ReceiptLine(owner, line, quantity, min(damaged, quantity)))
            line.received_at = max(line.received_at or at, at)
        receipt = Receipt(
            f"R{warehouse.key[0].upper()}{500_000 + self.stage.number('receipt', warehouse.key)}",
            warehouse,
            po.supplier,
            asn,
            at,
            tuple(rows),
        )
        told = at + self._after(rng, 3, 25)
        repeated = told + self._after(rng, 15, 240) if rng.random() < 0.012 else None
        self.house.receipt(receipt, told, repeated)
        self.house.erp_goods_receipt(receipt, told + self._after(rng, 6, 35))

    def _later_rest(
        self,
        rng: Random,
        po: Po,
        rest: Sequence[tuple[Po, PoLine, int]],
        plot: Plot,
        on_dock: datetime,
    ) -> None:
        """What a short shipment left behind comes later, or never."""
        if plot.variant % 3 == 2:
            for _, line, _ in rest:
                line.received_at = None
            return
        ship_at = po.supplier.hours.add(on_dock, rng.uniform(480, 1500))
        hours = po.warehouse.hours
        day = hours.open_day_on_or_after(
            hours.local_day(ship_at) + timedelta(days=po.supplier.transit)
        )
        load = Load(day, ship_at, tuple(rest))
        asn = self._asn(rng, load, day)
        self._announce(rng, asn, replace(plot, fault=""))
        self._receive(rng, load, asn.number, hours.add(hours.opening(day), rng.uniform(15, 420)))

    # --- money ------------------------------------------------------------------------------------

    def _settle(
        self, rng: Random, po: Po, plot: Plot, shipped: datetime, received: datetime
    ) -> None:
        supplier = po.supplier
        at = supplier.hours.add(shipped, rng.uniform(60, 1200))
        prices = {row.line.line: row.price_cents for row in plot.rows.get(po.number, ())}
        invoice = Invoice(
            f"{supplier.key[:3]}-{60_000 + self.stage.number('invoice', supplier.key)}",
            po,
            at,
            self._stated(supplier, at),
            tuple(
                (line, line.quantity, prices.get(line.line, line.price_cents)) for line in po.lines
            ),
        )
        self.partners.invoice(
            invoice, Arrival(at + self._after(rng, 1, 8), self._after(rng, 3, 25))
        )
        known = at
        if supplier.channel in ("file", "portal"):
            known = HQ.next_open(at + self._after(rng, 60, 900))
            self.house.erp_invoice_received(invoice, known)
        checked = HQ.next_open(max(known, received) + self._after(rng, 60, 900))
        if rng.random() < 0.05:
            difference = max(100, invoice.total_cents * rng.randint(1, 5) // 100)
            self.house.erp_invoice_checked(
                invoice, checked, rng.choice(("price", "qty")), difference
            )
            checked = HQ.add(checked, rng.uniform(480, 1900))
        self.house.erp_invoice_checked(invoice, checked, "", 0)
        if rng.random() < 0.9 and plot.fault != "ASN_SHORT":
            closed = HQ.add(checked, rng.uniform(240, 960))
            self.house.erp_ended(po, closed, "closed", "Received and invoiced")


def _names(pos: Sequence[Po]) -> list[str]:
    return [po.ref for po in pos]


def _sscc(serial: int) -> str:
    """Application identifier 00 and an 18-figure carton label with its check digit."""
    body = f"0061728394{serial:07d}"
    total = sum(int(figure) * (3 if n % 2 == 0 else 1) for n, figure in enumerate(body))
    return f"00{body}{-total % 10}"


def _shortened(
    asn: Shipment,
) -> tuple[Shipment, list[tuple[Po, PoLine, int]]]:
    """The largest line ships about half; the rest is what stays behind."""
    largest = max(asn.lines, key=lambda row: row.quantity)
    now = max(1, largest.quantity * 55 // 100)
    if now == largest.quantity:
        return asn, []
    lines = tuple(replace(row, quantity=now) if row is largest else row for row in asn.lines)
    return replace(asn, lines=lines), [(largest.po, largest.line, largest.quantity - now)]
