"""Evaluation results: tables and pictures for people, JSON for programs."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dataloaders import visualize
from dataloaders.oshp_loader import TestEpisodes
from dataloaders.spec import DatasetSpec
from networks.checkpoints import Checkpoint
from utils.files import write_json
from utils.log import percent, table

from . import bootstrap, digests
from .bootstrap import Interval, QueryCounts
from .evaluation import Evaluation
from .settings import EvaluateSettings

TITLES = {"human": "Human mIoU", "base": "Base mIoU", "novel": "Novel mIoU"}
TITLES |= {"accuracy": "Overall accuracy", "binary": "bi-mIoU"}
OUTPUTS = {"npm": "NPM, screened", "agm": "AGM, screened"}


def text(
    evaluation: Evaluation,
    spec: DatasetSpec,
    fold: int,
    published: Mapping[str, float] | None,
    intervals: Mapping[str, Mapping[str, Interval]],
) -> str:
    """Two Markdown tables: IoU of each class, then the summary, beside the published figures where there are any.

    `intervals` are those of the outputs' figures.
    """
    titles, figures = [OUTPUTS[name] for name in evaluation.figures], list(evaluation.figures.values())
    rows = []
    for c in figures[0].iou:
        kind = "novel" if c in spec.novel(fold) else "base"
        rows.append([spec.class_name(c), kind, *(percent(one.iou[c]) for one in figures)])
    classes = table(["class", "kind", *(f"IoU % ({title})" for title in titles)], rows)
    rows = []
    for name in figures[0].summary():
        theirs = (published or {}).get(name, math.nan)
        ours = [percent(one.summary()[name]) for one in figures]
        ranges = [within(intervals[output].get(name)) for output in evaluation.figures]
        rows.append([TITLES[name], *(f"{a}{b}" for a, b in zip(ours, ranges, strict=True)), percent(theirs)])
    for name, title in (("mean", "Foreground mIoU"), ("human", "Foreground IoU")):
        rows.append([title, percent(evaluation.foreground[name]), *["-"] * len(figures)])
    note = f"In brackets: 95 % of {bootstrap.DRAWS} drawings of the query photos, with replacement, lie there."
    return f"{classes}\n\n{table(['figure (%)', *titles, 'published'], rows)}\n\n{note}"


def within(interval: Interval | None) -> str:
    """An interval in brackets, for people; empty where there is none."""
    return f" ({interval[0]:.1f} to {interval[1]:.1f})" if interval and not math.isnan(interval[0]) else ""


def query_counts(evaluation: Evaluation, output: str, spec: DatasetSpec, fold: int) -> QueryCounts:
    """The confusion matrices of an output by query photo."""
    counts = evaluation.counts[output]
    matrices = torch.stack(list(counts.values()), dim=1).numpy()
    return QueryCounts(matrices, *map(np.array, (list(counts), spec.classes, spec.base_classes(fold))))


def results(
    evaluation: Evaluation, spec: DatasetSpec, fold: int, published: Mapping[str, float] | None, **facts: Any
) -> dict[str, Any]:
    """The same as one JSON-ready dict, with further `facts` of the evaluation; NaN becomes null."""
    figures = {}
    for output, values in evaluation.figures.items():
        figures[output] = {"iou": {spec.class_name(c): value for c, value in values.iou.items()}, **values.summary()}
    content: dict[str, Any] = nan_to_none(
        {
            **facts,
            "fold": fold,
            "novel_classes": [spec.class_name(c) for c in spec.novel(fold)],
            "figures": figures,
            "foreground": evaluation.foreground,
            "published": dict(published) if published else None,
        }
    )
    return content


def write_report(
    path: Path,
    evaluation: Evaluation,
    episodes: TestEpisodes,
    settings: EvaluateSettings,
    checkpoint: Checkpoint,
    bank: bool,
    precision: str,
) -> None:
    """Print the tables, write results.json to `path`, beside it NPM's counts by query photo, and say so.

    `bank`: whether prototypes were blended with it; `precision`: "off", "bf16" or "fp16".
    """
    spec, method = episodes.spec, checkpoint.settings.method
    on_test = episodes.split.split == "test"  # which published figures are of
    published = spec.published(method, episodes.way, settings.fold) if on_test else None
    counts = {output: query_counts(evaluation, output, spec, settings.fold) for output in evaluation.figures}
    intervals = {output: bootstrap.intervals(bootstrap.resampled(one)) for output, one in counts.items()}
    print("\n" + text(evaluation, spec, settings.fold, published, intervals))
    facts = {
        "checkpoint": settings.checkpoint,
        "dataset": spec.name,
        "method": method,
        "way": episodes.way,
        "prototypes": "bank" if bank else "support-only",
        "epoch": checkpoint.epoch,
        **digests.of_evaluation(episodes, evaluation.labels_digest),
        "weights_digest": digests.of_weights(checkpoint.weights),
        "precision": precision,
        "versions": digests.versions(),
        "trained_with": dict(checkpoint.trained_with),
        "reused_images": episodes.list.reused,
        "pairs_passed_over": episodes.list.passed_over,
        "comparable": on_test and not episodes.list.passed_over,
        "intervals_95": intervals,
    }
    counts["npm"].save(path.with_suffix(".npz"))
    write_json(path, results(evaluation, spec, settings.fold, published, **facts))
    print(f"\nwritten: {path}")


def nan_to_none(value: Any) -> Any:
    """A value, or dict of values, as JSON takes it."""
    if isinstance(value, dict):
        return {k: nan_to_none(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [nan_to_none(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` indices evenly over `total`, so that they show many classes."""
    return sorted({int(i) for i in np.linspace(0, total - 1, min(count, total))}) if count else []


def episode_picture(episodes: TestEpisodes, number: int, prediction: np.ndarray) -> np.ndarray:
    """The picture of one test pair with its predicted label map (H, W): RGB uint8 (H, W, 3), a legend below.

    It shows support, its labels, query, prediction and truth.
    """
    spec, episode, pair = episodes.spec, episodes[number], episodes.pairs[number]
    shown = [pair.class_id] if episodes.way == "1way" else [c for c in spec.classes if c > 0]
    palette = [spec.palette[0], spec.palette[pair.class_id]] if episodes.way == "1way" else spec.palette
    support, query = episode["support"].permute(1, 2, 0).numpy(), episode["query"].permute(1, 2, 0).numpy()
    row = visualize.titled_row(
        {
            "support": support,
            "its labels": visualize.overlay(support, episode["support_label"].numpy(), palette),
            "query": query,
            "prediction": visualize.overlay(query, prediction, palette),
            "truth": visualize.overlay(query, episode["query_label"].numpy(), palette),
        }
    )
    colors = [(spec.class_name(c), spec.palette[c]) for c in shown]
    return visualize.stack([row, visualize.legend(colors, row.shape[1])])


def save_pictures(
    folder: Path, episodes: TestEpisodes, predictions: Mapping[int, Tensor], numbers: Sequence[int]
) -> None:
    """Write a picture for each predicted label map (H, W), by the number of its pair, and say so.

    `numbers` are those of all processes: pictures of other pairs, which an earlier evaluation left, are removed.
    """
    names = {number: f"pair_{number:05d}.png" for number in numbers}
    for path in folder.glob("pair_*.png") if names else ():
        if path.name not in names.values():
            path.unlink(missing_ok=True)
    for number in sorted(predictions):
        path = folder / names[number]
        visualize.save_image(path, episode_picture(episodes, number, predictions[number].numpy()))
        print(f"written: {path}")
