"""The foreground head against scikit-learn, its file, and what it says of tokens."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from sklearn.linear_model import LogisticRegression

from nave.localization.foreground import NORM, PENALTY, STEP, Card, Foreground, Head, fit, normalised
from nave.localization.switch import switched
from tests.helpers.parts import nave_localizer

CARD = Card(
    model="tiny", architecture="vit", weights_sha256="0" * 64, layer="blocks.1",
    images=[["a", "b"], ["c"]], pixels_sha256="",
)  # fmt: skip


def lessons(images: int = 6, tokens: int = 50, channels: int = 8) -> tuple[list, list]:
    generator = np.random.default_rng(0)
    rows = [generator.normal(size=(tokens, channels)).astype(np.float32) for _ in range(images)]
    inside = [row[:, 0] + 0.5 * generator.normal(size=tokens) > 0.5 for row in rows]
    return rows, inside


def head(channels: int = 3) -> Head:
    weights = np.random.default_rng(0).normal(size=(2, channels + 1)).astype(np.float32)
    return Head(weights, CARD)


def test_the_fit_is_that_of_a_balanced_logistic_regression() -> None:
    rows, inside = lessons()
    shares = [np.where(y, 0.5 / y.sum(), 0.5 / (~y).sum()) / len(rows) for y in inside]
    reference = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=10_000)
    reference.fit(np.concatenate(rows).astype(np.float64), np.concatenate(inside), np.concatenate(shares))
    expected = np.append(reference.coef_[0], reference.intercept_)
    np.testing.assert_allclose(fit(rows, inside), expected, atol=2e-3)


def test_images_with_one_side_alone_teach_nothing() -> None:
    rows, inside = lessons()
    more = [*rows, rows[0] * 5], [*inside, np.ones(len(rows[0]), bool)]
    np.testing.assert_array_equal(fit(*more), fit(rows, inside))
    assert not fit([rows[0]], [np.zeros(len(rows[0]), bool)]).any()


def test_no_image_is_judged_by_the_fold_that_it_taught() -> None:
    one = head()
    np.testing.assert_array_equal(one.coefficients("a"), one.weights[1])
    np.testing.assert_array_equal(one.coefficients("c"), one.weights[0])
    np.testing.assert_allclose(one.coefficients("x"), one.weights.mean(axis=0))


def test_logits_are_those_of_normalised_tokens_in_steps() -> None:
    tokens = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(normalised(tokens).norm(dim=0), torch.full((4, 5), NORM))
    one = head()
    weights = one.coefficients("x")
    expected = np.einsum("chw,c->hw", normalised(tokens).numpy(), weights[:-1]) + weights[-1]
    judged = Foreground(one(tokens, "x").numpy(), (14.0, 14.0))
    np.testing.assert_allclose(judged.logits, np.clip(expected, -8, 8), atol=STEP)


def test_a_line_gives_the_same_logits_back() -> None:
    judged = Foreground(np.arange(-6, 6, dtype=np.int8).reshape(3, 4), (14.0, 16.5))
    again = Foreground.from_line(judged.to_line())
    np.testing.assert_array_equal(again.steps, judged.steps)
    assert again.patch == judged.patch


def test_the_file_holds_head_and_card(tmp_path: Path) -> None:
    one, path = head(), tmp_path / "foreground.safetensors"
    one.save(path)
    again = Head.read(path)
    np.testing.assert_array_equal(again.weights, one.weights)
    assert again.card == CARD
    assert again.sha256 == one.sha256


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_a_file_that_is_no_head_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "head.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"foreground=.*head.safetensors is no foreground head"):
        Head.read(path)


@pytest.mark.parametrize(
    ("weights", "card", "told"),
    [
        (np.full((2, 4), np.nan, np.float32), {}, "not finite"),
        (np.zeros((1, 4), np.float32), {}, r"float32 of shape \(1, 4\) for 2 folds"),
        (np.zeros((2, 4)), {}, "weights are float64"),
        (np.zeros(4, np.float32), {}, "for 2 folds"),
        (np.zeros((2, 4), np.float32), {"images": [["a"], ["a"]]}, "judged by none"),
        (np.zeros((1, 4), np.float32), {"images": [["a"]]}, "judged by none"),
        (np.zeros((2, 4), np.float32), {"images": None}, "images is None, not a list"),
    ],
    ids=str,
)
def test_a_head_that_cannot_judge_every_image_is_refused(
    tmp_path: Path,
    weights: np.ndarray,
    card: dict[str, list[list[str]] | None],
    told: str,
) -> None:
    path = tmp_path / "head.safetensors"
    safetensors.numpy.save_file({"weights": weights}, path, {"card": json.dumps({**CARD, **card})})
    with pytest.raises(ValueError, match=f"is no foreground head.*{told}"):
        Head.read(path)


def test_tokens_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="tokens of 3 channels, and these have 4"):
        head(channels=3)(torch.ones(4, 2, 2), "x")


@pytest.mark.parametrize("key", ["architecture", "weights_sha256", "layer", "seed"])
def test_a_head_of_another_encoder_is_refused(key: str) -> None:
    other = Card(**{**CARD, key: "other"})  # type: ignore[typeddict-item]
    with pytest.raises(ValueError, match=f"its {key} is .*, this one's 'other'"):
        head().check(other, "FILE")
    assert head().check(Card(**{**CARD, "model": "a name"}), "FILE")


@pytest.mark.parametrize(("option", "meant"), [(False, "off"), ("False", "off"), ("off", "off"), ("auto", "auto")])
def test_off_may_be_a_boolean(option: str | bool, meant: str) -> None:
    assert switched(option) == meant
    assert nave_localizer(foreground=option).foreground == meant


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [3]}, {"shape": [-3, -4]}, {"shape": [3, 5]}, {"shape": [0, 0], "logits": ""}, {"logits": "?"},
        {"patch": [14.0]}, {"patch": [0, 14]}, {"patch": [14, 1e300]},
    ],
    ids=str,
)  # fmt: skip
def test_a_line_that_none_of_ours_has_written_is_refused(change: dict) -> None:
    line = Foreground(np.zeros((3, 4), np.int8), (14.0, 16.5)).to_line()
    with pytest.raises(ValueError, match=r"grid|size of a token|base64|padding"):
        Foreground.from_line({**line, **change})  # type: ignore[typeddict-item]
