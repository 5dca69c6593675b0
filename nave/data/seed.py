"""Numbers that look drawn and depend on names alone."""

import hashlib


def seed_of(*parts: object) -> int:
    """56 bits from what the parts read as: the same on every machine, in every process, in any order of calls."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


def share_of(*parts: object) -> float:
    """The same as a number in [0, 1)."""
    return (seed_of(*parts) >> 3) / 2**53  # what a float can tell apart: never rounded up to 1
