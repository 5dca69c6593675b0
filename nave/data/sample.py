"""Eight photographs shipped with scikit-image and scikit-learn, with boxes annotated for this project."""

import csv
import functools
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from nave.data.folder import ImageFiles
from nave.data.interface import GroundTruth, missing

_FILES = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "camera": ("skimage", "data/camera.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "motorcycle_left": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
}


class Sample(ImageFiles):
    """Eight photographs and the 22 boxes of ``sample.csv``, annotated by hand.

    The files are read from the folders of the installed packages; neither package is imported, nothing is downloaded.

    Raises:
        MissingDatasetError: if an installed package lacks its photograph.
    """

    name = "sample"

    def __init__(self) -> None:
        self._paths = [_path(*file) for file in _FILES.values()]
        self._ids = list(_FILES)

    def truth(self, index: int) -> GroundTruth:
        """Boxes of whole objects, including hidden parts; no box is hard."""
        rows = [row for row in _boxes() if row["image_id"] == self._ids[index]]
        boxes = [[float(row[side]) for side in ("x1", "y1", "x2", "y2")] for row in rows]
        return GroundTruth(np.array(boxes), tuple(row["class"] for row in rows), (False,) * len(rows))


@functools.cache
def _boxes() -> list[dict[str, str]]:
    with Path(__file__).with_name("sample.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _path(package: str, file: str) -> Path:
    spec = find_spec(package)  # finds the folder without running the package
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / file).is_file():
        raise missing("sample photographs", folder, f"  {package}/{file}", f"pip install --force-reinstall {package}")
    return folder / file
