"""What a training left: the best epoch, and whether it is of what is asked for."""

import warnings
from pathlib import Path

from kvision import export
from kvision.files.writing import writing
from kvision.training import run_folder


def trained_model(run_dir, model, about=None):
    """The best epoch of a finished run, to release it (again) in place of training.

    Use it in a training script where `kv.training.is_finished(run_dir)`, with what the script
    would train.

    Args:
        run_dir: the run folder.
        model: the model that would be trained, built but not trained.
        about: what the run should be of, as `kv.training.callbacks` takes it.

    Returns:
        The `keras.Model` of `model.keras`.

    Raises:
        ValueError: where the run is of another model, or of something else.
        FileNotFoundError: where `model.keras` is gone.

    Example:

    ```python
    model = kv.models.LeNet5()
    if kv.training.is_finished("saved_models/digits"):
        model = kv.runs.trained_model("saved_models/digits", model)
    ```
    """
    run_dir = Path(run_dir)
    run_folder.check_about(run_dir, about or {})
    best = export.load_keras(_best_file(run_dir))
    if best.input_shape != model.input_shape or _shapes(best) != _shapes(model):
        raise ValueError(
            f"The run in {str(run_dir)!r} must be one of the model that is asked for. Received: "
            f"`{model.name}` with the input shape {model.input_shape}; there, `{best.name}` with "
            f"{best.input_shape}, or with other weights. Pass another folder."
        )
    return best


def settle_best(model, run_dir):
    """Makes `model` and the folder's `model.keras` one, the best epoch, before a release."""
    trained = (run_dir / "run.json").exists()  # by our callbacks; others write a history.csv too
    if trained and run_folder.is_finished(run_dir):
        best = _best_file(run_dir)
        try:
            with warnings.catch_warnings():  # of the optimizer, which no release needs
                warnings.filterwarnings("ignore", "Skipping variable loading", UserWarning)
                model.load_weights(best)
        except ValueError as error:
            said = str(error).strip().splitlines()[0]
            raise ValueError(
                f"`model` must be the one that was trained in {str(run_dir)!r}, whose best epoch "
                f"is exported. Received: `{model.name}`, which does not fit {best.name}: {said} "
                "Pass another folder for another model."
            ) from error
        return
    if trained and (run_dir / "backup").exists():
        epochs = run_folder.completed_epochs(run_dir)
        raise ValueError(
            f"The training in {str(run_dir)!r} must have ended before its model is released. "
            f"Received: one broken off after {epochs} epochs. Start it again, and it goes on."
        )
    with writing(run_dir / "model.keras") as partial:
        model.save(partial)


def _best_file(run_dir):
    best = run_dir / "model.keras"
    if not best.is_file():
        raise FileNotFoundError(
            f"A run was trained in {str(run_dir)!r} and its {best.name} is gone: put it back, or "
            "train anew in another folder."
        )
    return best


def _shapes(model):
    return [tuple(weight.shape) for weight in model.weights]
