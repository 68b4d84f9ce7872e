import time

import pytest

import kvision as kv


@pytest.mark.parametrize("kind", ["keras", "saved_model", "float32", "int8"])
def test_every_format_is_timed(kind, exported):
    report = kv.export.benchmark(exported(kind), runs=5, warmup=1)
    assert 0 < report.median_ms <= report.p90_ms
    assert report.runs == 5
    assert report.threads == (1 if kind in ("float32", "int8") else None)
    assert report.size_bytes == kv.export.describe(exported(kind)).size_bytes
    assert "median_ms" in str(report)


def test_several_thread_counts(exported):
    report = kv.export.benchmark(exported("int8"), threads=[1, 2], runs=4)
    assert [row.threads for row in report.results] == [1, 2]
    assert report.median_ms == report.results[0].median_ms


def test_times_are_those_of_the_runs(exported, monkeypatch):
    # Ten runs of 1, 2, ... 10 ms by a clock of our own, after two that do not count.
    import kvision.export.proof.latency as latency

    moments = iter([x for ms in range(1, 11) for x in (0.0, ms / 1000)])
    slow = iter([0.0, 9.0, 0.0, 9.0])
    calls = {"n": 0}

    def clock():
        calls["n"] += 1
        return next(slow) if calls["n"] <= 2 else next(moments)

    monkeypatch.setattr(latency.time, "perf_counter", clock)
    report = kv.export.benchmark(exported("float32"), runs=10, warmup=2)
    assert time.perf_counter is clock
    assert report.median_ms == pytest.approx(5.5)
    assert report.p90_ms == pytest.approx(9.1)


@pytest.mark.parametrize(
    "settings", [{"threads": 0}, {"threads": []}, {"runs": 0}, {"warmup": -1}, {"threads": [1, 0]}]
)
def test_wrong_arguments(settings, exported):
    with pytest.raises(ValueError, match="must be at least 1 and `warmup` at least 0"):
        kv.export.benchmark(exported("float32"), **settings)
