"""Evaluate a checkpoint by the protocol of its benchmark.

    python evaluate.py --checkpoint runs/ccp_eop_kway_f1/last.pt
    python evaluate.py --checkpoint data/pretrained_model/atr_kwf1.pth --dataset atr --fold 1 --way kway

Prints the IoU of each class and the summary, and writes results.json (and pictures) beside the checkpoint or
under --output.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dataloaders import catalog, visualize
from dataloaders.oshp_loader import TestEpisodes
from dataloaders.spec import DatasetSpec
from dataloaders.stages import stage_spec
from engine import report
from engine.evaluation import Evaluation, EvaluationPlan, evaluate
from engine.settings import EvaluateSettings, TrainSettings
from networks.base import OneShotNetwork
from networks.checkpoints import Checkpoint, authors, open_checkpoint
from networks.checkpoints.files import revision
from networks.fast.folding import fold_batch_norm
from utils import distributed
from utils.config import parse, restore
from utils.device import choose_device, resolve_amp, tune
from utils.errors import UserError, run_cli
from utils.files import require_writable, write_json


def main() -> None:
    about = "Evaluate a checkpoint by the protocol of its benchmark."
    settings = parse(EvaluateSettings, description=about)
    local_rank = distributed.start()
    if not settings.checkpoint:
        raise UserError("--checkpoint: name the checkpoint to evaluate")
    checkpoint = load(settings)
    whole = catalog.load(settings.dataset)
    spec = stage_spec(whole, checkpoint.stage)
    if checkpoint.num_slots != spec.num_slots:
        raise UserError(
            f"{settings.checkpoint}: trained with {checkpoint.num_slots} labels, and {settings.dataset} has "
            f"{spec.num_slots} now; put its labels back, or train anew"
        )
    device = choose_device(settings.device, local_rank)
    network = checkpoint.build().to(device)
    fold_batch_norm(network)
    tune(network, device, settings.channels_last, settings.compile)
    episodes = TestEpisodes(whole, catalog.locate(whole, settings.data_root), way=network.way, stage=checkpoint.stage)
    folder = outcome_folder(settings, checkpoint)
    picked = evenly_spaced(len(episodes.pairs), settings.save_pictures)
    plan = EvaluationPlan(
        believed_epoch(settings, checkpoint),
        spec.classes,
        spec.base_classes(settings.fold),
        device,
        test_size_of(settings, checkpoint),
        settings.agm,
        resolve_amp(settings.amp, device),
        settings.workers,
        picked,
    )
    distributed.say(
        *checkpoint.notes,
        f"{len(episodes.pairs)} pairs of {spec.title}, fold {settings.fold}, {network.way}, epoch {plan.epoch}",
    )
    if episodes.reused:
        distributed.say(f"the test list had to use {episodes.reused} images more than once")
    evaluation = evaluate(network, episodes, plan)
    if distributed.rank() == 0:
        write_report(settings, spec, network, episodes, evaluation, plan, folder / "results.json")
    save_pictures(folder / "pictures", spec, episodes, evaluation)


def load(settings: EvaluateSettings) -> Checkpoint:
    """The checkpoint. Fills in the settings that it knows; a disagreement is a `UserError`."""
    path = settings.checkpoint
    if not Path(path).is_file():
        raise UserError(
            f"{path}: no such checkpoint; train one and give its last.pt as CHECKPOINT=... or --checkpoint, or fetch "
            f"the authors' from {authors.MODELS}"
        )
    slots = catalog.load(settings.dataset).num_slots if settings.dataset else None
    checkpoint = open_checkpoint(path, num_slots=slots, way=settings.way)
    if checkpoint.kind == "authors":
        if not settings.fold:
            raise UserError(f"{path}: not of this project, so --dataset, --fold and --way must be given")
        return checkpoint
    training = restore(TrainSettings, checkpoint.trained_with, path)
    for name in ("dataset", "fold", "way"):
        trained, asked = getattr(training, name), getattr(settings, name)
        if asked and asked != trained:
            raise UserError(f"{path}: trained with --{name} {trained}, not {asked}; name its own, or none")
        setattr(settings, name, trained)
    return checkpoint


def outcome_folder(settings: EvaluateSettings, checkpoint: Checkpoint) -> Path:
    """Where results.json and pictures go: the authors' files lie side by side, so each has a run folder for them.

    Raises `UserError` where nothing can be written.
    """
    folder = Path(settings.checkpoint).parent
    if checkpoint.kind == "authors":
        folder = Path(f"runs/{settings.dataset}_{checkpoint.settings.method}_{settings.way}_f{settings.fold}_authors")
    folder = Path(settings.output or folder)
    if distributed.rank() == 0:
        require_writable(folder)
    return folder


def believed_epoch(settings: EvaluateSettings, checkpoint: Checkpoint) -> float:
    """The epoch that decides whether the bank takes part; `settings.prototypes` is made to say which it is."""
    warmup = checkpoint.settings.warmup_epochs
    if settings.prototypes != "auto":
        return warmup + (settings.prototypes == "bank")
    return checkpoint.epoch if settings.epoch < 0 else settings.epoch


def test_size_of(settings: EvaluateSettings, checkpoint: Checkpoint) -> int:
    """The longest side at which to parse: as asked, else as trained, else as published (0, no resize)."""
    if settings.test_size >= 0:
        return settings.test_size
    return checkpoint.test_size


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` indices evenly over `total`, so that they show many classes."""
    return sorted({int(i) for i in np.linspace(0, total - 1, min(count, total))}) if count else []


