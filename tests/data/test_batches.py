from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from nave.data.batches import batches, shard

Sizes = st.lists(st.sampled_from([(1, 2), (2, 1), (3, 3), None]), max_size=40)


@given(keys=Sizes, batch_size=st.integers(1, 9), world_size=st.integers(1, 7), data=st.data())
def test_every_index_once_over_any_world_batch_and_skip(
    keys: Sequence[tuple[int, int] | None], batch_size: int, world_size: int, data: st.DataObject
) -> None:
    skip = data.draw(st.sets(st.sampled_from(range(len(keys) or 1))))
    indices = [index for index in range(len(keys)) if index not in skip]
    everything = batches([keys[index] for index in indices], indices, batch_size)
    shards = [shard(everything, rank, world_size) for rank in range(world_size)]
    dealt = [index for mine in shards for batch in mine for index in batch]
    assert sorted(dealt) == indices
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    for batch in everything:
        assert 1 <= len(batch) <= batch_size
        assert len({keys[index] for index in batch}) == 1
        assert batch == sorted(batch)


@given(keys=Sizes, batch_size=st.integers(1, 9))
def test_no_more_batches_than_needed(keys: Sequence[tuple[int, int] | None], batch_size: int) -> None:
    needed = sum(-(-keys.count(key) // batch_size) for key in set(keys))
    assert len(batches(keys, range(len(keys)), batch_size)) == needed


def test_batches_leave_when_full_and_the_rest_by_first_image() -> None:
    assert batches("ababcba", range(7), 2) == [[0, 2], [1, 3], [4], [5], [6]]
