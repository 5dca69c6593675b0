"""Choices of several groups, tried side by side: a composition takes Hydra a quarter of a second."""

from collections.abc import Sequence


def rows(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """One choice of every group at a time, as many rows as the largest group has; each choice comes up."""
    return [tuple(group[row % len(group)] for group in groups) for row in range(max(map(len, groups)))]
