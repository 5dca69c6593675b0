"""Runs whose maps and centroids lie in shards: the same results as in files, for everything that reads them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nave import compare, evaluate, figure, overlay
from nave.export.__main__ import main as export
from nave.report.__main__ import main as report
from nave.runs.layout import ResultsFolder
from nave.runs.reader import Run
from tests.helpers.pages import pack
from tests.helpers.running import QUICK as RUN
from tests.helpers.running import into, nave_run, one_thread, photographs, record, results, voc
from tests.test_run import change_photograph, command_line, count_images, damaged, told

pytestmark = pytest.mark.usefixtures("unchecked")  # but the run that they share
SHARD = "0000-000000.tar"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A run of four images with objects under two K, packed, and its overrides; another one beside it is not."""
    root = tmp_path_factory.mktemp("finished")
    overrides = [*voc(root), "k=[2,3]", "photographs=20", "pack=4"]
    assert nave_run(*overrides, into(root / "packed")) == 0
    assert nave_run(*overrides[:-1], "pack=5", into(root / "files")) == 0
    return root / "packed", overrides


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def centroids(run: Path, k: int) -> list[list[float]]:
    at_k = ResultsFolder(run / f"k{k}")
    return [at_k.read_centroids(f"{number:06}").tolist() for number in range(4)]


def test_results_are_those_of_a_run_with_files(finished: tuple[Path, list[str]]) -> None:
    packed = finished[0]
    files = packed.with_name("files")
    for k in (2, 3):
        assert names(packed / f"k{k}" / "maps") == names(packed / f"k{k}" / "centroids") == [SHARD, "index.npy"]
        assert names(files / f"k{k}" / "maps") == [f"{number:06}.png" for number in range(4)]
        assert centroids(packed, k) == centroids(files, k)
    assert results(packed) == results(files)


Use = Callable[[Path, Path], int | None]  # exit code of a command on a run, which writes to a folder


SLOW = pytest.mark.slow
USES: dict[str, Use] = {
    "evaluate": lambda run, _: evaluate.main([str(run)]),
    "overlay": lambda run, _: overlay.main([str(run)]),
    "report": lambda run, _: report([str(run)]),
    "compare": lambda run, out: compare.main([str(run), "--output", str(out)]),
    "figure": lambda run, out: figure.main([str(run), "--output", f"{out}.png"]),
    "coco": lambda run, out: export([str(run), "to=coco", f"output={out}"]),
    "fiftyone": lambda run, out: export([str(run), "to=fiftyone", f"output={out}"]),
    "labelme": lambda run, out: export([str(run), "to=labelme", f"output={out}"]),
}
QUICK = ("evaluate", "overlay", "coco")


@pytest.mark.parametrize("use", [pytest.param(use, marks=() if use in QUICK else SLOW) for use in USES])
def test_every_command_does_the_same_with_both(finished: tuple[Path, list[str]], tmp_path: Path, use: str) -> None:
    files = used(finished[0].with_name("files"), tmp_path, use, packed=False)
    packed = used(finished[0].with_name("files"), tmp_path, use, packed=True)
    assert files.keys() == packed.keys()
    assert [name for name in files if files[name] != packed[name]] == []


def used(source: Path, tmp_path: Path, use: str, packed: bool) -> dict[str, bytes]:
    """What a command leaves in the folder of a run, and beside it."""
    run = tmp_path / "run"
    shutil.copytree(source, run, ignore=shutil.ignore_patterns("overlays"))
    for k in (2, 3) if packed else ():
        pack(ResultsFolder(run / f"k{k}"))
    assert USES[use](run, tmp_path / "written") == 0
    for kind in ("maps", "centroids"):
        for folder in run.glob(f"*/{kind}"):
            shutil.rmtree(folder)
    timed = (".pdf", ".log")  # these say when they were written
    paths = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in timed]
    left = {str(path.relative_to(tmp_path)): path.read_bytes() for path in paths}
    for path in tmp_path.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return left


def test_the_reader_names_the_shard_and_the_image(finished: tuple[Path, list[str]], tmp_path: Path) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    (at_k, _) = Run.read(tmp_path / "run").at_k
    path = at_k.results.path / "maps" / SHARD
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(ValueError, match=r"k2/maps/0000-000000\.tar \(000000\): no map can be read"):
        at_k.read_map("000000")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"no map .*k2/maps/0000-000000\.tar \(000001\)"):
        at_k.read_map("000001")
    with pytest.raises(FileNotFoundError, match=r"no map .*nothing"):
        at_k.read_map("nothing")


