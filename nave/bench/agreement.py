"""Maps and scores of the GPU against those of the CPU in float32, on photographs with boxes."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_rand_score

from nave.bench.cases import VOC07, Bench
from nave.bench.end_to_end import Figures
from nave.runs.files import read_json
from nave.runs.layout import RunFolder
from nave.runs.prediction import read_lines

SCORES = ("corloc", "nave")


@dataclass(frozen=True)
class Agreement:
    """The CPU explains the images once; each precision of the GPU is compared with that."""

    bench: Bench

    def __call__(self, precision: str) -> Figures:
        """ARI of the maps, and percent of both devices' scores."""
        if self.bench.device.type != "cuda":
            return {f"agreement_{precision}_skipped": "no CUDA device"}
        case = self.bench.case("native", precision)
        folder = self._explained("trainer.accelerator=cuda", *case.options)
        return {
            **compare(self.reference, folder, f"agreement_{precision}"),
            **_scores(self.reference, "cpu_float32"),
            **_scores(folder, f"gpu_{precision}"),
        }

    @cached_property
    def reference(self) -> RunFolder:
        """The run on the CPU."""
        return self._explained("trainer.accelerator=cpu")

    def _explained(self, *options: str) -> RunFolder:
        voc = Path(os.environ.get("NAVE_DATA", ""), VOC07).is_dir()
        data = ("data=voc07" if voc else "data=sample", f"loader.limit={self.bench.scored}")
        return self.bench.run(*options, data=data)[1]


def compare(reference: RunFolder, other: RunFolder, key: str) -> Figures:
    """ARI of the maps of two runs at one K: mean, lowest, and the share of images above 0.99."""
    maps = [reference.at(None, [None]), other.at(None, [None])]
    names = sorted(line["image_id"] for line in read_lines(maps[0]))
    scores = [float(adjusted_rand_score(*(run.read_map(name).ravel() for run in maps))) for name in names]
    return {
        f"{key}_images": len(scores),
        f"{key}_mean_ari": float(np.mean(scores)),
        f"{key}_lowest_ari": min(scores),
        f"{key}_share_above_99": float(np.mean([score > 0.99 for score in scores])),
    }


def _scores(folder: RunFolder, key: str) -> Figures:
    scores = read_json(folder.at(None, [None]).metrics)
    return {f"{name}_{key}_percent": scores[name]["value"] for name in SCORES if scores[name]["value"] is not None}
