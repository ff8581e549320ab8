"""Evaluation results as a table for people and as JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from utils.log import percent, table

from .evaluation import Evaluation

TITLES = {
    "human": "Human mIoU",
    "base": "Base mIoU",
    "novel": "Novel mIoU",
    "accuracy": "Overall accuracy",
    "binary": "bi-mIoU",
}
OUTPUTS = {"npm": "NPM, screened", "agm": "AGM, screened"}


def text(
    evaluation: Evaluation, names: Mapping[int, str], novel: Sequence[int], published: Mapping[str, float] | None
) -> str:
    """Two Markdown tables: IoU of each class, then the summary, beside the published figures where there are any."""
    outputs = list(evaluation.figures)
    rows = [
        [names[c], "novel" if c in novel else "base", *(percent(evaluation.figures[o]["iou"][c]) for o in outputs)]
        for c in evaluation.figures["npm"]["iou"]
    ]
    classes = table(["class", "kind", *(f"IoU % ({OUTPUTS[o]})" for o in outputs)], rows)
    rows = [
        [title, *(percent(evaluation.figures[o][key]) for o in outputs), percent((published or {}).get(key, math.nan))]
        for key, title in TITLES.items()
        if key in evaluation.figures["npm"]
    ]
    foreground = {"Foreground mIoU": "mean", "Foreground IoU": "human"}
    rows += [[title, percent(evaluation.foreground[key]), *["-"] * len(outputs)] for title, key in foreground.items()]
    summary = table(["figure (%)", *(OUTPUTS[o] for o in outputs), "published"], rows)
    return f"{classes}\n\n{summary}"


def results(
    evaluation: Evaluation,
    names: Mapping[int, str],
    novel: Sequence[int],
    published: Mapping[str, float] | None,
    **about: Any,
) -> dict:
    """The same as one JSON-ready dict, with what else is to be said `about` the evaluation; NaN becomes null."""
    figures = {}
    for output, values in evaluation.figures.items():
        iou = {names[c]: value for c, value in values["iou"].items()}
        figures[output] = {**values, "iou": iou}
    return nan_to_none(
        {
            **about,
            "novel_classes": [names[c] for c in novel],
            "figures": figures,
            "foreground": evaluation.foreground,
            "published": dict(published) if published else None,
        }
    )


def nan_to_none(value: Any) -> Any:
    """A value, or dict of values, as JSON takes it."""
    if isinstance(value, dict):
        return {k: nan_to_none(v) for k, v in value.items()}
    if isinstance(value, list):
        return [nan_to_none(v) for v in value]
    return None if isinstance(value, float) and math.isnan(value) else value
