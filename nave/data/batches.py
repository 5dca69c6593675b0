"""Which images travel together, and through which process."""

from collections.abc import Hashable, Sequence


def batches(keys: Sequence[Hashable], indices: Sequence[int], batch_size: int) -> list[list[int]]:
    """`indices` in batches of at most `batch_size` whose `keys` (one an index, same order) are equal.

    A batch takes its place in the order when its last image arrives; what remains follows in the order of
    first images. Inside a batch the order of `indices` is kept, and each index appears exactly once.
    """
    open_batches: dict[Hashable, list[int]] = {}
    complete: list[list[int]] = []
    for key, index in zip(keys, indices, strict=True):
        batch = open_batches.setdefault(key, [])
        batch.append(index)
        if len(batch) == batch_size:
            complete.append(open_batches.pop(key))
    return complete + list(open_batches.values())


def shard(everything: list[list[int]], rank: int, world_size: int) -> list[list[int]]:
    """The batches of one process out of `world_size`: every n-th, so that each is dealt exactly once."""
    return everything[rank::world_size]
