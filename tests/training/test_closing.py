"""What ends after `fit`."""

import pytest

import kvision as kv


def test_a_finished_run_goes_on(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n0,1\n")
    kv.training.close(tmp_path)


def test_a_run_that_diverged_ends(tmp_path):
    with pytest.raises(SystemExit) as ended:
        kv.training.close(tmp_path)
    assert ended.value.code == 1


def test_of_several_hosts_all_end(tmp_path, monkeypatch, capsys):
    (tmp_path / "history.csv").write_text("epoch,loss\n0,1\n")
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(SystemExit) as ended:
        kv.training.close(tmp_path)
    assert not ended.value.code
    assert "without TF_CONFIG, to export it" in capsys.readouterr().out
