"""Labels that hold still: the logits of a video's frames, averaged over time along the motion of the picture."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from networks.decoding import Maps

DECAY = 0.8  # of a frame's weight from one frame to the next, where the picture is as it was
STAY = 0.5  # of the presence with which a class appears: with how much it stays
TOLERANCE = 12.0  # of 255: a pixel that differs by this much from where it came from keeps a third of that
LEAST_SIDE = 32  # of the pictures that OpenCV finds the motion in: smaller ones can crash it
CUT = 24.0  # of 255: where pixels differ by this much in the mean, another picture begins


class Smoother:
    """The exponential mean of the maps of one video's frames, in order.

    The past is moved along the optical flow. It counts less where the moved picture is unlike the new one, as it is
    where something comes into view; at a cut it is forgotten.
    A class appears with a presence of `min_score`, and stays with somewhat less.
    """

    def __init__(self, min_score: float = 0.0) -> None:
        self._min_score = min_score
        self._shown = torch.zeros(0, dtype=torch.bool)  # the classes of the frame before, (K,)
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grey: np.ndarray = np.zeros((0, 0), np.uint8)
        self._sums = torch.zeros(0)  # weighted, the weights behind them: (1 + K + 2 + 1, h, w)

    def __call__(self, rgb: np.ndarray, maps: Maps, size: tuple[int, int]) -> Maps:
        """The smoothed maps of the next frame, RGB (H, W, 3), which the network sees at `size` (h, w)."""
        grey: np.ndarray = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), size[::-1], interpolation=cv2.INTER_AREA)
        sums = torch.cat([maps.classes, maps.coarse, torch.ones_like(maps.coarse[:1])])
        presence = maps.presence if maps.presence is not None else sums.new_zeros(0)
        shown = torch.zeros_like(presence, dtype=torch.bool)
        if grey.shape == self._grey.shape and sums.shape == self._sums.shape:
            places = _places(size) + self._flow_of(grey, self._grey)
            moved = cv2.remap(
                self._grey, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            unlike = cv2.blur(cv2.absdiff(grey, moved).astype(np.float32), (5, 5))
            if unlike.mean() < CUT:
                kept = DECAY * np.exp(-np.square(unlike / TOLERANCE))
                sums = sums + _moved(self._sums, places, kept)
                shown = self._shown
        self._grey, self._sums, means = grey, sums, sums[:-1] / sums[-1:]
        stays = shown & (presence >= STAY * self._min_score)
        presence = torch.where(stays, presence.clamp(min=self._min_score), presence)
        self._shown = presence >= self._min_score
        return Maps(means[:-2], means[-2:], None if maps.presence is None else presence)

    def _flow_of(self, grey: np.ndarray, before: np.ndarray) -> np.ndarray:
        """Where each pixel of a grey frame (h, w) has come from, less its own place: (h, w, 2), x and y."""
        rows, columns = grey.shape
        spare = (0, max(0, LEAST_SIDE - rows)), (0, max(0, LEAST_SIDE - columns))
        now, then = (np.pad(one, spare, mode="edge") for one in (grey, before))
        flow: np.ndarray = self._flow.calc(now, then, np.zeros((*now.shape, 2), np.float32))
        return flow[:rows, :columns]


def _moved(past: Tensor, places: np.ndarray, kept: np.ndarray) -> Tensor:
    """Maps (N, h, w) of the past on the new frame: `places` (H, W, 2) are where its pixels come from, x and y, and
    `kept` (H, W) is the share of them that stays."""
    height, width = kept.shape
    scale = np.array([2 / max(width - 1, 1), 2 / max(height - 1, 1)], np.float32)
    grid, share = torch.from_numpy(places * scale - 1).permute(2, 0, 1)[None], torch.from_numpy(kept)[None, None]
    if past.shape[1:] != kept.shape:  # maps at the feature's size
        grid, share = (F.interpolate(one, past.shape[1:], mode="bilinear", align_corners=True) for one in (grid, share))
    grid, share = grid.permute(0, 2, 3, 1).to(past), share[0].to(past)
    return share * F.grid_sample(past[None], grid, padding_mode="border", align_corners=True)[0]


def _places(size: tuple[int, int]) -> np.ndarray:
    """Each pixel's own place, (h, w, 2): x and y."""
    rows, columns = np.indices(size, dtype=np.float32)
    return np.stack([columns, rows], axis=2)
