"""A folder of images a class, as ImageNet's ILSVRC2012 comes."""

from pathlib import Path, PurePosixPath

from nave.data.errors import MissingDataset
from nave.data.folder import Folder


class ImageFolder(Folder):
    """The images under ``<root>/<split>/<class>/``, or ``<root>/<class>/`` without a split, at any depth.

    ``name``: what the set is called in records. Raises MissingDataset for a folder without such images.
    """

    exclusive = True

    def __init__(self, root: str | Path | None, split: str | None = None, name: str = "image_folder") -> None:
        self.name = name
        super().__init__(root if root is None or split is None else Path(root) / split)
        if loose := [image_id for image_id in self._ids if "/" not in image_id]:
            raise MissingDataset(
                f"{self._root.absolute()}: {len(loose)} images lie in no class folder ({', '.join(loose[:3])} …). "
                f"Layout wanted:\n  {self._root}/<class>/*.jpg\n(data=folder takes images without classes)"
            )

    def labels(self, index: int) -> tuple[str, ...]:
        """The folder that the image lies in, directly under the root."""
        return (PurePosixPath(self._ids[index]).parts[0],)
