from pathlib import Path

from nave.loggers.interface import flat_scores, ranks, select_examples
from nave.runs.files import write_json
from nave.runs.reader import Run
from tests.helpers.pages import write_run

OVERLAPS = {"a": 0.1, "b": 0.9, "c": 0.5, "d": 0.5, "e": 0.0, "f": None, "g": 0.7}


def test_a_third_each() -> None:
    selected = select_examples(OVERLAPS, 6, seed=0)
    assert list(selected)[:4] == ["e", "a", "b", "g"]
    assert list(selected.values()) == ["worst"] * 2 + ["best"] * 2 + ["random"] * 2
    assert set(list(selected)[4:]) <= {"c", "d", "f"}


def test_the_same_every_time_whatever_the_order() -> None:
    backwards = dict(reversed(OVERLAPS.items()))
    assert select_examples(OVERLAPS, 5, seed=0) == select_examples(backwards, 5, seed=0)
    assert len({tuple(select_examples(OVERLAPS, 3, seed=seed)) for seed in range(20)}) > 1


def test_random_images_are_the_same_in_other_runs() -> None:
    few, many = ({f"{i:03d}": (i * step % 101) / 101 for i in range(100)} for step in (7, 13))
    drawn = [
        [name for name, group in select_examples(run, 9, seed=0).items() if group == "random"] for run in (few, many)
    ]
    assert len({*drawn[0], *drawn[1]}) < 6


def test_ranks_name_no_image() -> None:
    keys = ranks(select_examples(OVERLAPS, 6, seed=0))
    assert list(keys.values()) == [f"{group}/0{rank}" for group in ("worst", "best", "random") for rank in (1, 2)]
    assert (keys["e"], keys["a"], keys["b"], keys["g"]) == ("worst/01", "worst/02", "best/01", "best/02")


def test_never_more_than_there_are() -> None:
    assert select_examples(OVERLAPS, 100, seed=0).keys() == OVERLAPS.keys()
    assert select_examples({"a": None, "b": None}, 5, seed=0) == {"a": "random", "b": "random"}
    assert select_examples({}, 5, seed=0) == {}
    assert select_examples({"a": 0.5}, 3, seed=0) == {"a": "random"}


def test_a_score_without_an_interval_is_logged_as_its_value(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    write_json(run / "metrics.json", {"class_miou": {"value": 11.7, "low": None, "high": None, "images": 3}})
    assert [flat_scores(at_k) for at_k in Run.read(run).at_k] == [{"class_miou": 11.7}]
