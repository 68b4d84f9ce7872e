"""MediaPipe Tasks opens what we export, and answers what we answer.

It runs in an environment of its own (`make` builds `.venv-mediapipe`).
"""

import pytest

import kvision as kv


@pytest.mark.parametrize("kind", ["float32", "float16", "dynamic", "int8"])
def test_same_label_and_score(kind, mediapipe, exported, tiny, digits):
    images = digits.test[:20]
    model = kv.export.load(exported(kind))
    scores = model.predict(images)
    answers = mediapipe("mediapipe_client.py", exported(kind), images)
    assert len(answers) == 20
    if kind == "float32":
        # Not only our reader and MediaPipe agree on the normalisation, but the model does.
        wanted = tiny.predict(images.astype("float32"), verbose=0).max(1)
        assert [answer[0][1] for answer in answers] == pytest.approx(wanted.tolist(), abs=1e-4)
    assert len({answer[0][0] for answer in answers}) > 3
    for answer, row in zip(answers, scores, strict=True):
        label, score, index = answer[0]
        assert index == row.argmax()
        assert label == model.labels[index]
        assert score == pytest.approx(row[index], abs=1e-5)
        assert len(answer) == 10
        assert {label: pytest.approx(score, abs=1e-5) for label, score, _ in answer} == dict(
            zip(model.labels, row.tolist(), strict=True)
        )
