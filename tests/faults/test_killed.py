"""Whatever happens to a command while it writes, the same command ends with the bytes of an undisturbed one."""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from nave.localization.teaching import FEWEST
from tests.helpers import training
from tests.helpers.faults import ENDS, Fault, run
from tests.helpers.running import QUICK, into, record, results, voc

pytestmark = pytest.mark.slow
SHARES = (0, 0.05, 0.12, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96, 1)  # of all operations on files
FEW = (0.03, 0.3, 0.6, 0.93)  # with the first, a head is being written
EXPLAINING = tuple(override for override in QUICK if override not in ("k=2", "photographs=null"))
RUN = (*EXPLAINING, "k=[2,3]", "photographs=20")


@dataclass
class Case:
    """A command and what it leaves.

    Attributes:
        root: Folder in which each attempt has a folder of its own.
        name: Module of the command.
        overrides: Those of every attempt.
        target: Overrides that name the folder of an attempt.
        kept: The bytes that are to be the same, by name; checks that nothing else is left.
        together: Whether several processes work.
    """

    root: Path
    name: str
    overrides: Sequence[str]
    target: Callable[[Path], list[str]]
    kept: Callable[[Path], dict[str, bytes]]
    together: bool = False

    def __post_init__(self) -> None:
        assert self.attempt("undisturbed", Fault()) == 0
        self.undisturbed = self.kept(self.root / "undisturbed")

    def attempt(self, name: str, fault: Fault) -> int:
        folder = self.root / name
        return run(self.name, [*self.overrides, *self.target(folder)], folder, fault, self.together)

    def operations(self, rank: int) -> int:
        return int((self.root / f"undisturbed.{rank}.count").read_text())

    def survives(self, kind: str, share: float, rank: int = 0, ends: Sequence[int] = ()) -> Path:
        """Lets the fault happen, then gives the command again; the folder of both."""
        name = f"{kind}{rank}-{share}"
        at = 1 + round(share * (self.operations(rank) - 1))
        end = self.attempt(name, Fault(kind, at, rank))
        assert end in (*ENDS[kind], *ends)
        if end == 128 + signal.SIGTERM and not ends:  # else two may be hit: a process of the pool, then its parent
            assert {record(path.parent)["status"] for path in (self.root / name).glob("*/run.json")} <= OVER
        assert self.attempt(name, Fault()) == 0
        assert self.kept(self.root / name) == self.undisturbed
        return self.root / name


OVER = {"interrupted", "ok"}


def single(folder: Path) -> list[str]:
    return [into(folder / "run")]


def explained(folder: Path) -> dict[str, bytes]:
    assert not list(folder.rglob(".*.part"))
    assert not list(folder.rglob(".claim*"))
    assert not list(folder.rglob("parts"))
    assert {record(path.parent)["status"] for path in folder.rglob("run.json")} == {"ok"}
    return results(folder)


@pytest.fixture(scope="module")
def a_run(tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = tmp_path_factory.mktemp("run")
    return Case(root, "nave.run", [*RUN, *voc(root, 6)], single, explained)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ENDS)
def test_a_run_survives(a_run: Case, kind: str, share: float) -> None:
    a_run.survives(kind, share)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """The same run with its maps and centroids in shards."""
    root = tmp_path_factory.mktemp("packed")
    return Case(root, "nave.run", [*RUN, *voc(root, 6), "pack=1"], single, explained)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ENDS)
def test_a_packed_run_survives(packed: Case, kind: str, share: float) -> None:
    packed.survives(kind, share)


@pytest.fixture(scope="module")
def with_head(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A run of as many images as teach a foreground head."""
    root = tmp_path_factory.mktemp("head")

    def kept(folder: Path) -> dict[str, bytes]:
        return explained(folder) | {"head": (folder / "run" / "foreground.safetensors").read_bytes()}

    return Case(root, "nave.run", [*RUN, *voc(root, FEWEST), "overlays=0", "foreground=auto"], single, kept)


@pytest.mark.parametrize("share", FEW)
@pytest.mark.parametrize("kind", ENDS)
def test_a_run_with_a_foreground_head_survives(with_head: Case, kind: str, share: float) -> None:
    with_head.survives(kind, share, ends=(1,))  # so many images have processes of their own, one of which it can hit


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two jobs that share activations."""
    root = tmp_path_factory.mktemp("sweep")

    def target(folder: Path) -> list[str]:
        return [f'hydra.sweep.dir="{folder}"', f'cache="{folder / "cache"}"', "hydra.sweep.subdir=job${k}"]

    def kept(folder: Path) -> dict[str, bytes]:
        entries = {path.name: path.read_bytes() for path in folder.glob("cache/*/*.safetensors")}
        for path in folder.glob("cache/*/.*.part"):  # others may be writing there: removed when an hour old
            path.unlink()
        return explained(folder) | entries

    return Case(root, "nave.run", ["-m", *EXPLAINING, *voc(root, 3), "photographs=null", "k=2,3"], target, kept)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ["kill", "terminate", "full"])
def test_a_sweep_with_a_cache_survives(sweep: Case, kind: str, share: float) -> None:
    sweep.survives(kind, share)


@pytest.fixture(scope="module")
def learning(tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = tmp_path_factory.mktemp("training")
    quick = [override for override in training.QUICK if not override.startswith("epochs=")]
    overrides = [
        *quick,
        *training.stl10(root),
        "epochs=4",
        "snapshots=[0,2]",
        "snapshot_steps=[1,5]",
        "trainer.accelerator=cpu",
    ]
    return Case(root, "nave.train", overrides, single, trained)


def trained(folder: Path) -> dict[str, bytes]:
    """The encoder, its snapshots and their cards."""
    assert not list(folder.rglob(".*.part"))
    assert not list(folder.rglob(".claim*"))
    assert not list(folder.rglob("*.ckpt"))
    assert record(folder / "run")["status"] == "ok"
    return {path.name: path.read_bytes() for path in folder.glob("run*") if path.is_file()}


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ["kill", "terminate", "full"])
def test_a_training_survives(learning: Case, kind: str, share: float) -> None:
    learning.survives(kind, share)


@pytest.fixture(scope="module")
def reuse(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A run whose results lie in another folder already."""
    root = tmp_path_factory.mktemp("reuse")
    overrides = [*RUN, *voc(root, 3), f'outputs="{root / "first"}"', "skip_existing=true"]
    (root / "first").mkdir()
    assert run("nave.run", [*overrides, into(root / "first" / "run")], root / "first", Fault()) == 0
    return Case(root, "nave.run", overrides, single, explained)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("kind", ["kill", "terminate", "full"])
def test_reusing_results_survives(reuse: Case, kind: str, share: float) -> None:
    folder = reuse.survives(kind, share)
    assert record(folder / "run")["same_as"] == str(reuse.root / "first" / "run")
    assert explained(reuse.root / "first") == reuse.undisturbed


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory) -> Case:
    root = tmp_path_factory.mktemp("two")
    overrides = [*RUN, *voc(root, 8), "trainer.devices=2", "trainer.strategy=ddp", "pack=1"]
    return Case(root, "nave.run", overrides, single, explained, together=True)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("share", FEW)
@pytest.mark.parametrize("kind", ["kill", "terminate"])
def test_a_run_of_two_processes_survives_the_loss_of_either(
    two_processes: Case, kind: str, share: float, rank: int
) -> None:
    two_processes.survives(kind, share, rank, ends=[1])  # the other may fail before Lightning ends it
