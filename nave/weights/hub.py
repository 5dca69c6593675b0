"""Weights from the model hub: the local cache first, then one bounded question, then the download."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TypeVar

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)
from huggingface_hub.errors import EntryNotFoundError

from nave.weights.error import WeightsError
from nave.weights.packages import PACKAGES

log = logging.getLogger(__name__)
T = TypeVar("T")

# The hub client alone would wait for minutes: its name look-up has no limit, and hf_hub_download asks a
# silent hub five times more, a minute each. So the question is put first, in a thread that may stay behind.
ANSWER_SECONDS = 7.0  # a name server that fails over takes five
FILE_NAMES = ("model.safetensors", "pytorch_model.bin")  # timm's own order


def hub_file(tag: str, repository: str) -> Path:
    """The weights file of a timm name `architecture.tag`; its folder is named after the repository's commit.

    If it is not cached and the hub does not answer, raises WeightsError with three ways on in ANSWER_SECONDS.
    """
    return _cached(repository) or _download(tag, repository)


def _cached(repository: str) -> Path | None:
    found = (try_to_load_from_cache(repository, name) for name in FILE_NAMES)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _download(tag: str, repository: str) -> Path:
    for name in FILE_NAMES:
        try:
            size = _answer(partial(get_hf_file_metadata, hf_hub_url(repository, name))).size
            log.info("fetching %s (%.0f MB) from the model hub, once", tag, (size or 0) / 1e6)
            return Path(hf_hub_download(repository, name))
        except EntryNotFoundError:
            continue
        except Exception as error:  # the client lets through whatever its HTTP library of the day raises
            raise WeightsError(_ways_on(tag, repository, error)) from error
    raise WeightsError(f"the model hub has neither {' nor '.join(FILE_NAMES)} in {repository}, where timm has {tag}")


def _answer(ask: Callable[[], T]) -> T:
    """What `ask` returns or raises, or TimeoutError after ANSWER_SECONDS."""
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


def _ways_on(tag: str, repository: str, error: Exception) -> str:
    packaged = " or ".join(f"model={package.model}" for package in PACKAGES.values())
    reason = next(iter(str(error).strip().splitlines()), "")
    folder = f"models--{repository.replace('/', '--')}"
    return (
        f"the weights {tag} are not in the cache and could not be had from the model hub "
        f"({constants.ENDPOINT}: {type(error).__name__} {reason}). Three ways on:\n"
        f"  1. cache: run `hf download {repository} {FILE_NAMES[0]}` where the hub can be reached and copy "
        f"{folder} into {constants.HF_HUB_CACHE} (or set HF_HUB_CACHE)\n"
        f"  2. file: get {FILE_NAMES[0]} of {repository} in any other way and add weights=FILE\n"
        f"  3. packaged: {packaged}, whose default weights come from the Python package index"
    )
