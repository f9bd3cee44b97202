"""Passwords: argon2id, a few at once, and none that is easily guessed.

One hash takes 64 MiB and a tenth of a second on purpose. At most four are computed at once in a
process, whoever asks: more would make sign-in a way to exhaust the machine.
"""

from __future__ import annotations

import secrets
import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn

from tower.accounts import PASSWORD_AT_LEAST, PASSWORD_AT_MOST, WeakPassword

AT_ONCE = 4
GOOD_SCORE = 3  # of 4: 10^8 guesses are not enough
_GUESSED_AT = 72  # characters that are looked at; the search grows with their square
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # without what is mistaken for something else

_hasher = PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)
_turns = threading.BoundedSemaphore(AT_ONCE)
_dummy_made = threading.Lock()
_dummy: str | None = None


def hashed(password: str) -> str:
    """The password in argon2's own text form."""
    with _turns:
        return _hasher.hash(password)


def fits(kept: str | None, password: str) -> bool:
    """Whether this is the password. Without a kept one it takes as long, and is not."""
    known = kept is not None
    against = kept if kept is not None else _dummy_hash()
    with _turns:
        try:
            return _hasher.verify(against, password) and known
        except (VerificationError, InvalidHashError):
            return False


def is_old(kept: str) -> bool:
    """Whether it was hashed with other costs than ours."""
    return _hasher.check_needs_rehash(kept)


def check(password: str, *known: str) -> None:
    """Raise WeakPassword for a short or common one, or one made of ``known`` words (names)."""
    if len(password) < PASSWORD_AT_LEAST:
        raise WeakPassword(
            f"A password has at least {PASSWORD_AT_LEAST} characters; this one has "
            f"{len(password)}. Four or five words do well."
        )
    if len(password) > PASSWORD_AT_MOST:
        raise WeakPassword(f"A password has at most {PASSWORD_AT_MOST} characters.")
    words = [word for word in (*known, "tower") if word]
    found = zxcvbn(password[:_GUESSED_AT], user_inputs=words)
    if found["score"] < GOOD_SCORE:
        why = found["feedback"]["warning"] or "It is made of what everybody tries first."
        raise WeakPassword(f"This password is easily guessed. {why} Four or five words do well.")


def made() -> str:
    """A new random password (99 bits) that can be read out and typed."""
    letters = [secrets.choice(_ALPHABET) for _ in range(20)]
    return "-".join("".join(letters[n : n + 5]) for n in range(0, 20, 5))


def _dummy_hash() -> str:
    """What names that nobody has are compared with; made once."""
    global _dummy
    with _dummy_made:
        if _dummy is None:
            _dummy = hashed(secrets.token_hex(16))
        return _dummy


def warm_up() -> None:
    """Make the dummy now, so that the first unknown name takes no longer than others."""
    _dummy_hash()
