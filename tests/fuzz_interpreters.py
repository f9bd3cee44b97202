"""``make fuzz``: every interpreter under broken input for a given time, in two ways.

Hypothesis breaks samples; atheris, where it is installed, follows the code that an input reaches.
Half of the time of each interpreter goes to each. An input that breaks one is kept in .fuzz/ and
its path told; make it a case of tests/collectors, then mend the interpreter.

    python -m tests.fuzz_interpreters --seconds 600
    python -m tests.fuzz_interpreters --seconds 60 x12 xml
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

KEPT = Path(".fuzz")
ROUND = 200
LONGEST = 20_000
SLOW_S = 30


def main() -> int:
    """Exit code 1 if an interpreter broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("formats", nargs="*", help="default: all")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--follow", help="one format, by atheris alone")
    words = parser.parse_args()
    if words.follow:
        return follow(words.follow, words.seconds)
    from tests.collectors.fuzzing import FEEDS

    formats = words.formats or list(FEEDS)
    unknown = set(formats) - set(FEEDS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: known are {', '.join(FEEDS)}")
    has_atheris = importlib.util.find_spec("atheris") is not None
    if not has_atheris:
        say("SKIPPED: atheris is not installed, so nothing follows the code. "
            "Install it: pip install -c constraints.txt atheris")  # fmt: skip
    share = words.seconds / len(formats)
    failed = []
    for format_ in formats:
        wrong = by_hypothesis(format_, share / 2 if has_atheris else share)
        if has_atheris:
            wrong |= by_atheris(format_, share / 2)
        if wrong:
            failed.append(format_)
    say(f"broken: {', '.join(failed)}" if failed else "no interpreter broke")
    return 1 if failed else 0


def by_hypothesis(format_: str, seconds: float) -> bool:
    """Break samples until the time is over; True if the interpreter broke."""
    from tests.collectors.fuzzing import bear, broken

    ends = time.monotonic() + seconds
    count = 0
    last = b""

    @settings(
        max_examples=ROUND, database=None, deadline=None, print_blob=False,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(broken(format_))
    def borne(body: bytes) -> None:
        nonlocal count, last
        count += 1
        # What is left of a round when the time is over passes at once.
        if time.monotonic() < ends:
            last = body
            bear(format_, body)

    while time.monotonic() < ends:
        try:
            borne()
        except Exception:
            keep(format_, last)  # the shortest that was found is played last
            say(traceback.format_exc())
            say(f"{format_}: hypothesis broke it after {count:,} inputs; see {KEPT}/")
            return True
    say(f"{format_}: hypothesis, {count:,} inputs, {seconds:.0f} s")
    return False


def by_atheris(format_: str, seconds: float) -> bool:
    """Follow the code in a process of its own: atheris ends the one it runs in."""
    command = [sys.executable, "-m", "tests.fuzz_interpreters", "--follow", format_,
               "--seconds", str(seconds)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        say(done.stdout[-3000:] + done.stderr[-6000:])
        say(f"{format_}: atheris broke it; see {KEPT}/")
        return True
    runs = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
    say(f"{format_}: atheris, {runs[-1][5:] if runs else 'done'}")
    return False


def follow(format_: str, seconds: float) -> int:
    """Let atheris look for inputs that reach new code; never returns but by an error."""
    import atheris

    # Only our own rooms are followed, so they must not be loaded before.
    with atheris.instrument_imports(include=["collectors", "tower"], enable_loader_override=False):
        from tests.collectors.fuzzing import DELIMITERS, bear, seeds
    corpus = KEPT / "corpus" / format_
    corpus.mkdir(parents=True, exist_ok=True)
    for body in seeds(format_):
        (corpus / hashlib.sha256(body).hexdigest()[:16]).write_bytes(body)
    words = KEPT / f"{format_}.dict"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in DELIMITERS if word))

    def one(body: bytes) -> None:
        bear(format_, body)

    atheris.Setup(
        [sys.argv[0], f"-max_total_time={max(1, int(seconds))}", f"-max_len={LONGEST}",
         f"-timeout={SLOW_S}", f"-artifact_prefix={KEPT}/{format_}-", f"-dict={words}",
         "-rss_limit_mb=2500", str(corpus)],
        one,
    )  # fmt: skip
    atheris.Fuzz()
    return 0


def keep(format_: str, body: bytes) -> None:
    KEPT.mkdir(exist_ok=True)
    name = f"{format_}-{hashlib.sha256(body).hexdigest()[:16]}"
    (KEPT / name).write_bytes(body)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    sys.exit(main())
