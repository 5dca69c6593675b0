import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants

from nave.weights import hub
from nave.weights.file import WeightsError
from nave.weights.hub import hub_file

TAG = "test_vit.r160_in1k"
REPOSITORY = "timm/test_vit.r160_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def _point_to(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")


def fill_cache(cache: Path, name: str = "model.safetensors") -> Path:
    """Fills the cache with random weights, as ``hf download`` does."""
    repository = cache / "models--timm--test_vit.r160_in1k"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    tensors = timm.create_model("test_vit").state_dict()
    (safetensors.torch.save_file if name.endswith(".safetensors") else torch.save)(tensors, snapshot / name)
    return snapshot / name


@pytest.fixture
def silent_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A hub that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _point_to(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}")
        yield


@pytest.fixture
def closed_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    _point_to(monkeypatch, f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_cached_file_needs_no_request(empty_cache: Path, closed_hub: None, name: str) -> None:
    expected = fill_cache(empty_cache, name)
    path = hub_file(TAG, REPOSITORY)
    assert path == expected
    assert path.parent.name == COMMIT


def test_a_closed_port_gives_three_solutions(closed_hub: None, empty_cache: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        hub_file(TAG, REPOSITORY)
    message = str(caught.value)
    assert "the weights test_vit.r160_in1k are not in the cache" in message
    assert "http://127.0.0.1" in message
    assert f"1. cache: run `hf download {REPOSITORY} model.safetensors`" in message
    assert str(empty_cache) in message
    assert "2. file" in message
    assert "weights=FILE" in message
    assert "3. packaged: model=vits14 or model=efficientnet_lite0" in message


def test_a_silent_hub_is_a_timeout(silent_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.3)
    with pytest.raises(WeightsError, match=r"TimeoutError no answer within 0\.3 s"):
        hub_file(TAG, REPOSITORY)


@pytest.mark.slow
def test_a_silent_hub_fails_within_fifteen_seconds(silent_hub: None) -> None:
    start = time.monotonic()
    with pytest.raises(WeightsError, match="Three solutions"):
        hub_file(TAG, REPOSITORY)
    assert time.monotonic() - start < 15


def test_offline_mode_gives_the_same_solutions(closed_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"Offline.*(\n.*)*Three solutions"):
        hub_file(TAG, REPOSITORY)


class _Hub(BaseHTTPRequestHandler):
    """The two requests of a download; ``files`` is what the repository holds."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        content = self.files.get(self.path.rpartition("/")[2])
        self.send_response(404 if content is None else 200)
        self.send_header("X-Repo-Commit", COMMIT)
        if content is None:
            self.send_header("X-Error-Code", "EntryNotFound")
        else:
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.files.get(self.path.rpartition("/")[2], b""))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def local_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[_Hub]]:
    handler = type("Hub", (_Hub,), {"files": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        _point_to(monkeypatch, f"http://127.0.0.1:{server.server_port}")
        yield handler
        server.shutdown()


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_file_is_downloaded_once(local_hub: type[_Hub], name: str) -> None:
    local_hub.files = {name: b"some bytes"}
    path = hub_file(TAG, REPOSITORY)
    assert path.read_bytes() == b"some bytes"
    local_hub.files = {}
    assert hub_file(TAG, REPOSITORY) == path


def test_a_repository_without_weights_is_named(local_hub: type[_Hub]) -> None:
    with pytest.raises(WeightsError, match=r"has neither model\.safetensors nor pytorch_model\.bin in timm/test_vit"):
        hub_file(TAG, REPOSITORY)
