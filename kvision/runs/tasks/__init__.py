"""What a run of each task tells of its model: one module a task, found by its name.

A module must have:

    evaluate(model, batches, class_names, each)   the scores of a model, a dict that JSON can hold;
                                `each(images, outputs, truth)` is called for each batch
    lines(metrics)              what `kvision evaluate` prints of these: a list of lines, a list of
                                dicts, one for each class, and `{key of them: heading}`
    section(metrics)            the card's section on how good the model is, in Markdown
    usage(card, best, shape)    the card's section on how to use its files: `best` is the file that
                                an app would take, `shape` a text of its input
    viewer(loaded, resize, top) what looks at photos for `kvision predict`: an object with
                                `look(photo)` (of several inputs, a photo for each), which returns a
                                line of text, and `save(path)`, which writes a figure of all;
                                further arguments are options of the command and have defaults

It may have what is defined below, which holds of a task that lacks it, and

    heat_maps(loaded, resize)   what draws where the evidence is: an object with `add(photo,
                                viewer)` and `save(path)`
"""

import types

from kvision import tasks

AGREEMENT = "same answer"  # the heading of the share of examples of which model and file agree
COMPARED = "outputs"  # what the differences between model and file are of


def part_of(task):
    """Returns the functions and constants of a `kvision.tasks.Task`, as a namespace."""
    return types.SimpleNamespace(**{**globals(), **vars(tasks.part("runs.tasks", task.name))})


class Pictures:
    """Keeps the pictures of a card's figures while a model is scored; of most tasks the worst."""

    def __call__(self, images, outputs, truth):
        """Takes a batch, as `evaluate` gives it to `each`."""

    def figures(self, card):
        """Returns the figures that are a task's own, `{name: Figure}`."""
        return {}


def labels(model, class_names):
    """Returns the names that stand in the files, of what the outputs are the scores of."""
    return list(class_names) or None


def heat_maps(loaded, resize):
    """Raises `ValueError`: it takes a model whose answer is one of whole photos."""
    raise ValueError(
        "--heatmap must be given for classifiers; others say where something is: use --save. "
        f"Received: {loaded.path}"
    )
