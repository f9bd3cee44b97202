"""The network as `network.yaml` describes it: systems, sources, partners, calendars, people.

Read once at the edge, then passed on as a frozen value: the same bytes with the same network give
the same events.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from tower import network_checks, strict_yaml, zones
from tower.calendars import CalendarSpec
from tower.durations import Span
from tower.errors import ConfigError
from tower.feeds import OPTIONS
from tower.identity import partner_id
from tower.mapping import Mapping as PartnerMapping
from tower.option_types import (
    ClockTime,
    FeedOptions,
    InnerNetwork,
    Size,
    Strict,
    Variable,
    clock_time,
)
from tower.outlets import Outlet
from tower.rule_parts import Share
from tower.shipped_mappings import shipped
from tower.sign_in import SignIn
from tower.strict_yaml import mistake
from tower.units import parse as parse_amount
from tower.zones import ZoneName

__all__ = [
    "Channel",
    "ClockTime",
    "Company",
    "Network",
    "Partner",
    "PartnerIds",
    "PartnerLimits",
    "Person",
    "Source",
    "Strict",
    "System",
    "Warehouse",
    "clock_time",
    "load_network",
]


class System(Strict):
    """A system that carries orders: what it is and how people call it."""

    name: str
    kind: Literal[
        "erp",
        "platform",
        "portal",
        "edi",
        "middleware",
        "wms",
        "tms",
        "broker",
        "gateway",
        "supplier",
    ]


class Source(Strict):
    """One feed.

    every         rhythm in which it is read (pull) or beats (push)
    silent_after  how long without a good read or beat until SOURCE_SILENT
    calendar      when it is expected to speak; without it always
    maintenance   calendar whose open hours are planned work: no mails about its silence then
    options       what the reader of this kind needs; tower/feeds.py lists and checks it. Never a
                  secret, only names of the variables that hold them
    mapping       name in `mappings` for formats csv, json, xml, log and otlp (tower/mapping.py), or
                  of one that comes with the tower (tower/shipped_mappings.py); otlp and access_log
                  may do without
    partner       fixed partner, where the feed belongs to one
    channel       how documents of this feed travelled
    outlet        of `outlets`: the way by which documents of ours that it brought may be sent to
                  their partner again
    zone          zone of its times that carry none
    """

    kind: Literal[
        "drop_folder",
        "sftp",
        "log_file",
        "rest",
        "odata",
        "sql_view",
        "rabbitmq",
        "amqp",
        "nats",
        "kafka",
        "access_log",
        "push",
    ]
    format: Literal[
        "x12",
        "edifact",
        "mdn",
        "csv",
        "json",
        "xml",
        "log",
        "cloudevents",
        "otlp",
        "access_log",
        "queue",
    ]
    system: str
    every: ClockTime = timedelta(minutes=1)
    silent_after: ClockTime = timedelta(hours=4)
    calendar: str | None = None
    maintenance: str | None = None
    mapping: str | None = None
    partner: str | None = None
    channel: Literal["edi", "api", "portal", "file", "manual"] | None = None
    outlet: str | None = None
    zone: ZoneName = "UTC"
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def is_pull(self) -> bool:
        return self.kind != "push"

    @property
    def feed(self) -> FeedOptions:
        """The options in their checked form; wrong ones raise pydantic's ValidationError."""
        return OPTIONS[self.kind].model_validate(self.options)


class PartnerIds(Strict):
    """Identifiers of a partner; each belongs to one partner only.

    isa         ISA05-06 or ISA07-08, qualifier and id: "01:123456789"
    gs          GS02 or GS03, where a partner is told apart only there
    unb         sender or receiver in EDIFACT's UNB (or UNG), identifier and qualifier if one is
                sent: "4012345000009:14"
    erp_vendor  ERP name -> vendor number
    """

    isa: list[str] = Field(default_factory=list)
    gs: list[str] = Field(default_factory=list)
    unb: list[str] = Field(default_factory=list)
    gln: str | None = None
    duns: str | None = None
    erp_vendor: dict[str, str] = Field(default_factory=dict)

    @field_validator("isa")
    @classmethod
    def _pairs(cls, values: list[str]) -> list[str]:
        for value in values:
            _isa_pair(value)
        return values


