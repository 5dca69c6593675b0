from pathlib import Path

import pytest

from nave.data.errors import MalformedData
from nave.data.text import read_list, read_rows, read_text


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfImage Index,\xc3\xa9\r\n")
    assert read_rows(tmp_path / "a.csv") == [["Image Index", "é"]]


def test_other_encodings_name_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("one\ntwo\ncaf\xe9\n".encode("latin-1"))
    with pytest.raises(MalformedData, match=r"a\.csv, line 3: not UTF-8 .*; save it as UTF-8"):
        read_text(tmp_path / "a.csv")


def test_a_list_without_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_bytes(b"000005 \r\n\r\n000007\n\n")
    assert read_list(tmp_path / "ids.txt") == ["000005", "000007"]


def test_a_repeated_entry_names_both_lines(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("a\nb\n\na\n")
    with pytest.raises(MalformedData, match=r"ids\.txt, line 4: 'a' is already on line 1"):
        read_list(tmp_path / "ids.txt")


def test_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("\n")
    with pytest.raises(MalformedData, match=r"ids\.txt: no entry"):
        read_list(tmp_path / "ids.txt")


def test_broken_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('a,"b\n')
    with pytest.raises(MalformedData, match=r"a\.csv: broken CSV: unexpected end of data"):
        read_rows(tmp_path / "a.csv")
