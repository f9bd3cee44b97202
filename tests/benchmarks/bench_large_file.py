"""P9: the memory that a large interchange takes on its whole way in, beside its bytes.

``tower ingest FILE`` is run as a process of its own, against a database of its own: reading the
file, interpreting, keeping bytes, events and origins, correlating, folding documents, committing.
Its highest resident memory is that of the system (``ru_maxrss``). Subtracted are the same run with
a file of one order and the bytes of the file, which are held once. The numbers in the file are
drawn by chance, so that it packs no better than real orders do.

LARGE_FILE_MB (default 100) says how large the file is; 100 MB take some minutes.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.conftest import Databases

MB = 1_000_000
SIZE_MB = float(os.environ.get("LARGE_FILE_MB", "100"))
ROOT = Path(__file__).resolve().parents[2]
Record = Callable[[str, str, str, str], None]
NETWORK = """
version: 1
company: {name: Bench, erp: main, isa: ["ZZ:BUYER"], unb: ["4098765000010:14"]}
systems: {edi: {name: EDI, kind: edi}, erp: {name: ERP, kind: erp}}
sources:
  x12: {kind: push, format: x12, system: edi, channel: edi}
  edifact: {kind: push, format: edifact, system: edi, channel: edi}
partners:
  ACME: {name: Acme, ids: {isa: ["01:123456789"], unb: ["4012345000009:14"]}}
calendars: {hq: {zone: UTC, open: {mon-fri: ["08:00-17:00"]}}}
people:
  desk: {name: Desk, mail: desk@bench.example}
  purchasing_desk: {name: Desk, mail: desk@bench.example}
  it_integration: {name: Desk, mail: desk@bench.example}
  purchasing_lead: {name: Desk, mail: desk@bench.example}
owners: {B: desk, D: desk, S: desk, I: desk, W: desk, P: desk, C: desk, T: desk}
"""
X12_HEAD = (
    f"ISA*00*{'':10}*00*{'':10}*ZZ*{'BUYER':15}*01*{'123456789':15}"
    "*260302*0900*^*00501*000000001*0*P*:~GS*PO*BUYER*ACME*20260302*0900*1*X*005010~"
)
EDIFACT_HEAD = "UNA:+.? 'UNB+UNOC:3+4098765000010:14+4012345000009:14+260302:0900+700001'"


def x12(path: Path, size: float) -> int:
    """One interchange of so many bytes; how many orders are in it."""
    chance, count = random.Random(1), 0
    with path.open("w") as file:
        file.write(X12_HEAD)
        while count == 0 or file.tell() < size:
            count += 1
            segments = [
                f"ST*850*{count:04}~BEG*00*SA*45{count:08}**20260301~CUR*BY*USD~N1*ST*East*92*EAST~"
            ]
            for line in range(1, 7):
                segments.append(
                    f"PO1*{line}*{chance.randint(1, 9999)}*EA*{chance.uniform(1, 900):.2f}**BP*"
                    f"ITEM{chance.randint(1, 99999):05}*VP*V{chance.randint(1, 10**9)}~"
                    f"PID*F****Widget {chance.randbytes(8).hex()}~DTM*002*202604{line:02}~"
                )
            segments.append(f"CTT*6~SE*24*{count:04}~")
            file.write("".join(segments))
        file.write(f"GE*{count}*1~IEA*1*000000001~")
    return count


def edifact(path: Path, size: float) -> int:
    chance, count = random.Random(1), 0
    with path.open("w") as file:
        file.write(EDIFACT_HEAD)
        while count == 0 or file.tell() < size:
            count += 1
            segments = [
                f"UNH+{count}+ORDERS:D:96A:UN:EAN008'BGM+220+45{count:08}+9'DTM+137:20260301:102'"
                "NAD+BY+4098765000010::9'NAD+DP+4098765000027::9++East?'s warehouse'CUX+2:USD:9'"
            ]
            for line in range(1, 7):
                segments.append(
                    f"LIN+{line}++{chance.randint(10**12, 10**13)}:EN'"
                    f"PIA+1+ITEM{chance.randint(1, 99999):05}:IN'"
                    f"IMD+F++:::Widget {chance.randbytes(8).hex()}'"
                    f"QTY+21:{chance.randint(1, 9999)}:PCE'PRI+AAA:{chance.uniform(1, 900):.2f}'"
                    "DTM+2:20260401:102'"
                )
            segments.append(f"UNS+S'CNT+2:6'UNT+45+{count}'")
            file.write("".join(segments))
        file.write(f"UNZ+{count}+700001'")
    return count


def highest(source: str, path: Path, settings: dict[str, str]) -> int:
    """Bytes of memory that ``tower ingest`` of a file had at its highest."""
    command = [sys.executable, "-m", "worker.command", "ingest", str(path), "--source", source]
    process = subprocess.Popen(
        command, env={**os.environ, **settings}, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("source", "goal_id", "write"), [("x12", "P9", x12), ("edifact", "P10", edifact)]
)
def test_a_large_file_takes_little_memory_beside_its_bytes(
    source: str,
    goal_id: str,
    write: Callable[[Path, float], int],
    databases: Databases,
    database: Engine,
    database_url: str,
    tmp_path: Path,
    record: Record,
) -> None:
    (tmp_path / "network.yaml").write_text(NETWORK)
    settings = {
        "TOWER_HOME": str(tmp_path),
        "TOWER_NETWORK": str(tmp_path / "network.yaml"),
        "TOWER_RULES": str(ROOT / "sla_rules.yaml"),
        "TOWER_DATABASE_URL": database_url,
    }
    small, large = tmp_path / "small.edi", tmp_path / "large.edi"
    count = write(small, 0) + write(large, SIZE_MB * MB)
    without = highest(source, small, settings)
    size = large.stat().st_size
    extra = highest(source, large, settings) - without - size
    with database.connect() as conn:
        found = conn.execute(text("SELECT count(*) FROM event")).scalar_one()
        pending = conn.execute(
            text("SELECT count(*) FROM ingest_ledger WHERE outcome = 'pending'")
        ).scalar_one()
    # The first order stands in both files and is one order, told by two messages.
    assert (found, pending) == (count, 0)
    what = f"{source}: memory of tower ingest beside the {size / MB:.0f} MB of a file"
    record(goal_id, what, f"{extra / MB:.1f} MB, {count:,} orders", "<= 20 MB")
