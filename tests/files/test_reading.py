"""Every failure of a reader names its file."""

import pytest

from kvision.files.reading import MEMORY, check_memory, reading


@pytest.mark.parametrize(
    "error",
    [KeyError("id"), IndexError("7"), RecursionError(), OverflowError("int"), OSError("truncated")],
    ids=lambda error: type(error).__name__,
)
def test_any_error_becomes_one_that_names_the_file(tmp_path, error):
    message = r"^Boxes .*a\.csv cannot be read: .+\. Check the file"
    with pytest.raises(ValueError, match=message), reading(tmp_path / "a.csv", "Boxes"):
        raise error


def test_what_names_the_file_passes(tmp_path):
    caught = pytest.raises(ValueError, match=r"^a\.csv, line 3")
    with caught as error, reading(tmp_path / "a.csv", "Boxes"):
        raise ValueError("a.csv, line 3 has no box")
    assert error.value.__cause__ is None


def test_the_system_s_refusals_pass(tmp_path):
    with pytest.raises(FileNotFoundError), reading(tmp_path / "a.csv", "Boxes"):
        (tmp_path / "a.csv").read_text()


def test_memory_in_proportion(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"png")
    check_memory(file, MEMORY, "The picture")
    with pytest.raises(ValueError, match=r"The picture in .*a\.png must fit into 1\.07 GB"):
        check_memory(file, MEMORY + 1, "The picture")
    with open(file, "r+b") as large:
        large.truncate(MEMORY)  # a file that large on disk may take that much
    check_memory(file, 20 * MEMORY, "The picture")
