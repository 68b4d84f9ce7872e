"""Under two replicas every number of samples works and scores as on one device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.training.multi_worker import checked_batches
from kvision.training.splitting import input_options, lend_samples, split_batches


def make_model(momentum=0.8, **compile_options):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(5, 3, strides=2, use_bias=False),
            keras.layers.BatchNormalization(momentum=momentum),
            keras.layers.ReLU(),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3, activation="softmax", kernel_regularizer="l2"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1),
        "sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")],
        **compile_options,
    )
    return model


def make_data(count):
    generator = np.random.default_rng(count)
    images = generator.normal(size=(count, 8, 8, 3)).astype("float32")
    images *= generator.uniform(0.5, 3, (count, 1, 1, 1)).astype("float32")
    return images, generator.integers(0, 3, count)


@pytest.fixture
def pair():
    """A trained model under two replicas, and its copy on one device."""
    with kv.training.strategy(2).scope():
        ours = make_model()
    ours.fit(*make_data(16), batch_size=4, epochs=2, verbose=0)
    alone = make_model()
    alone.set_weights(ours.get_weights())
    return ours, alone


def dataset(images, labels, batch_size):
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size)


@pytest.mark.parametrize(("batch_size", "counts"), [(1, [1, 3]), (4, [1, 2, 3, 9])])
def test_evaluate_and_predict_any_number_of_samples(pair, batch_size, counts):
    ours, alone = pair
    for count in counts:
        images, labels = make_data(count)
        expected = alone.evaluate(images, labels, verbose=0)
        rows = alone.predict(images, verbose=0)
        batches = dataset(images, labels, batch_size)
        scores = ours.evaluate(images, labels, batch_size=batch_size, verbose=0)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, err_msg=f"{count} samples")
        scores = ours.evaluate(batches, verbose=0)
        np.testing.assert_allclose(scores, expected, rtol=1e-5, err_msg=f"{count} samples")
        np.testing.assert_allclose(
            ours.predict(images, batch_size=batch_size, verbose=0), rows, atol=1e-6
        )
        np.testing.assert_allclose(ours.predict(batches, verbose=0), rows, atol=1e-6)


def test_counting_metrics_count_each_sample_once():
    """Means would hide a sample that both replicas see; counts do not."""
    images, labels = make_data(5)
    with kv.training.strategy(2).scope():
        model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
        model.add(keras.layers.Dense(1, activation="sigmoid"))
        counts = [keras.metrics.TruePositives(0), keras.metrics.FalsePositives(0)]
        model.compile("sgd", "binary_crossentropy", metrics=counts)
    for batch_size in (1, 2, 4):
        for run in (model.evaluate, model.fit):
            logs = run(images, labels > 0, batch_size=batch_size, verbose=0)
            logs = logs[1:] if isinstance(logs, list) else [v[0] for k, v in logs.history.items()]
            assert sum(logs) >= 5
            assert 5 in (sum(logs), sum(sorted(logs)[-2:]))


@pytest.mark.parametrize(("count", "batch_size"), [(1, 4), (3, 1)])
def test_fit_of_fewer_samples_than_replicas_is_one_device_s_step(count, batch_size):
    images, labels = make_data(count)
    with kv.training.strategy(2).scope():
        ours = make_model()
    alone = make_model()
    alone.set_weights(ours.get_weights())
    options = {"batch_size": batch_size, "epochs": 2, "shuffle": False, "verbose": 0}
    history = ours.fit(images, labels, **options).history
    expected = alone.fit(images, labels, **options).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    assert history["accuracy"] == expected["accuracy"]
    for mine, theirs in zip(ours.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_fit_with_a_last_batch_of_one():
    images, labels = make_data(9)
    with kv.training.strategy(2).scope():
        model = make_model()
    for data in ((images, labels), (dataset(images, labels, 4),)):
        history = model.fit(*data, batch_size=4 if len(data) == 2 else None, epochs=2, verbose=0)
        assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_fit_shows_its_steps_without_a_warning(recwarn):
    steps = []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda step, logs: steps.append(step))
    with kv.training.strategy(2).scope():
        model = make_model()
    model.fit(*make_data(9), batch_size=4, callbacks=[watch], verbose=0)
    assert steps == [0, 1, 2]
    assert watch.params["steps"] == 3
    assert not [w for w in recwarn if "ran out of data" in str(w.message)]


def test_endless_data_and_steps_per_epoch(pair):
    ours, _ = pair
    endless = dataset(*make_data(9), 4).repeat()
    history = ours.fit(endless, steps_per_epoch=4, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2
    assert len(ours.predict(endless, steps=3, verbose=0)) == 9


def test_data_that_tf_distributed_already(pair):
    """tf.distribute gives the second replica nothing of the last batch."""
    ours, alone = pair
    images, labels = make_data(11)
    plain = tf.distribute.MirroredStrategy.experimental_distribute_dataset
    distributed = plain(ours.distribute_strategy, dataset(images, labels, 8))
    scores = ours.evaluate(distributed, verbose=0)
    np.testing.assert_allclose(scores, alone.evaluate(images, labels, verbose=0), rtol=1e-5)
    distributed = plain(ours.distribute_strategy, dataset(images, labels, 8))
    np.testing.assert_allclose(
        ours.predict(distributed, verbose=0), alone.predict(images, verbose=0), atol=1e-6
    )


def test_sample_weights_several_inputs_and_eager_steps():
    images, labels = make_data(3)
    weights = np.array([0.5, 2.0, 1.0], "float32")

    def make():
        first, second = keras.Input((8, 8, 3), name="first"), keras.Input((8, 8, 3), name="second")
        features = keras.layers.Conv2D(2, 3)(keras.layers.Add()([first, second]))
        outputs = {
            "label": keras.layers.Dense(3, activation="softmax", name="label")(
                keras.layers.GlobalAveragePooling2D()(features)
            ),
            "map": keras.layers.GlobalMaxPooling2D(name="map")(features),
        }
        model = keras.Model({"first": first, "second": second}, outputs)
        losses = {"label": "sparse_categorical_crossentropy", "map": "mse"}
        model.compile("sgd", losses, weighted_metrics={"label": ["accuracy"]}, run_eagerly=True)
        return model

    with kv.training.strategy(2).scope():
        ours = make()
    alone = make()
    alone.set_weights(ours.get_weights())
    inputs = {"first": images, "second": images[::-1]}
    targets = {"label": labels, "map": np.zeros((3, 2), "float32")}
    weighted = inputs, targets, {"label": weights, "map": weights}
    batches = tf.data.Dataset.from_tensor_slices(weighted).batch(2)
    np.testing.assert_allclose(
        ours.evaluate(batches, verbose=0), alone.evaluate(batches, verbose=0), rtol=1e-5
    )
    mine = ours.predict(inputs, batch_size=2, verbose=0)
    theirs = alone.predict(inputs, batch_size=2, verbose=0)
    for name, rows in theirs.items():
        np.testing.assert_allclose(mine[name], rows, atol=1e-6)


def test_replicas_keep_one_set_of_moving_statistics():
    """What a replica evaluates with is what is saved: plain Keras keeps one set a replica."""
    strategy = kv.training.strategy(2)
    with strategy.scope():
        model = make_model()
    model.fit(*make_data(16), batch_size=8, epochs=2, verbose=0)
    for weight in model.layers[1].non_trainable_weights:
        first, second = strategy.experimental_local_results(weight.value)
        np.testing.assert_array_equal(first, second)
        assert np.ptp(first) > 0.01


def test_moving_statistics_are_the_mean_over_replicas():
    images, labels = make_data(8)
    with kv.training.strategy(2).scope():
        model = make_model(momentum=0.0)
    kernel = model.get_weights()[0]
    model.fit(images, labels, batch_size=8, shuffle=False, verbose=0)
    features = keras.ops.conv(images, kernel, strides=2)
    shares = np.array(features).reshape(2, -1, 5)
    np.testing.assert_allclose(
        model.layers[1].moving_mean.numpy(), shares.mean(1).mean(0), atol=1e-5
    )
    np.testing.assert_allclose(
        model.layers[1].moving_variance.numpy(), shares.var(1).mean(0), atol=1e-5
    )


def test_a_frozen_model_keeps_its_statistics():
    with kv.training.strategy(2).scope():
        base = make_model()
        base.trainable = False
        model = keras.Sequential([keras.Input((8, 8, 3)), base, keras.layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = base.get_weights()
    model.fit(*make_data(6), batch_size=4, verbose=0)
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("batch_size", [4, 3])  # shared out by TensorFlow, and by us
def test_on_cpus_nothing_is_read_ahead_for_the_replicas(monkeypatch, batch_size):
    """TensorFlow 2.21 may crash where an iterator is dropped that reads ahead, as Keras does it."""
    asked = []
    for name in ("experimental_distribute_dataset", "distribute_datasets_from_function"):
        monkeypatch.setattr(
            tf.distribute.MirroredStrategy, name, lambda self, data, options: asked.append(options)
        )
    strategy = kv.training.strategy(2)
    batches = tf.data.Dataset.range(12).batch(batch_size, drop_remainder=True)
    strategy.experimental_distribute_dataset(batches)
    assert [options.experimental_per_replica_buffer_size for options in asked] == [0]
    chosen = tf.distribute.InputOptions(experimental_per_replica_buffer_size=3)
    strategy.experimental_distribute_dataset(batches, chosen)
    assert asked[1] is chosen
    assert input_options(None, ["/device:GPU:0", "/device:GPU:1"]) is None


def test_custom_loops_get_plain_replicas():
    strategy = kv.training.strategy(2)
    batches = strategy.experimental_distribute_dataset(tf.data.Dataset.range(6).batch(5))

    @tf.function
    def sizes(batch):
        return strategy.run(lambda share: tf.size(share), (batch,))

    found = [[int(size) for size in strategy.experimental_local_results(sizes(b))] for b in batches]
    assert found == [[3, 2], [1, 0]]
    total = strategy.run(lambda: tf.constant(2.0))
    assert float(strategy.reduce("SUM", total, axis=None)) == 4.0


def test_several_training_steps_at_a_time_say_no():
    with kv.training.strategy(2).scope():
        model = make_model(steps_per_execution=2)
    images, labels = make_data(5)
    with pytest.raises(ValueError, match="`steps_per_execution` must be 1"):
        model.fit(images, labels, batch_size=2, verbose=0)
    assert len(model.predict(images, batch_size=2, verbose=0)) == 5


def test_xla_on_two_cpus_says_no():
    with kv.training.strategy(2).scope():
        model = make_model(jit_compile=True)
    with pytest.raises(ValueError, match="`jit_compile` must be False"):
        model.fit(*make_data(4), verbose=0)


def test_single_batches_are_not_split(pair):
    ours, alone = pair
    images, labels = make_data(3)
    np.testing.assert_allclose(
        ours.test_on_batch(images, labels), alone.test_on_batch(images, labels), rtol=1e-5
    )
    assert np.isfinite(ours.train_on_batch(images[:1], labels[:1])).all()


@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_shares_are_equal_and_in_order(replicas):
    batches = tf.data.Dataset.range(10).map(lambda i: {"a": i, "b": tf.fill([2], i)}).batch(4)
    shares = list(split_batches(batches, replicas).as_numpy_iterator())
    assert len(shares) == 3 * replicas
    np.testing.assert_array_equal(np.concatenate([share["a"] for share in shares]), np.arange(10))
    for start in range(0, len(shares), replicas):
        sizes = [len(share["b"]) for share in shares[start : start + replicas]]
        assert max(sizes) - min(sizes) <= 1
    of_second = list(split_batches(batches, 4, first=2, count=2).as_numpy_iterator())
    assert [share["a"].tolist() for share in of_second[:2]] == [[2], [3]]


@pytest.mark.parametrize(
    ("count", "batch_size", "least", "sizes"),
    [(33, 8, 2, [8, 8, 8, 7, 2]), (16, 8, 2, [8, 8]), (6, 5, 3, [3, 3]), (1, 4, 2, [1])],
)
def test_a_small_last_batch_borrows(count, batch_size, least, sizes):
    batches = tf.data.Dataset.from_tensor_slices(np.arange(count)).batch(batch_size)
    lent = list(lend_samples(batches, least).as_numpy_iterator())
    assert [len(batch) for batch in lent] == sizes
    np.testing.assert_array_equal(np.concatenate(lent), np.arange(count))


def test_a_batch_that_cannot_borrow_says_so():
    batches = tf.data.Dataset.range(3).batch(2)
    checked = checked_batches(lend_samples(batches, 2), 2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one sample for each of"):
        list(checked)
    assert len(list(checked_batches(tf.data.Dataset.range(4).batch(2), 2))) == 2


def test_plain_keras_still_needs_equal_shares():
    """When this fails, tf.distribute leaves no replica empty, or empty convolutions work on CPU."""
    sums = tf.distribute.ReductionToOneDevice()
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], sums).scope():
        model = make_model()
    images, labels = make_data(5)
    try:
        model.fit(images, labels, batch_size=4, verbose=0)
    except tf.errors.InvalidArgumentError:
        return
    assert not all(np.isfinite(weight).all() for weight in model.get_weights())
