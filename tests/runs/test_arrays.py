"""NumPy files, against NumPy's own reader."""

import io

import numpy as np
import pytest

from nave.runs.arrays import from_npy


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.empty((0, 4), np.float32),
        np.array(7, ">i2"),
        np.zeros(2, [("a", "u1"), ("b", "f4")]),
    ],
)
def test_arrays_are_those_of_numpy(array: np.ndarray) -> None:
    found = from_npy(npy(array))
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)
    assert found.flags.writeable
    assert np.array_equal(from_npy(npy(array) + b"more"), array)


@pytest.mark.parametrize("length", [0, 5, 9, 60, 150])
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises((ValueError, EOFError)):
        from_npy(npy(np.ones((5, 8), np.float32))[:length])


def test_objects_are_refused() -> None:
    content = io.BytesIO()
    np.save(content, np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="OBJECT"):
        from_npy(content.getvalue())
