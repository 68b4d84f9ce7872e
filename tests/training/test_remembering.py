"""Callbacks of others that stand before ours, killed and started again."""

import collections

import keras
import numpy as np
import pytest
from short_runs import Scripted, Stop, fit, make_model

import kvision as kv
from kvision.training.remembering import Memory


class Counts(keras.callbacks.Callback):
    """Remembers things of every kind, and reports one number made of all of them."""

    def __init__(self):
        super().__init__()
        self.settings = {"step": 2}

    def on_train_begin(self, logs=None):
        self.count, self.best = 0, None
        self.seen = collections.deque([0.0], maxlen=3)
        self.classes = {"a": {1, 2}, 3: (True, "text")}
        self.labels = {np.int64(0)}
        self.counts = {np.int64(0): 1}
        self.array = np.zeros((2, 2), "float32")
        self.variable = keras.Variable(1.0)
        self.more = {"of them": [keras.Variable(1.0), keras.Variable([2.0])]}
        self.function = lambda: self.count

    def on_epoch_end(self, epoch, logs=None):
        self.count += self.settings["step"]
        self.seen.append(float(epoch))
        self.classes["a"].add(epoch + 10)
        self.labels.add(np.int64(epoch))
        self.counts[np.int64(epoch)] = 1
        self.array = self.array + epoch
        self.variable.assign_add(2.0)
        self.more["of them"][1].assign_add([3.0])
        self.best = np.float32(0.5)
        parts = len(self.seen), len(self.classes["a"]), self.array.sum(), float(self.variable)
        logs["parts"] = self.count + sum(parts) + len(self.labels) + len(self.counts)


def others():
    script = [3.0, 2.0, 2.5, 2.6, 2.7, 2.8, 2.9]
    return [
        Scripted(val_loss=script),
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, cooldown=1),
        keras.callbacks.EarlyStopping("val_loss", patience=4, restore_best_weights=True),
        Counts(),
    ]


@pytest.mark.parametrize(("swap", "stop"), [(False, 4), (True, 3)])
def test_a_resumed_run_goes_on_with_them(tmp_path, data, swap, stop):
    def train(run_dir, stop=None):
        keras.utils.set_random_seed(1)
        model = make_model(optimizer=keras.optimizers.Adam(0.01, use_ema=swap, ema_momentum=0.7))
        averaged = [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if swap else []
        fit(model, data, run_dir, epochs=7, before=[*averaged, *others(), Stop(stop)])
        return model

    expected = train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", stop)
    assert kv.training.completed_epochs(tmp_path / "parts") == stop
    model = train(tmp_path / "parts")
    histories = [(tmp_path / name / "history.csv").read_text() for name in ("parts", "whole")]
    assert histories[0] == histories[1]
    assert len(histories[0].splitlines()) == 1 + 6, "stopped after 4 epochs without improvement"
    for mine, wanted in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, wanted)
    best = [keras.models.load_model(tmp_path / name / "model.keras") for name in ("parts", "whole")]
    for mine, wanted in zip(*(each.get_weights() for each in best), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_a_run_that_was_stopped_is_not_trained_further(tmp_path, data, monkeypatch):
    """Killed between the backup of its last epoch and its end."""
    from kvision.training import run_folder

    script = [Scripted(val_loss=[1.0, 2.0, 2.0, 2.0, 2.0, 2.0])]

    real = run_folder.finish

    def dies(run_dir):
        if (run_dir / "history.csv").exists():
            raise KeyboardInterrupt
        real(run_dir)

    monkeypatch.setattr(run_folder, "finish", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), data, tmp_path, epochs=6, before=script, patience=2)
    monkeypatch.undo()
    history = fit(make_model(), data, tmp_path, epochs=6, before=script, patience=2)
    assert not history
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 1 + 3


def test_what_is_no_memory_is_left_alone(tmp_path):
    """Settings are the new ones, and what cannot be written down stays as it is."""
    first, second = Counts(), Counts()
    first.on_train_begin()
    memory = Memory([first])
    logs = {}
    first.on_epoch_end(0, logs)
    first.itself = [first]
    first.ring = []
    first.ring.append(first.ring)
    first.objects = np.array([None], object)
    state = memory.save(tmp_path)
    second.settings = {"step": 5}
    second.on_train_begin()
    function, variable, more = second.function, second.variable, second.more["of them"]
    Memory([second]).restore(tmp_path, state)
    assert second.count == 2
    assert second.settings == {"step": 5}
    assert second.function is function
    assert second.variable is variable
    assert float(variable) == 3.0
    assert second.more["of them"][1] is more[1]
    assert float(more[1][0]) == 5.0
    del second.more
    Memory([second]).restore(tmp_path, state)
    assert float(second.more["of them"][1][0]) == 5.0
    assert second.classes == {"a": {1, 2, 10}, 3: (True, "text")}
    assert second.seen == collections.deque([0.0, 0.0])
    assert second.seen.maxlen == 3
    assert not {"itself", "ring", "objects"} & set(vars(second))
    fresh = Memory([Counts()])
    fresh.restore(tmp_path, {})
    assert fresh.save(tmp_path) == {}


def test_a_value_that_came_back_to_its_first_one_counts(tmp_path):
    """Also where it is not the first one of a new process, as in a callback used twice."""
    callback = Counts()
    callback.on_train_begin()
    callback.count = 3
    memory = Memory([callback])
    callback.count = 4
    memory.save(tmp_path)
    callback.count = 3
    state = memory.save(tmp_path)
    fresh = Counts()
    fresh.on_train_begin()
    later = Memory([fresh])
    later.restore(tmp_path, state)
    assert fresh.count == 3
    fresh.count = 0
    assert later.save(tmp_path)["Counts 1"]["count"][0] == 0
