"""What ``mkdocs build --strict`` cannot see: links outside the site, facts that are told twice, pages that are made."""

import base64
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "experiments").rglob("*.md"))]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_within_the_repository_lead_somewhere(text):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text.read_text(encoding="utf-8"))
    assert [link for link in links if not (text.parent / link).exists()] == []


def test_the_citation_is_that_of_the_readme_and_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert (citation["version"], citation["license"]) == (project["version"], project["license"])
    assert citation["preferred-citation"]["title"] in (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"## {project['version']}\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_a_notebook_becomes_a_page_with_its_pictures_and_without_warnings(tmp_path):
    pytest.importorskip("nbconvert")
    nbformat = pytest.importorskip("nbformat")
    notebooks = pytest.importorskip("docs.notebooks")
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text="a warning"),
        nbformat.v4.new_output("display_data", data={"image/png": PIXEL}),
    ]
    cells = [nbformat.v4.new_markdown_cell("# Title"), nbformat.v4.new_code_cell("draw()", outputs=outputs)]
    notebooks.render(nbformat.v4.new_notebook(cells=cells), "one", tmp_path)
    page = (tmp_path / "one.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"!\[what the cell above draws\]\((.+)\)", page)
    assert (tmp_path / picture).read_bytes() == base64.b64decode(PIXEL)
    assert page.startswith("# Title\n")
    assert "[one.ipynb](one.ipynb)" in page
    assert "a warning" not in page


def test_a_notebook_without_pictures_is_refused(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    notebooks = pytest.importorskip("docs.notebooks")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "empty.ipynb")
    with pytest.raises(ValueError, match=r"empty\.ipynb: no cell shows a picture"):
        notebooks.shown(nbformat.read(tmp_path / "empty.ipynb", as_version=4), tmp_path / "empty.ipynb")


def test_marks_of_names_in_docstrings_are_left_out():
    hooks = pytest.importorskip("docs.hooks")
    assert hooks.on_page_content("made by :func:<code>load</code>") == "made by <code>load</code>"
