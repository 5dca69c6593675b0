"""The two tables of NIH ChestX-ray14, with their quirks."""

from pathlib import Path

from nave.data.boxes import Box
from nave.data.errors import MalformedData
from nave.data.text import read_rows

FINDINGS = (
    *(
        "Atelectasis",
        "Cardiomegaly",
        "Effusion",
        "Infiltration",
        "Mass",
        "Nodule",
        "Pneumonia",
        "Pneumothorax",
    ),
    *("Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia"),
)
_SPELLINGS = {"Infiltrate": "Infiltration"}  # the box list has its own word

LabelledBox = tuple[Box, str, str]  # xyxy, finding, "file, line n"


def read_findings(file: Path) -> dict[str, tuple[str, ...]]:
    """Findings of each image of Data_Entry, in the order of the table; none for "No Finding".

    Raises MalformedData for missing columns, repeated images and unknown findings.
    """
    findings: dict[str, tuple[str, ...]] = {}
    (image, label), rows = _table(file, "Image Index", "Finding Labels")
    for where, row in rows:
        if row[image] in findings:
            raise MalformedData(f"{where}: image {row[image]!r} is repeated")
        names = [name for name in row[label].split("|") if name != "No Finding"]
        findings[row[image]] = tuple(_finding(name, where) for name in names)
    return findings


def read_boxes(file: Path) -> dict[str, list[LabelledBox]]:
    """Boxes of each image of BBox_List, xywh made xyxy, with findings spelt as in Data_Entry.

    The header `Bbox [x,y,w,h],,,` is one cell or four, with spaces or without: the four cells from `Bbox` on
    count. Raises MalformedData for missing columns and for cells that are no numbers.
    """
    boxes: dict[str, list[LabelledBox]] = {}
    (image, label, first), rows = _table(file, "Image Index", "Finding Label", "Bbox")
    for where, row in rows:
        box = _box(row[first : first + 4], where)
        boxes.setdefault(row[image], []).append((box, _finding(row[label], where), where))
    return boxes


def _table(file: Path, *columns: str) -> tuple[list[int], list[tuple[str, list[str]]]]:
    """Positions of the columns whose headers begin so, and the filled rows, each with its place."""
    lines = [[cell.strip() for cell in line] for line in read_rows(file)]
    header = lines[0] if lines else []
    found = [[i for i, cell in enumerate(header) if cell.startswith(column)][:1] for column in columns]
    if lost := [column for column, positions in zip(columns, found, strict=True) if not positions]:
        raise MalformedData(f"{file}, line 1: no column {', '.join(lost)}; columns: {', '.join(header) or 'none'}")
    positions = [position for [position] in found]
    rows = [(f"{file}, line {number}", line) for number, line in enumerate(lines[1:], 2) if any(line)]
    for where, line in rows:
        if len(line) <= max(positions):
            raise MalformedData(f"{where}: {len(line)} cells, fewer than the header wants")
    return positions, rows


def _finding(name: str, where: str) -> str:
    name = _SPELLINGS.get(name, name)
    if name not in FINDINGS:
        raise MalformedData(f"{where}: finding {name!r} is none of {', '.join(FINDINGS)}")
    return name


def _box(cells: list[str], where: str) -> Box:
    try:
        x, y, width, height = map(float, cells)
    except ValueError as error:
        raise MalformedData(f"{where}: box {cells} is not x, y, width, height") from error
    return x, y, x + width, y + height
