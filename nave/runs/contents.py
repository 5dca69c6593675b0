"""The lines of data.jsonl: what each image of a run or a training was read from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Required

from nave.data.content import Content
from nave.strict_json import checked, from_json

DAMAGED = "is missing or damaged: what the images were read from is not known"


class ImageContent(Content):
    """The content of one image; ``index`` is its position in the data set, whatever could be read before it."""

    index: Required[int]
    image_id: Required[str]


def image_content(index: int, image_id: str, content: Content) -> ImageContent:
    """The line of one image."""
    return ImageContent(index=index, image_id=image_id, **content)


def read_contents(path: Path) -> Iterator[ImageContent]:
    """Reads data.jsonl line by line.

    Raises:
        ValueError: if the file is missing or damaged, naming it.
    """
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                yield checked(from_json(text, path, number), ImageContent, path, DAMAGED)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} {DAMAGED}") from error
