"""A task from outside kvision: by how many degrees the second of two pictures is turned.

`kvision.tasks.add(TASK, "turning")` makes it known. Its modules lie as kvision's own.
"""

from kvision.tasks import Metric, Task

TASK = Task(
    "turning",
    "Turning",
    "angle",
    Metric("mean error", "degrees", lower_is_better=True),
    inputs=("before", "after"),
    published={"error": "mean error, degrees"},
)
