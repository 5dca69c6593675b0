"""Reads an offline W&B run back: LevelDB's log format, records of up to several fragments in blocks of 32 KiB."""

import json
import struct
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2 as messages

BLOCK, HEADER = 32768, struct.Struct("<IHB")  # checksum, length, kind of fragment
FULL, FIRST, LAST = 1, 2, 4


@dataclass
class OfflineRun:
    """What the file says, by kind."""

    run: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    artifacts: dict[str, list[str]] = field(default_factory=dict)
    exit_code: int | None = None


def read(folder: Path) -> OfflineRun:
    """The run in an ``offline-run-…`` folder, which W&B may write for a moment more after the end of the run."""
    (path,) = folder.glob("*.wandb")
    deadline = time.monotonic() + 10
    while (run := _read(path)).exit_code is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return run


def _read(path: Path) -> OfflineRun:
    run = OfflineRun()
    for record in map(messages.Record.FromString, _records(path.read_bytes())):
        _add(run, record)
    return run


def _records(content: bytes) -> Iterator[bytes]:
    """The records that are complete."""
    if not content:
        return
    assert content[:4] == b":W&B"
    position, parts = 7, b""
    while position + HEADER.size <= len(content):
        left = BLOCK - position % BLOCK
        if left < HEADER.size:
            position += left
            continue
        checksum, length, kind = HEADER.unpack_from(content, position)
        start = position + HEADER.size
        piece = content[start : start + length]
        if len(piece) < length:
            return
        assert zlib.crc32(bytes([kind]) + piece) == checksum
        position = start + length
        parts = piece if kind in (FULL, FIRST) else parts + piece
        if kind in (FULL, LAST):
            yield parts


def _add(run: OfflineRun, record: Any) -> None:
    match record.WhichOneof("record_type"):
        case "run":
            run.run = record.run
            run.config |= _values(record.run.config.update)
        case "config":
            run.config |= _values(record.config.update)
        case "history":
            run.history.append(_values(record.history.item))
        case "summary":
            run.summary |= _values(record.summary.update)
        case "files":
            run.files += [file.path for file in record.files.files]
        case "artifact":
            run.artifacts[record.artifact.type] = [entry.path for entry in record.artifact.manifest.contents]
        case "exit":
            run.exit_code = record.exit.exit_code


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
