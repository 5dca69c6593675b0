"""Pseudo-random numbers that depend only on names, such as an image id."""

import hashlib


def seed_of(*parts: object) -> int:
    """A 56-bit seed computed from ``parts``: equal on every machine, in every process and in any order of calls."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7])


def hash_fraction(*parts: object) -> float:
    """A number in [0, 1), computed from ``parts`` like :func:`seed_of`."""
    return (seed_of(*parts) >> 3) / 2**53  # 53 bits are exact in a float, so it is never rounded up to 1
