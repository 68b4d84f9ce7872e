"""Text comes out as it was meant, whoever wrote it."""

import os
import warnings
from xml.etree import ElementTree

import pytest

from kvision.files.text import check_path, decode, printable, read_text, read_xml, readable

MEANT = "chat\nKäse\nOh là là\n"
CHINESE = "猫\n狗\n"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be with a mark"]
)
def test_unicode_comes_out_without_its_mark_or_a_word(tmp_path, encoding):
    content = (
        b"\xfe\xff" + CHINESE.encode("utf-16-be")
        if "mark" in encoding
        else CHINESE.encode(encoding)
    )
    (tmp_path / "a.txt").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_text(tmp_path / "a.txt") == CHINESE


def test_what_is_no_unicode_is_guessed_and_said(tmp_path):
    (tmp_path / "labels.txt").write_bytes(MEANT.encode("cp1252"))
    with pytest.warns(UserWarning, match=r"labels\.txt is not encoded.*cp1252.*'Käse'") as said:
        assert read_text(tmp_path / "labels.txt") == MEANT
    assert len(said) == 1


def test_the_computer_s_own_encoding_goes_before_that_of_western_europe(monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: "gbk")
    with pytest.warns(UserWarning, match="read as gbk"):
        assert decode(CHINESE.encode("gbk"), "names.txt") == CHINESE


def test_bytes_that_no_code_page_has_are_read_all_the_same():
    with pytest.warns(UserWarning, match="latin-1"):
        assert decode(b"a\x81", "a.txt") == "a\x81"


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"PK\0\1")
    with pytest.raises(ValueError, match=r"a\.txt must be a text file"):
        read_text(tmp_path / "a.txt")


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("gb2312", "gb2312"),
        ("GB2312", "gbk"),
        ("gbk", "gb18030"),
        ("Shift_JIS", "cp932"),
        ("iso-8859-1", "ascii"),
        ("gb2312", "utf-8"),
        ("utf-16", "utf-8"),
        ("utf-16", "utf-16"),
        ("UTF-8", "utf-8-sig"),
    ],
)
def test_xml_is_read_as_it_declares(tmp_path, declared, encoding):
    # 鱷 is in GBK, but not in GB2312; what 猫 is in GB2312 is a letter in UTF-8.
    names = {"gb2312": "猫", "gbk": "鱷", "gb18030": "鱷", "ascii": "cat", "cp932": "海だ"}
    name = names.get(encoding, "海")
    text = f"<?xml version='1.0' encoding='{declared}'?>\n<a>{name}</a>"
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert read_xml(tmp_path / "a.xml").startswith("<?xml")
    root = ElementTree.fromstring(read_xml(tmp_path / "a.xml"))
    assert root.text == name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "encoding 'klingon' is unknown"),
        (b"<?xml version='1.0' encoding='zip'?><a/>", "encoding 'zip' is unknown"),
        (b"<?xml version='1.0'?><a>K\xe4se</a>", "does not say what else it is"),
        (b"<?xml version='1.0' encoding='utf-8'?><a>K\xe4se</a>", "says that it is utf-8"),
    ],
)
def test_xml_of_no_encoding_is_refused(tmp_path, content, reason):
    (tmp_path / "a.xml").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_xml(tmp_path / "a.xml")


def test_any_name_of_a_file_can_be_saved():
    assert readable("Käse/猫.png") == "Käse/猫.png"
    assert readable("Käse/\ud83d.png") == "Käse/?.png"  # half of a character, from JSON
    assert readable(os.fsdecode("Käse/".encode() + b"K\xe4se.png")) == "Käse/Käse.png"
    assert readable(os.fsdecode(b"\xff\xfe/\xff\xfe1.png")) == "ÿþ/ÿþ1.png", "no mark of UTF-16"


def test_what_steers_a_terminal_is_escaped():
    assert printable("a\x1b[2J\x07\x9b\r Käse\t猫\n") == r"a\x1b[2J\x07\x9b\r Käse" + "\t猫\n"


def test_a_file_in_the_encoding_of_the_computer_may_hold_its_ends_of_lines(monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: "latin-1")
    with pytest.warns(UserWarning, match="read as latin-1"):
        assert decode(b"a\x85b", "a.txt") == "a\x85b"


def test_paths_that_tensorflow_does_not_take_are_refused():
    check_path("Käse/猫.tflite")
    with pytest.raises(ValueError, match=r"must be valid UTF-8.*udce9.*Rename"):
        check_path(os.fsdecode(b"caf\xe9.tflite"))
