"""Small copies of the photographs, kept beside a run's maps so that it can be looked at from disk alone."""

from pathlib import Path

from PIL import Image

PHOTOGRAPHS = "photographs"
QUALITY = 82  # about 50 kB at 640 pixels; the maps' boundaries hide what it costs


def shrunk(photograph: Image.Image, longest: int) -> Image.Image:
    """The photograph with its longer side at most ``longest`` pixels; never enlarged."""
    scale = longest / max(photograph.size)
    if scale >= 1:
        return photograph
    width, height = photograph.size
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return photograph.resize(size, Image.Resampling.LANCZOS)


def photograph_path(run: Path, image_id: str) -> Path:
    """Where a run's copy of one photograph lies."""
    return run / PHOTOGRAPHS / f"{image_id}.jpg"


def keep(photograph: Image.Image, run: Path, image_id: str, longest: int) -> None:
    """Writes the copy of one photograph, unless another K has written it already."""
    path = photograph_path(run, image_id)
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")  # a killed run must not leave half a copy that counts as one
    shrunk(photograph, longest).save(temporary, "JPEG", quality=QUALITY, optimize=True)
    temporary.replace(path)
