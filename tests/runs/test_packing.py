"""Shards: what is in them, what a killed process leaves in them, and where the next one goes on."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest

from nave.runs import packing
from nave.runs.journal import Journal, with_spans
from nave.runs.layout import ResultsFolder, RunFolder
from nave.runs.packing import DEAD, Catalogue, Packer, member
from nave.runs.shards import ENTRY, Span, Stored, find, is_index, shard

CONTENT = {f"trip/{number}": bytes([number]) * (100 * number) for number in range(8)}


def content_of(index: int) -> bytes:
    return CONTENT[f"trip/{index}"]


def run(tmp_path: Path) -> Journal:
    return Journal(RunFolder(tmp_path), [2])


def write(journal: Journal, *indices: int, rank: int = 0, content: bytes | None = None) -> list[Span]:
    """An attempt of one process, which goes on where the notes end; as the writer does it."""
    packer, spans = Packer(journal.folder, journal.ks, rank, journal.read().ends), []
    for index in indices:
        one = member(f"trip/{index}.png", content_of(index) if content is None else content)
        packed = packer.append(2, {"maps": one})
        note = {"index": index, "k": 2, "line": {"image_id": f"trip/{index}", "k": 2}}
        journal.append_lines(rank, with_spans(journal.lines(rank, note), packed))
        spans.append(packed["maps"])
    packer.close()
    return spans


def members(tmp_path: Path) -> list[tuple[str, bytes]]:
    """Everything that tarfile finds, in order."""
    found = []
    for path in sorted(tmp_path.glob("maps/*.tar")):
        with tarfile.open(path, "r:") as file:
            found += [(one.name, file.extractfile(one).read()) for one in file]  # type: ignore[union-attr] # all are files
    return found


def expected(*indices: int) -> list[tuple[str, bytes]]:
    return [(f"trip/{index}.png", content_of(index)) for index in indices]


def read(tmp_path: Path, index: int) -> bytes:
    return ResultsFolder(tmp_path).stored("maps", f"trip/{index}").read()


def test_a_shard_is_a_tar_file_in_the_order_of_writing(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 3, 0, 5)
    journal.collect(3)
    assert members(tmp_path) == expected(3, 0, 5)
    assert [path.name for path in sorted((tmp_path / "maps").iterdir())] == ["0000-000000.tar", "index.npy"]
    assert [read(tmp_path, index) for index in (0, 3, 5)] == [content_of(index) for index in (0, 3, 5)]
    assert find(tmp_path / "maps", "trip/1") is None


def test_its_bytes_are_those_that_tarfile_writes(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 1, 2)
    journal.collect(2)
    path = tmp_path / "maps" / "0000-000000.tar"
    with tarfile.open(tmp_path / "expected.tar", "w", format=tarfile.PAX_FORMAT) as file:
        for index in (1, 2):
            one = tarfile.TarInfo(f"trip/{index}.png")
            one.size = len(content_of(index))
            file.addfile(one, io.BytesIO(content_of(index)))
    assert (tmp_path / "expected.tar").read_bytes().rstrip(b"\0") == path.read_bytes().rstrip(b"\0")


@pytest.mark.parametrize("name", ["a" * 300, "ü" * 60, "deep/" * 40 + "x", "a.b.c"])
def test_any_name_is_kept(tmp_path: Path, name: str) -> None:
    packer, catalogue = Packer(RunFolder(tmp_path), [2], 0, {}), Catalogue(tmp_path / "maps")
    for one in (name, "next"):
        catalogue.add(one, packer.append(2, {"maps": member(f"{one}.png", one.encode())})["maps"])
    packer.close()
    catalogue.seal()
    assert members(tmp_path) == [(f"{one}.png", one.encode()) for one in (name, "next")]
    assert ResultsFolder(tmp_path).stored("maps", name).read() == name.encode()


def test_a_full_shard_is_followed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "LIMIT", 2500)
    journal = run(tmp_path)
    write(journal, 1, 2, 3, rank=1)
    write(journal, 4, 5, rank=1)  # another attempt
    write(journal, 6, rank=0)
    journal.collect(6)
    names = sorted(path.name for path in tmp_path.glob("maps/*.tar"))
    assert names == ["0000-000000.tar", "0001-000000.tar", "0001-000001.tar", "0001-000002.tar"]
    assert members(tmp_path) == expected(6, 1, 2, 3, 4, 5)
    assert [read(tmp_path, index) for index in range(1, 7)] == [content_of(index) for index in range(1, 7)]


@pytest.mark.parametrize("torn", [1, 300, 512, 513, 700, 1024])
def test_what_a_killed_process_left_unnoted_is_written_over(tmp_path: Path, torn: int) -> None:
    """A header in part, a content in part, or a whole file whose note was not written."""
    undisturbed = run(tmp_path / "undisturbed")
    write(undisturbed, 1, 2, 5)
    undisturbed.collect(3)
    journal = run(tmp_path / "killed")
    write(journal, 1, 2)
    path = tmp_path / "killed" / "maps" / "0000-000000.tar"
    with path.open("ab") as file:
        file.write(member("trip/5.png", content_of(5)).bytes[:torn])
    write(journal, 5)
    journal.collect(3)
    assert path.read_bytes() == (tmp_path / "undisturbed" / "maps" / "0000-000000.tar").read_bytes()


def test_what_another_process_left_unnoted_is_cut_off(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 1, rank=3)
    with shard(tmp_path / "maps", 3, 0).open("ab") as file:
        file.write(member("trip/2.png", content_of(2)).bytes[:600])
    shard(tmp_path / "maps", 3, 1).write_bytes(b"torn")  # begun, and nothing noted
    write(journal, 2)  # by one process now
    journal.collect(2)
    assert members(tmp_path) == expected(2, 1)


def test_an_image_that_was_explained_again_counts_once(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 1, 2, content=b"stale")
    write(journal, 3)
    changed = journal.read(lambda note: note["index"] == 3)
    write(journal, 1, 2)
    journal.collect(3, changed)
    found = members(tmp_path)
    assert [name for name, _ in found] == [DEAD, "trip/3.png", "trip/1.png", "trip/2.png"]
    assert found[1:] == expected(3, 1, 2)
    assert read(tmp_path, 1) == content_of(1)


def test_collecting_twice_changes_nothing(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 1, 2, content=b"stale")
    changed = journal.read(lambda note: note["index"] == 2)
    write(journal, 1)
    journal.collect(2, changed)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("maps/*.tar")}
    journal.collect(2)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in tmp_path.glob("maps/*.tar")} == before


def test_nothing_noted_is_written_over_where_the_power_cut_a_shard(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 1, 2, 3)
    path = shard(tmp_path / "maps", 0, 0)
    path.write_bytes(path.read_bytes()[:1300])
    held = journal.read(lambda note: note["index"] == 1)
    assert [span[:2] for span in write(journal, 2, 3)] == [(0, 1), (0, 1)]
    journal.collect(3, held)
    assert members(tmp_path) == expected(1, 2, 3)


def test_a_shard_that_another_run_links_to_stays_as_it_is(tmp_path: Path) -> None:
    journal = run(tmp_path)
    write(journal, 1, 2)
    path = shard(tmp_path / "maps", 0, 0)
    os.link(path, tmp_path / "linked")
    before = (tmp_path / "linked").read_bytes()
    changed = journal.read(lambda note: note["index"] == 2)
    write(journal, 1, content=b"new")
    journal.collect(2, changed)
    assert (tmp_path / "linked").read_bytes() == before
    assert (read(tmp_path, 1), read(tmp_path, 2)) == (b"new", content_of(2))
    assert [name for name, _ in members(tmp_path)] == [DEAD, "trip/2.png", "trip/1.png"]


def test_a_shard_without_notes_is_begun_anew_even_if_it_is_linked(tmp_path: Path) -> None:
    journal = run(tmp_path)
    path = shard(tmp_path / "maps", 0, 0)
    path.parent.mkdir()
    path.write_bytes(b"of another run")
    os.link(path, tmp_path / "linked")
    write(journal, 1)
    assert (tmp_path / "linked").read_bytes() == b"of another run"
    assert members(tmp_path) == expected(1)


def test_a_failed_write_leaves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packer = Packer(RunFolder(tmp_path), [2], 0, {})
    packer.append(2, {"maps": member("trip/1.png", content_of(1))})
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", _full)
        with pytest.raises(OSError, match="no space"):
            packer.append(2, {"maps": member("trip/2.png", content_of(2))})
    packer.append(2, {"maps": member("trip/3.png", content_of(3))})
    packer.close()
    assert members(tmp_path) == expected(1, 3)


def _full(*_: object) -> int:
    raise OSError("no space left on device")


def test_a_write_in_parts_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, place: pwrite(file, content[:100], place))
    packer = Packer(RunFolder(tmp_path), [2], 0, {})
    packer.append(2, {"maps": member("trip/7.png", content_of(7))})
    packer.close()
    assert members(tmp_path) == expected(7)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array"])
def test_a_damaged_index_is_named(tmp_path: Path, content: bytes) -> None:
    journal = run(tmp_path)
    write(journal, 1)
    journal.collect(1)
    path = tmp_path / "maps" / "index.npy"
    assert is_index(path)
    path.write_bytes(content)
    assert not is_index(path)
    with pytest.raises(ValueError, match=r"maps/index\.npy: no index can be read.*run the images again"):
        read(tmp_path, 1)


@pytest.mark.parametrize(
    "span", [(0, 0, 0, -9, 4), (0, 0, 0, 1 << 60, 4), (0, 0, 0, 512, 4_000_000_000), (0, 7, 0, 0, 1)]
)
def test_an_index_that_points_anywhere_ends_in_an_error_that_names_the_image(tmp_path: Path, span: Span) -> None:
    write(run(tmp_path), 1)
    catalogue = Catalogue(tmp_path / "maps")
    catalogue.add("trip/1", Span(*span))
    entries = np.frombuffer(catalogue._bytes, ENTRY)
    np.save(tmp_path / "maps" / "index.npy", entries)
    with pytest.raises((ValueError, FileNotFoundError), match=r"maps/0000-00000.\.tar \(trip/1\)"):
        ResultsFolder(tmp_path).read_map("trip/1")


def test_another_array_is_no_index(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    np.save(tmp_path / "maps" / "index.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"maps/index\.npy is no index of shards"):
        read(tmp_path, 1)


def test_a_file_ends_as_it_should_or_not(tmp_path: Path) -> None:
    (span,) = write(run(tmp_path), 4)
    path = shard(tmp_path / "maps", 0, 0)
    stored = Stored(path, "trip/4", span)
    assert stored.ends_with(b"\4\4")
    assert not stored.ends_with(b"\5")
    path.write_bytes(path.read_bytes()[: span.start + span.size - 1])
    assert not stored.ends_with(b"\4\4")
    assert not Stored(tmp_path / "missing", "a").ends_with(b"")
