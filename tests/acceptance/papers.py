"""X12 papers between the installation (ZZ:BUYER) and its supplier ACME (01:123456789)."""

from __future__ import annotations

US, ACME = "ZZ*BUYER          ", "01*123456789      "


def interchange(
    group: str,
    *sets: str,
    when: str,
    ours: bool = False,
    number: int = 1,
    them: str = ACME,
) -> str:
    """One interchange, a segment per line; ``when`` is local, "20260309*1000".

    Sets come without ST and SE: "855" on the first line, then their segments.
    """
    sender, receiver = (US, them) if ours else (them, US)
    blank = " " * 10
    lines = [
        f"ISA*00*{blank}*00*{blank}*{sender}*{receiver}*{when[2:]}*U*00401*{number:09}*0*P*:~",
        f"GS*{group}*{'OURS*THEIRS' if ours else 'THEIRS*OURS'}*{when}*{number}*X*004010~",
    ]
    for n, one in enumerate(sets, start=1):
        kind, *segments = one.split()
        lines += [f"ST*{kind}*{n:04}~", *(f"{segment}~" for segment in segments)]
        lines.append(f"SE*{len(segments) + 2}*{n:04}~")
    return "\n".join([*lines, f"GE*{len(sets)}*{number}~", f"IEA*1*{number:09}~", ""])


def order(po: str, when: str, *, requested: str, number: int = 1) -> str:
    """Our purchase order: line 10 over forty pieces at 12.50."""
    day = when[:8]
    return interchange(
        "PO",
        f"""850
        BEG*00*SA*{po}**{day}
        CUR*BY*USD
        DTM*002*{requested}
        N1*ST*East*92*EAST
        PO1*10*40*EA*12.50*PE*BP*FST-00201
        CTT*1""",
        when=when,
        ours=True,
        number=number,
    )


def answer(po: str, when: str, *, date: str, number: int = 1) -> str:
    """ACME's answer: accepted as ordered."""
    day = when[:8]
    return interchange(
        "PR",
        f"""855
        BAK*00*AC*{po}*{day}*****{day}
        PO1*10*40*EA*12.50*PE*BP*FST-00201
        ACK*IA*40*EA*067*{date}
        CTT*1""",
        when=when,
        number=number,
    )
