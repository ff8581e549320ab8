"""Pictures, labels and tiny checkpoints for the tests of predict.py and what sits on it."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import predict
from inference.parser import OneShotParser
from inference.parsing import Parsing
from networks.backbones import LITE0
from networks.checkpoints import save_run
from networks.eopnet import EOPNet
from utils.errors import run_cli

ROOT = Path(__file__).resolve().parents[1]
SIZE = (96, 64)
COLORS = ((200, 40, 40), (40, 180, 60), (50, 60, 210))
NAMES = {0: "background", 1: "hat", 2: "coat", 3: "shoes", 4: "bag"}


def picture(size: tuple[int, int] = SIZE, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A photo-like array and its label map: three coloured bands, ids 1, 2 and 3, on a noisy grey ground."""
    rng = np.random.default_rng(seed)
    image = rng.integers(90, 130, (*size, 3))
    label = np.zeros(size, dtype=np.uint8)
    height, width = size
    for band, color in enumerate(COLORS):
        window = slice(height * (1 + 3 * band) // 10, height * (4 + 3 * band) // 10), slice(width // 4, 3 * width // 4)
        image[window] = np.array(color) + rng.integers(-15, 15, (*image[window].shape[:2], 3))
        label[window] = band + 1
    return image.astype(np.uint8), label


def network(way: str = "kway") -> EOPNet:
    """A tiny network with reproducible random weights whose coarse branch calls everything foreground."""
    torch.manual_seed(0)
    made = EOPNet(5, way, LITE0, channels=16, warmup_epochs=1).eval()
    with torch.no_grad():
        made.coarse.guide.classify.bias.copy_(torch.tensor([-50.0, 50.0]))
        made.bank.rows[1:3] = torch.randn(2, 16)
    return made


def parsed(parser: OneShotParser) -> Parsing:
    """The picture under itself as the reference: a parse whose label map and scores are of its classes."""
    image, label = picture()
    parser.set_reference(image, label)
    parsing = parser.parse(image)
    assert parsing.labels.shape == label.shape and set(np.unique(parsing.labels)) <= {0, 1, 2, 3}
    assert set(parsing.scores) == {1, 2, 3} and all(0 <= score <= 1 for score in parsing.scores.values())
    return parsing


def write_checkpoint(
    path: Path, way: str = "kway", trained_epoch: int = 3, test_size: int = SIZE[0], **more: Any
) -> Path:
    """Write a checkpoint of this project with the tiny network, evaluated at `test_size` pixels."""
    settings = {"dataset": "toy", "encoder": LITE0, "channels": 16, "way": way, "warmup_epochs": 1, **more}
    settings["test_size"] = test_size
    content = {"settings": settings, "num_slots": 5, "class_names": NAMES, "trained_epoch": trained_epoch}
    save_run(path, network(way), content)
    return path


def run(place, *inputs, labels="labels.png", reference="ref.png", checkpoint="tiny.pt", more=()):
    """Run the command; returns its exit status."""
    arguments = ["--checkpoint", place / checkpoint, "--reference", place / reference, "--labels", place / labels]
    arguments += ["--names", place / "names.json", "--out", place / "out", "--device", "cpu", *more]
    with pytest.raises(SystemExit) as stopped:
        run_cli(lambda: predict.main([str(a) for a in (*arguments, *(place / i for i in inputs))]))
    return stopped.value.code


def complaint(capsys) -> str:
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    return lines[0]


def write_grey_png(path: Path, values: np.ndarray, bits: int) -> None:
    """A grey PNG of 2 or 4 bits a pixel, which Pillow reads and does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = values.shape
    unpacked = np.unpackbits(values.astype(np.uint8)[..., None], axis=2)[..., -bits:].reshape(height, -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(unpacked, axis=1))
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
