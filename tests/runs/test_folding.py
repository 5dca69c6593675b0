import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from nave.runs.folding import folded


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("k=3,5,7", "k=[3,5,7]"),
        ("k=range(3,8,2)", "k=[3,5,7]"),
        ("k=choice(auto,5)", "k=[auto,5]"),
        ("k=5", "k=5"),
        ("k=[3,5]", "k=[3,5]"),
        ("k=[3],[5]", "k=[3],[5]"),
        ("k=2,[3,4]", "k=2,[3,4]"),
        ("k=2,0", "k=2,0"),
        ("k=2,2", "k=2,2"),
    ],
)
def test_numbers_become_a_list(given: str, expected: str) -> None:
    assert folded(OverridesParser.create().parse_override(given)) == expected
