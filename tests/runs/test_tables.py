"""Names of others in Markdown and in the terminal are no markup."""

from kvision.cli import _print_classes
from kvision.runs.tables import escape


def test_markdown():
    assert escape("cat") == "cat"
    assert escape("a|b") == r"a\|b"
    assert escape("<img src=x>") == "&lt;img src=x&gt;"
    assert escape("[a](http://b) `c` *d*") == r"\[a\](http://b) \`c\` \*d\*"
    assert escape("$x$ ~y~") == r"\$x\$ \~y\~"
    assert escape("_it_ snake_case") == r"\_it\_ snake_case"


def test_rich_markup_is_printed_as_it_is(capsys):
    rows = [{"name": name, "f1": 0.5} for name in ("[/b]", "[cat]", "[red]x")]
    _print_classes(rows, {"f1": "F1"})
    printed = capsys.readouterr().out
    assert all(row["name"] in printed for row in rows)
