import pytest

from nave.training.training_module import warmup_cosine


def test_the_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    rates = [warmup_cosine(step, steps=14, warmup=4) for step in range(15)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert rates[9] == pytest.approx(0.5)
    assert rates[14] == pytest.approx(0)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_without_warmup_the_rate_starts_at_its_maximum() -> None:
    assert warmup_cosine(0, steps=1, warmup=0) == 1
