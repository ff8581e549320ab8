"""Where a run stands: what its folder holds, and whether the run may go on from there."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dataloaders import catalog
from dataloaders.settings import DataSettings
from dataloaders.sides import of_both
from networks.checkpoints import Checkpoint, open_checkpoint
from networks.settings import NetworkSettings
from utils.config import flag_of, today_names, unused_by
from utils.constants import STAGES
from utils.distributed import world_size
from utils.errors import UserError

from .settings import TrainSettings

# A run that is resumed may differ in these; everything else decides what the numbers become.
FREE_TO_CHANGE = {
    "data_root", "workers", "cache_mb", "device", "run_dir", "resume", "eval_every", "keep_every", "save_minutes",
    "pretrained", "stage",
}  # fmt: skip
SHARED_BY_STAGES = {f.name for kind in (DataSettings, NetworkSettings) for f in dataclasses.fields(kind)} - {
    "data_root",
    "warmup_epochs",
}


def saved_run(settings: TrainSettings) -> Checkpoint | None:
    """The run's `last.pt`; None where there is none, or a fresh start is asked for.

    Raises `UserError` when it is something else or was trained with other settings or on other processes.
    """
    path = settings.folder() / "last.pt"
    if path.is_dir():
        raise UserError(f"{path}: a folder stands where the checkpoint goes; move it away, or choose another --run-dir")
    if settings.resume == "none" or not path.exists():
        return None
    checkpoint = _open(path, f"{path}: not a checkpoint to resume from; move it away, or use --resume none")
    unused = {field.name for field in unused_by(settings.method, settings)}  # earlier versions took any value of these
    _check_same(checkpoint, settings, {f.name for f in dataclasses.fields(settings)} - FREE_TO_CHANGE - unused)
    world = checkpoint.record.get("world", world_size())
    if world != world_size():
        raise UserError(
            f"{path}: was trained by {world} processes, not {world_size()}; go on with as many, or choose "
            "another --run-dir"
        )
    return checkpoint


def check_data(
    checkpoint: Checkpoint, held_out: int, train_ids: str, class_names: Mapping[int, str], novel: Sequence[str]
) -> None:
    """Raise `UserError` where the run goes on with other classes or train photos: `held_out` of these are on the
    validation list, and `train_ids` is the digest of the others.

    Runs that began before there was such a list have no number of their own; they trained on all photos. Nor do earlier
    ones have the digest and the novel classes.
    """
    then = checkpoint.record.get("held_out", 0)
    if then != held_out:
        raise UserError(
            f"{checkpoint.path}: was trained without {then} photos of the train list, and now {held_out} are on the "
            f"validation list; {'' if then else 'go on with --train-on all, or '}choose another --run-dir"
        )
    record = checkpoint.record
    then_and_now = {
        "photos of the train list": (record.get("digests", {}).get("train_ids", train_ids), train_ids),
        "classes": tuple(map(_plural, (checkpoint.class_names or class_names, class_names))),
        "novel classes": tuple(_plural(dict(enumerate(names))) for names in (record.get("novel", novel), novel)),
    }
    if changed := [what for what, (one, other) in then_and_now.items() if one != other]:
        raise UserError(
            f"{checkpoint.path}: was trained with other {', '.join(changed)} than the data set has now; put them back, "
            "or choose another --run-dir"
        )


def _plural(names: Mapping[int, str]) -> dict[int, str]:
    """The names as earlier versions wrote also those of merged classes that are no two sides."""
    return {number: of_both(name) for number, name in names.items()}


def remove_earlier(folder: Path) -> None:
    """Remove what an earlier run left that a new one in its folder may never replace: checkpoints and results."""
    named = (folder / name for name in ("best.pt", "results.json", "results.npz"))
    for path in (*named, *folder.glob("epoch_*.pt")):
        path.unlink(missing_ok=True)


def stages_to_do(settings: TrainSettings) -> list[int]:
    """The stages still to train, in turn: networks without stages have the last alone. `UserError` as `saved_run`."""
    if settings.method != "pop":
        return [STAGES]
    saved = saved_run(settings)
    first = saved.stage if saved else 1
    wanted = [settings.stage] if settings.stage else range(1, STAGES + 1)
    return [stage for stage in wanted if stage >= first]


def stage_name(stage: int) -> str:
    """Name of the checkpoint that a finished stage leaves for the next."""
    return f"stage{stage}.pt"


def finished_stage(settings: TrainSettings, stage: int) -> Checkpoint:
    """What a finished stage left. `UserError` when it is missing, or of another network or data set."""
    path = settings.folder() / stage_name(stage)
    if not path.exists():
        raise UserError(
            f"{path}: missing; stage {stage + 1} starts from it: train --stage {stage} first, or all in turn"
        )
    message = f"{path}: not the checkpoint of a finished stage {stage}; train --stage {stage} anew"
    checkpoint = _open(path, message)
    if checkpoint.stage != stage:
        raise UserError(message)
    _check_same(checkpoint, settings, SHARED_BY_STAGES)
    return checkpoint


def _open(path: Path, message: str) -> Checkpoint:
    """The checkpoint of a run. Raises `UserError` with the message where the file is of another kind."""
    checkpoint = open_checkpoint(path, num_slots=2, way="kway")  # the authors' are opened too, to be refused
    if checkpoint.kind != "run" or not _says_where_it_stands(checkpoint.record):
        raise UserError(message)
    return checkpoint


def _says_where_it_stands(record: Mapping[str, Any]) -> bool:
    position = record.get("position")
    if not isinstance(position, dict) or not isinstance(record.get("history"), list):
        return False
    sorting = record.get("sorting", [])
    if not (isinstance(sorting, list) and all(isinstance(photo, list) for photo in sorting)):
        return False
    counts = (record.get("steps"), position.get("epoch"), position.get("batch"))
    return all(type(count) is int and count >= 0 for count in counts) and isinstance(record.get("best"), float)


def _check_same(checkpoint: Checkpoint, settings: TrainSettings, names: Iterable[str]) -> None:
    now, then = dataclasses.asdict(settings), today_names(TrainSettings, checkpoint.trained_with)
    changed = [n for n in now if n in names and n in then and not same_value(n, now[n], then[n])]
    if changed:
        trained = ", ".join(f"{flag_of(n)} {_plain(then[n])}" for n in changed)
        raise UserError(
            f"{checkpoint.path}: was trained with {trained}; go on with the same, or choose another --run-dir"
        )


def same_value(name: str, one: Any, other: Any) -> bool:
    """Whether two values of the setting `name` mean the same."""
    if name == "dataset" and isinstance(other, str):
        return catalog.same_dataset(one, other)
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
