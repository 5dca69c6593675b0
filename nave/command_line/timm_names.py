"""The names of timm's networks, read from its source: to import timm takes seconds, and a typo need not wait for it."""

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

REGISTERED = re.compile(r"^@register_model\s*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
HUB = ("hf-hub:", "hf_hub:", "local-dir:")  # places of which timm's source knows nothing


@cache
def timm_names() -> frozenset[str]:
    """As ``timm.list_models()``; empty where timm's source is not what it was, so that nothing can be said."""
    timm = find_spec("timm")
    if timm is None or timm.origin is None:
        return frozenset()
    sources = (Path(timm.origin).parent / "models").glob("*.py")
    return frozenset(name for path in sources for name in REGISTERED.findall(path.read_text(encoding="utf-8")))


def is_unknown(architecture: str) -> bool:
    """Whether timm certainly has no such network, with or without a tag."""
    names = timm_names()
    return bool(names) and not architecture.startswith(HUB) and architecture.partition(".")[0] not in names
