import re

import numpy as np
import pytest
from PIL import Image

from nave.comparison.figure import DPI, SMALLEST, WIDTHS, figure, save
from nave.comparison.pictures import chosen_pictures, chosen_runs
from nave.figure import main
from tests.helpers.pages import write_run, write_sweep


def drawn(folder, ks=(), images=(), **options):
    runs = chosen_runs([folder], ks)
    return figure(runs, chosen_pictures(runs, images, 4), **options)


def test_one_row_an_image_one_column_a_run_and_k(tmp_path):
    page = drawn(write_run(tmp_path, ks=(3, 5)), images=["three", "one"])
    assert [ax.get_title() for ax in page.axes[:3]] == ["photograph", "K 3", "K 5"]
    assert len(page.axes) == 6
    assert page.get_size_inches()[0] == WIDTHS[2]


def test_pictures_keep_their_aspect_and_fill_the_width(tmp_path):
    page = drawn(write_run(tmp_path, size=(60, 120)), columns=1)
    width, height = page.get_size_inches()
    boxes = [ax.get_position() for ax in page.axes]
    assert all(box.width * width / (box.height * height) == pytest.approx(2) for box in boxes)
    assert (boxes[0].x0, boxes[1].x1) == (pytest.approx(0), pytest.approx(1))


def test_headings_are_no_wider_than_their_pictures(tmp_path):
    for ks, columns in (["3"], 1), ([], 2):
        page = drawn(write_sweep(tmp_path), ks, ["one"], columns=columns)
        page.canvas.draw()
        for ax in page.axes:
            assert ax.title.get_window_extent().width <= ax.get_window_extent().width * 1.05
            assert ax.title.get_fontsize() >= SMALLEST


def test_boxes_can_be_left_out(tmp_path):
    run = write_run(tmp_path)
    assert [len(drawn(run, images=["one"], boxes=boxes).axes[1].patches) for boxes in (True, False)] == [4, 0]


def test_a_figure_lies_beside_its_run_and_never_over_an_older_one(tmp_path, capsys):
    run = write_run(tmp_path)
    for name in ("figure", "figure_2"):
        assert main([str(run)]) == 0
        assert f"{run / name}.pdf, {run / name}.png" in " ".join(capsys.readouterr().out.split())
    before = (run / "figure.pdf").read_bytes()
    assert main([str(run), "--output", str(run / "figure.pdf")]) == 1
    assert f"{run / 'figure.pdf'} exists already" in capsys.readouterr().err
    assert (run / "figure.pdf").read_bytes() == before


def test_the_pdf_is_vectors_with_embedded_fonts(tmp_path):
    run = write_run(tmp_path / "run", ks=(3, 5))
    assert main([str(run), "--output", str(tmp_path / "a.pdf"), str(tmp_path / "a.png")]) == 0
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == round(WIDTHS[2] * DPI)
        assert np.asarray(image).std() > 10


@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_the_same_figure_has_the_same_bytes(tmp_path, kind):
    run = write_run(tmp_path / "run")
    for name in ("a", "b"):
        save(drawn(run, images=["one"]), tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


def test_what_cannot_be_drawn_is_named(tmp_path, capsys):
    run = write_run(tmp_path / "run", photographs=False)
    for arguments, message in (
        (["--k", "9"], "no run has K = 9: choose of 3"),
        (["--images", "four"], "no image 'four': the runs hold one, two, three"),
        (["--columns", "3"], "columns=3: a figure is 1 or 2 columns wide"),
        ([], "one: its run kept no photograph"),
    ):
        assert main([str(run), *arguments, "--output", str(tmp_path / "a.png")]) == 1
        assert re.search(re.escape(message), capsys.readouterr().err)
    write_sweep(tmp_path / "sweep")
    with pytest.raises(ValueError, match=r"0\.22 inches wide each, too narrow for .* choose --columns 2"):
        drawn(tmp_path / "sweep", columns=1)
    with pytest.raises(ValueError, match="13 runs and K, but a page shows 12 at most"):
        drawn(tmp_path)
