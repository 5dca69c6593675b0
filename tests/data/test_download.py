"""Downloads from a local server that breaks off, resumes or refuses on demand."""

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nave.data import download as module
from nave.data import stl10, voc
from nave.data.download import Download, DownloadError, fetch
from tests.helpers.datasets import configured, write_stl10, write_voc

CONTENT = bytes(range(256)) * 300


@dataclass
class Server:
    content: bytes = CONTENT
    ranges: bool = True
    break_after: int | None = None  # bytes of one answer
    status: int = 200
    requests: list[str | None] = field(default_factory=list)  # the Range header of each
    url: str = ""


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            range_header = self.headers["Range"]
            server.requests.append(range_header)
            start = int(re.findall(r"\d+", range_header)[0]) if range_header and server.ranges else 0
            if server.status != 200 or start >= len(server.content) > 0:
                self.send_error(server.status if server.status != 200 else 416)
                return
            body = server.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: server.break_after])

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    settings = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler(settings))
    settings.url = f"http://127.0.0.1:{http.server_port}/data.bin"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield settings
    http.shutdown()
    thread.join()
    http.server_close()


def download_of(server: Server, target: Path, member: str | None = None, algorithm: str = "sha256") -> Download:
    digest = hashlib.new(algorithm, server.content).hexdigest()
    return Download(server.url, f"{algorithm}:{digest}", target, member)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_file_arrives_whole(server: Server, tmp_path: Path, ranges: bool, algorithm: str) -> None:
    server.ranges = ranges
    fetch(download_of(server, tmp_path / "deep" / "file.txt", algorithm=algorithm))
    assert (tmp_path / "deep" / "file.txt").read_bytes() == CONTENT
    assert visible(tmp_path / "deep") == ["file.txt"]


