"""What must hold for every registered network, whatever it is.

An entry that names a twin is built, counted, saved and loaded; the rest is its twin's, and skipped
with that reason unless slow tests run too. `skip={check: reason}` of an entry excepts it for good.
"""

import functools
import importlib
import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest

pytest.register_assert_rewrite("networks", "tasks")

import networks  # noqa: E402
from networks import Network, computing_in, published, skeleton, trainable_count  # noqa: E402

import kvision as kv  # noqa: E402
from kvision.tasks import names as task_names  # noqa: E402

ENTRIES = [kv.model_info(name) for name in kv.list_models()]
MOST_LAYERS = 60  # of a tiny member
TASKS = {name: importlib.import_module(f"tasks.{name}") for name in task_names()}
PARTS = ("HEAD", "awaken", "inputs", "compared", "learn")  # tasks/__init__.py says what they are


def checks(task):
    """The checks of networks of one task: `{name: function}`."""
    functions = vars(TASKS[task]).items()
    return {
        name.removeprefix("check_"): value for name, value in functions if name.startswith("check_")
    }


def case(entry, check, *rest, always=False):
    """A network and a check: left to its twin if it has one, skipped where the entry says so."""
    marks = []
    if entry.twin and not always:
        marks.append(pytest.mark.twin(f"{entry.name} is left to its twin {entry.twin}"))
    if check in entry.skip:
        marks.append(pytest.mark.skip(reason=f"{entry.name}: {entry.skip[check]}"))
    return pytest.param(entry.name, *rest, marks=marks, id="-".join([entry.name, *rest]))


def facts(function):
    """A test of each entry that builds no weights."""
    check = function.__name__.removeprefix("test_")
    cases = [case(entry, check, always=True) for entry in ENTRIES]
    return pytest.mark.parametrize("name", cases)(function)


def sweep(function, always=False):
    """A test of each network."""
    check = function.__name__.removeprefix("test_")
    cases = [case(entry, check, always=always) for entry in ENTRIES]
    return pytest.mark.parametrize("network", cases, indirect=True)(function)


def checks_of_tasks():
    return [
        case(entry, check, check)
        for entry in ENTRIES
        for check in checks(entry.task)
        if entry.mobile or not check.endswith("_for_phones")
    ]


@pytest.fixture(scope="module")
def network(request):
    """A tiny member of a family, built once for all checks; its model is not to be changed."""
    return Network(request.param)


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    """The network's model, saved."""
    path = tmp_path_factory.mktemp(network.name) / "model.keras"
    network.model.save(path)
    return path


@pytest.mark.parametrize("task", task_names())
def test_a_task_has_its_checks(task):
    file = Path(networks.__file__).parents[1] / "models" / "tasks" / f"{task}.py"
    assert file.is_file(), f"{file} must say what the sweep does; see the __init__.py beside it"
    missing = [part for part in PARTS if not hasattr(TASKS[task], part)]
    assert not missing, f"{file} lacks {missing}; the __init__.py beside it says what they are"


def test_twins_and_exceptions_are_those_of_checks_that_there_are():
    known = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    for entry in ENTRIES:
        assert set(entry.skip) <= known | set(checks(entry.task)), entry.name
        assert all(len(reason) > 10 for reason in entry.skip.values()), entry.name
        if entry.twin:
            twin = kv.model_info(entry.twin)
            assert (twin.task, twin.twin) == (entry.task, None), entry.name


@pytest.mark.parametrize("name", [entry.name for entry in ENTRIES if entry.twin])
def test_a_twin_has_no_layers_of_its_own(name):
    ours, theirs = (
        {type(layer) for layer in (model, *model.layers)}
        for model in (skeleton(name), skeleton(kv.model_info(name).twin))
    )
    own = {kind.__name__ for kind in ours - theirs if kind.__module__.startswith("kvision.")}
    assert not own, f"nothing else tests {own} in a network: the entry must not name a twin"


