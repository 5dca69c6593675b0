import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "experiments" / "wandb_review.py"


def workspace() -> dict[str, Any]:
    """What would be sent to W&B."""
    pytest.importorskip("wandb_workspaces")
    spec = importlib.util.spec_from_file_location("wandb_review", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    view: dict[str, Any] = json.loads(script.review("team", "nave")._to_model().model_dump_json(by_alias=True))
    return view


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own
def test_the_workspace_shows_scores_over_k_images_and_choices() -> None:
    section = workspace()["spec"]["section"]
    panels = {one["name"]: one["panels"] for one in section["panelBankConfig"]["sections"]}
    corloc = panels["Scores"][0]["config"]
    assert (corloc["xAxis"], corloc["metrics"], corloc["groupBy"]) == ("k", ["corloc"], "encoder.value")
    assert "images" in json.dumps(panels["Images"][0])
    accessors = [column["accessor"] for column in panels["Choices"][0]["config"]["columns"]]
    assert {"config:model.value.name", "config:k.value", "summary:corloc", "summary:nave"} <= set(accessors)
