"""Constraints that pin what users need to the lowest versions that pyproject.toml allows."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [some for name, some in project["optional-dependencies"].items() if name not in ("test", "dev", "docs", "gpu")]
for requirement in (one for group in (project["dependencies"], *extras) for one in group):
    if bound := re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)", requirement):
        print(f"{bound[1]}=={bound[2]}")
