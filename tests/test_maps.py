from pathlib import Path

import numpy as np
import pytest

from nave.maps import map_path, read_map
from nave.overlay import indexed


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [2, 1], [0, 0]], np.uint8)
    path = map_path(tmp_path, "trip/beach")
    path.parent.mkdir(parents=True)
    indexed(labels, [2, 0, 1]).save(path)
    assert np.array_equal(read_map(tmp_path, "trip/beach"), labels)
    with pytest.raises(FileNotFoundError, match="trip/sea"):
        read_map(tmp_path, "trip/sea")