def write_report(
    settings: EvaluateSettings,
    spec: DatasetSpec,
    network: OneShotNetwork,
    episodes: Any,
    evaluation: Evaluation,
    plan: EvaluationPlan,
    path: Path,
) -> None:
    """Print the tables and write results.json to `path`."""
    names = {c: spec.class_name(c) for c in spec.classes}
    novel, published = spec.novel(settings.fold), spec.published(network.method, network.way, settings.fold)
    print("\n" + report.text(evaluation, names, novel, published))
    about = {
        "checkpoint": settings.checkpoint,
        "dataset": spec.name,
        "fold": settings.fold,
        "method": network.method,
        "way": network.way,
        "epoch": plan.epoch,
        "test_size": plan.test_size,
        "pairs": len(episodes.pairs),
        "reused_images": episodes.reused,
        "revision": revision(),
    }
    write_json(path, report.results(evaluation, names, novel, published, **about))
    print(f"\nwritten: {path}")


def save_pictures(folder: Path, spec: DatasetSpec, episodes: Any, evaluation: Evaluation) -> None:
    """One picture for each kept prediction: support, its labels, query, prediction, truth, and a legend."""
    for number in sorted(evaluation.predictions):
        path = folder / f"pair_{number:05d}.png"
        visualize.save_image(path, picture(spec, episodes, number, evaluation.predictions[number].numpy()))
        print(f"written: {path}")


def picture(spec: DatasetSpec, episodes: Any, number: int, prediction: np.ndarray) -> np.ndarray:
    """The picture of one test pair, RGB uint8 (H, W, 3)."""
    episode, pair = episodes[number], episodes.pairs[number]
    binary = episodes.way == "1way"
    palette = [spec.palette[0], spec.palette[pair.class_id]] if binary else spec.palette
    names = {1: spec.class_name(pair.class_id)} if binary else {c: spec.class_name(c) for c in spec.classes}
    both = {
        who: (episode[who].permute(1, 2, 0).numpy(), episode[f"{who}_label"].numpy()) for who in ("support", "query")
    }
    row = visualize.titled(
        visualize.episode_row(both["support"], both["query"], prediction, palette),
        ("support", "its labels", "query", "prediction", "truth"),
    )
    strip = visualize.legend([(names[c], palette[c]) for c in names if c > 0], row.shape[1])
    return visualize.stack([row, strip])


if __name__ == "__main__":
    run_cli(main)
