"""The activation cache: the same activations, computed again when they must be, through crashes and other writers."""

import os
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from nave.encoder.activation_cache import ActivationCache, network_sha256, trim
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations
from tests.helpers.parts import UNTRAINED
from tests.helpers.running import into, nave_run, nave_sweep, photographs, record, results


class Counting(Encoder):
    """An encoder that counts its forward passes."""

    calls = 0

    def forward(self, images: Tensor) -> Activations:
        self.calls += 1
        return super().forward(images)


def encoder(layers=(-1,), seed=0, architecture="test_vit"):
    options = {"dynamic_img_size": True} if architecture == "test_vit" else {}
    return Counting("tiny", architecture, layers, UNTRAINED, options=options, seed=seed)


def images(seed=0, count=2, size=(40, 56)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, *size), dtype=torch.uint8, generator=generator)


def same_activations(activations, expected):
    """Bit for bit, layers in the same order."""
    assert list(activations.grids) == list(expected.grids)
    assert (activations.padded_size, activations.image_size) == (expected.padded_size, expected.image_size)
    return all(torch.equal(activations.grids[name], grid) for name, grid in expected.grids.items())


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("??/*"))


def test_a_second_job_gets_the_same_bits_without_the_encoder(tmp_path):
    expected = encoder((0, -1))(images())
    first, second = encoder((0, -1)), encoder((0, -1))

    computed = ActivationCache(tmp_path)(first, images())
    read = ActivationCache(tmp_path)(second, images())

    assert (first.calls, second.calls) == (1, 0)
    assert same_activations(computed, expected)
    assert same_activations(read, expected)


def test_fewer_layers_in_any_order_are_read_from_those_of_an_earlier_job(tmp_path):
    ActivationCache(tmp_path)(encoder((0, 1, -1)), images())
    for layers in ((-1,), (1, 0), (-1, 0, 1)):
        job = encoder(layers)
        read = ActivationCache(tmp_path)(job, images())
        assert job.calls == 0
        assert same_activations(read, encoder(layers)(images()))


@pytest.mark.parametrize(
    "other",
    [
        (encoder(seed=1), images()),
        (encoder((0,)), images()),
        (encoder(architecture="test_resnet"), images()),
        (encoder(), images(1)),
        (encoder(), images(size=(56, 40))),
        (encoder(), images()[:1]),
    ],
    ids=["weights", "layers", "architecture", "pixels", "shape", "batch"],
)
def test_anything_that_decides_the_numbers_computes_again(tmp_path, other):
    cache = ActivationCache(tmp_path)
    cache(encoder(), images())

    cache(*other)

    assert other[0].calls == 1


def test_other_statistics_compute_again(tmp_path):
    cache, other = ActivationCache(tmp_path), encoder()
    cache(encoder(), images())
    other.mean += 0.1

    cache(other, images())

    assert other.calls == 1


def test_reduced_precision_computes_again(tmp_path):
    cache, other = ActivationCache(tmp_path), encoder()
    cache(encoder(), images())

    with torch.autocast("cpu", torch.bfloat16):
        expected = encoder()(images())
        computed, read = cache(other, images()), cache(other, images())

    assert other.calls == 1
    for name, grid in expected.grids.items():
        assert torch.equal(computed.grids[name], grid.float())
        assert torch.equal(read.grids[name], grid.float())


def test_float16_rounds_the_first_job_too(tmp_path):
    cache = ActivationCache(tmp_path, "float16")

    computed, read = cache(encoder(), images()), cache(encoder(), images())

    exact = encoder()(images()).last
    for activations in (computed, read):
        assert activations.last.dtype == torch.float32
        assert torch.equal(activations.last, exact.half().float())


@pytest.mark.parametrize("content", [b"", b"half a fi", b"\0" * 1000])
def test_a_damaged_entry_is_written_again(tmp_path, content):
    cache, again = ActivationCache(tmp_path), encoder()
    expected = cache(encoder(), images())
    whole = files(tmp_path)[0].read_bytes()
    files(tmp_path)[0].write_bytes(content)

    activations = cache(again, images())

    assert again.calls == 1
    assert files(tmp_path)[0].read_bytes() == whole
    assert same_activations(activations, expected)


