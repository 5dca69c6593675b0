"""Inputs of every reader, whole, odd and damaged."""

import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

WORDS = st.sampled_from(["cat", "dog", "", " ", "Edema", "No Finding", "é", "a/b", "../x", "0", "NaN", "a,b", "\x00"])
NUMBERS = st.one_of(
    st.integers(-5, 70),
    st.floats(-5, 70),
    st.sampled_from([0, 1, -1, 1e308, 10**400, float("nan"), float("inf"), True, None, "", "x", "3", [], {}]),
)
ODD = st.sampled_from(  # values that have made readers stumble
    [
        10**400,
        -1,
        0,
        1e308,
        float("inf"),
        float("nan"),
        "../x",
        "/x",
        "\x00",
        "²",
        "\ud800",
        "",
        [],
        {},
        [[]],
        None,
        True,
    ]
)
ANY_JSON = ODD | st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """``contents``, often cut off, with bytes changed, put in or doubled."""
    content = bytearray(draw(contents))
    for kind in draw(st.lists(st.sampled_from(["cut", "flip", "insert", "zero", "double"]), max_size=3)):
        at = draw(st.integers(0, len(content)))
        if kind == "cut":
            del content[at:]
        elif kind == "flip" and at < len(content):
            content[at] ^= draw(st.integers(1, 255))
        elif kind == "insert":
            content[at:at] = draw(st.binary(max_size=4))
        elif kind == "zero":
            content[at : at + 16] = bytes(len(content[at : at + 16]))
        else:
            content[at:at] = content[at : at + 40]
    return bytes(content)


@st.composite
def without_some(draw: st.DrawFn, contents: st.SearchStrategy[Any]) -> Any:
    """JSON of the right form in which one part is missing or something else."""
    content = draw(contents)
    node = content
    while isinstance(node, dict | list) and node and draw(st.integers(0, 3)):
        key = draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not draw(st.integers(0, 2)):
            if draw(st.booleans()):
                del node[key]
            else:
                node[key] = draw(ANY_JSON)
            break
        node = node[key]
    return content


def as_json(contents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    return contents.map(lambda content: json.dumps(content).encode())


def _xml(fields: list[dict[str, Any]], head: str) -> bytes:
    objects = "".join(
        "<object>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in item.items() if tag in ("name", "difficult", "truncated"))
        + "<bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in item.items() if tag in ("xmin", "ymin", "xmax", "ymax"))
        + "</bndbox></object>"
        for item in fields
    )
    return f"{head}<annotation>{objects}</annotation>".encode()


_SIDE = st.one_of(NUMBERS, st.sampled_from(["1", " 2 ", "1e3", "1_0", "٣", "&x;", "<b/>"]))
_TAGS = dict.fromkeys(("xmin", "ymin", "xmax", "ymax", "difficult", "truncated"), _SIDE)
_SIZE = "<size><width>40</width><height>30</height></size>"
_BOMB = '<!DOCTYPE a [<!ENTITY x "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {a} "{f"&{b};" * 10}">' for a, b in zip("bcdefghi", "xbcdefgh", strict=True)
)
VOC_XML = damaged(
    st.builds(
        _xml,
        st.lists(st.fixed_dictionaries({}, optional={"name": st.sampled_from(["cat", "&#0;", "&i;", "é"]), **_TAGS})),
        st.sampled_from(["", '<?xml version="1.0" encoding="UTF-16"?>', '<?xml version="1.0" encoding="no"?>', _BOMB]),
    )
) | st.just(b"<a>" * 100_000)

_ID = st.one_of(st.integers(1, 3), ANY_JSON)
_IMAGES = st.lists(
    st.fixed_dictionaries({"id": _ID, "file_name": st.one_of(WORDS, ANY_JSON), "height": NUMBERS, "width": NUMBERS}),
    max_size=3,
)
_BOX = st.one_of(st.lists(NUMBERS, min_size=3, max_size=5), ANY_JSON)
_ANNOTATIONS = st.lists(
    st.fixed_dictionaries(
        {"image_id": _ID, "category_id": _ID, "bbox": _BOX},
        optional={"iscrowd": ANY_JSON, "segmentation": ANY_JSON, "id": _ID},
    ),
    max_size=4,
)
_SOUND = st.just(
    {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 30, "width": 40}],
        "annotations": [{"id": 5, "image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 2, "name": "cat"}],
    }
).map(lambda content: json.loads(json.dumps(content)))
INSTANCES = damaged(
    as_json(
        st.one_of(
            without_some(_SOUND),
            st.fixed_dictionaries(
                {
                    "images": _IMAGES,
                    "annotations": _ANNOTATIONS,
                    "categories": st.lists(st.fixed_dictionaries({"id": _ID, "name": ANY_JSON}), max_size=3),
                }
            ),
        )
    )
) | st.just(b"[" * 100_000)