@facts
def test_facts_are_complete(name):
    entry = kv.model_info(name)
    assert len(entry.paper) > 15
    assert entry.url.startswith("http")
    assert 1980 < entry.year < 2030
    # A composed network has its backbone's levels.
    assert bool(entry.levels) == (entry.task == "classification")


@facts
def test_docstring_is_complete(name):
    builder = kv.model_info(name).builder
    text = inspect.getdoc(builder)
    for heading in (
        "Args:",
        "Returns:",
        "Raises:",
        "Differs from the paper:",
        "Reference:",
        "Example:",
    ):
        assert heading in text, f"{name} lacks {heading}"
    for parameter in inspect.signature(builder).parameters:
        assert f"\n    {parameter}: " in text, f"{name} does not document {parameter}"


@facts
def test_signature_is_that_of_its_task(name):
    entry = kv.model_info(name)
    parameters = inspect.signature(entry.builder).parameters
    names, head = list(parameters), TASKS[entry.task].HEAD
    if names[0] == "backbone" and entry.task != "classification":
        del names[0]
    assert names[: len(head)] == head
    assert names[-1] == "name"
    assert parameters["weights"].default is None
    assert parameters["include_preprocessing"].default is True
    if "classifier_activation" in head:
        wanted = "sigmoid" if entry.task == "edges" else "softmax"
        assert parameters["classifier_activation"].default == wanted


@facts
def test_tiny_is_shallow(name):
    """Tests take as long as a network is deep, not as it is wide."""
    layers = len(skeleton(name).layers)
    assert layers <= MOST_LAYERS, (
        f"the entry's `tiny` must build at most {MOST_LAYERS} layers, or its `skip` must say why "
        f"the paper's network cannot: it builds {layers}"
    )


@facts
def test_parameters_and_multiply_adds_are_the_published_ones(name):
    entry, model = kv.model_info(name), published(name)
    fixed = sum(  # some publications count them
        int(np.prod(weight.shape))
        for layer in model.layers
        if not isinstance(layer, keras.layers.BatchNormalization)
        for weight in layer.non_trainable_weights
    )
    if entry.parameters is not None:
        assert entry.parameters - trainable_count(model) in (0, fixed)
    if not isinstance(model.input, dict) and None not in model.input_shape[1:]:
        assert kv.models.multiply_adds(model) == entry.multiply_adds


@facts
def test_a_model_is_known_by_its_levels_or_its_name(name):
    models = [published(name), skeleton(name)]
    if kv.model_info(name).task == "classification":
        models.append(networks.bare(name, include_top=False))
    assert {kv.registry.entry_of(model).name for model in models} == {name}


@sweep
def test_a_picture_alone_gives_the_same(network):
    symbolic = network.task.compared(network.model)
    for output, declared in zip(network.outputs, symbolic, strict=True):
        sizes = zip(declared.shape[1:], output.shape[1:], strict=True)
        assert all(wanted in (None, size) for wanted, size in sizes)
        assert len(output) == 3
        assert np.isfinite(output).all()
    varies = max(output.std(axis=0).max() for output in network.outputs)
    assert varies > 1e-4, "all pictures look alike: the comparison is empty"
    tolerance = getattr(network.task, "TOLERANCE", {"rtol": 1e-4, "atol": 1e-6})
    for index in range(3):
        one = keras.tree.map_structure(lambda part, i=index: part[i : i + 1], network.inputs)
        for alone, together in zip(
            network.results(network.model, one), network.outputs, strict=True
        ):
            np.testing.assert_allclose(alone[0], together[index], **tolerance)


@sweep
def test_learns_and_moves_every_weight(network):
    lesson = network.lesson
    assert lesson.learned, f"{network.name} did not learn a few examples: {lesson.last}"
    assert not lesson.still, f"training left these weights as they were: {lesson.still}"


