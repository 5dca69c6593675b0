"""Items in shared memory: their arrays come back as they were, in the room or beside it."""

import pickle

import numpy as np
import pytest

from nave.processes.shared_memory import ALIGNED, SMALL, Rooms, packed, room_of, unpacked


@pytest.mark.parametrize("room", [0, 4 * SMALL, 1 << 16])  # bytes: of no array, of one, of all
def test_an_item_comes_back_from_its_room(room: int) -> None:
    item = {"small": np.arange(3), "one": np.arange(SMALL, dtype=np.uint8), "other": np.arange(SMALL + 1.0)}
    memory = memoryview(bytearray(room))
    given = packed(item, 0, memory)
    again = unpacked(pickle.loads(pickle.dumps(given)), memory)
    assert all(np.array_equal(again[name], array) for name, array in item.items())
    assert all(start % ALIGNED == 0 for start, _ in given.arrays)
    assert len(given.arrays) == (2 if room == 1 << 16 else 0)


def test_rooms_do_not_overlap() -> None:
    rooms = Rooms(3, 8)
    for number in range(3):
        rooms[number][:] = bytes([number + 1]) * 8
    assert [bytes(rooms[number]) for number in range(3)] == [bytes([number + 1]) * 8 for number in range(3)]
    assert not rooms.dropped
    rooms.drop()
    assert rooms.dropped
    assert len(room_of(None, 2)) == 0