@pytest.mark.parametrize("torn", [700, *(pytest.param(torn, marks=SLOW) for torn in (0, 100, 512))])
def test_a_killed_run_goes_on_with_what_is_missing(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torn: int
) -> None:
    (undisturbed, overrides), run = finished, tmp_path / "run"
    with monkeypatch.context() as patch:
        count_images(patch, fail_at=3)
        assert nave_run(*overrides, into(run)) == 1
    part = run / "parts" / "0.jsonl"
    part.write_text(part.read_text()[:-20])  # the third image's last note was being written
    with (run / "k3" / "maps" / SHARD).open("ab") as file:
        file.write(b"\7" * torn)  # and the fourth image's map
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert seen == ["000002", "000003"]
    assert results(run) == results(undisturbed)
    for shard in run.rglob("*.tar"):  # one process goes on where it was
        if shard.parts[-3] == "k3":
            assert shard.read_bytes() == (undisturbed / shard.relative_to(run)).read_bytes()


@SLOW
@pytest.mark.parametrize("kind", ["maps", "centroids"])
@pytest.mark.parametrize("left", [0, 600, 2000, -1025])
def test_a_begun_run_computes_again_what_the_power_cut(
    finished: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, left: int
) -> None:
    (undisturbed, overrides), run = finished, tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("nave.pipeline.evaluate", lambda _: 1 / 0)
        assert nave_run(*overrides, into(run)) == 1
    path = run / "k2" / kind / SHARD
    content = path.read_bytes()[:left]
    assert len(content) < path.stat().st_size
    path.write_bytes(content)
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert bool(seen) == (left >= 0)  # what ends a shard is written again
    assert results(run) == results(undisturbed)
    assert all(centroids(run, k) == centroids(undisturbed, k) for k in (2, 3))


@SLOW
def test_a_packed_run_is_taken_over_by_links_unless_something_is_missing(
    finished: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed, overrides = finished
    shutil.copytree(undisturbed, tmp_path / "outputs" / "first")
    overrides = [*overrides, f"outputs={tmp_path / 'outputs'}", "skip_existing=true"]
    first, second, third, fourth = (tmp_path / "outputs" / name for name in ("first", "second", "third", "fourth"))
    assert nave_run(*overrides, into(second)) == 0
    assert record(second)["same_as"] == str(first)
    assert (second / "k2" / "maps" / SHARD).stat().st_nlink == 2
    assert nave_run(*overrides[:-1], into(second)) == 0  # computed again, into files of its own
    assert (second / "k2" / "maps" / SHARD).stat().st_nlink == (first / "k2" / "maps" / SHARD).stat().st_nlink == 1
    shutil.rmtree(second)
    for name, run in (("maps/index.npy", third), (f"centroids/{SHARD}", fourth)):
        shutil.rmtree(third, ignore_errors=True)
        path = first / "k3" / name
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert nave_run(*overrides, into(run)) == 0
        assert f"not reused: {first} ({path} is missing or damaged)" in capsys.readouterr().out
        path.write_bytes(content)
        assert results(run) == results(undisturbed)


@SLOW
def test_an_image_that_changed_is_explained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides, run = [*voc(tmp_path, 4), "pack=1"], tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("nave.pipeline.evaluate", lambda _: 1 / 0)
        assert nave_run(*overrides, into(run)) == 1
    change_photograph(tmp_path)
    seen = count_images(monkeypatch)
    assert nave_run(*overrides, into(run)) == 0
    assert seen == ["000001"]
    assert nave_run(*overrides, into(tmp_path / "undisturbed")) == 0
    assert results(run) == results(tmp_path / "undisturbed")


@SLOW
def test_shards_do_not_depend_on_the_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overrides = [*photographs(tmp_path, 18), "pack=1"]
    for cores in (1, 3):
        monkeypatch.setattr("nave.runs.writer.share_of_cores", lambda _, cores=cores: cores)
        assert nave_run(*overrides, into(tmp_path / str(cores))) == 0
    for kind in ("maps", "centroids"):
        one, three = (tmp_path / str(cores) / kind / SHARD for cores in (1, 3))
        assert one.read_bytes() == three.read_bytes()


@SLOW
def test_a_shard_that_cannot_be_written_ends_the_run_with_the_images_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run" / "maps" / SHARD).mkdir(parents=True)  # in the place of a file
    overrides = [*photographs(tmp_path, 2), "pack=1", into(tmp_path / "run")]
    assert nave_run(*overrides) == 1
    assert "error: 000000: " in capsys.readouterr().out
    (tmp_path / "run" / "maps" / SHARD).rmdir()
    assert nave_run(*overrides) == 0


@SLOW
def test_two_processes_write_shards_of_their_own(tmp_path: Path) -> None:
    overrides = [*damaged(tmp_path, 13), "pack=1"]
    with one_thread():
        assert nave_run(*overrides[:-1], into(tmp_path / "one")) == 0
    two = ["trainer.devices=2", "trainer.strategy=ddp"]
    told(command_line(tmp_path, *RUN, *overrides, *two, into(tmp_path / "two")))
    assert names(tmp_path / "two" / "k2" / "maps") == [SHARD, "0001-000000.tar", "index.npy"]
    assert results(tmp_path / "one") == results(tmp_path / "two")
    assert (
        np.load(tmp_path / "two" / "k2" / "maps" / "index.npy")["rank"].tolist().count(1) == 5
    )  # and one image that cannot be read
