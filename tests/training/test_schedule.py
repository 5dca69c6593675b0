import pytest

from nave.training.schedule import warm_cosine


def test_it_rises_in_a_line_and_falls_in_a_cosine() -> None:
    rates = [warm_cosine(step, steps=14, warmup=4) for step in range(15)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert rates[9] == pytest.approx(0.5)
    assert rates[14] == pytest.approx(0)
    assert rates[4:] == sorted(rates[4:], reverse=True)


def test_it_need_not_rise() -> None:
    assert warm_cosine(0, steps=1, warmup=0) == 1
