import pytest
from hypothesis import given
from hypothesis import strategies as st

from nave.training.split import held_out


@given(st.lists(st.text("abcd"), min_size=2, unique=True), st.floats(0, 0.9))
def test_every_image_lies_on_one_side(image_ids: list[str], share: float) -> None:
    if round(share * len(image_ids)) == len(image_ids):
        return
    learnt, validated = held_out(image_ids, share)
    assert sorted(learnt + validated) == list(range(len(image_ids)))
    assert len(validated) == (max(1, round(share * len(image_ids))) if share else 0)


def test_the_side_depends_on_the_image_and_not_on_the_order() -> None:
    ids = [f"image{number}" for number in range(50)]
    _, first = held_out(ids, 0.2)
    _, second = held_out(ids[::-1], 0.2)
    assert {ids[position] for position in first} == {ids[::-1][position] for position in second}


@pytest.mark.parametrize("share", [-0.1, 1, 1.5])
def test_an_impossible_share_is_told(share: float) -> None:
    with pytest.raises(ValueError, match=f"validation={share}: give a share"):
        held_out(["a", "b"], share)


def test_something_must_be_left_to_learn_from() -> None:
    with pytest.raises(ValueError, match="of 1 images leaves none"):
        held_out(["a"], 0.1)
