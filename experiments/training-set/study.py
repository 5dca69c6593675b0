"""Does ImageNet1K put a person cluster into the encoder, and from which K on? See README.md here.

NAVE_DATA=… python experiments/training-set/study.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py


def main() -> None:
    """The command line."""
    given = study.options(__doc__, "training-set", limit=(100, "images of VOC07 trainval"))
    start, data = study.clock(), ("data=voc07", f"loader.limit={given.limit}", "overlays=false", "photographs=null")
    for model in ("efficientnet_lite0", "vits14"):
        study.explain(given.output / "runs" / model, ["random", "default"], f"model={model}", "k=[3,5,7,10]", *data)
    study.compared([given.output / "runs"], given.output, start)


if __name__ == "__main__":
    main()
