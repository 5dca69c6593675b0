import json
from typing import Any

import pytest


def workspace() -> dict[str, Any]:
    """What would be sent to W&B."""
    pytest.importorskip("wandb_workspaces")
    from experiments.wandb_review import review

    view: dict[str, Any] = json.loads(review("team", "nave")._to_model().model_dump_json(by_alias=True))
    return view


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # W&B's own
def test_the_workspace_shows_scores_over_k_images_and_choices() -> None:
    section = workspace()["spec"]["section"]
    panels = {part["name"]: part["panels"] for part in section["panelBankConfig"]["sections"]}
    corloc = panels["Scores"][0]["config"]
    assert (corloc["xAxis"], corloc["metrics"], corloc["groupBy"]) == ("k", ["corloc"], "encoder.value")
    assert "images" in json.dumps(panels["Images"][0])
    accessors = [column["accessor"] for column in panels["Choices"][0]["config"]["columns"]]
    assert {"config:model.value.name", "config:k.value", "summary:corloc", "summary:nave"} <= set(accessors)
