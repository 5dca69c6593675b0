"""Executes a notebook and renders it for the site: ``python docs/notebooks.py notebooks/NAME.ipynb FOLDER``."""

import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat

SECONDS = 900  # the watermark's two trainings take two minutes on one core


def execute(path: Path) -> nbformat.NotebookNode:
    """Runs a notebook from top to bottom in an empty folder.

    Raises:
        nbclient.exceptions.CellExecutionError: for a cell that fails.
        ValueError: if no cell shows a picture.
    """
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}).execute()
    return shown(notebook, path)


def shown(notebook: nbformat.NotebookNode, path: Path) -> nbformat.NotebookNode:
    """The notebook; raises ValueError if no cell shows a picture."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    if not any("image/png" in output.get("data", {}) for output in outputs):
        raise ValueError(f"{path}: no cell shows a picture")
    return notebook


def render(notebook: nbformat.NotebookNode, name: str, folder: Path) -> None:
    """Writes ``NAME.md`` and its pictures, and links the notebook itself, which lies beside them on the site."""
    from nbconvert import MarkdownExporter

    for cell in notebook.cells:  # warnings name places on this machine
        cell.outputs = [output for output in cell.get("outputs", []) if output.get("name") != "stderr"]
    resources = {"unique_key": name, "output_files_dir": f"{name}_files"}
    text, written = MarkdownExporter().from_notebook_node(notebook, resources=resources)
    title, _, rest = text.partition("\n")
    note = f"*Executed when this site was built: [{name}.ipynb]({name}.ipynb).*"
    (folder / f"{name}_files").mkdir(parents=True, exist_ok=True)
    for file, content in written["outputs"].items():
        (folder / file).write_bytes(content)
    page = f"{title}\n\n{note}\n{rest}".replace("![png]", "![what the cell above draws]")
    (folder / f"{name}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    render(execute(source), source.stem, target)
