"""What the callbacks of others remember, so that a resumed run goes on with it.

What a callback remembers is what training has ever changed in its attributes; the others are
settings. Taken along is what can be written down without code: numbers, texts, arrays, variables,
and lists, sets and dicts of them.
"""

import collections
import hashlib
import inspect
import json

import keras
import numpy as np

_FILE = "callbacks.npz"
_GROUPS = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}


def callbacks_before(callback):
    """The callbacks that stand before one in the list of the `fit` that is calling it."""
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return caller.callbacks[: caller.callbacks.index(callback)]
        frame = frame.f_back
    return []


class Memory:
    """What some callbacks remember beyond what they began with.

    Make it in `on_train_begin`, after theirs, which is where they forget.

    Args:
        callbacks: a list of callbacks.
    """

    def __init__(self, callbacks):
        seen = collections.Counter()
        self._callbacks, self._fresh, self._changed = {}, {}, set()
        for callback in callbacks:
            name = type(callback).__name__
            seen[name] += 1
            name = f"{name} {seen[name]}"
            self._callbacks[name] = callback
            self._fresh[name] = {key: _digest(*each) for key, *each in _attributes(callback)}

    def save(self, folder):
        """Writes arrays to a folder; what is returned, ready for JSON, goes to `restore`."""
        state, every = {}, []
        for name, callback in self._callbacks.items():
            for key, value, arrays in _attributes(callback):
                if self._fresh[name].get(key) != _digest(value, arrays):
                    self._changed.add((name, key))
                if (name, key) in self._changed:
                    place = [value, len(every), len(every) + len(arrays)]
                    state.setdefault(name, {})[key] = place
                    every += arrays
        if every:
            np.savez(folder / _FILE, *every)
        return state

    def restore(self, folder, state):
        """Gives the callbacks what `save` wrote of them; they are known by class and order."""
        every = []
        if (folder / _FILE).exists():
            with np.load(folder / _FILE, allow_pickle=False) as file:
                every = [file[f"arr_{number}"] for number in range(len(file.files))]
        for name in state.keys() & self._callbacks.keys():
            mine = vars(self._callbacks[name])
            for key, (value, first, end) in state[name].items():
                mine[key] = _decode(value, every[first:end], mine.get(key))
                self._changed.add((name, key))


def _attributes(callback):
    """Triples of an attribute's name, its value ready for JSON, and the arrays in it."""
    for key, value in vars(callback).items():
        arrays = []
        try:
            yield key, _encode(value, arrays), arrays
        except Exception:  # what cannot be written down, in whatever way it says so
            continue


def _encode(value, arrays):
    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) is dict:
        return {"dict": [[_encode(part, arrays) for part in pair] for pair in value.items()]}
    if type(value).__name__ in _GROUPS and type(value) is _GROUPS[type(value).__name__]:
        return {type(value).__name__: [_encode(part, arrays) for part in value]}
    if type(value) is collections.deque:
        return {"deque": [value.maxlen, _encode(list(value), arrays)]}
    variable = isinstance(value, keras.Variable)
    if variable or keras.ops.is_tensor(value) or isinstance(value, (np.ndarray, np.generic)):
        array = np.asarray(keras.ops.convert_to_numpy(value))
        if array.dtype.kind in "biufcSU":
            arrays.append(array)
            return {"variable" if variable else "array": len(arrays) - 1}
    raise TypeError


def _decode(value, arrays, now):
    """What `_encode` was given; variables are those of `now`, where there are."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "array":
        return arrays[content][()]  # a single number is no array, and may be a key
    if kind == "variable":
        if not isinstance(now, keras.Variable):
            return keras.Variable(arrays[content])
        now.assign(arrays[content])
        return now
    if kind == "deque":
        return collections.deque(_decode(content[1], arrays, None), content[0])
    if kind == "dict":
        now = now if isinstance(now, dict) else {}
        pairs = [(_decode(key, arrays, None), part) for key, part in content]
        return {key: _decode(part, arrays, now.get(key)) for key, part in pairs}
    same = isinstance(now, (list, tuple)) and len(now) == len(content)
    now = now if same else [None] * len(content)
    return _GROUPS[kind](map(_decode, content, [arrays] * len(content), now))


def _digest(value, arrays):
    digest = hashlib.sha256(json.dumps(value).encode())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype)).encode() + array.tobytes())
    return digest.digest()
