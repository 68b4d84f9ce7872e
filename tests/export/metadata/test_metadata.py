import io
import zipfile

import numpy as np
import pytest

import kvision as kv
from kvision.export.metadata.contents import read_flatbuffer
from kvision.export.metadata.labels import check_label_count, labels_of_run, read_labels
from kvision.export.metadata.tflite import attach, build_metadata, read_metadata

IMAGE = {"image": (32, 32, 1)}


def test_round_trip(exported, names):
    model, data = read_flatbuffer(exported("float32"))
    found = read_metadata(model, data)
    assert found["labels"] == names
    assert (found["mean"], found["std"]) == ([0.0], [1.0])
    assert found["own"]["quantize"] is None
    assert zipfile.ZipFile(io.BytesIO(data)).read("labels.txt").decode().splitlines() == names


def test_metadata_replace_older_ones(exported, tmp_path):
    data = exported("float32").read_bytes()
    metadata = build_metadata("name", IMAGE, ["scores"], ["x"] * 10, mean=127.5, std=2.0)
    first = attach(data, metadata, {"quantize": "dynamic"}, ["x"] * 10)
    assert first == attach(data, metadata, {"quantize": "dynamic"}, ["x"] * 10)
    path = tmp_path / "again.tflite"
    path.write_bytes(attach(first, metadata, {}, ["y"] * 10))
    report = kv.export.describe(path)
    assert report.labels == ["y"] * 10
    assert (report.mean, report.std) == ([127.5], [2.0])


def test_graph_is_untouched(exported, tmp_path, digits):
    path = tmp_path / "plain.tflite"
    data = exported("float32").read_bytes()
    path.write_bytes(attach(data, build_metadata("other", IMAGE, ["scores"]), {}))
    before, after = (
        kv.export.load(p).predict(digits.test[:4]) for p in (exported("float32"), path)
    )
    np.testing.assert_array_equal(before, after)


def test_quantisation_of_a_file_of_others_is_guessed(exported, tmp_path):
    for kind in ("float32", "float16", "dynamic", "int8"):
        data = exported(kind).read_bytes()
        path = tmp_path / f"{kind}.tflite"
        path.write_bytes(attach(data, build_metadata("other", IMAGE, ["scores"]), {"by": "hand"}))
        assert kv.export.describe(path).quantize == (None if kind == "float32" else kind)


def test_label_file_cut_off(exported, tmp_path):
    data = exported("float32").read_bytes()
    path = tmp_path / "cut.tflite"
    path.write_bytes(data[: data.rindex(b"PK\x03\x04")])
    with pytest.raises(ValueError, match="label file 'labels.txt', which is not in it"):
        kv.export.describe(path)


def test_labels_from_a_file(tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes("\ufeffcat\r\nsnow leopard \r\nćma\r\n\r\n".encode())
    assert read_labels(path) == read_labels(str(path)) == ["cat", "snow leopard", "ćma"]
    assert read_labels(None) is None
    with pytest.raises(FileNotFoundError, match="There is no file at"):
        read_labels(tmp_path / "absent.txt")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_labels_with_a_byte_order_mark(tmp_path, encoding):
    (tmp_path / "names.txt").write_bytes("chat\r\nélan\r\n".encode(encoding))
    assert read_labels(tmp_path / "names.txt") == ["chat", "élan"]


def test_labels_of_an_unknown_encoding_are_guessed_and_said(tmp_path):
    (tmp_path / "names.txt").write_bytes("chat\r\nélan\r\n".encode("cp1252"))
    with pytest.warns(UserWarning, match=r"names\.txt is not encoded as UTF-8.*'élan'"):
        assert read_labels(tmp_path / "names.txt") == ["chat", "élan"]


@pytest.mark.parametrize("wrong", [["a", ""], ["a", " "], ["a", "b\nc"], ["a", 3]])
def test_bad_names(wrong):
    with pytest.raises(ValueError, match="at position 1"):
        read_labels(wrong)


def test_label_count():
    check_label_count(None, 3)
    check_label_count(["a", "b"], 2)
    with pytest.raises(ValueError, match="each of the model's 3 outputs. Received: 2 names"):
        check_label_count(["a", "b"], 3)


def test_a_run_says_the_labels_of_its_own_models(tmp_path):
    (tmp_path / "labels.txt").write_text("x\ny\n")  # of whatever was exported last
    assert labels_of_run(tmp_path / "model.keras", 2) is None
    (tmp_path / "run.json").write_text('{"about": {"classes": ["a", "b"]}}')
    assert labels_of_run(tmp_path / "model.keras", 2) == ["a", "b"]
    (tmp_path / "card.json").write_text('{"classes": ["c", "d"]}')
    assert labels_of_run(tmp_path / "saved_model", 2) == ["c", "d"]
    assert labels_of_run(tmp_path / "saved_model", 1) == ["c", "d"]  # one score for two classes
    assert labels_of_run(tmp_path / "saved_model", 3) is None
    assert labels_of_run(tmp_path / "other.keras", 2) is None


@pytest.mark.parametrize("text", ["[", "[1]", '{"classes": [1, 2]}', '{"classes": "no file"}'])
def test_a_damaged_card_is_named(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(ValueError, match=r"The class names in .*card\.json cannot be read"):
        labels_of_run(tmp_path / "model.keras", 2)


def test_weights_outside_the_flatbuffer_are_refused(exported, monkeypatch):
    from ai_edge_litert import schema_py_generated as schema

    class Outside(schema.ModelT):
        @classmethod
        def InitFromObj(cls, model):
            found = cls()
            found.buffers = [schema.BufferT(offset=4096, size=16)]
            return found

    data = exported("float32").read_bytes()
    monkeypatch.setattr(schema, "ModelT", Outside)
    monkeypatch.setattr(Outside, "InitFromObj", Outside.InitFromObj)
    with pytest.raises(ValueError, match="less than 2 GB"):
        attach(data, b"", {})
