"""Memory that forked processes share, in rooms, and how an item's larger arrays travel through it."""

import mmap
import pickle
from itertools import accumulate
from typing import Any, NamedTuple

ROOM = 8 << 20  # bytes of a room: what is given or returned at once, such as eight photographs of 500 x 375
ALIGNED, SMALL = 64, 4096  # bytes of arrays: where they begin, and fewer than are worth it


class Rooms:
    """Memory that forked processes share: no file and no limit of ``/dev/shm``, and its pages are made once."""

    def __init__(self, count: int, size: int) -> None:
        self._memory, self._size = memoryview(mmap.mmap(-1, count * size + 1)), size

    def __getitem__(self, room: int) -> memoryview:
        return self._memory[room * self._size : (room + 1) * self._size]

    @property
    def dropped(self) -> bool:
        """Whether nobody wants the result of what is not begun."""
        return bool(self._memory[-1])

    def drop(self) -> None:
        """Nobody does from now on."""
        self._memory[-1] = 1


class Given(NamedTuple):
    """A pickled item, the number of its room, and where its arrays begin and end there."""

    room: int
    pickled: bytes
    arrays: list[tuple[int, int]]


def room_of(rooms: Rooms | None, number: int) -> memoryview:
    """A room; an empty one where no memory is shared."""
    return memoryview(b"") if rooms is None else rooms[number]


def packed(item: object, number: int, room: memoryview) -> Given:
    """An item with its larger arrays in its room; they are sent if they do not fit there."""
    arrays: list[pickle.PickleBuffer] = []

    def is_small(array: pickle.PickleBuffer) -> bool:
        if memoryview(array).nbytes < SMALL:
            return True
        arrays.append(array)
        return False

    pickled = pickle.dumps(item, pickle.HIGHEST_PROTOCOL, buffer_callback=is_small)
    content = [array.raw() for array in arrays]
    stops = list(accumulate(-(-one.nbytes // ALIGNED) * ALIGNED for one in content))
    if stops and stops[-1] > len(room):
        return Given(number, pickle.dumps(item, pickle.HIGHEST_PROTOCOL), [])
    places = [(start, start + one.nbytes) for start, one in zip([0, *stops], content, strict=False)]
    for (start, stop), one in zip(places, content, strict=True):
        room[start:stop] = one
    return Given(number, pickled, places)


def unpacked(given: Given, room: memoryview) -> Any:
    """The item again; its larger arrays lie in the room."""
    return pickle.loads(given.pickled, buffers=[room[start:stop] for start, stop in given.arrays])
