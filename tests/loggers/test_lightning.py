import csv
import json
from pathlib import Path

import pytest

from tests.helpers.running import into, nave_run, photographs, record, voc

pytestmark = pytest.mark.usefixtures("unchecked")


def test_csv_has_a_row_for_every_k(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path, 2), "k=[2,3]", "logger=csv", into(run)) == 0
    with (run / "csv" / "metrics.csv").open() as file:
        rows = {int(row["step"]): row for row in csv.DictReader(file)}
    for k in (2, 3):
        score = json.loads((run / f"k{k}" / "metrics.json").read_text())["corloc"]
        assert [float(rows[k][f"corloc{end}"]) for end in ("", "_low", "_high")] == [
            score[end] for end in ("value", "low", "high")
        ]
    assert "training: random" in (run / "csv" / "hparams.yaml").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_several_loggers_at_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    assert nave_run(*voc(tmp_path, 3), "logger=[csv,tensorboard]", "logger.images=2", into(run)) == 0
    assert (run / "csv" / "metrics.csv").is_file()
    board = EventAccumulator(str(run / "tensorboard")).Reload()
    assert {"corloc", "corloc_low", "seconds/encoder"} <= set(board.Tags()["scalars"])
    assert len(board.Tags()["images"]) == 2
    assert record(run)["logged"] == ["csv", "tensorboard"]


def test_a_logger_that_fails_costs_no_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, overrides = tmp_path / "run", [*photographs(tmp_path, 1), "logger=csv"]
    with monkeypatch.context() as patch:
        patch.setattr("nave.loggers.lightning.LightningLogger.log", lambda *_: Path("/nowhere").stat())
        assert nave_run(*overrides, into(run)) == 1
    assert "logger=csv: [Errno 2]" in capsys.readouterr().out
    monkeypatch.setattr("nave.module.Explainer.predict_step", lambda *_: pytest.fail("computed again"))
    assert nave_run(*overrides, into(run)) == 0
    assert (run / "csv" / "metrics.csv").is_file()
