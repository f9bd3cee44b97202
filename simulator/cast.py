"""Who takes part: the distributor with its warehouses and buyers, its suppliers and customers.

All names are invented. Everything follows from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from simulator.hours import Hours, Window
from simulator.x12 import DIALECTS, Dialect, Party, Site

COMPANY = "Great Lakes Industrial Supply"
COMPANY_ZONE = "America/New_York"
ERP = "main"
US = Party("01", "061728394", "GLSUPPLY")


def _week(*windows: Window, days: int = 5) -> dict[int, tuple[Window, ...]]:
    return dict.fromkeys(range(days), windows)


_OFFICE = _week(("08:00", "12:00"), ("13:00", "17:00"))

HOURS: dict[str, Hours] = {
    hours.name: hours
    for hours in (
        Hours("hq", COMPANY_ZONE, _OFFICE, country="US"),
        Hours("us-east", "America/New_York", _OFFICE, country="US"),
        Hours("us-central", "America/Chicago", _OFFICE, country="US"),
        Hours("us-pacific", "America/Los_Angeles", _OFFICE, country="US"),
        Hours(
            "uk",
            "Europe/London",
            _week(("09:00", "13:00"), ("13:30", "17:30")),
            country="GB",
            region="ENG",
        ),
        Hours("de", "Europe/Berlin", _OFFICE, country="DE", region="NW"),
        Hours("pl", "Europe/Warsaw", _week(("07:00", "15:30")), country="PL"),
        Hours("cn", "Asia/Shanghai", _week(("09:00", "12:00"), ("13:30", "18:00")), country="CN"),
        Hours("in", "Asia/Kolkata", _week(("09:30", "17:30"), days=6), country="IN"),
    )
}
HQ = HOURS["hq"]

# calendar: share of suppliers, country, currency, days in transit to a warehouse (least, most)
_PLACES: dict[str, tuple[int, str, str, int, int]] = {
    "us-east": (25, "US", "USD", 2, 5),
    "us-central": (23, "US", "USD", 2, 5),
    "us-pacific": (14, "US", "USD", 3, 6),
    "uk": (8, "GB", "GBP", 5, 8),
    "de": (10, "DE", "EUR", 5, 8),
    "pl": (6, "PL", "EUR", 6, 9),
    "cn": (8, "CN", "USD", 7, 9),
    "in": (6, "IN", "USD", 7, 9),
}

CHANNELS = ("edi", "api", "file", "portal")
FEED = {"edi": "edi_in", "api": "supplier_api", "file": "supplier_csv", "portal": "portal"}
TEMPLATE = {"edi": "edi_x12", "api": "api", "file": "file", "portal": "portal"}
CSV_DIALECTS = ("csv_us", "csv_eu", "csv_pipe")


@dataclass(frozen=True, slots=True)
class Person:
    key: str
    name: str
    mail: str
    zone: str = COMPANY_ZONE


@dataclass(frozen=True, slots=True)
class Warehouse:
    """``door`` is its own feed: wms_east pushes documents, wms_west drops files."""

    key: str
    door: str
    hours: Hours
    site: Site


@dataclass(frozen=True, slots=True)
class Item:
    """``group``: the category of goods that the distributor's ERP keeps it under."""

    number: str
    vendor_item: str
    description: str
    group: str
    unit: str
    price_cents: int
    lot: int


@dataclass(frozen=True, slots=True)
class Supplier:
    """A trading partner.

    calendar        name in HOURS; answers are given in these hours
    tier            A answers within 4 open hours, B within a business day, C within two
    transit         calendar days from dispatch to dock
    csv             dialect of its files, "" for other channels
    answers_orders  False: this house never answers an order (agreed; not measured)
    """

    key: str
    name: str
    tier: str
    channel: str
    calendar: str
    country: str
    currency: str
    transit: int
    vendor: str
    party: Party
    dialect: Dialect
    csv: str
    expects_fa: bool
    sends_receipts: bool
    answers_orders: bool
    sends_asn: bool
    usual_delay: int
    buyer: str
    weight: float
    items: tuple[Item, ...]

    @property
    def hours(self) -> Hours:
        return HOURS[self.calendar]

    @property
    def mail(self) -> str:
        return f"orders@{self.key.lower()}.example"


