from pathlib import Path

from docs.configuration import Key, header, keys, markdown

DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
MAIN = """\
defaults:
  - _self_
  - data: letters

k: 5                # clusters: a number
part:
  _target_: nave.part.Part
  k: ${k}
  size: [1, 2]
layers: ${data.layers}  # indices
"""
CHOICE = """\
# @package _global_
# Letters <a|b>,
# of one writer.
# Command:  python -m nave.run
#           python -m nave.run -m
name: letters
setup:
  - one  # first
  - two
"""


def test_the_document_is_that_of_the_files():
    command = "python docs/configuration.py > docs/configuration.md"
    assert DOCUMENT.read_text(encoding="utf-8") == markdown(), f"run: {command}"


def test_keys_have_their_value_and_comment_and_structure_is_left_out():
    assert keys(MAIN) == [
        Key("k", "5", "clusters: a number"),
        Key("part.size", "[1, 2]", ""),
        Key("layers", "${data.layers}", "indices"),
    ]
    assert keys(CHOICE)[1] == Key("setup", "one, two", "")


def test_a_header_is_text_whose_commands_stay_lines():
    assert (
        header(CHOICE) == "Letters &lt;a\\|b>, of one writer.<br>Command:  python -m nave.run<br>python -m nave.run -m"
    )
    assert header("name: x\n# no header\n") == ""


def test_a_group_names_its_default_and_its_choices(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "config.yaml").write_text(MAIN)
    (tmp_path / "data" / "letters.yaml").write_text(CHOICE)
    text = markdown(tmp_path)
    assert "## data\n\nBy default `data=letters` in config.yaml.\n\n| choice |" in text
    assert "| `data=letters` | Letters" in text
    assert text.endswith("| `setup=one, two` |\n")
