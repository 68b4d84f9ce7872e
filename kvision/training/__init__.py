"""On which devices to train, and what to do meanwhile: strategies and callbacks for `fit`."""

from kvision.training.closing import close
from kvision.training.devices import strategy
from kvision.training.precision import mixed_precision
from kvision.training.run_callbacks import callbacks
from kvision.training.run_folder import completed_epochs, is_finished
from kvision.training.watch import Seconds

__all__ = [
    "Seconds",
    "callbacks",
    "close",
    "completed_epochs",
    "is_finished",
    "mixed_precision",
    "strategy",
]
