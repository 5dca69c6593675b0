import pickle

import numpy as np
import pytest

from nave.data.photograph import Truth, UnreadableImage


def test_one_class_and_one_flag_a_box() -> None:
    with pytest.raises(ValueError, match="2 boxes, 1 classes, 2 hard flags"):
        Truth(np.zeros((2, 4)), ("cat",), (False, False))


def test_unreadable_survives_the_way_out_of_a_worker() -> None:
    error = pickle.loads(pickle.dumps(UnreadableImage("trip/beach", "truncated")))
    assert (error.image_id, error.reason, str(error)) == ("trip/beach", "truncated", "trip/beach: truncated")
