"""Files that the power cut: written under their names, but not to their ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nave.runs.layout import RunFolder
from nave.runs.record import read_record
from nave.runs.resume import matching_run
from tests.faults.test_killed import explained, trained
from tests.helpers import training
from tests.helpers.datasets import configured
from tests.helpers.running import into, nave_run, one_thread, photographs, voc

SHARES = (0, 0.3, 0.9, -1)  # of a file, which are left; or all but so many bytes
WRITTEN = (
    *("run.json", "data.jsonl", "k2/predictions.jsonl", "k3/metrics.json", "k2/maps/000002.png"),
    "k2/centroids/000002.npy",
)
PICTURES = ("k3/overlays/000001.jpg", "photographs/000003.jpg")  # drawn again from the rest
PACKED = ("k2/maps/0000-000000.tar", "k3/centroids/0000-000000.tar", "k2/maps/index.npy")
SLOW = pytest.mark.slow

pytestmark = pytest.mark.usefixtures("unchecked")


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    assert content
    path.unlink()  # others may link to its bytes
    path.write_bytes(content[: int(share if share < 0 else share * len(content))])


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The overrides of a run over four images with objects, and the folder in which it lies."""
    root = tmp_path_factory.mktemp("run")
    overrides = [*voc(root), "k=[2,3]", "photographs=20", f"outputs={root / 'none'}"]
    with one_thread():
        assert nave_run(*overrides, into(root / "undisturbed" / "run")) == 0
    return overrides, root / "undisturbed"


@pytest.fixture(scope="module")
def a_packed_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    root = tmp_path_factory.mktemp("packed")
    overrides = [*voc(root), "k=[2,3]", "photographs=20", f"outputs={root / 'none'}", "pack=1"]
    with one_thread():
        assert nave_run(*overrides, into(root / "undisturbed" / "run")) == 0
    return overrides, root / "undisturbed"


@SLOW
@pytest.mark.parametrize("skip", ["true", "false"])
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", PACKED)
def test_a_finished_packed_run_survives(
    a_packed_run: tuple[list[str], Path], tmp_path: Path, name: str, share: float, skip: str
) -> None:
    test_a_finished_run_survives(a_packed_run, tmp_path, name, share, skip)


@SLOW
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", [*PACKED, "parts/0.jsonl"])
def test_a_begun_packed_run_survives(
    a_packed_run: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, share: float
) -> None:
    test_a_begun_run_survives(a_packed_run, tmp_path, monkeypatch, name, share)


@pytest.mark.parametrize("cuts", [10, pytest.param(150, marks=SLOW)])
@pytest.mark.parametrize("name", WRITTEN)
def test_a_cut_at_any_byte_is_noticed(a_run: tuple[list[str], Path], tmp_path: Path, name: str, cuts: int) -> None:
    """By the question whether a finished run may be reused."""
    root, folder = a_run[1].parent, RunFolder(a_run[1] / "run")
    images, now = configured("voc07", root=root), read_record(folder)
    assert now
    content = (folder.path / name).read_bytes()
    assert matching_run(folder, now, tmp_path, images)
    try:
        for length in range(0, len(content), 1 + len(content) // cuts):
            (folder.path / name).write_bytes(content[:length])
            assert matching_run(folder, now, tmp_path, images) is None, length
    finally:
        (folder.path / name).write_bytes(content)


@SLOW
@pytest.mark.parametrize("skip", ["true", "false"])
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", [*WRITTEN, *PICTURES])
def test_a_finished_run_survives(
    a_run: tuple[list[str], Path], tmp_path: Path, name: str, share: float, skip: str
) -> None:
    command = [*a_run[0], f"skip_existing={skip}", into(tmp_path / "run")]
    assert nave_run(*command) == 0
    cut(tmp_path / "run" / name, share)
    assert nave_run(*command) == 0
    assert explained(tmp_path) == explained(a_run[1])


@pytest.mark.parametrize(
    ("name", "share"),
    [
        *(pytest.param(name, share, marks=SLOW) for name in WRITTEN[4:] for share in SHARES),
        *(pytest.param("parts/0.jsonl", share, marks=SLOW) for share in (0, 0.1, 0.3, 0.6, 0.75, 0.9, -1)),
        *(pytest.param("run.json", share, marks=SLOW) for share in (0, 0.3, -1)),
        ("run.json", 0.9),
        ("parts/0.jsonl", 0.5),
    ],
)
def test_a_begun_run_survives(
    a_run: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, share: float
) -> None:
    command = [*a_run[0], into(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr("nave.pipeline.evaluate", lambda _: 1 / 0)
        assert nave_run(*command) == 1
    cut(tmp_path / "run" / name, share)
    assert nave_run(*command) == 0
    assert explained(tmp_path) == explained(a_run[1])


@SLOW
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", ["k2/maps/000001.png", "k2/predictions.jsonl", "data.jsonl", "run.json"])
def test_results_are_not_reused_from_a_folder_that_the_power_cut(tmp_path: Path, name: str, share: float) -> None:
    overrides = [*voc(tmp_path, 2), "k=[2,3]", f"outputs={tmp_path / 'first'}", "skip_existing=true"]
    assert nave_run(*overrides, into(tmp_path / "first" / "run")) == 0
    undisturbed = explained(tmp_path / "first")
    cut(tmp_path / "first" / "run" / name, share)
    assert nave_run(*overrides, into(tmp_path / "second" / "run")) == 0
    assert explained(tmp_path / "second") == undisturbed


@SLOW
@pytest.mark.parametrize("share", SHARES)
def test_a_cache_survives(tmp_path: Path, share: float) -> None:
    overrides = [*photographs(tmp_path, 2), f"cache={tmp_path / 'cache'}"]
    assert nave_run(*overrides, into(tmp_path / "first" / "run")) == 0
    entries = {path: path.read_bytes() for path in (tmp_path / "cache").glob("*/*.safetensors")}
    assert entries
    for path in entries:
        cut(path, share)
    assert nave_run(*overrides, into(tmp_path / "second" / "run")) == 0
    assert {path: path.read_bytes() for path in entries} == entries
    assert explained(tmp_path / "second") == explained(tmp_path / "first")


@pytest.fixture(scope="module")
def a_training(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    root = tmp_path_factory.mktemp("training")
    overrides = [*training.stl10(root), "epochs=2", "snapshots=[1]"]
    with one_thread():
        assert training.nave_train(*overrides, into(root / "undisturbed" / "run")) == 0
    return overrides, root / "undisturbed"


@SLOW
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize(
    "name", ["run.safetensors", "run.json", "run-epoch1.safetensors", "run/run.json", "run/data.jsonl"]
)
def test_a_finished_training_survives(
    a_training: tuple[list[str], Path], tmp_path: Path, name: str, share: float
) -> None:
    command = [*a_training[0], into(tmp_path / "run")]
    assert training.nave_train(*command) == 0
    cut(tmp_path / name, share)
    assert training.nave_train(*command) == 0
    assert trained(tmp_path) == trained(a_training[1])


@SLOW
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", ["run/last.ckpt", "run/run.json", "run/data.jsonl", "run-epoch1.safetensors"])
def test_a_begun_training_survives(
    a_training: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, share: float
) -> None:
    command = [*a_training[0], into(tmp_path / "run")]
    with monkeypatch.context() as patch:
        patch.setattr("nave.training.fit._metrics", lambda *_: 1 / 0)
        assert training.nave_train(*command) == 1
    cut(tmp_path / name, share)
    assert training.nave_train(*command) == 0
    assert trained(tmp_path) == trained(a_training[1])
