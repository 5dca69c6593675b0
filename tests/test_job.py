import sys
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nave.job import quoted, with_quoting_hint


@pytest.mark.parametrize("value", ["/a=b", "/a,b", "/a(b", "/it's", '/a"b', "/a b[1]{2}", "/caf\u00e9:x"])
def test_quoted_values_are_read_as_they_are(value: str) -> None:
    (override,) = OverridesParser.create().parse_overrides([quoted(f"data.root={value}")])
    assert (override.key_or_group, override.value()) == ("data.root", value)


def failing() -> Any:
    sys.exit(1)


@pytest.mark.parametrize(
    ("arguments", "hints"),
    [
        (["k=3", "data.root=/a=b"], ["'data.root=\"/a=b\"'"]),
        (["data.root=/a,b"], ["'data.root=\"/a,b\"'"]),
        (["-m", "k=3,5", "data.root=/a(b"], ["'data.root=\"/a(b\"'"]),
        (["k=[3,5]", "data.root=/a", "--help"], []),
    ],
)
def test_what_hydra_cannot_read_is_quoted(
    arguments: list[str], hints: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nave", *arguments])
    with pytest.raises(SystemExit):
        with_quoting_hint(failing)()
    told = [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()]
    assert told == hints
