import json
from typing import Any

import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own

LOGGED = {
    **{f"{group}/{rank:02d}": "image-file" for group in ("best", "worst") for rank in range(1, 11)},
    **{"concepts": "table-file", "images": "table-file"},
}


@pytest.fixture
def section() -> dict[str, Any]:
    return sent(LOGGED)


def sent(logged: dict[str, str]) -> dict[str, Any]:
    """What would be sent to W&B."""
    pytest.importorskip("wandb_workspaces")
    from nave.loggers.wandb_workspace import workspace

    view: dict[str, Any] = json.loads(workspace("team", "nave", logged)._to_model().model_dump_json(by_alias=True))
    found: dict[str, Any] = view["spec"]["section"]
    return found


def panels(section: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {part["name"]: part["panels"] for part in section["panelBankConfig"]["sections"]}


def test_it_opens_on_ap_over_k(section: dict[str, Any]) -> None:
    first, *_ = section["panelBankConfig"]["sections"]
    assert first["isOpen"]
    line, points = (panel["config"] for panel in first["panels"][:2])
    assert (line["xAxis"], line["metrics"], line["groupBy"]) == ("k", ["ap50"], "encoder.value")
    assert (points["xAxis"], points["yAxis"]) == ("config:k.value", "summary:ap50")


def test_the_gallery_shows_the_same_ranks_of_every_run(section: dict[str, Any]) -> None:
    worst, best = (panel["config"] for panel in panels(section)["Gallery"])
    assert worst["mediaKeys"] == [f"worst/0{rank}" for rank in range(1, 7)]
    assert best["mediaKeys"][0] == "best/01"
    assert (worst["mode"], worst["gridSettings"]["yAxis"]) == ("grid", "run")


def test_training_and_model_sort_the_runs_and_stand_beside_the_scores(section: dict[str, Any]) -> None:
    (runs,) = section["runSets"]
    assert [key["key"]["name"] for key in runs["sort"]["keys"]] == ["training", "encoder", "k"]
    assert all(key["key"]["section"] == "config" and key["ascending"] for key in runs["sort"]["keys"])
    assert list(runs["runFeed"]["columnPinned"])[:3] == [
        *("run:displayName", "config:training.value", "config:model.value.name")
    ]
    *bars, plot = (panel["config"] for panel in panels(section)["Training and model"])
    assert {bar["groupBy"] for bar in bars} == {"training.value", "model.value.name"}
    accessors = [column["accessor"] for column in plot["columns"]]
    assert {"config:model.value.name", "config:k.value", "summary:corloc", "summary:nave"} <= set(accessors)


def test_tables_have_a_section_each_if_there_are_any(section: dict[str, Any]) -> None:
    tables = [name for name in panels(section) if name.startswith("Table")]
    assert tables == ["Table: images", "Table: concepts"]
    assert "concepts" in json.dumps(panels(section)["Table: concepts"])
    assert list(panels(sent({"worst/01": "image-file"}))) == ["AP over k", "Gallery", "Training and model"]
