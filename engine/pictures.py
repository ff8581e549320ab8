"""Pictures of test episodes: support, its labels, query, prediction, truth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from dataloaders import visualize
from dataloaders.oshp_loader import TestEpisodes


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` indices evenly over `total`, so that they show many classes."""
    return sorted({int(i) for i in np.linspace(0, total - 1, min(count, total))}) if count else []


def episode_picture(episodes: TestEpisodes, number: int, prediction: np.ndarray) -> np.ndarray:
    """The picture of one test pair with its predicted label map (H, W): RGB uint8 (H, W, 3), a legend below."""
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


def save_pictures(folder: Path, episodes: TestEpisodes, predictions: Mapping[int, Tensor]) -> None:
    """Write a picture for each predicted label map (H, W), by the number of its pair, and say so."""
    for number in sorted(predictions):
        path = folder / f"pair_{number:05d}.png"
        visualize.save_image(path, episode_picture(episodes, number, predictions[number].numpy()))
        print(f"written: {path}")
