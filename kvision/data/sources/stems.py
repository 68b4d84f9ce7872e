"""Files of two folders that belong together because they have the same name but for the ending."""

import os

from kvision.files.text import readable


def by_stem(names, folder, top=""):
    """Files by their paths inside a folder without their endings.

    Args:
        names: paths of files.
        folder: the folder that they lie in.
        top: what to put before each stem, to keep those of several folders apart.

    Returns:
        A dict of stem to a list of names: "a.jpg" and "a.png" have the same.
    """
    found = {}
    for name in names:
        stem = readable(os.path.splitext(os.path.relpath(name, folder or "."))[0])
        found.setdefault(os.path.join(top, stem), []).append(name)
    return found


class Stems:
    """Which files of several kinds are meant by a stem.

    A stem is the path in the folder of its kind; where not all kinds have one there, its last part
    alone counts: `c1/1` may be one of a list, and the file lie in no folder `c1`.

    Args:
        kinds: dict of what to call the files of a kind to what `by_stem` made of them.
    """

    def __init__(self, kinds):
        self._whole, self._bare = kinds, {}
        for kind, files in kinds.items():
            self._bare[kind] = {}
            for stem, names in files.items():
                self._bare[kind].setdefault(os.path.basename(stem), []).extend(names)
        self.known = set().union(*self._whole.values(), *self._bare.values())

    def find(self, stem):
        """The pair of a dict of kind to a list of names, and why they are not one of each, or None.

        That no file of a kind is there is left for the caller to say.
        """
        found = {kind: files.get(stem, []) for kind, files in self._whole.items()}
        if not all(found.values()):
            bare = os.path.basename(stem)
            found = {kind: files.get(bare, []) for kind, files in self._bare.items()}
        several = next((names for names in found.values() if len(names) > 1), None)
        if several is None:
            return found, None
        return found, f"it may be {several[0]!r} or {several[1]!r}"
