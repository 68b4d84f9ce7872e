"""What the training scripts share: their flags, and errors in a line."""

import sys

import pytest

from kvision.runs import arguments, scripts


@pytest.fixture
def parser():
    return scripts.parser("Trains.", "a folder", "run", "LeNet5", 32, 2, backbone="to build on")


def test_values_and_sizes(parser):
    given = ["scenes", "--option", "alpha=0.5", "--option", "padding=same", "--size", "96x128"]
    args = parser.parse_args([*given, "--split", "train=train[:15]"])
    assert dict(args.option) == {"alpha": 0.5, "padding": "same"}
    assert args.size == (96, 128)
    assert dict(args.split) == {"train": "train[:15]"}
    assert parser.parse_args(["scenes"]).size == (32, 32)
    assert scripts.data_options(args, annotations="masks")["size"] == (96, 128)
    args.data, args.data_option = "photos", [("void", 0)]
    assert scripts.data_options(args, annotations="masks") == {"annotations": "masks", "void": 0}


@pytest.mark.parametrize(
    ("function", "text", "said"),
    [
        (arguments.named_value, "alpha", "An option must be NAME=VALUE. Received: alpha"),
        (arguments.size, "axb", "A size must be pixels such as 128 or 96x128. Received: axb"),
        (arguments.size, "1x2x3", "Received: 1x2x3"),
        (arguments.size, "0", "Received: 0"),
    ],
)
def test_wrong_values(function, text, said):
    with pytest.raises(ValueError, match=said):
        function(text)


def test_a_wrong_flag_is_told(parser, capsys):
    with pytest.raises(SystemExit):
        parser.parse_args(["scenes", "--size", "big"])
    assert "A size must be pixels" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("wrong"), 2), (ImportError("wrong"), 2), (OSError("wrong"), "wrong")],
)
def test_errors_are_told_in_a_line(parser, error, code, monkeypatch, capsys):
    monkeypatch.delenv("KVISION_DEBUG", raising=False)
    with pytest.raises(SystemExit) as ended:
        scripts.told_in_a_line(parser)(type(error), error, None)
    assert ended.value.code == code
    assert "Traceback" not in capsys.readouterr().err


def test_errors_of_the_code_keep_their_traceback(parser, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "__excepthook__", lambda *given: seen.append(given))
    error = AttributeError("a slip")
    scripts.told_in_a_line(parser)(AttributeError, error, None)
    monkeypatch.setenv("KVISION_DEBUG", "1")
    scripts.told_in_a_line(parser)(ValueError, ValueError("wrong"), None)
    assert [given[0] for given in seen] == [AttributeError, ValueError]


def test_a_network_is_built_as_it_is_asked_for(parser):
    args = parser.parse_args(["scenes", "--model", "UNet", "--backbone", "none"])
    args.option = [("padding", "same"), ("filters", 4), ("depth", 2)]
    assert scripts.build(args, (32, 32, 1), 3).output_shape == (None, 32, 32, 3)
    args.option = [("paddin", "same")]
    with pytest.raises(ValueError, match="UNet cannot be built so: .*paddin"):
        scripts.build(args, (32, 32, 1), 3)