@dataclass(frozen=True, slots=True)
class Customer:
    key: str
    name: str


@dataclass(frozen=True, slots=True)
class Cast:
    suppliers: tuple[Supplier, ...]
    customers: tuple[Customer, ...]


WAREHOUSES = (
    Warehouse(
        "east",
        "wms_east",
        HOURS["us-east"],
        Site("GLS Newark", "EAST", "400 Doremus Ave", "Newark", "NJ", "07105"),
    ),
    Warehouse(
        "west",
        "wms_west",
        HOURS["us-pacific"],
        Site("GLS Reno", "WEST", "1250 Terminal Way", "Reno", "NV", "89502"),
    ),
)

_BUYERS = (
    "Kim Alvarez", "Dana Whitfield", "Priya Raman", "Marcus Oyelaran",
    "Ellen Kowalczyk", "Tom Brandt", "Sofia Lindqvist", "Ray Castellano",
)  # fmt: skip


def _mail(key: str) -> str:
    return f"{key}@greatlakes-supply.example"


def _person(key: str, name: str) -> Person:
    return Person(key, name, _mail(key))


BUYERS = tuple(_person(name.split()[0].lower(), name) for name in _BUYERS)
DESKS = (
    _person("supplier_desk", "Supplier desk"),
    _person("supplier_relations", "Supplier relations"),
    _person("it_integration", "Integration team"),
    _person("warehouse_desk", "Warehouse desk"),
    _person("payables", "Accounts payable"),
    _person("customer_service", "Customer service"),
    _person("tower_operator", "Tower operator"),
    _person("purchasing_desk", "Purchasing desk"),
    _person("purchasing_lead", "Head of purchasing"),
)
OWNERS = {
    "B": "purchasing_desk",
    "D": "supplier_desk",
    "S": "supplier_relations",
    "I": "it_integration",
    "W": "warehouse_desk",
    "P": "payables",
    "C": "customer_service",
    "T": "tower_operator",
}

_FIRST = (
    "Harlow", "Kestrel", "Northfield", "Brenner", "Calloway", "Dunmore", "Everline", "Fairbank",
    "Granger", "Hollis", "Ironwood", "Juniper", "Kerrigan", "Larkspur", "Meridian", "Norwood",
    "Oakhurst", "Pemberton", "Quarry", "Redfern", "Stanmore", "Thornbury", "Underhill", "Vantage",
    "Westbrook", "Yarrow", "Zenith", "Alder", "Bexley", "Crestline", "Delmar", "Eastgate",
)  # fmt: skip
_FIRST_ABROAD = {
    "uk": ("Ashdown", "Birchall", "Cotswold", "Pennine", "Severn", "Tamworth", "Wharfdale"),
    "de": ("Altmann", "Bergedorf", "Rheinwerk", "Sauerland", "Talheim", "Weserhof", "Zellner"),
    "pl": ("Baltyk", "Karpacz", "Mazowia", "Odra", "Wielkopol", "Zabrze", "Warta"),
    "cn": ("Haining", "Jinhua", "Ningbo", "Suzhou", "Taizhou", "Wenling", "Yongkang"),
    "in": ("Bharati", "Coimbatore", "Deccan", "Ludhiana", "Nashik", "Rajkot", "Vadodara"),
}

