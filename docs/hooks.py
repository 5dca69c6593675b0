"""Adds to the site what does not lie in ``docs/``: notebooks, studies, changelog and pictures; called by mkdocs."""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "build" / "docs"
ROLE = re.compile(r":(?:attr|class|func|meth|mod):<code>|:(?:attr|class|func|meth|mod):(?=`)")


def added() -> Iterator[tuple[str, Path]]:
    """Where on the site each further file goes, and where it lies."""
    yield "changelog.md", ROOT / "CHANGELOG.md"
    for folder, pattern in (("notebooks", "*.ipynb"), ("experiments", "**/*.md"), ("experiments", "**/*.png")):
        yield from ((path.relative_to(ROOT).as_posix(), path) for path in sorted((ROOT / folder).glob(pattern)))
    for kind in ("notebooks/*.md", "notebooks/*/*", "pictures/*.*"):
        yield from ((path.relative_to(BUILT).as_posix(), path) for path in sorted(BUILT.glob(kind)))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files.

    Raises:
        PluginError: if the notebooks' pages or the pictures were not made.
    """
    if not (BUILT / "notebooks").is_dir() or not (BUILT / "pictures").is_dir():
        raise PluginError(f"no notebooks and pictures in {BUILT}: make docs makes them")
    for name, path in added():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Links from the top of the repository lead to the same page from within the site."""
    return markdown.replace("](docs/", "](") if page.file.src_uri == "changelog.md" else markdown


def on_page_content(html: str, **_: object) -> str:
    """Docstrings mark names as Sphinx does; what remains is the name."""
    return ROLE.sub(lambda role: "<code>" if role[0].endswith("<code>") else "", html)
