"""How do maps differ between supervised, self-supervised and no training? See README.md here.

python -m experiments.scheme.study
"""

from experiments import study

QUANTITIES = {
    "overlap": ("mask_overlap", "any"),
    "cluster of its own": ("mask_found", "any"),
    "fragmentation": ("fragmentation", ""),
}


def main() -> None:
    """Runs the study."""
    given = study.shapes_options(__doc__, "scheme", seeds=3)
    start = study.clock()
    runs = study.train_and_explain(given, "scheme=supervised,simclr")
    measured = study.measured(runs)
    schemes = ("random", "simclr", "supervised")
    by_scheme = {scheme: [figures for name, figures in measured.items() if scheme in name] for scheme in schemes}
    random, simclr, supervised = lines = study.lines(by_scheme, QUANTITIES)
    gains = [study.differences(simclr, random), study.differences(supervised, simclr)]
    study.finish(given.output, [*lines, *gains], start)
    study.plot(lines, given.output / "figure")
    shown = {scheme: next(run for name, run in runs.items() if scheme in name) for scheme in schemes}
    study.show_maps(given.output, shown, [*shown["random"].lines][:4])


if __name__ == "__main__":
    main()
