from typing import Any

import pytest

from nave.data.input_size import InputSize


@pytest.mark.parametrize(
    ("image_size", "longer_side", "size", "expected"),
    [
        (None, None, (3024, 4032), (3024, 4032)),
        (None, 640, (3024, 4032), (480, 640)),
        (None, 640, (4032, 3024), (640, 480)),
        (None, 640, (480, 640), (480, 640)),
        (None, 640, (1, 4000), (1, 640)),
        (224, 640, (3024, 4032), (224, 224)),
        ([10, 20], None, (3024, 4032), (10, 20)),
    ],
)
def test_sizes(image_size: Any, longer_side: int | None, size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert InputSize.of(image_size, longer_side)(size) == expected


@pytest.mark.parametrize(
    ("image_size", "longer_side", "message"),
    [(0, None, "image_size=0: give null"), ([1, 2, 3], None, "image_size"), (None, 0, "longer_side=0: give a number")],
)
def test_sides_below_one_are_refused(image_size: Any, longer_side: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        InputSize.of(image_size, longer_side)
