import json

import pytest

import kvision as kv


def test_keys_are_attributes():
    report = kv.export.Report(passed=True, samples=3)
    report.samples = 4
    assert report["samples"] == report.samples == 4
    assert "samples" in dir(report)
    assert json.loads(json.dumps(report)) == {"passed": True, "samples": 4}
    with pytest.raises(AttributeError, match="no 'sample'. It has: passed, samples"):
        _ = report.sample


def test_table():
    report = kv.export.Report(
        path="m.tflite",
        size_bytes=12345,
        ratio=0.123456,
        static=True,
        nothing=None,
        empty=[],
        operators={"CONV_2D": 3, "ADD": 1},
        inputs=[{"name": "image", "shape": [1, 8, 8, 3], "scale": None}],
        labels=[str(i) for i in range(12)],
        passed=False,
        reasons=["Too slow.", "Too large."],
    )
    assert str(report).splitlines() == [
        "path        m.tflite",
        "size_bytes  12,345",
        "ratio       0.1235",
        "static      yes",
        "operators   CONV_2D 3, ADD 1",
        "inputs      name image, shape (1, 8, 8, 3)",
        "labels      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... (12)",
        "FAIL: Too slow. Too large.",
    ]
    assert str(kv.export.Report(passed=True, reasons=[])) == "PASS"
    assert (
        str(kv.export.Report(a=[kv.export.Report(b=1), kv.export.Report(b=2)])) == "a  b 1\n   b 2"
    )


def test_public_names():
    assert set(kv.export.__all__) == {
        "Report",
        "benchmark",
        "describe",
        "load",
        "load_keras",
        "saved_model",
        "task_of",
        "tflite",
        "verify",
    }
    for name in kv.export.__all__:
        assert callable(getattr(kv.export, name))
        assert name in dir(kv.export)
    with pytest.raises(AttributeError, match="kvision.export' has no attribute 'onnx'"):
        _ = kv.export.onnx
