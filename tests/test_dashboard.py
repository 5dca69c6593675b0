"""The command against a stand-in of W&B's server; what W&B shows of the workspace has not been seen."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nave.dashboard import main
from tests.helpers.wandb_server import Server, serving

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # W&B's own


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    pytest.importorskip("wandb_workspaces")
    with serving() as one:
        monkeypatch.setenv("WANDB_BASE_URL", one.address)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        yield one


def test_the_workspace_is_saved_and_its_address_printed(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.summary = {"ap50": 5.5, "worst/01": {"_type": "image-file"}, "concepts": {"_type": "table-file"}}
    assert main(["--project", "mine"]) == 0
    (view,) = server.views
    assert (view["entityName"], view["projectName"], view["type"]) == ("team", "mine", "project-view")
    sections = json.loads(view["spec"])["section"]["panelBankConfig"]["sections"]
    assert [part["name"] for part in sections] == ["AP over k", "Gallery", "Training and model", "Table: concepts"]
    name = view["name"].removeprefix("nw-").removesuffix("-v")
    assert f"look at {server.address}/team/mine?nw={name}" in capsys.readouterr().out


def test_a_project_without_pictures_is_one_line(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for summary, reason in (({"ap50": 5.5}, "holds no pictures of a run in team/nave"), (None, "find project")):
        server.summary = summary
        assert main([]) == 1
        error = capsys.readouterr().err
        assert (error.count("\n"), reason in error, "wandb sync" in error) == (1, True, True)
    assert server.views == []


def test_without_a_key_it_is_one_line_of_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert main([]) == 1
    assert "wandb login" in capsys.readouterr().err