# trade: prefix, unit, lowest and highest price in cents, usual lot, nouns, sizes
_TRADES: dict[str, tuple[str, str, int, int, int, tuple[str, ...], tuple[str, ...]]] = {
    "Fasteners": ("FST", "BX", 900, 6500, 40,
        ("Hex bolt", "Lock nut", "Flat washer", "Socket screw", "Anchor bolt", "Threaded rod"),
        ("M6", "M8x40", "M10x60", "M12", "3/8-16", "1/2-13")),
    "Bearings": ("BRG", "EA", 1200, 18000, 20,
        ("Deep groove bearing", "Pillow block", "Tapered roller bearing", "Flange unit"),
        ("6204-2RS", "6206", "UCP205", "30206", "UCF208")),
    "Valves": ("VLV", "EA", 2500, 46000, 10,
        ("Ball valve", "Check valve", "Gate valve", "Relief valve", "Solenoid valve"),
        ("1/2 in", "3/4 in", "1 in", "DN40", "DN50")),
    "Pumps": ("PMP", "EA", 18000, 210000, 3,
        ("Centrifugal pump", "Diaphragm pump", "Sump pump", "Gear pump"),
        ("0.5 hp", "1 hp", "2 hp", "5 hp")),
    "Electrical": ("ELC", "EA", 600, 24000, 25,
        ("Contactor", "Circuit breaker", "Terminal block", "Limit switch", "Fuse holder"),
        ("9 A", "16 A", "25 A", "32 A", "63 A")),
    "Lighting": ("LGT", "EA", 1500, 19000, 20,
        ("LED high bay", "Exit sign", "Wall pack", "Strip light", "Flood light"),
        ("20 W", "50 W", "100 W", "150 W")),
    "Safety": ("SFT", "CS", 1800, 14000, 15,
        ("Nitrile gloves", "Safety glasses", "Ear plugs", "Hi-vis vest", "Respirator"),
        ("S", "M", "L", "XL", "case of 100")),
    "Abrasives": ("ABR", "BX", 1100, 8200, 30,
        ("Flap disc", "Cut-off wheel", "Sanding belt", "Grinding wheel"),
        ("4-1/2 in P60", "5 in P80", "7 in P120", "2x72 P36")),
    "Hydraulics": ("HYD", "EA", 2200, 38000, 12,
        ("Hydraulic hose", "Quick coupling", "Cylinder seal kit", "Pressure gauge"),
        ("1/4 in", "3/8 in", "1/2 in", "100 bar", "250 bar")),
    "Pneumatics": ("PNU", "EA", 800, 22000, 20,
        ("Air cylinder", "Push-in fitting", "Air regulator", "Filter unit", "Coil tube"),
        ("6 mm", "8 mm", "1/4 NPT", "1/2 NPT", "40x100")),
    "Packaging": ("PKG", "CS", 1400, 9000, 35,
        ("Carton", "Stretch film", "Packing tape", "Pallet strap", "Void fill"),
        ("12x10x8", "18 in", "2 in x 110 yd", "case of 6")),
    "Tools": ("TLS", "EA", 900, 32000, 15,
        ("Combination wrench", "Torque wrench", "Drill bit set", "Hole saw", "Impact socket"),
        ("10 mm", "1/2 drive", "19 pc", "2 in", "24 mm")),
    "Filters": ("FLT", "EA", 700, 12000, 25,
        ("Oil filter", "Air filter", "Cartridge filter", "Bag filter"),
        ("5 micron", "10 micron", "25 micron", "20x20x2")),
    "Seals": ("SEL", "BX", 500, 7800, 40,
        ("O-ring kit", "Gasket sheet", "Shaft seal", "Packing rope"),
        ("NBR 70", "Viton", "35x52x7", "1/4 in")),
    "Welding": ("WLD", "BX", 2100, 16500, 12,
        ("Welding wire", "Electrode", "Contact tip", "Gas nozzle"),
        ("0.8 mm", "1.0 mm", "1.2 mm", "2.5 mm")),
}  # fmt: skip

_CUSTOMER_FIRST = (
    "Rivertown", "Lakeside", "Summit", "Harbor", "Prairie", "Cedar Valley", "Ironbridge",
    "Bluewater", "Maplewood", "Granite", "Fox River", "Erie", "Huron", "Keystone", "Tri-County",
    "Old Mill",
)  # fmt: skip
_CUSTOMER_LAST = (
    "Hospital", "Schools", "Foundry", "Paper Mill", "Dairy", "Water Works", "Builders", "Transit",
    "Power", "Shipyard", "Plastics", "Machine Works",
)  # fmt: skip


