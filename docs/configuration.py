"""Every group, choice and key of the configuration as Markdown: ``python docs/configuration.py``."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, takewhile, zip_longest
from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"
KEY = re.compile(r"(?P<indent> *)(?P<key>[\w/]+):(?: +(?P<value>[^# ].*?))?(?: +# *(?P<comment>.*))?")
ITEM = re.compile(r" *- (?P<value>.*?)(?: +# .*)?")
HEAD = """# Configuration

Written by `python docs/configuration.py > docs/configuration.md` out of the files in `conf/`: edit those, not this one.
`group=choice` takes a choice of a group, `key=value` sets a key; with `-m`, values between commas are runs.
"""


@dataclass(frozen=True)
class Key:
    """One line of a file: the dotted key, the value as it is written, what the comment beside it says."""

    name: str
    value: str
    comment: str

    @property
    def told(self) -> bool:
        """Whether a person can set it here: no structure, and nothing that only passes on a key of another place."""
        last = self.name.rpartition(".")[2]
        passed_on = re.fullmatch(rf"\$\{{(.*\.)?{last}\}}", self.value) and not self.comment
        return bool(self.value) and not (passed_on or last.startswith("_") or self.name == "defaults")


def keys(text: str) -> list[Key]:
    """The keys that a file sets, in its order; the items of a list are one value."""
    found: list[Key] = []
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        if found and (item := ITEM.fullmatch(line)):
            found[-1] = replace(found[-1], value=", ".join(filter(None, (found[-1].value, item["value"]))))
        elif one := KEY.fullmatch(line):
            above = [(indent, key) for indent, key in above if indent < len(one["indent"])]
            above.append((len(one["indent"]), one["key"]))
            found.append(Key(".".join(key for _, key in above), one["value"] or "", one["comment"] or ""))
    return [key for key in found if key.told]


def header(text: str) -> str:
    """The comment at a file's top, without Hydra's own line; an indented line and ``Word: …`` stay lines."""
    comment = "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    lines = [line[1:].removeprefix(" ") for line in comment.splitlines() if "@package" not in line]
    ends = ["<br>" if apart(*two) else " " for two in pairwise(lines)]
    return "".join(_text(line.strip()) + end for line, end in zip_longest(lines, ends, fillvalue=""))


def apart(line: str, after: str) -> bool:
    """Whether the next line of a comment is no continuation of the sentence."""
    return line.startswith(" ") or after.startswith(" ") or bool(re.match(r"\w+: ", after))


def groups(conf: Path) -> dict[str, list[Path]]:
    """The files of every group, as Hydra names it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(conf.glob("*/**/*.yaml")):
        found.setdefault(path.parent.relative_to(conf).as_posix(), []).append(path)
    return found


def markdown(conf: Path = CONF) -> str:
    """The whole document: a section for every file at the top, then one for every group."""
    mains = sorted(conf.glob("*.yaml"))
    sections = [_main(path) for path in mains]
    sections += [_group(name, defaults(name, mains), paths) for name, paths in groups(conf).items()]
    return "\n".join([HEAD, *sections])


def defaults(group: str, mains: Sequence[Path]) -> list[str]:
    """What the files at the top choose of a group."""
    found = {path.name: re.search(rf"^  - {group}: (\w+)", _read(path), re.MULTILINE) for path in mains}
    return [f"`{group}={one[1]}` in {name}" for name, one in found.items() if one and one[1] != "null"]


def _main(path: Path) -> str:
    rows = [(_code(key.name), _code(key.value), _text(key.comment)) for key in keys(_read(path))]
    return "\n".join([f"## {path.name}\n", *_table(("key", "default", "meaning"), rows), ""])


def _group(name: str, default: Sequence[str], paths: Sequence[Path]) -> str:
    rows = [_choice(name, path) for path in paths]
    told = [f"By default {', '.join(default)}.\n"] if default else []
    return "\n".join([f"## {name}\n", *told, *_table(("choice", "what it is", "keys"), rows), ""])


def _choice(group: str, path: Path) -> tuple[str, ...]:
    text = _read(path)
    prefix = "" if "@package _global_" in text else f"{group.replace('/', '.')}."
    shown = [key for key in keys(text) if (key.name, key.value) != ("name", path.stem)]
    lines = [f"{_code(f'{prefix}{key.name}={key.value}')} {_text(key.comment)}".strip() for key in shown]
    return _code(f"{group}={path.stem}"), header(text), "<br>".join(lines)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for row in (heads, ("---",) * len(heads), *rows):
        yield re.sub(r" +", " ", f"| {' | '.join(row)} |")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _text(text: str) -> str:
    """A file name's angle brackets and a table's bars are no markup."""
    return text.replace("<", "&lt;").replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