def test_a_killed_writer_leaves_no_entry(tmp_path, monkeypatch):
    def killed(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            ActivationCache(tmp_path)(encoder(), images())
    again = encoder()

    ActivationCache(tmp_path)(again, images())

    assert again.calls == 1
    assert len([path for path in files(tmp_path) if path.suffix == ".safetensors"]) == 2


def test_abandoned_partial_files_are_removed_and_recent_ones_left_to_their_writer(tmp_path):
    (tmp_path / "ab").mkdir()
    old, new = tmp_path / "ab" / "x.1.part", tmp_path / "ab" / "y.2.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)

    trim(tmp_path, limit=100)

    assert files(tmp_path) == [new]


def test_the_least_recently_used_entries_are_removed(tmp_path):
    cache, tiny = ActivationCache(tmp_path), encoder()
    for seed in range(4):
        cache(tiny, images(seed, count=1))
    size = files(tmp_path)[0].stat().st_size
    for age, path in enumerate(files(tmp_path)):
        os.utime(path, (1e9 - age,) * 2)
    used = files(tmp_path)[3]
    os.utime(used)

    left = trim(tmp_path, limit=3 * size)

    assert left == 2 * size  # 90 % of three is two whole ones
    assert used in files(tmp_path)


def test_reading_counts_as_use(tmp_path):
    cache = ActivationCache(tmp_path)
    cache(encoder(), images(count=1))
    os.utime(files(tmp_path)[0], (1e9, 1e9))

    cache(encoder(), images(count=1))

    assert files(tmp_path)[0].stat().st_mtime > 1e9 + 1


def test_the_folder_stays_below_its_limit(tmp_path):
    tiny = encoder()
    ActivationCache(tmp_path)(tiny, images(count=1))
    size = files(tmp_path)[0].stat().st_size
    cache = ActivationCache(tmp_path, limit_gb=3.5 * size / 1e9)

    for seed in range(1, 9):
        cache(tiny, images(seed, count=1))
        assert sum(path.stat().st_size for path in files(tmp_path)) <= cache.limit

    assert len(files(tmp_path)) == 3


def test_an_entry_beyond_the_limit_is_not_kept(tmp_path):
    ActivationCache(tmp_path, limit_gb=1e-8)(encoder(), images())
    assert files(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"file.*leave out cache="):
        ActivationCache(tmp_path / "file")(encoder(), images())


def test_the_digest_depends_on_structure_and_tensors():
    assert network_sha256(encoder().network) == network_sha256(encoder().network)
    assert len({network_sha256(encoder(seed=seed).network) for seed in range(3)}) == 3


def test_a_run_with_the_cache_writes_the_same_bytes(tmp_path):
    data, cache = photographs(tmp_path / "data"), f"cache={tmp_path / 'cache'}"

    for name, extra in {"without": [], "first": [cache], "second": [cache]}.items():
        assert nave_run(*data, into(tmp_path / name), *extra) == 0

    assert results(tmp_path / "without") == results(tmp_path / "first") == results(tmp_path / "second")
    assert len(files(tmp_path / "cache")) == 4


def test_a_sweep_over_k_encodes_once(tmp_path, monkeypatch):
    calls = []
    forward = Encoder.forward
    monkeypatch.setattr(Encoder, "forward", lambda self, images: calls.append(1) or forward(self, images))
    data = photographs(tmp_path / "data")

    assert nave_sweep(tmp_path / "out", *data, "k=[2],[3],[4]", f"cache={tmp_path / 'cache'}") == 0

    assert len(calls) == 4


def test_a_dtype_without_cache_is_refused(tmp_path):
    data = photographs(tmp_path / "data", count=1)
    assert nave_run(*data, into(tmp_path / "out"), "cache_dtype=float16") == 1
    assert "give cache=FOLDER" in record(tmp_path / "out")["error"]
