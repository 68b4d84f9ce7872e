"""What is to be done after `fit` before a model is released."""

import os
import sys

from kvision.training.run_folder import is_finished


def close(run_dir):
    """Ends the process where there is nothing that could be released; else does nothing.

    Use it after `fit` in a script that goes on with `kv.runs.release`: several hosts train
    together, and one of them, started again on its own, exports; and a training that diverged,
    and has said so, leaves nothing to export.

    Args:
        run_dir: path of the run's folder.

    Raises:
        SystemExit: with status 0 on several hosts, with 1 where the training did not come to its
            end.

    Example: the scripts in `apps/`, and "A script that is started again" in
    `docs/guides/training.md`.
    """
    if "TF_CONFIG" in os.environ:
        print("Trained. Start the command once more on one host, without TF_CONFIG, to export it.")
        sys.exit()
    if not is_finished(run_dir):
        sys.exit(1)
