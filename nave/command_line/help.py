"""``--help`` of nave.run and nave.train, from the files in ``conf/``: what it does, examples, keys, groups."""

import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import yaml

from nave.config import CONF

LINE = re.compile(r"(?P<key> *[\w/]+:(?: +[^# ].*?)?)(?: +# *(?P<comment>.*))?")
KEYS = 30  # width of the column of keys
FOOT = """\
group=choice takes a choice, key=value sets a key;
with -m, values between commas are runs.
  --help data=folder     what choices are, and their keys
  --cfg job              the whole configuration as it would run
  --config-dir FOLDER    own choices: FOLDER/model/mine.yaml is model=mine
  --hydra-help           what Hydra knows besides
  eval "$(nave --completion)"   completes commands, groups and keys in bash"""


def help_text(config_name: str, overrides: Sequence[str] = ()) -> str:
    """The help of ``conf/<config_name>.yaml``, as wide as the terminal.

    Of single choices if ``overrides`` name some.
    """
    width = min(120, shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120)
    text = (CONF / f"{config_name}.yaml").read_text(encoding="utf-8")
    head = [line[1:].removeprefix(" ") for line in _header(text)]
    if chosen := [_described(override, width) for override in overrides if _file(override).is_file()]:
        return "\n".join(chosen)
    body = text[text.index("\n\n") : text.index("\nhydra:")]
    groups = ["Groups, with the choice that is the default in brackets:", *_groups(text, width)]
    return "\n".join([*head, "", "Keys:", *_keys(body, width), "", *groups, "", FOOT])


def _described(override: str, width: int) -> str:
    """The comment and the keys of one choice."""
    text = _file(override).read_text(encoding="utf-8")
    head = "\n".join(line[1:].removeprefix(" ") for line in _header(text))
    return "\n".join([f"{override}: {head}", *_keys(text, width), ""])


def _file(override: str) -> Path:
    group, _, choice = override.partition("=")
    return CONF / group / f"{choice}.yaml"


def _header(text: str) -> list[str]:
    return [line for line in takewhile(lambda line: line.startswith("#"), text.splitlines()) if "@package" not in line]


def _keys(text: str, width: int) -> Iterator[str]:
    """The lines of a file that set keys, their comments beside them."""
    for line in text.splitlines():
        if (found := LINE.fullmatch(line)) and "_target_" not in line:
            left, comment = f"  {found['key']}", found["comment"] or ""
            wrapped = textwrap.wrap(comment, max(20, width - KEYS - 2)) or [""]
            beside = len(left) <= KEYS
            yield f"{left:<{KEYS}}  {wrapped[0]}".rstrip() if beside else left
            yield from (" " * (KEYS + 2) + more for more in wrapped[beside:] if more)


def _groups(text: str, width: int) -> Iterator[str]:
    """The groups of a file's defaults, and the launchers, each with its choices."""
    defaults = [one for one in yaml.safe_load(text)["defaults"] if isinstance(one, dict)]
    chosen = {key.removeprefix("optional ").partition("@")[0]: value for one in defaults for key, value in one.items()}
    for group, default in {**chosen, "hydra/launcher": None}.items():
        names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
        listed = default if isinstance(default, list) else [default]
        marked = ", ".join(f"[{name}]" if name in listed else name for name in names)
        indent = " " * 18
        yield textwrap.fill(marked, width, initial_indent=f"  {group:<16}", subsequent_indent=indent)
