"""COCO20k: the 19,817 images of COCO train2014 on which LOST and TokenCut are scored."""

import hashlib
from pathlib import Path

from nave.data.coco import Coco, coco_folder
from nave.data.download import Download
from nave.data.errors import MalformedData

_LIST = "coco_20k_filenames.txt"
_LIST_SHA256 = "74637e9b4f93f2ebef9b1f664aff53edd1f41ef08dad97bd22ce8e455052b335"
_CURE = (
    "data.download=true fetches what is missing (14 GB); or get train2014 and its annotations from\n"
    f"cocodataset.org, {_LIST} from the repository of LOST, and name the folder with coco in it by\n"
    "data.root=FOLDER or NAVE_DATA=FOLDER"
)


def coco20k(root: str | Path | None, *, file_list: str | Path | None = None, download: bool = False) -> Coco:
    """train2014 and its instances JSON under `<root>/coco`, cut down to the official list.

    The list is `file_list`, or `<root>/coco/coco_20k_filenames.txt`; one of another sha256 than LOST's raises
    MalformedData. `download` fetches what is missing: 1 MB of list, 0.25 GB of JSON, 13.5 GB of images.
    """
    folder = coco_folder(Path(root or "ROOT").expanduser())
    names = Path(file_list or folder / _LIST).expanduser()
    if names.is_file() and (got := hashlib.sha256(names.read_bytes()).hexdigest()) != _LIST_SHA256:
        raise MalformedData(f"{names}: sha256 is {got}, that of the official list {_LIST_SHA256}")
    downloads = _downloads(folder, names) if download and root is not None else ()
    return Coco(root, "train2014", file_list=names, name="coco20k", cure=_CURE, downloads=downloads)


def _downloads(folder: Path, names: Path) -> tuple[Download, ...]:
    json = "annotations/instances_train2014.json"
    return (
        Download(
            "https://raw.githubusercontent.com/valeoai/LOST/master/datasets/coco_20k_filenames.txt",
            f"sha256:{_LIST_SHA256}",
            names,
        ),
        Download(
            "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
            "md5:0a379cfc70b0e71301e0f377548639bd",
            folder / json,
            json,
        ),
        Download(
            "http://images.cocodataset.org/zips/train2014.zip",
            "md5:0da8c0bd3d6becc4dcb32757491aca88",
            folder / "train2014",
            "train2014",
        ),
    )