def test_an_existing_target_needs_no_request(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("mine")
    fetch(download_of(server, tmp_path / "file.txt"))
    assert (server.requests, (tmp_path / "file.txt").read_text()) == ([], "mine")


def test_a_broken_connection_is_resumed_at_once(server: Server, tmp_path: Path) -> None:
    server.break_after = 30_000
    fetch(download_of(server, tmp_path / "file.txt"))
    assert (tmp_path / "file.txt").read_bytes() == CONTENT
    assert server.requests == [None, "bytes=30000-", "bytes=60000-"]


def test_a_server_without_ranges_starts_over_and_then_stops(server: Server, tmp_path: Path) -> None:
    server.ranges, server.break_after = False, 30_000
    with pytest.raises(DownloadError, match="stopped after 30000 bytes; run the same command again"):
        fetch(download_of(server, tmp_path / "file.txt"))
    assert not (tmp_path / "file.txt").exists()
    server.break_after = None
    fetch(download_of(server, tmp_path / "file.txt"))
    assert (tmp_path / "file.txt").read_bytes() == CONTENT


def test_the_next_run_continues(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.txt.part").write_bytes(CONTENT[:50_000])
    fetch(download_of(server, tmp_path / "file.txt"))
    assert (server.requests, (tmp_path / "file.txt").read_bytes()) == (["bytes=50000-"], CONTENT)


def test_a_complete_part_is_verified_and_used(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.txt.part").write_bytes(CONTENT)
    fetch(download_of(server, tmp_path / "file.txt"))
    assert (tmp_path / "file.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("begun", [b"", b"x" * 1000, b"x" * len(CONTENT), b"x" * 999_999])
def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path, begun: bytes) -> None:
    download = Download(server.url, "md5:" + "0" * 32, tmp_path / "file.txt")
    (tmp_path / "file.txt.part").write_bytes(begun)
    with pytest.raises(DownloadError, match=r"data\.bin: md5 is [0-9a-f]{32}, not 0{32}; the download was deleted"):
        fetch(download)
    assert not [name for name in visible(tmp_path) if not name.endswith(".lock")]


@pytest.mark.parametrize("status", [404, 503])
def test_a_refusing_server(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(DownloadError, match=rf"data\.bin: the server answers {status} "):
        fetch(download_of(server, tmp_path / "file.txt"))
    assert not [name for name in visible(tmp_path) if not name.endswith(".lock")]


def test_an_unreachable_server(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:1/x cannot be reached: .*refused"):
        fetch(Download("http://127.0.0.1:1/x", "md5:0", tmp_path / "file.txt"))


def tar(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


MEMBERS = {"VOCdevkit/VOC2007/a/1.txt": b"one", "VOCdevkit/VOC2007/2.txt": b"two", "other.txt": b"three"}


@pytest.mark.parametrize("pack", [tar, zipped])
@pytest.mark.parametrize("member", ["VOCdevkit/VOC2007", "VOCdevkit/VOC2007/2.txt"])
def test_one_member_of_an_archive(server: Server, tmp_path: Path, pack: object, member: str) -> None:
    assert callable(pack)
    server.content = pack(MEMBERS)
    (tmp_path / "data.bin").write_text("a file of the user's")
    fetch(download_of(server, tmp_path / "target", member))
    assert visible(tmp_path) == ["data.bin", "target"]
    file = tmp_path / "target" / "2.txt" if member.endswith("2007") else tmp_path / "target"
    assert file.read_bytes() == b"two"


def test_a_killed_unpacking_is_repeated(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = tar(MEMBERS)
    download = download_of(server, tmp_path / "target", "VOCdevkit/VOC2007")
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "rmtree", lambda *_, **__: None)  # no clean-up after a kill
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch(download)
    assert not (tmp_path / "target").exists()
    fetch(download)
    assert (tmp_path / "target" / "2.txt").read_bytes() == b"two"
    assert visible(tmp_path) == ["target"]


@pytest.mark.skipif(not hasattr(tarfile, "data_filter"), reason="Python before 3.11.4 unpacks without a filter")
def test_an_archive_with_a_member_outside_of_its_folder(server: Server, tmp_path: Path) -> None:
    server.content = tar({"../evil.txt": b"evil"})
    with pytest.raises(tarfile.OutsideDestinationError):
        fetch(download_of(server, tmp_path / "deep" / "target", "x"))
    assert not (tmp_path / "evil.txt").exists()
    assert not (tmp_path / "deep" / "evil.txt").exists()


def test_concurrent_calls_download_once(server: Server, tmp_path: Path) -> None:
    server.content = tar(MEMBERS)
    download = download_of(server, tmp_path / "target", "VOCdevkit/VOC2007")
    threads = [threading.Thread(target=fetch, args=(download,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert visible(tmp_path) == ["target"]


def test_voc_is_downloaded_on_request(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = packed_folder(write_voc(tmp_path / "source"))
    digest = hashlib.md5(server.content).hexdigest()
    monkeypatch.setitem(voc._ARCHIVES, 2007, (server.url, f"md5:{digest}"))
    dataset = configured("voc07", root=tmp_path / "root", download=True)
    assert server.requests == []  # only when prepared
    dataset.prepare()
    assert (len(dataset), len(configured("voc07", root=tmp_path / "root"))) == (1, 1)
    dataset.prepare()
    assert len(server.requests) == 1


def test_stl10_is_downloaded_on_request(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = packed_folder(write_stl10(tmp_path / "source"))
    monkeypatch.setattr(stl10, "_URL", server.url)
    monkeypatch.setattr(stl10, "_MD5", f"md5:{hashlib.md5(server.content).hexdigest()}")
    dataset = configured("stl10", root=tmp_path / "root", download=True)
    dataset.prepare()
    assert len(dataset) == 3


def test_coco20k_downloads_list_json_and_images(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Download] = []
    monkeypatch.setattr("nave.data.coco.fetch", asked.append)
    with pytest.raises(FileNotFoundError, match="coco20k not found"):
        configured("coco20k", root=tmp_path, download=True).prepare()
    assert [download.target.relative_to(tmp_path).as_posix() for download in asked] == [
        "coco/coco_20k_filenames.txt",
        "coco/annotations/instances_train2014.json",
        "coco/train2014",
    ]


def packed_folder(folder: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.add(folder, arcname=".")
    return packed.getvalue()
