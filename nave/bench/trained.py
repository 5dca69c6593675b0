"""A training of two epochs on drawn shapes, killed and resumed, and its encoder explained."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from nave.bench.cases import Bench
from nave.bench.end_to_end import Figures
from nave.runs.files import read_json
from nave.runs.layout import RunFolder

OPTIONS = ("model=resnet18", "data=shapes", "epochs=2", "trainer.precision=bf16-mixed", "logger=[]")
POLL = 0.005  # seconds


def training(bench: Bench) -> Figures:
    """Seconds without start-up; ``equal`` is 1 if the resumed training ends with the bytes of an uninterrupted one."""
    root = bench.folder / "trainings"
    whole, cut = root / "whole" / "shapes", root / "cut" / "shapes"
    uninterrupted = _start(bench, whole)  # at the same time, since most of a command's time is its start
    try:
        _kill_after_first_epoch(_start(bench, cut), cut / "last.ckpt")
        _finish(_start(bench, cut))
        _finish(uninterrupted)
    finally:
        uninterrupted.kill()
    cards = [read_json(path.with_suffix(".json")) for path in (whole, cut)]
    return {
        "train_seconds": read_json(RunFolder(whole).record)["seconds"]["total"],
        "train_resumed_equal": float(cards[0]["sha256"] == cards[1]["sha256"]),
        **{f"train_{name.replace('/', '_')}": value for name, value in cards[1]["metrics"].items()},
        **_explained(bench, cut.with_suffix(".safetensors"), cards[1]["model"]),
    }


def _start(bench: Bench, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "nave.train", *OPTIONS, *bench.trained, f'hydra.run.dir="{folder}"']
    root = str(Path(__file__).parents[2])  # a checkout that is not installed is found from the other folder
    path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": path}
    return subprocess.Popen(
        command, cwd=bench.folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def _finish(process: "subprocess.Popen[str]") -> None:
    output, _ = process.communicate(timeout=120)
    if process.returncode:
        raise RuntimeError(f"nave.train ended with {process.returncode}: {output.strip()[-500:]}")


def _kill_after_first_epoch(process: "subprocess.Popen[str]", checkpoint: Path) -> None:
    while not checkpoint.exists():
        if process.poll() is not None:
            _finish(process)
            raise RuntimeError("the training ended before it could be killed: give it more images")
        time.sleep(POLL)
    process.kill()
    process.communicate()


def _explained(bench: Bench, weights: Path, model: str) -> Figures:
    options = (f"model={model}", f'training="{weights}"', "k=3", "loader.batch_size=16")
    kept = tuple(option for option in bench.overrides if option.startswith("trainer."))
    trained = replace(bench, folder=bench.folder / "trained", overrides=kept)
    record, folder = trained.run(*options, data=("data=shapes", "data.images=64"))
    corloc = read_json(folder.path / "metrics.json")["corloc"]["value"]
    return {"train_explained_images": record["images"], "train_explained_corloc_percent": corloc}
