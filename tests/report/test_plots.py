import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from nave.report.plots import key, layers_by_k, over_k
from nave.runs.labels import distinguished
from nave.runs.reader import read_runs, runs_at_k
from tests.helpers.pages import write_run, write_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return distinguished(runs_at_k(read_runs([write_sweep(tmp_path_factory.mktemp("sweep"))])))


def test_one_line_for_each_model_and_set_of_layers(sweep):
    assert [name for name, _ in key(sweep)] == [
        *("imagenet1k, layers -1", "imagenet1k, layers -2 -1", "imagenet1k, layers -4 -3 -2 -1"),
        *("random, layers -1", "random, layers -2 -1", "random, layers -4 -3 -2 -1"),
    ]


def test_plots_are_well_formed_and_follow_the_theme(sweep):
    for plot in (over_k(sweep, "corloc"), over_k(sweep, "ap50"), *(plot for _, plot in layers_by_k(sweep, "corloc"))):
        assert plot is not None
        ET.fromstring(plot)
        assert "var(--ink)" in plot
        assert "DejaVu" not in plot
        assert 'role="img" aria-label="' in plot


def test_a_heat_map_prints_its_values(sweep):
    (first, second) = layers_by_k(sweep, "corloc")
    assert (first[0], second[0]) == ("imagenet1k", "random")
    assert f"{sweep[0].scores['corloc']['value']:.1f}" in first[1]


def test_names_are_no_formulas_and_no_markup(sweep):
    renamed = [replace(run, settings=dict(run.settings) | {"layers": f"$x<{run.settings['layers']}"}) for run in sweep]
    ((_, plot), _) = layers_by_k(renamed, "corloc")
    assert "$x&lt;-1" in plot


def test_nothing_is_drawn_without_scores_or_with_one_k(tmp_path):
    alone = distinguished(runs_at_k(read_runs([write_run(tmp_path / "alone")])))
    assert over_k(alone, "corloc") is None
    assert layers_by_k(alone, "corloc") == []
    unknown = distinguished(runs_at_k(read_runs([write_run(tmp_path / "unknown", truth=False, ks=(3, 5))])))
    assert over_k(unknown, "corloc") is None


def test_a_score_without_an_interval_is_a_point(sweep):
    bare = {name: score | {"low": None, "high": None} for name, score in sweep[0].scores.items()}
    without = [replace(run) for run in sweep]
    for run in without:
        object.__setattr__(run, "scores", bare)
    plot = over_k(without, "corloc")
    assert plot is not None
    ET.fromstring(plot)
    assert "nan" not in plot
