import pytest
from hypothesis import given
from hypothesis import strategies as st

from nave.training.build import split


@given(st.lists(st.text("abcd"), min_size=2, unique=True), st.floats(0, 0.9))
def test_every_image_is_in_one_part(image_ids: list[str], share: float) -> None:
    if round(share * len(image_ids)) == len(image_ids):
        return
    train, validation = split(image_ids, share)
    assert sorted(train + validation) == list(range(len(image_ids)))
    assert len(validation) == (max(1, round(share * len(image_ids))) if share else 0)


def test_the_split_depends_on_ids_and_not_on_their_order() -> None:
    ids = [f"image{number}" for number in range(50)]
    _, first = split(ids, 0.2)
    _, second = split(ids[::-1], 0.2)
    assert {ids[position] for position in first} == {ids[::-1][position] for position in second}


@pytest.mark.parametrize("share", [-0.1, 1, 1.5])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=f"validation={share}: give a share"):
        split(["a", "b"], share)


def test_an_image_must_be_left_for_training() -> None:
    with pytest.raises(ValueError, match="of 1 images leaves none"):
        split(["a"], 0.1)
