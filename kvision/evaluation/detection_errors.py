"""What is wrong with detections: where they went astray, and what each kind of error costs."""

import numpy as np

from kvision.evaluation.voc_ap import (
    FALSE,
    HIT,
    IGNORED,
    Verdicts,
    average_precision,
    overlaps,
    voc_verdicts,
)

ERRORS = ("localisation", "confusion", "both", "duplicate", "background", "missed")
_RIGHT, _NEAR = 0.5, 0.1  # IoU from which on a detection is on an object, and near one


def detection_verdicts(pictures):
    """The verdict on every detection of a list of `ComparedPicture`, and each error's kind.

    A detection that is false is one of, in this order:

    - `localisation`: IoU of 0.1 to 0.5 with an object of its class;
    - `confusion`: IoU of 0.5 or more with an object of another class;
    - `duplicate`: IoU of 0.5 or more with an object of its class, which another one found;
    - `background`: IoU below 0.1 with every object;
    - `both`: the rest, which is on another class and badly placed.

    Returns:
        `Verdicts`.

    Reference:
        Bolya et al.: TIDE: A general toolbox for identifying object detection errors, 2020,
        section 2.2.
    """
    empty = [np.zeros(0), *(np.zeros(0, kind) for kind in (int, int, "U12", int, int, bool, bool))]
    columns = [[values] for values in empty]
    objects = 0
    for picture in pictures:
        ious = overlaps(picture)
        verdicts, targets = voc_verdicts(picture, ious, _RIGHT)
        found = np.zeros(len(picture.true_classes), bool)
        found[targets[verdicts == HIT]] = True
        kinds, near = _kinds(picture, ious, verdicts)
        targets = np.where(verdicts == HIT, targets, near)
        row = (
            picture.scores,
            picture.classes,
            verdicts,
            kinds,
            np.where(targets >= 0, targets + objects, -1),
            picture.true_classes,
            picture.counts,
            found,
        )
        for column, values in zip(columns, row, strict=True):
            column.append(values)
        objects += len(found)
    return Verdicts(*map(np.concatenate, columns))


def detection_errors(verdicts, classes):
    """How often each kind of error occurs among the best detections, and what it costs.

    Args:
        verdicts: of `detection_verdicts`.
        classes: how many there are.

    Returns:
        A dict from `"correct"` and each of `ERRORS` to a dict of `count`, `share` and `gain`.
        Detections are counted among as many of each class, by falling score, as there are objects
        of it (Hoiem et al.); `missed` are objects that no detection of any score found or came near
        to, as a share of the objects. `gain` is by how much VOC's mean AP (area) would rise if all
        errors of the kind, at any score, were repaired (Bolya et al.): detections put right if
        their object is not found otherwise, else taken away; missed objects not asked for.

    Reference:
        Hoiem et al.: Diagnosing error in object detectors, 2012. Bolya et al.: TIDE, 2020.
    """
    now = _mean_ap(verdicts, verdicts.classes, verdicts.verdicts, verdicts.counts, classes)
    best = _best_detections(verdicts, classes)
    missed = _missed(verdicts)
    result = {"correct": _row(np.sum(verdicts.verdicts[best] == HIT), len(best), None)}
    for kind in ERRORS:
        gain = None if now is None else _repaired(verdicts, kind, missed, classes) - now
        if kind == "missed":
            result[kind] = _row(missed.sum(), verdicts.counts.sum(), gain)
        else:
            result[kind] = _row(np.sum(verdicts.kinds[best] == kind), len(best), gain)
    return result


def _kinds(picture, ious, verdicts):
    """The kind of error of each detection, and the object that it should have found, or -1."""
    kinds = np.full(len(verdicts), "", "U12")
    near = np.full(len(verdicts), -1)
    single = ~picture.crowd
    for i in np.flatnonzero(verdicts == FALSE):
        same = picture.true_classes == picture.classes[i]
        own = np.where(same & single, ious[i], 0.0)
        other = np.where(~same & single, ious[i], 0.0)
        best_own, best_other = own.max(initial=0.0), other.max(initial=0.0)
        if _NEAR <= best_own < _RIGHT:
            kinds[i], near[i] = "localisation", own.argmax()
        elif best_other >= _RIGHT:
            kinds[i], near[i] = "confusion", other.argmax()
        elif best_own >= _RIGHT:
            kinds[i] = "duplicate"
        else:
            kinds[i] = "both" if best_other >= _NEAR else "background"
    return kinds, near


def _best_detections(verdicts, classes):
    """Indices of as many detections of each class, by falling score, as there are objects."""
    order = np.argsort(-verdicts.scores, kind="stable")
    order = order[verdicts.verdicts[order] != IGNORED]
    counted = verdicts.true_classes[verdicts.counts]
    best = [order[verdicts.classes[order] == k][: np.sum(counted == k)] for k in range(classes)]
    return np.concatenate([np.zeros(0, int), *best])


def _missed(verdicts):
    """Which true objects no detection found, nor would have if it were put right."""
    reached = verdicts.found.copy()
    reached[verdicts.targets[verdicts.targets >= 0]] = True
    return verdicts.counts & ~reached


def _repaired(verdicts, kind, missed, classes):
    """Mean AP if all errors of a kind were repaired."""
    if kind == "missed":
        counts = verdicts.counts & ~missed
        return _mean_ap(
            verdicts, verdicts.classes, verdicts.verdicts, counts, classes, verdicts.counts
        )
    labels, changed = verdicts.classes.copy(), verdicts.verdicts.copy()
    mine = np.flatnonzero(verdicts.kinds == kind)
    changed[mine] = IGNORED
    taken = verdicts.found | ~verdicts.counts
    for i in mine[np.argsort(-verdicts.scores[mine], kind="stable")]:
        target = verdicts.targets[i]
        if target >= 0 and not taken[target]:
            labels[i], changed[i], taken[target] = verdicts.true_classes[target], HIT, True
    return _mean_ap(verdicts, labels, changed, verdicts.counts, classes)


def _mean_ap(verdicts, labels, states, counts, classes, present=None):
    """Mean AP over the classes that have objects; a class all of whose are left out has 1."""
    present = counts if present is None else present
    changed = Verdicts(
        verdicts.scores,
        labels,
        states,
        verdicts.kinds,
        verdicts.targets,
        verdicts.true_classes,
        counts,
        verdicts.found,
    )
    values = []
    for index in range(classes):
        if not (present & (verdicts.true_classes == index)).any():
            continue
        value = average_precision(*changed.of_class(index))
        values.append(1.0 if value is None else value)
    return float(np.mean(values)) if values else None


def _row(count, whole, gain):
    share = float(count / whole) if whole else None
    return {"count": int(count), "share": share, "gain": None if gain is None else float(gain)}
