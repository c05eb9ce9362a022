"""What a network said of each image when the test split was opened."""

from __future__ import annotations

from eurosat_lib.config import Config
from eurosat_lib.data import load_dataset
from eurosat_lib.errors import explained
from eurosat_lib.evaluation import Evaluation, Predictions, evaluate_checkpoint
from eurosat_lib.evaluation.predictions import FILE as PREDICTIONS
from eurosat_lib.stages.final import checkpoint_path
from eurosat_lib.stages.sealed import is_there
from eurosat_lib.training.checkpoint import sha256


def kept_predictions(config: Config, evaluation: Evaluation) -> Predictions:
    """Load what the network said of each image when the test split was opened.

    Git does not hold it: for a sealed run in a fresh clone, the checkpoint says it once more.
    """
    folder, path = config.paths.stages / evaluation.stored, checkpoint_path(config)
    if not is_there(config, folder / PREDICTIONS) and path.is_file():
        digest = sha256(path)
        if digest == evaluation.checkpoint_sha256:
            folder.mkdir(parents=True, exist_ok=True)
            evaluate_checkpoint(config, load_dataset(config), path, digest, folder)
    with explained(
        "Les prédictions gardées manquent ou sont abîmées\u00a0: supprimer le dossier indiqué "
        "ci-dessous, puis réexécuter le notebook 07_eval."
    ):
        return Predictions.load(folder)
