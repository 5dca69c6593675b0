"""What do labels put into the maps, and what self-supervision? See README.md here.

python experiments/scheme/study.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py

HEADINGS = {
    "overlap": ("mask_overlap", "any"),
    "cluster of its own": ("mask_found", "any"),
    "scattered pixels": ("scattered", ""),
}


def main() -> None:
    """The command line."""
    given = study.drawn(__doc__, "scheme", seeds=3)
    start = study.clock()
    runs = study.against_untrained(given, "scheme=supervised,simclr")
    measured = study.measured(runs)
    schemes = ("random", "simclr", "supervised")
    found = study.lines({s: [one for name, one in measured.items() if s in name] for s in schemes}, HEADINGS)
    study.finish(
        given.output, [*found, study.differences(found[1], found[0]), study.differences(found[2], found[1])], start
    )
    study.plot(found, given.output / "figure")
    named = {scheme: next(one for name, one in runs.items() if scheme in name) for scheme in schemes}
    study.show_maps(given.output, named, [*named["random"].lines][:4])


if __name__ == "__main__":
    main()