def _amount_of_unit(text: str) -> str:
    parse_amount(text)
    return text


UnitAmount = Annotated[str, AfterValidator(_amount_of_unit)]
"""How many of which other unit: "12 EA"."""


class PartnerLimits(Strict):
    """What one partner may send through the machine door; others never notice.

    per_minute  messages in a minute, in the long run; more are told 429 with Retry-After
    burst       messages that may come at once after a quiet time; default: those of one minute
    max_bytes   of one message; the feed's own limit holds too
    """

    per_minute: int | None = Field(default=None, ge=1, le=1_000_000)
    burst: int | None = Field(default=None, ge=1, le=1_000_000)
    max_bytes: Size | None = None


class Partner(Strict):
    """A supplier: how it speaks, what it is asked for, whose hours count.

    template          how it is connected: which documents are expected of it
    stage             onboarding: seen, nothing is asked of it yet; live; paused: not measured for
                      a while; ended. Only live partners are accused of anything
    signed_off        who said that it may go live, and when ("kim 2026-03-27")
    limits            throttle and size at the machine door
    resend            what is right when a document of theirs has to come again
    feeds             sources that bring its answers
    expects_fa        functional acknowledgement (997, 999) agreed
    usual_delay_days  what silence is taken to cost
    lead_time_days    days from sending an order to its receipt that were agreed; without them lead
                      times are measured against the dates that the orders ask for
    answer_within     time to answer that was agreed (4bh), for rules that ask for it
    max_errors        share of messages that may fail (10%), for rules that ask for it
    mapping           its own mapping, before that of the source
    codes             its own meaning of codes: field or X12 list -> {as sent: canonical word}
    units             what its units hold: {CS: 12 EA}; where an item says otherwise, that counts
    contacts          role -> mail address, or a name in `people`; mails to the partner itself go to
                      the address under alerts, else under ack
    """

    name: str
    template: Literal["api", "edi_x12", "edi_edifact", "file", "portal"] = "edi_x12"
    stage: Literal["onboarding", "live", "paused", "ended"] = "live"
    signed_off: str | None = Field(default=None, min_length=1, max_length=200)
    tier: str | None = None
    group: str | None = None
    country: str | None = None
    zone: ZoneName = "UTC"
    ids: PartnerIds = PartnerIds()
    limits: PartnerLimits = PartnerLimits()
    resend: Literal["same_control_number", "new_control_number", "ask_partner"] = "ask_partner"
    feeds: list[str] = Field(default_factory=list)
    acknowledges: bool = True
    expects_fa: bool = False
    sends_asn: bool = True
    calendar: str | None = None
    usual_delay_days: int = Field(default=5, ge=0, le=365)
    lead_time_days: int | None = Field(default=None, ge=1, le=730)
    answer_within: Span | None = None
    max_errors: Share | None = None
    mapping: str | None = None
    codes: dict[str, dict[str, str]] = Field(default_factory=dict)
    units: dict[str, UnitAmount] = Field(default_factory=dict)
    contacts: dict[str, str] = Field(default_factory=dict)


class Person(Strict):
    """Somebody or a desk that can own cases; ``mail`` is the only place addresses come from.

    channel  of `channels`: what this person is mailed is posted there too
    """

    name: str
    mail: str = Field(pattern=network_checks.ADDRESS, max_length=254)
    zone: ZoneName = "UTC"
    channel: str | None = None


class Channel(Strict):
    """A room of a chat, told by an incoming webhook.

    form          what its messages look like: slack (also Mattermost, Rocket.Chat), or teams (a
                  workflow "when a webhook request is received")
    url_variable  variable that holds the address of the webhook, which is a secret
    networks      private networks that its host may lie in
    """

    form: Literal["slack", "teams"]
    url_variable: Variable
    networks: list[InnerNetwork] = Field(default_factory=list)


