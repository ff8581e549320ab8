"""Few strokes are enough: they grow into the label map of a whole reference, which a user may look at and correct."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dataloaders.reading import ids_in
from networks.base import Features
from networks.decoding import human_mask
from networks.layers import resize
from networks.refining import enlarge_under_guidance
from utils.constants import IGNORE

from .parser import OneShotParser

COLOUR = 1.0  # weight of the squared distance of colours beside that of features; chosen by tools/measure_strokes.py
LIMIT = 0.5  # what is farther from every stroke is like none of them
SEEDS = 200  # cells of the feature that stand for a class at most


class Scene(NamedTuple):
    """What the network sees of a labelled photo: its features (batch 1), and the person, bool (H, W)."""

    features: Features
    person: np.ndarray


def scene_of(parser: OneShotParser, photo: np.ndarray, strokes: np.ndarray) -> Scene:
    """The network's view of an RGB photo (H, W, 3) with `strokes` (see `grow`), which some networks need for it.

    Raises `UserError` where the strokes hold no class.
    """
    support = parser.make_support(photo, strokes)
    with torch.inference_mode():
        features = parser.features(photo)
        coarse = parser.network.class_maps(features, support.prototypes)[0].coarse
        height, width = photo.shape[:2]
        return Scene(features, human_mask(coarse[None], (height, width))[0].cpu().numpy())


def ungrown(strokes: np.ndarray, scene: Scene) -> np.ndarray:
    """The label map (H, W) of strokes that do not grow: unpainted pixels of the person do not count."""
    return np.where((strokes == IGNORE) & ~scene.person, 0, strokes).astype(np.uint8)


def grow(
    photo: np.ndarray, strokes: np.ndarray, scene: Scene, colour: float = COLOUR, limit: float = LIMIT
) -> np.ndarray:
    """The label map, uint8 (H, W), that an RGB photo (H, W, 3) gets from `strokes`, uint8 (H, W).

    Strokes hold class ids, 0 for what is painted as background, and 255 where nothing is painted. Each pixel of the
    person takes the class of the stroke that is nearest in the network's features and in colour together; borders
    follow the photo. A pixel that is like no stroke is 255, which does not count. Outside the person all is 0.
    """
    classes = ids_in(strokes)
    with torch.inference_mode():
        distances = torch.stack([_distance(photo, strokes == i, scene.features, colour) for i in classes])[None]
        guide = scene.features.guide
        enlarged = distances if guide is None else enlarge_under_guidance(distances, guide)
        height, width = photo.shape[:2]
        nearest, which = resize(enlarged, (height, width))[0].min(dim=0)
    grown = np.array(classes, dtype=np.uint8)[which.cpu().numpy()]
    grown[nearest.cpu().numpy() > limit] = IGNORE
    return np.where(strokes == IGNORE, np.where(scene.person, grown, 0), strokes).astype(np.uint8)


def _distance(photo: np.ndarray, stroke: np.ndarray, features: Features, colour: float) -> Tensor:
    """How far each cell (h, w) of the feature is from the nearest one that the stroke, bool (H, W), touches."""
    fine = F.normalize(features.fine[0].float(), dim=0).flatten(1).T  # (cells, D)
    height, width = features.fine.shape[-2:]
    covered = cv2.resize(stroke.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA).reshape(-1)
    small = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    lab = torch.from_numpy(cv2.cvtColor(small, cv2.COLOR_RGB2LAB).reshape(-1, 3) / 100).to(fine.device)
    seeds = np.flatnonzero(covered > min(0.25, covered.max() / 2))
    seeds = seeds[np.linspace(0, len(seeds) - 1, min(len(seeds), SEEDS)).round().astype(int)]
    apart = 1 - fine @ fine[seeds].T + colour * torch.cdist(lab, lab[seeds]).square()
    return apart.amin(dim=1).reshape(height, width)
