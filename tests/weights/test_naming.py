import pytest

from nave.weights.naming import apart, file_name


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((None,), None),
        (("/runs/seed1/last.pth",), "last"),
        (("model_best.pth.tar",), "model_best.pth"),
        (("/runs/seed1/last.pth", "teacher."), "last-teacher"),
        (("/runs/seed1/last.pth", None, 2), "seed1/last"),
        (("/last.pth", "a.b", 3, True), "last.pth-a.b"),
    ],
)
def test_a_file_is_called_by_the_end_of_its_path(arguments: tuple[str | None], expected: str | None) -> None:
    assert file_name(*arguments) == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], (1, False)),
        (["a.pth", "b.pth", "a.pth"], (1, False)),
        (["a.pth", "a.safetensors"], (1, True)),
        (["one/a.pth", "two/a.pth"], (2, False)),
        (["/x/one/run/a.pth", "/x/two/run/a.pth"], (3, False)),
    ],
)
def test_the_shortest_names_that_tell_files_apart(paths: list[str], expected: tuple[int, bool]) -> None:
    assert apart(paths) == expected