@functools.partial(sweep, always=True)
def test_saves_and_loads_in_safe_mode(network, file):
    model, loaded = network.model, keras.models.load_model(file, safe_mode=True)
    again = network.build(weights=file)
    for other in (loaded, again):
        for ours, theirs in zip(
            network.outputs, network.results(other, network.inputs), strict=True
        ):
            np.testing.assert_array_equal(theirs, ours)
    assert json.loads(loaded.to_json())["config"] == json.loads(model.to_json())["config"]
    if network.entry.levels:
        assert kv.models.levels(loaded) == kv.models.levels(model)


@sweep
def test_weights_go_over_to_another_number_of_classes(network, file):
    if "classes" not in inspect.signature(network.entry.builder).parameters:
        return  # of one class
    classes = network.entry.tiny.get("classes", 10)
    other = network.build(classes=classes + 2, weights=file)
    theirs = {weight.path: np.array(weight) for weight in network.model.weights}
    kept = [
        weight.path
        for weight in other.weights
        if theirs[weight.path].shape == weight.shape
        and np.array_equal(theirs[weight.path], np.array(weight))
    ]
    fresh = {weight.path for weight in other.weights} - set(kept)
    share = getattr(network.task, "KEPT", 0.5)
    assert 0 < len(fresh) < (1 - share) * len(other.weights), fresh
    if not isinstance(other.output, dict):
        assert other.output_shape[-1] == classes + 2


@sweep
def test_wrong_options_say_what_to_do(network):
    if "classes" in inspect.signature(network.entry.builder).parameters:
        with pytest.raises(ValueError, match="`classes` must be a whole number"):
            network.bare(classes=0)
    with pytest.raises(ValueError, match=r"must be \(height, width, channels\)|`input_shape`"):
        network.bare(input_shape=(64, 64))
    with pytest.raises(FileNotFoundError, match="There is no file 'nowhere.keras'"):
        network.bare(weights="nowhere.keras")


@sweep
def test_mixed_precision_keeps_answers_in_float32(network):
    with computing_in("mixed_bfloat16"):
        model = network.bare()
    answers = model.output if isinstance(model.output, dict) else {"output": model.output}
    assert {answers[key].dtype for key in answers if key not in ("raw", "classes")} == {"float32"}
    assert any(layer.compute_dtype == "bfloat16" for layer in model.layers)
    outputs = network.results_without_weights(model)
    assert all(np.isfinite(np.float32(output)).all() for output in outputs)


@sweep
def test_pixels_are_normalised_inside(network):
    """Without the normalisation the same weights give other answers to the same pixels."""
    model = network.bare(include_preprocessing=False)
    found = network.results_without_weights(model)
    largest = max(np.abs(a - b).max() for a, b in zip(found, network.outputs, strict=True))
    among_pictures = max(output.std(axis=0).max() for output in network.outputs)
    assert largest > min(1e-3, among_pictures)


@sweep
def test_its_file_gives_the_same(network, tmp_path):
    if not hasattr(network.task, "truth"):
        return  # there is no file of it yet
    if network.entry.mobile and "files_know_it_for_phones" in checks(network.entry.task):
        return  # which looks at the files of what it has learned
    inputs = network.task.inputs(network.model, 8)
    truth = network.task.truth(network.model, inputs)
    path = kv.export.tflite(network.model, tmp_path / "model.tflite", input_shape=inputs.shape[1:])
    report = kv.export.verify(network.model, path, [(inputs, truth)])
    assert report.passed, report.reasons
    assert report.share_different < 1e-4, "of the outputs, by more than 1e-4"
    assert report.max_difference < 1e-3
    assert report.metric_model == 1.0


@pytest.mark.parametrize(("network", "check"), checks_of_tasks(), indirect=["network"])
def test_what_its_task_demands(network, check, request):
    function = checks(network.entry.task)[check]
    wanted = list(inspect.signature(function).parameters)[1:]  # fixtures of this module
    function(network, *map(request.getfixturevalue, wanted))
