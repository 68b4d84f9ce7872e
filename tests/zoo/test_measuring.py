"""docs/models.md and what it is made of: the facts, the measurements, and how they are taken."""

import json
import os

import pytest

import kvision as kv
from kvision.zoo import catalogue
from kvision.zoo import measuring as zoo

MEASURED = catalogue.measurements()
NAMES = kv.list_models()


def test_the_page_is_what_the_registry_and_the_measurements_say():
    assert zoo.PAGE.read_text(encoding="utf-8") == catalogue.models_page(), "run `make models`"


def test_everything_and_nothing_unknown_was_measured():
    assert sorted(MEASURED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_file_was_proved(name):
    entry, record = kv.model_info(name), MEASURED[name]
    assert record["cpu_ms"] > 0
    assert tuple(layer for _, layer in record.get("levels", ())) == entry.levels
    assert ("tflite" in record) == zoo.has_file(entry)
    assert ("int8" in record) == zoo.has_int8(entry)
    if "tflite" in record:
        assert record["tflite"]["passed"]
        assert record["tflite"]["max_difference"] <= (
            1e-3 if entry.task == "segmentation" else 1e-4
        )
        assert record["tflite"]["top1_agreement"] > 0.9999
        assert record["tflite"]["largest_output"] > 0.1, "an unsure model proves little"
        assert record["tflite"]["ms"] > 0
    if "int8" in record:
        assert record["int8"]["passed"]


@pytest.mark.parametrize("name", [name for name in NAMES if zoo.has_file(kv.model_info(name))])
def test_files_are_as_large_as_their_weights(name):
    entry, record = kv.model_info(name), MEASURED[name]
    parameters = entry.parameters or record["parameters"]
    assert record["tflite"]["megabytes"] == pytest.approx(4 * parameters / 1e6, rel=0.02, abs=0.02)
    if "int8" in record:
        assert 1 < 1e6 * record["int8"]["megabytes"] / entry.parameters < 1.4


@pytest.mark.parametrize("name", NAMES)
def test_published_figures_state_their_protocol(name):
    entry = kv.model_info(name)
    assert ("published" in catalogue.facts(entry)) == bool(entry.published)
    assert bool(entry.protocol) >= bool(entry.published)
    assert all(2 < figure < 90 for figure in entry.published.values())
    if "top5" in entry.published:
        assert entry.published["top5"] < entry.published["top1"] / 2


def test_texts_of_the_table():
    assert [catalogue.amount(n) for n in (325_680, 300_774_272, 3_857_973_248, None)] == [
        "0.3257 M",
        "300.8 M",
        "3.858 G",
        "",
    ]
    entry = kv.model_info("ResNet34")
    check = {"passed": True, "megabytes": 86.61, "ms": 1234.5, "max_difference": 1e-6}
    cells = catalogue.row(entry, {"cpu_ms": 0.1234, "tflite": check})
    assert (cells["CPU ms"], cells["TFLite ms"], cells["MB"]) == ("0.123", "1234", "86.6")
    assert (cells["top-1 error %"], cells["top-5 error %"]) == ("24.52", "7.46")
    assert {cells["int8 ms"], cells["int8 MB"], cells["phone"]} == {""}
    phone = {"int8": {**check, "ms": 2, "top1_agreement": 0.5}, **zoo._circumstances()}
    assert catalogue.facts(entry, phone)["TFLite, int8"] == "2 ms, 86.6 MB, same class in 50%"
    blank = catalogue.row(entry)
    assert {blank[key] for key in ("CPU ms", "TFLite ms", "MB")} == {""}
    failed = {"tflite": {"passed": False, "reasons": ["It broke."]}, "date": "today"}
    failed |= {"machine": "an abacus", "versions": {}}
    assert catalogue.row(entry, failed)["TFLite ms"] == ""
    assert catalogue.facts(entry, failed)["TFLite"] == "FAILED: It broke."


def test_measure(monkeypatch, tmp_path):
    verify, kept = kv.export.verify, {}

    def keep(model, path, batches):
        kept.update(model=model, file=path.read_bytes(), batches=batches)
        return verify(model, path, batches)

    monkeypatch.setattr(kv.export, "verify", keep)
    record = zoo.measure("ResNetCIFAR", runs=2, **kv.model_info("ResNetCIFAR").tiny)
    assert json.loads(json.dumps(record)) == record
    assert record["levels"] == [[1, "stage_1"], [2, "stage_2"], [4, "stage_3"]]
    assert record["tflite"]["passed"], record["tflite"]["reasons"]
    assert 0 < record["tflite"]["max_difference"] < 1e-4
    assert record["tflite"]["largest_output"] == pytest.approx(0.97, abs=0.01)
    assert record["tflite"]["ms"] > 0
    assert "int8" not in record

    kernel = kept["model"].get_layer("conv1_conv").kernel
    kernel.assign(kernel * 1.01)
    file = tmp_path / "model.tflite"
    file.write_bytes(kept["file"])
    assert not verify(kept["model"], file, kept["batches"]).passed, "the proof overlooks 1 %"


def test_measure_a_detector():
    record = zoo.measure("SSDLite", runs=2, **kv.model_info("SSDLite").tiny)
    assert json.loads(json.dumps(record)) == record
    assert record["tflite"]["passed"], record["tflite"]["reasons"]
    assert record["tflite"]["largest_output"] > 0.1
    assert record["tflite"]["top1_agreement"] == 1
    assert "int8" not in record


def test_measure_a_network_that_is_given_regions():
    record = zoo.measure("FastRCNN", runs=1, **kv.model_info("FastRCNN").tiny)
    assert record["cpu_ms"] > 0
    assert "tflite" not in record


def test_a_wrong_file_is_recorded_without_times(monkeypatch, tmp_path):
    report = kv.export.Report(passed=False, reasons=["It differs."], max_difference=0.5)
    monkeypatch.setattr(kv.export, "tflite", lambda *args, **kwargs: None)
    monkeypatch.setattr(kv.export, "verify", lambda *args: report)
    record = zoo.measure("ResNetCIFAR", runs=1, **kv.model_info("ResNetCIFAR").tiny)
    assert record["tflite"] == dict(report)


def test_a_failed_conversion_is_recorded(monkeypatch):
    def broken(*args, **kwargs):
        raise ValueError("There is no built-in operator for FFT.")

    monkeypatch.setattr(kv.export, "tflite", broken)
    record = zoo.measure("ResNetCIFAR", runs=1, **kv.model_info("ResNetCIFAR").tiny)
    assert record["tflite"] == {
        "passed": False,
        "reasons": ["There is no built-in operator for FFT."],
    }


def test_a_process_that_dies_is_recorded():
    record = zoo._apart(3, os._exit)
    assert record["tflite"]["passed"] is False
    assert "The process ended" in record["tflite"]["reasons"][0]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Where `main` writes in these tests, and the names that it measured."""
    for name in ("MEASURED", "UNFINISHED", "PAGE"):
        monkeypatch.setattr(zoo, name, tmp_path / name.lower())
    done, file = [], {"passed": True, "reasons": [], "max_difference": 0.0, "megabytes": 1, "ms": 1}

    def fake(name):
        if len(done) == 3:
            done.append("the power went out")
            raise KeyboardInterrupt
        done.append(name)
        return {"tflite": file, **zoo._circumstances()}

    monkeypatch.setattr(zoo, "_apart", fake)
    return tmp_path, done


def test_an_ended_run_goes_on(desk):
    folder, done = desk
    with pytest.raises(KeyboardInterrupt):
        zoo.main()
    assert not (folder / "measured").exists()
    assert zoo.main()
    assert [name for name in done if name in NAMES] == NAMES
    assert json.loads((folder / "measured").read_text()).keys() == set(kv.list_models())
    assert not (folder / "unfinished").exists()
    assert (folder / "page").read_text() == catalogue.models_page()


@pytest.mark.parametrize("key", ["machine", "versions"])
def test_another_machine_begins_anew(desk, key):
    folder, done = desk
    with pytest.raises(KeyboardInterrupt):
        zoo.main()
    begun = json.loads((folder / "unfinished").read_text())
    begun[NAMES[0]][key] = "other"
    (folder / "unfinished").write_text(json.dumps(begun))
    zoo.main()
    assert done.count(NAMES[0]) == 2
    assert done.count(NAMES[1]) == 1


def test_one_network_is_measured_beside_the_others(desk):
    folder, done = desk
    with pytest.raises(ValueError, match="No model is registered as 'LeNet'"):
        zoo.main(["LeNet"])
    zoo.main(["LeNet5"])
    assert done == ["LeNet5"]
    written = json.loads((folder / "measured").read_text())
    assert written.keys() == MEASURED.keys() | {"LeNet5"}
    assert written["LeNet5"]["tflite"]["megabytes"] == 1


def test_the_page_needs_a_checkout(monkeypatch, tmp_path):
    monkeypatch.setattr(zoo, "PAGE", tmp_path / "nowhere" / "models.md")
    with pytest.raises(FileNotFoundError, match="must be in a checkout of kvision"):
        zoo.main(["LeNet5"])
