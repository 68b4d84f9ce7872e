"""What `import kvision` costs beside `import keras`."""

import statistics
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.bench


def seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def test_import_time(capsys):
    codes = {"nothing": "pass", "kvision": "import kvision", "keras": "import keras"}
    codes["both"] = "import keras, kvision; kvision.models"
    times = {name: [] for name in codes}
    for _ in range(6):
        for name, code in codes.items():
            times[name].append(seconds(code))
    median = {name: statistics.median(values[1:]) for name, values in times.items()}
    own = {name: value - median["nothing"] for name, value in median.items()}
    with capsys.disabled():
        print(f"\nimport kvision {own['kvision']:.3f} s, keras {own['keras']:.3f} s")
        print(f"import time kvision / keras: {own['kvision'] / own['keras']:.3f}")
        print(f"import time keras and kvision.models / keras: {own['both'] / own['keras']:.2f}")
    assert own["kvision"] < own["keras"]
