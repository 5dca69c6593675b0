"""Names read from timm's source are those that timm registers."""

import timm

from nave.command_line.timm_names import is_unknown, timm_names


def test_they_are_those_of_timm() -> None:
    assert timm_names() == {*timm.list_models()}


def test_what_timm_may_have_is_not_refused() -> None:
    assert is_unknown("resnt50")
    assert is_unknown("resnt50.tv_in1k")
    for architecture in ("resnet50", "resnet50.tv_in1k", "hf-hub:somebody/anything"):
        assert not is_unknown(architecture)
