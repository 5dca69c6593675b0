"""Which images are drawn when a run ends, and the command that draws others."""

from pathlib import Path

import numpy as np
from PIL import Image

from nave.overlay import main
from nave.runs.layout import ResultsFolder, RunFolder
from nave.runs.pictures import overlay_of
from nave.runs.prediction import read_lines
from nave.viz.overlay import overlay, palette
from tests.helpers.running import into, nave_run, photographs, voc


def drawn(run: Path, kind: str = "overlays") -> list[str]:
    return sorted(path.stem for path in (run / kind).glob("*.jpg"))


def test_a_large_run_has_a_few_overlays_and_others_are_drawn_when_asked_for(tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path, 5), "overlays=3", "photographs=20", into(run)) == 0
    first = drawn(run)
    assert len(first) == 3
    assert drawn(run, "photographs") == first
    (other, *_) = sorted({f"{number:06}" for number in range(5)} - set(first))
    assert main([str(run), other]) == 0
    assert drawn(run) == sorted([*first, other])
    file = run / "overlays" / f"{other}.jpg"
    assert f"1 image drawn: {file}\n" in capsys.readouterr().out
    assert main([str(run), other]) == 0
    assert capsys.readouterr().out == f"1 image drawn before: {file}\n"
    file.unlink()
    next((tmp_path / "VOCdevkit").rglob(f"{other}.jpg")).write_text("no image")
    assert main([str(run), other, first[0]]) == 0
    told = f"1 image drawn before: {run / 'overlays' / first[0]}.jpg\n1 image that can no longer be read: {other}\n"
    assert capsys.readouterr().out == told
    assert main([str(run)]) == 0
    said = capsys.readouterr().out
    assert len(drawn(run)) == 4
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "1 image drawn", "3 images drawn before", "1 image that can no longer be read",
    ]  # fmt: skip
    assert main([str(run), "000O04"]) == 1
    assert f"no image '000O04' in {run}. Did you mean 000004?" in capsys.readouterr().err


def test_no_overlays_are_drawn_if_none_are_wanted(tmp_path: Path) -> None:
    assert nave_run(*photographs(tmp_path, 2), "overlays=0", into(tmp_path / "run")) == 0
    assert not (tmp_path / "run" / "overlays").exists()


def test_pictures_in_processes_are_those_of_one(tmp_path: Path, monkeypatch) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    monkeypatch.setattr("nave.runs.pictures.share_of_cores", lambda _: 3)
    assert nave_run(*photographs(tmp_path, 9), into(many)) == 0
    monkeypatch.setattr("nave.runs.pictures.FEW", 100)
    assert nave_run(*photographs(tmp_path, 9), into(one)) == 0
    for path in (one / "overlays").iterdir():
        assert path.read_bytes() == (many / "overlays" / path.name).read_bytes()
    assert drawn(one) == drawn(many)


def test_an_overlay_has_the_colours_of_its_map(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert nave_run(*photographs(tmp_path, 1), "k=[2,3]", into(run)) == 0
    results = RunFolder(run).at(3, [2, 3])
    (line,) = read_lines(results)
    photograph = Image.open(tmp_path / "photographs" / "000000.png").convert("RGB")
    with Image.open(results.map("000000")) as found:
        colours = np.array(found.getpalette()).reshape(-1, 3)
        labels = np.array(found)
    index = [np.flatnonzero((palette() == colour).all(1))[0] for colour in colours[:3]]
    expected = overlay(photograph, labels, line["box"], [], palette(tuple(index)))
    assert np.array_equal(overlay_of(ResultsFolder(results.path), line, photograph), expected)
