"""Centroids of single images on disk, for what is asked of a whole data set later."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

FOLDER = "centroids"


def write_centroids(folder: Path, image_id: str, centroids: Float[np.ndarray, "K D"]) -> None:
    """One file an image, ``centroids/<image_id>.npy``, never seen half-written; none where there are none."""
    if not centroids.size:
        return
    path = _file(folder, image_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}")
    np.save(temporary, centroids.astype(np.float32))
    temporary.replace(path)


def read_centroids(folder: Path, image_id: str) -> Float32[np.ndarray, "K D"]:
    """Of one image of the run.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    path = _file(folder, image_id)
    try:
        centroids: Float32[np.ndarray, "K D"] = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: no centroids can be read from it ({error}): run the images again") from error
    return centroids


def _file(folder: Path, image_id: str) -> Path:
    return folder / FOLDER / f"{image_id}.npy"
