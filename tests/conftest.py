"""Fixtures that several tests share."""

from __future__ import annotations

import gc
import multiprocessing
from pathlib import Path

import cv2
import pytest
import torch
from PIL import Image

from dataloaders.prepare.toy_set import prepare_toy

from .own_photos import SIZE, picture, write_checkpoint


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a small toy data set, for reading only."""
    root = tmp_path_factory.mktemp("datasets")
    found = prepare_toy(root, images=60).findings
    assert {kind for kind, _ in found} <= {"count"}, found  # fewer pictures than the full set has
    return root


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a checkpoint, a labelled reference, names, two photos and a video."""
    image, label = picture()
    write_checkpoint(tmp_path / "tiny.pt")
    Image.fromarray(image).save(tmp_path / "ref.png")
    Image.fromarray(label).save(tmp_path / "labels.png")
    (tmp_path / "names.json").write_text('{"1": "hat", "2": "coat", "3": "shoes"}')
    (tmp_path / "photos").mkdir()
    for seed in (1, 2):
        Image.fromarray(picture((70, 50), seed)[0]).save(tmp_path / "photos" / f"{seed}.jpg")
    clip = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 5, SIZE[::-1])
    for seed in range(5):
        clip.write(picture(seed=seed)[0][..., ::-1].copy())
    clip.release()
    return tmp_path


def pytest_sessionstart() -> None:
    """One thread: small tensors gain nothing from more, and tests that run side by side lose."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """As above, whatever the test before has set."""
    torch.set_num_threads(1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No process may outlive the tests: it would hold up their exit."""
    gc.collect()
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
    if left:
        print(f"\n{len(left)} processes were left behind by tests and are killed: {left}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