def _items(rng: Random, trade: str, n: int, serial: int) -> tuple[Item, ...]:
    prefix, unit, low, high, lot, nouns, sizes = _TRADES[trade]
    kinds = [f"{noun} {size}" for noun in nouns for size in sizes]
    rng.shuffle(kinds)
    return tuple(
        Item(
            number=f"{prefix}-{serial:03d}{k:02d}",
            vendor_item=f"{prefix[:2]}{rng.randrange(10_000, 99_999)}",
            description=kind,
            group=trade,
            unit=unit,
            price_cents=int(low * (high / low) ** rng.random()),
            lot=lot,
        )
        for k, kind in enumerate(kinds[:n], start=1)
    )


def _spread(shares: dict[str, int], n: int, rng: Random) -> list[str]:
    """A shuffled list of n words in these shares, rounded so that each word comes at least once."""
    total = sum(shares.values())
    words: list[str] = []
    for word, share in shares.items():
        words += [word] * max(1, round(share * n / total))
    words = (words + list(shares) * n)[:n] if len(words) < n else words
    rng.shuffle(words)
    return words[:n]


_QUALIFIERS = ("01", "ZZ", "12", "08")


def _party(rng: Random, key: str, serial: int) -> Party:
    qualifier = _QUALIFIERS[serial % 4]
    identifier = {
        "01": f"{110_000_000 + serial * 7_919:09d}",
        "ZZ": key.replace("-", "")[:11] + f"{serial:03d}",
        "12": f"{2_000_000_000 + serial * 104_729:010d}",
        "08": f"{serial:03d}{rng.randrange(10**6, 10**7)}",
    }[qualifier]
    return Party(qualifier, identifier, identifier[:15])


def make_cast(seed: int, n: int) -> Cast:
    """``n`` suppliers and the customers; at least 8 suppliers, so that every channel is there."""
    if n < 8:
        raise ValueError(f"{n} suppliers are too few; the pretend distributor needs 8 or more")
    rng = Random(f"{seed}:cast")
    tiers = _spread({"A": 20, "B": 35, "C": 45}, n, rng)
    channels = _spread({"edi": 55, "api": 15, "file": 15, "portal": 15}, n, rng)
    places = _spread({place: row[0] for place, row in _PLACES.items()}, n, rng)
    suppliers: list[Supplier] = []
    seen: set[str] = set()
    for serial in range(1, n + 1):
        place = places[serial - 1]
        _, country, currency, fastest, slowest = _PLACES[place]
        trade = rng.choice(list(_TRADES))
        name = f"{rng.choice(_FIRST_ABROAD.get(place, _FIRST))} {trade}"
        key = name.upper().replace(" ", "-")
        if key in seen:
            name = f"{name} {serial}"
            key = f"{key}-{serial}"
        seen.add(key)
        tier, channel = tiers[serial - 1], channels[serial - 1]
        suppliers.append(
            Supplier(
                key=key,
                name=name,
                tier=tier,
                channel=channel,
                calendar=place,
                country=country,
                currency=currency,
                transit=rng.randint(fastest, slowest),
                vendor=str(17_300_000 + serial),
                party=_party(rng, key, serial),
                dialect=rng.choice(DIALECTS),
                csv=CSV_DIALECTS[serial % 3] if channel == "file" else "",
                expects_fa=channel == "edi" and rng.random() < 0.92,
                sends_receipts=channel == "edi" and rng.random() < 0.15,
                # Tier C only: nobody waits for these few.
                answers_orders=not (tier == "C" and rng.random() < 0.04),
                sends_asn=not (channel == "portal" and rng.random() < 0.5),
                usual_delay=rng.randint(3, 7),
                buyer=rng.choice(BUYERS).key,
                weight={"A": 3.0, "B": 1.6, "C": 1.0}[tier] * (0.5 + rng.random()),
                items=_items(rng, trade, rng.randint(5, 12), serial),
            )
        )
    customers = [f"{a} {b}" for a in _CUSTOMER_FIRST for b in _CUSTOMER_LAST]
    rng.shuffle(customers)
    return Cast(
        tuple(suppliers),
        tuple(
            Customer(f"C{20_000 + k}", name)
            for k, name in enumerate(customers[: max(12, n // 2)], start=1)
        ),
    )
