"""Class names are one line of printable text each."""

import pytest

from kvision.files.names import check_names


def test_names_of_any_language_pass():
    names = ["cat", "Käse 3/4", "猫", r"$\frac$", "[/b]", "<b>", "a" * 500, "🐈"]
    assert check_names(names) == names


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("a\nb", r"has the character '\\n'"),
        ("\x1b[2J", r"has the character '\\x1b'"),
        ("a\u2028b", "has the character"),
        ("\ud800", r"has the character '\\ud800'"),
        ("a" * 501, "has 501 characters"),
        (7, "is no text"),
    ],
)
def test_names_that_cannot_be_printed(name, reason):
    with pytest.raises(ValueError, match=f"position 1, which {reason}") as error:
        check_names(["good", name])
    str(error.value).encode("ascii")  # it can itself be printed anywhere