class Company(Strict):
    """The house itself. ``erp`` names the ERP whose numbers purchase orders carry."""

    name: str
    erp: str = "main"
    zone: ZoneName = "UTC"
    calendar: str = "hq"
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")
    isa: list[str] = Field(default_factory=list)
    unb: list[str] = Field(default_factory=list)

    @field_validator("isa")
    @classmethod
    def _pairs(cls, values: list[str]) -> list[str]:
        for value in values:
            _isa_pair(value)
        return values


class Warehouse(Strict):
    """A place of ours; ``gln`` is how EDI names it, where that is not its key here."""

    name: str
    gln: str | None = None
    zone: ZoneName = "UTC"
    dock_to_stock_days: int = Field(default=1, ge=0, le=60)


class QueueProfile(Strict):
    """A message queue as it was agreed. ``max_depth`` is how many messages may wait in it."""

    max_depth: int | None = Field(default=None, ge=0)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Systems = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    Field(json_schema_extra={"type": ["string", "array"], "items": {"type": "string"}}),
]
"""One kind or name of a system, or several in falling order of authority."""


class Network(Strict):
    """Everything a reader, an interpreter or a rule must know about who is who.

    owners           letter of the category table (B D S I W P C T) -> person
    channels         rooms of a chat that take messages by webhook
    second_channel   the one of them that is told while the mail server cannot be reached
    outlets          ways out of the house, for documents that are sent to a partner again
    queues           name of a queue, or broker/name -> what was agreed about it
    sign_in          what groups of the identity provider may do on the screens
    units            item -> what its units hold: {CS: 12 EA}
    goods            category of goods as the ERP codes it -> the name that people know it by
    source_of_truth  field -> kinds or names of systems whose word counts, the first before the
                     next; or po_line, order_line -> the same for that kind of line alone
    """

    version: Literal[1] = 1
    company: Company
    systems: dict[str, System]
    sources: dict[str, Source]
    partners: dict[str, Partner] = Field(default_factory=dict)
    calendars: dict[str, CalendarSpec] = Field(default_factory=dict)
    people: dict[str, Person] = Field(default_factory=dict)
    owners: dict[str, str] = Field(default_factory=dict)
    channels: dict[str, Channel] = Field(default_factory=dict)
    second_channel: str | None = None
    outlets: dict[str, Outlet] = Field(default_factory=dict)
    warehouses: dict[str, Warehouse] = Field(default_factory=dict)
    queues: dict[str, QueueProfile] = Field(default_factory=dict)
    mappings: dict[str, PartnerMapping] = Field(default_factory=dict)
    sign_in: SignIn = Field(default_factory=SignIn)
    units: dict[str, dict[str, UnitAmount]] = Field(default_factory=dict)
    goods: dict[str, str] = Field(default_factory=dict)
    source_of_truth: dict[str, Systems | dict[str, Systems]] = Field(default_factory=dict)

    def zone(self, name: str) -> ZoneInfo:
        return zones.zone(name)

    def partner_by_isa(self, qualifier: str, identifier: str) -> str | None:
        """Partner key for an ISA05/06 or ISA07/08 pair; blanks around the id do not matter."""
        return self._by_isa.get(f"{qualifier.strip()}:{identifier.strip()}")

    def partner_by_vendor(self, erp: str, number: str) -> str | None:
        return self._by_vendor.get((erp, number))

    def partner_by_any(self, identifier: str, erp: str = "") -> str | None:
        """Partner key for whatever a sender calls a partner: its key, the vendor number in ``erp``
        (default: the company's), an ISA id with or without qualifier, GLN or DUNS.
        """
        wanted = identifier.strip()
        if wanted in self.partners:
            return wanted
        return self._by_vendor.get((erp or self.company.erp, wanted)) or self._by_other.get(wanted)

    def partner_by_unb(self, identifier: str, qualifier: str = "") -> str | None:
        """Partner key for a sender or receiver of EDIFACT's UNB or UNG.

        As ``ids.unb`` writes it, with the qualifier or without; else a GLN (14) or DUNS (1).
        """
        known = self._by_unb
        return known.get(f"{identifier}:{qualifier}") or known.get(identifier)

    def is_us(self, qualifier: str, identifier: str) -> bool:
        return f"{qualifier.strip()}:{identifier.strip()}" in self.company.isa

    def queue(self, broker: str, name: str) -> QueueProfile:
        """What was agreed about a queue; an empty profile if nothing was."""
        return self.queues.get(f"{broker}/{name}") or self.queues.get(name) or QueueProfile()

    def partner_contact(self, key: str) -> str:
        """The address that mails to a partner go to; "" if it has none of its own."""
        partner = self.partners.get(key)
        for role in ("alerts", "ack"):
            address = partner.contacts.get(role, "") if partner is not None else ""
            if "@" in address:
                return address
        return ""

    def mapping_for(self, source: Source, partner: str | None) -> tuple[str, PartnerMapping] | None:
        """Name and mapping for a body of this source: the partner's own before the source's."""
        profile = self.partners.get(partner or "")
        is_shipped = source.format in network_checks.MAPPING_FORMAT
        usual = source.mapping or (source.format if is_shipped else None)
        wanted = network_checks.MAPPING_FORMAT.get(source.format, source.format)
        for name in (profile.mapping if profile else None, usual):
            mapping = self.mappings.get(name or "") or shipped().get(name or "")
            if name and mapping is not None and mapping.format == wanted:
                return name, mapping
        return None

    @cached_property
    def _by_isa(self) -> dict[str, str]:
        return {isa: key for key, p in self.partners.items() for isa in p.ids.isa}

    @cached_property
    def _by_unb(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, p in self.partners.items():
            for number, qualifier in ((p.ids.gln, "14"), (p.ids.duns, "1")):
                if number:
                    found[f"{number}:{qualifier}"] = found[f"{number}:"] = key
        return found | {unb: key for key, p in self.partners.items() for unb in p.ids.unb}

    @cached_property
    def _by_vendor(self) -> dict[tuple[str, str], str]:
        return {
            (erp, number): key
            for key, p in self.partners.items()
            for erp, number in p.ids.erp_vendor.items()
        }

    @cached_property
    def _by_other(self) -> dict[str, str]:
        """ISA ids (with qualifier; without it where that is unambiguous), GLN, DUNS."""
        sure: dict[str, str] = dict(self._by_isa)
        bare: dict[str, set[str]] = {}
        for key, p in self.partners.items():
            for identifier in (p.ids.gln, p.ids.duns):
                if identifier:
                    sure[identifier] = key
            for isa in p.ids.isa:
                bare.setdefault(isa.partition(":")[2], set()).add(key)
        for identifier, keys in bare.items():
            if len(keys) == 1:
                sure.setdefault(identifier, min(keys))
        return sure

    @cached_property
    def partner_keys(self) -> dict[int, str]:
        """Partner number -> key."""
        return {partner_id(key): key for key in self.partners}


def load_network(text: str, name: str) -> Network:
    """The network from the text of a file called ``name``.

    Raises ConfigError with every mistake and its place: first what a model refuses, then names that
    lead nowhere and identifiers that two partners claim.
    """
    data, marks = strict_yaml.load(text, name)
    network = strict_yaml.validate(data, marks, Network, name)
    problems = network_checks.problems(network, marks, name)
    if problems:
        raise ConfigError(problems)
    return network


def _isa_pair(value: str) -> None:
    qualifier, colon, identifier = value.partition(":")
    if not colon or not identifier or value != f"{qualifier.strip()}:{identifier.strip()}":
        raise mistake(
            f'"{value}" is not an ISA identifier', 'write qualifier and id: "01:123456789"'
        )
