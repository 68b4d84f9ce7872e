"""Where a run stands when its script is started."""

import json
import shutil

import pytest

import kvision as kv

SHAPE = (32, 32, 1)


@pytest.fixture(scope="module")
def sets():
    return kv.data.three_sets("digits", "label")


def test_a_new_run_is_written_down(tmp_path, sets):
    run = kv.runs.begin(tmp_path / "run", "classification", sets, SHAPE, patience=2)
    assert not run.finished
    assert run.first_epoch == 0
    assert run.callbacks
    assert run.about["task"] == "classification"
    assert json.loads(json.dumps(run.about))["classes"] == sets.class_names
    model = kv.models.LeNet5()
    assert run.settled(model) is model


def test_a_run_that_was_broken_off_says_where_it_goes_on(tmp_path, sets, capsys):
    run = kv.runs.begin(tmp_path / "run", "classification", sets, SHAPE)
    model = kv.models.LeNet5()
    assert run._replace(first_epoch=3).settled(model) is model
    assert "Going on after epoch 3." in capsys.readouterr().out


def test_a_finished_run_gives_its_best_epoch(digits_run, sets, capsys):
    run = kv.runs.begin(digits_run, "classification", sets, SHAPE)
    assert run.finished
    assert run.first_epoch == 6
    assert not run.callbacks
    best = run.settled(kv.models.LeNet5(variant="modern"))
    assert best.name == "lenet5"
    assert "is trained: exporting it" in capsys.readouterr().out


def test_a_finished_run_of_another_network_or_other_data_is_kept(digits_run, sets, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(digits_run, folder)
    run = kv.runs.begin(folder, "classification", sets, SHAPE)
    with pytest.raises(ValueError, match="pass another --run"):
        run.settled(kv.models.LeNet5(variant="modern", classes=3))
    (folder / "run.json").write_text(json.dumps({"about": {"task": "segmentation"}}))
    with pytest.raises(ValueError, match="was begun with the task"):
        run.settled(kv.models.LeNet5(variant="modern"))
