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

    Example:

    ```python
    model.fit(train, epochs=20, callbacks=kv.training.callbacks("saved_models/photos"))
    kv.training.close("saved_models/photos")
    card = kv.runs.release(model, "saved_models/photos", test, train, names)
    ```
    """
    if "TF_CONFIG" in os.environ:
        print("Trained. Start the command once more on one host, without TF_CONFIG, to export it.")
        sys.exit()
    if not is_finished(run_dir):
        sys.exit(1)
