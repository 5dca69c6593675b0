"""Weights from the Hugging Face hub: the local cache first, then one request with a time limit, then the download."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError

from nave.strict_json import from_json
from nave.weights.file import WeightsError
from nave.weights.packages import PACKAGES
from nave.weights.schemes import HUB

log = logging.getLogger(__name__)
T = TypeVar("T")

# The hub's client alone would wait for minutes: its name look-up has no timeout, and hf_hub_download retries a silent
# hub five times for a minute each. So a metadata request comes first, in a thread that may be left behind.
ANSWER_SECONDS = 7.0  # the fail-over of a name server takes five
FILE_NAMES = ("model.safetensors", "pytorch_model.bin")  # timm's own order
CONFIG = "config.json"


def hub_file(tag: str, repository: str) -> Path:
    """The path of a weights file in the hub's cache, downloaded if necessary; its folder is named by the commit.

    Args:
        tag: timm's name ``architecture.tag``, for messages.

    Raises:
        WeightsError: if the file is not cached and the hub does not answer in ANSWER_SECONDS; names three cures.
    """
    return _found(tag, repository, FILE_NAMES)


def hub_config(name: str) -> dict[str, Any]:
    """What a repository that was pushed by timm says of its network; ``name`` is ``hf-hub:owner/repository``.

    Raises:
        WeightsError: if the repository's config.json is not to be had, or names no network of timm.
    """
    path = _found(name, name.removeprefix(HUB), (CONFIG,))
    config = from_json(path.read_text(encoding="utf-8"), str(path))
    if not isinstance(config, dict) or not isinstance(config.get("architecture"), str):
        raise WeightsError(f"{name} is no network of timm: its {CONFIG} names no architecture")
    return config


def _found(tag: str, repository: str, names: Sequence[str]) -> Path:
    paths = (try_to_load_from_cache(repository, name) for name in names)
    cached = next((Path(path) for path in paths if isinstance(path, str)), None)
    return cached or _download(tag, repository, names)


def _download(tag: str, repository: str, names: Sequence[str]) -> Path:
    for name in names:
        try:
            size = _answer(partial(get_hf_file_metadata, hf_hub_url(repository, name))).size
            log.info("downloading %s (%.0f MB) from the model hub, once", tag, (size or 0) / 1e6)
            return Path(hf_hub_download(repository, name))
        except EntryNotFoundError:
            continue
        except Exception as error:  # the client raises whatever its HTTP library raises
            raise WeightsError(_unavailable(tag, repository, error)) from error
    missing = f"neither {' nor '.join(names)}" if len(names) > 1 else f"no {names[0]}"
    raise WeightsError(f"the model hub has {missing} in {repository}, where timm has {tag}")


def _answer(ask: Callable[[], T]) -> T:
    """The result of ``ask``; raises its error, or TimeoutError after ANSWER_SECONDS."""
    answer: Future[T] = Future()

    def work() -> None:
        try:
            answer.set_result(ask())
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        return answer.result(timeout=ANSWER_SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} s") from error


def _unavailable(tag: str, repository: str, error: Exception) -> str:
    packaged = " or ".join(f"model={package.model}" for package in PACKAGES.values())
    reason = next(iter(str(error).strip().splitlines()), "")
    folder = f"models--{repository.replace('/', '--')}"
    return (
        f"the weights {tag} are not in the cache and could not be downloaded from the model hub "
        f"({constants.ENDPOINT}: {type(error).__name__} {reason}). Three solutions:\n"
        f"  1. cache: run `hf download {repository} {FILE_NAMES[0]}` where the hub can be reached and copy "
        f"{folder} into {constants.HF_HUB_CACHE} (or set HF_HUB_CACHE)\n"
        f"  2. file: get {FILE_NAMES[0]} of {repository} in any other way and add weights=FILE\n"
        f"  3. packaged: {packaged}, whose default weights come from the Python package index"
    )
