"""The concepts on the page of a run and of a diff."""

from pathlib import Path

from nave.diff import main
from nave.report.page import write_report
from tests.runs.test_forming import with_centroids


def test_a_run_shows_each_concept_with_the_regions_nearest_to_it(tmp_path: Path) -> None:
    with_centroids(tmp_path, concepts=3)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    section = page.partition('<section id="concepts"')[2].partition("</section>")[0]
    assert section.count('<article class="concept"') == 3
    assert section.count("data:image/jpeg") == 3 * 4 + 4  # regions, and the images as a whole
    assert write_report(tmp_path).read_text(encoding="utf-8") == page


def test_a_run_without_concepts_has_no_such_section(tmp_path: Path) -> None:
    with_centroids(tmp_path, concepts=0)
    assert 'id="concepts"' not in write_report(tmp_path).read_text(encoding="utf-8")


def test_a_diff_shows_what_became_of_each_concept(tmp_path: Path) -> None:
    for name, concepts in (("before", 3), ("after", 1)):
        with_centroids(tmp_path / name, concepts=concepts, training=name)
    output = tmp_path / "diff"
    assert main([str(tmp_path / "before"), str(tmp_path / "after"), "--output", str(output)]) == 0
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "Concepts, before → after" in page
    assert page.count('<article class="concept"') == 1  # one to one: of three, one is matched
