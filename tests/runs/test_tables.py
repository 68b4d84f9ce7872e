"""Names of others in Markdown and in the terminal are no markup."""

from kvision.runs.tables import escape, measured, print_classes
from kvision.tasks import Metric


def test_markdown():
    assert escape("cat") == "cat"
    assert escape("a|b") == r"a\|b"
    assert escape("<img src=x>") == "&lt;img src=x&gt;"
    assert escape("[a](http://b) `c` *d*") == r"\[a\](http://b) \`c\` \*d\*"
    assert escape("$x$ ~y~") == r"\$x\$ \~y\~"
    assert escape("_it_ snake_case") == r"\_it\_ snake_case"


def test_rich_markup_is_printed_as_it_is(capsys):
    rows = [{"name": name, "f1": 0.5} for name in ("[/b]", "[cat]", "[red]x")]
    print_classes(rows, {"f1": "F1"})
    printed = capsys.readouterr().out
    assert all(row["name"] in printed for row in rows)


def test_figures_have_the_unit_of_their_metric():
    assert measured(0.9713, Metric("share")) == "97.13%"
    assert measured(0.21432, Metric("endpoint error", "px", True)) == "0.214 px"
    assert measured(None, Metric("share")) == "–"
