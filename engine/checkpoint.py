"""What evaluation takes from a checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from dataloaders import catalog
from networks.checkpoints import Checkpoint, open_checkpoint
from utils import distributed
from utils.config import refuse_unused, restore
from utils.errors import UserError
from utils.files import require_writable

from .settings import EvaluateSettings, TrainSettings

AUTHORS_MODELS = "https://drive.google.com/drive/folders/1qn-dyxmpn6F7FmPrtVl2duDPTtSUjEWF"


def open_for_evaluation(settings: EvaluateSettings) -> Checkpoint:
    """The checkpoint. Fills in the settings that it knows; a disagreement is a `UserError`."""
    path = settings.checkpoint
    if not path:
        raise UserError("--checkpoint: name the checkpoint to evaluate")
    if not Path(path).is_file():
        raise UserError(
            f"{path}: no such checkpoint; train one and give its last.pt as CHECKPOINT=... or --checkpoint, or fetch "
            f"the authors' from {AUTHORS_MODELS}"
        )
    slots = catalog.load(settings.dataset).num_slots if settings.dataset else None
    checkpoint = open_checkpoint(path, num_slots=slots, way=settings.way)
    refuse_unused(settings, checkpoint.settings.method)
    if checkpoint.kind == "authors":
        if not settings.fold:
            raise UserError(f"{path}: not of this project, so --dataset, --fold and --way must be given")
    else:
        training = restore(TrainSettings, checkpoint.trained_with, path)
        shared: tuple[str, ...] = ("dataset", "fold", "way")
        if settings.dataset and catalog.same_dataset(settings.dataset, training.dataset):
            training.dataset = settings.dataset  # which may be spelled in another way
        elif settings.dataset:
            shared = ("way",)
            settings.fold = settings.fold or catalog.load(settings.dataset).folds[0]
        for name in shared:
            trained, asked = getattr(training, name), getattr(settings, name)
            if asked and asked != trained:
                raise UserError(f"{path}: trained with --{name} {trained}, not {asked}; name its own, or none")
            setattr(settings, name, trained)
    return checkpoint


def is_foreign(settings: EvaluateSettings, checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is evaluated on another data set than its own, whose classes its bank does not know."""
    trained = checkpoint.trained_with.get("dataset")
    return checkpoint.kind != "authors" and not catalog.same_dataset(settings.dataset, str(trained))


def check_novel(settings: EvaluateSettings, checkpoint: Checkpoint, novel: Sequence[str]) -> None:
    """Raise `UserError` where the fold has other `novel` classes than in the training; earlier files do not tell."""
    if not is_foreign(settings, checkpoint) and checkpoint.record.get("novel", novel) != novel:
        now = f"fold {settings.fold} of {settings.dataset} has now ({', '.join(novel) or 'none'})"
        raise UserError(
            f"{settings.checkpoint}: trained with other novel classes than {now}; put its folds back, or train anew"
        )


def use_bank(settings: EvaluateSettings, checkpoint: Checkpoint) -> bool:
    """Whether prototypes are blended with the bank: as asked, by default where the warm-up is over, which AOPNet lacks.

    On another data set than the checkpoint's they never are; raises `UserError` where that is asked for.
    """
    if is_foreign(settings, checkpoint):
        if settings.prototypes == "bank":
            raise UserError(f"--prototypes bank: the bank knows no class of {settings.dataset}; use support-only")
        return False
    if settings.prototypes != "auto":
        return settings.prototypes == "bank"
    epoch = checkpoint.epoch if settings.epoch < 0 else settings.epoch
    return checkpoint.settings.method == "aop" or epoch > checkpoint.settings.warmup_epochs


def output_folder(settings: EvaluateSettings, checkpoint: Checkpoint) -> Path:
    """Where results go: of the authors' files, which lie side by side, each has its own. `UserError` if unwritable."""
    folder = checkpoint.path.parent
    if is_foreign(settings, checkpoint):  # beside the results on its own data set
        folder = folder / f"on_{catalog.load(settings.dataset).name}"
    if checkpoint.kind == "authors":
        name, method = catalog.results_name(settings.dataset), checkpoint.settings.method
        folder = Path(f"runs/{name}_{method}_{settings.way}_f{settings.fold}_authors")
    folder = Path(settings.output or folder)
    if distributed.rank() == 0:
        require_writable(folder)
    return folder