_CELL = st.one_of(WORDS, NUMBERS.map(str), st.sampled_from(['"', '"a', "1e999", "Mass|Edema", "\r", "\ufeff"]))


def table(header: str) -> st.SearchStrategy[bytes]:
    """A CSV file with ``header``, its rows at random."""
    row = st.lists(_CELL, max_size=8).map(",".join)
    rows = st.lists(row, max_size=4).map(lambda lines: "\r\n".join([header, *lines, ""]).encode("utf-8"))
    return damaged(rows)


LISTS = damaged(st.lists(WORDS, max_size=5).map(lambda lines: "\n".join(lines).encode()))

FORMATS = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "TIFF": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"),
    "JPEG": ("L", "RGB", "CMYK"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("L", "P"),
    "BMP": ("1", "L", "P", "RGB"),
    "PPM": ("1", "L", "RGB", "I;16"),
    "TGA": ("L", "RGB", "RGBA"),
    "JPEG2000": ("L", "RGB", "RGBA"),
}


def _picture(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    generator = np.random.default_rng(seed)
    if mode == "I;16":
        return Image.fromarray(generator.integers(0, 2 ** (8 + seed % 9), size[::-1]).astype(np.uint16))
    if mode == "I":
        return Image.fromarray(generator.integers(-(seed % 2), 70_000, size[::-1]).astype(np.int32))
    if mode == "F":
        values = generator.random(size[::-1]).astype(np.float32) * [1, 255, 1e30][seed % 3]
        values[0, 0] = [0, np.nan, np.inf, -1][seed % 4]
        return Image.fromarray(values)
    colour = Image.fromarray(generator.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    if mode == "LAB":
        return Image.frombytes("LAB", size, colour.tobytes())
    return colour.convert("RGB").convert(mode)


@st.composite
def images(draw: st.DrawFn) -> bytes:
    """An image file of any format, mode and orientation."""
    kind = draw(st.sampled_from(list(FORMATS)))
    size = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    picture = _picture(draw(st.sampled_from(FORMATS[kind])), size, draw(st.integers(0, 50)))
    options: dict[str, Any] = {}
    if kind in ("JPEG", "PNG", "WEBP") and draw(st.booleans()):
        exif = Image.Exif()
        exif[0x0112] = draw(st.integers(0, 300))
        options["exif"] = exif
    if kind in ("GIF", "TIFF", "WEBP") and draw(st.booleans()):
        options |= {"save_all": True, "append_images": [picture]}
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


IMAGES = st.one_of(damaged(images()), st.binary(max_size=60))

_PREDICTION = {
    "image_id": "one", "width": 6, "height": 5, "k": 2, "clusters": 2, "inertia": 1.5, "box": [0, 0, 3, 3],
    "components": [{"cluster": 0, "area": 4, "score": 1.0, "box": [0, 0, 3, 3], "inner_box": [0, 0, 2, 2]}],
    "map": {"balance": 0.5, "coherence": 90.0, "stability": None},
    "truth": {"boxes": [[0, 0, 2, 2]], "classes": ["cat"], "hard": [False]},
    "segmentation": {"miou": 0.5, "ari": 0.5, "nmi": 0.5, "object_miou": None, "classes": [0, 1],
                     "names": [None, "cat"], "pixels": [[3, 1], [0, 2]]},
    "detections": [{"box": [0, 0, 3, 3], "score": 1.0}],
    "foreground": {"shape": [1, 2], "patch": [5.0, 3.0], "logits": "EPA="},
}  # fmt: skip
PREDICTION = st.builds(lambda: json.loads(json.dumps(_PREDICTION)))


def lines(contents: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """A file of JSON lines."""
    joined: Callable[[list[Any]], bytes] = lambda rows: "".join(json.dumps(row) + "\n" for row in rows).encode()  # noqa: E731
    return damaged(st.lists(contents, max_size=3).map(joined))
