"""Makes the pictures of the site, as the photographs may not be committed: ``python docs/pictures.py FOLDER``.

The photographs are those inside scikit-image and scikit-learn (``data=sample``); the networks are the packaged ones.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

import nave
from nave.data.sample import Sample
from nave.runs.reader import read_runs

KS = (2, 3, 5, 7)
MODELS = "vits14,efficientnet_lite0"
DEPTHS = (-12, -8, -4, -1)


def method(folder: Path) -> None:
    """One photograph through the steps of the method."""
    (photograph,) = (image for name, image in photographs() if name == "coffee")
    explainer = nave.load("vits14")
    (activations,) = explainer.activations(photograph)
    (grid,) = activations.grids.values()
    steps = {
        f"{photograph.width} x {photograph.height} pixels": np.asarray(photograph),
        f"{grid.shape[1]} channels on {grid.shape[3]} x {grid.shape[2]} points": components(grid[0].cpu().numpy()),
    }
    row(folder / "activations.png", steps)
    results = {k: explainer(photograph, k=k) for k in KS}
    coloured = nave.coloured([result.maps[0] for result in results.values()])
    row(folder / "k.png", dict(zip((f"K = {k}" for k in KS), coloured, strict=True)))
    boxes = {"the map, K = 3": coloured[KS.index(3)], "the one box": np.asarray(results[3].overlay())}
    row(folder / "boxes.png", boxes)
    row(folder / "layers.png", depths(photograph))


def depths(photograph: Image.Image) -> dict[str, UInt8[np.ndarray, "H W 3"]]:
    """The maps of blocks of different depth, in aligned colours."""
    maps = [nave.load("vits14", layers=[layer])(photograph, k=5).maps[0] for layer in DEPTHS]
    return dict(zip((f"block {13 + layer} of 12" for layer in DEPTHS), nave.coloured(maps), strict=True))


def photographs() -> Iterable[tuple[str, Image.Image]]:
    """The eight sample photographs by name."""
    sample = Sample()
    return ((sample.image_id(index), sample.image(index)) for index in range(len(sample)))


def components(grid: Float[np.ndarray, "C h w"]) -> Float[np.ndarray, "h w 3"]:
    """The three directions in which standardised activations differ most, as red, green and blue from 0 to 1."""
    points = grid.reshape(len(grid), -1).T
    points = (points - points.mean(axis=0)) / (points.std(axis=0) + 1e-6)
    basis, scales, _ = np.linalg.svd(points, full_matrices=False)
    three = basis[:, :3] * scales[:3]
    low, high = np.quantile(three, [0.02, 0.98], axis=0)
    shown: Float[np.ndarray, "n 3"] = ((three - low) / (high - low)).clip(0, 1)
    return shown.reshape(*grid.shape[1:], 3)


def row(path: Path, pictures: dict[str, np.ndarray]) -> None:
    """Draws pictures of one size beside each other, each under its title; readable on light and dark pages."""
    height, width = next(iter(pictures.values())).shape[:2]
    side = 9 / len(pictures)
    page, axes = plt.subplots(1, len(pictures), figsize=(9, side * height / width + 0.3), layout="constrained")
    for ax, (title, picture) in zip(axes, pictures.items(), strict=True):
        ax.imshow(picture, interpolation="nearest", aspect="auto")
        ax.set_title(title, fontsize=9)
        ax.axis("off")
    page.savefig(path, dpi=150, facecolor="white")
    plt.close(page)


def gallery(folder: Path) -> None:
    """The sweep of the README: overlays of every photograph, its page, and a figure of all encoders."""
    sweep = folder / "sweep"
    command(
        "nave.run",
        "-m",
        f"model={MODELS}",
        "training=default,random",
        "k=3,5",
        "report=true",
        f"hydra.sweep.dir={sweep}",
    )
    shutil.copy(sweep / "report.html", folder / "report.html")
    images = ("coffee", "chelsea", "rocket", "flower")
    command("nave.figure", str(sweep), "--k", "5", "--images", *images, "--output", str(folder / "encoders.png"))
    (trained,) = (
        run for run in read_runs([sweep]) if run.record["model"] == "vits14" and run.record["training"] != "random"
    )
    for image_id in trained.at_k[0].lines:
        shutil.copy(trained.at_k[0].results.overlay(image_id), folder / f"{image_id}.jpg")


def command(module: str, *arguments: str) -> None:
    """Runs a command of the package as a user does."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    mpl.use("agg")
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    method(target)
    gallery(target)
