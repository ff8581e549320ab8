"""Decoded photos that are kept change no bit of an episode, and stay within their memory."""

import pytest
import torch

from dataloaders import catalog, split
from dataloaders.oshp_loader import TrainEpisodes
from engine.settings import TrainSettings
from engine.training import training_episodes


def episodes(root) -> TrainEpisodes:
    spec = catalog.load("toy")
    return TrainEpisodes(spec, catalog.locate(spec, root), fold=1, way="kway", crop_size=(64, 48))


def noted_reads(monkeypatch) -> list:
    """The photos that are read from here on."""
    reads, original = [], split.read_fitting

    def noted(path, *size, **how):
        reads.append(path)
        return original(path, *size, **how)

    monkeypatch.setattr(split, "read_fitting", noted)
    return reads


def test_kept_photos_change_no_bit_and_are_not_read_again(toy_root, monkeypatch):
    plain, keeping = episodes(toy_root), episodes(toy_root)
    keeping.split.keep_decoded(2**30)
    reads = noted_reads(monkeypatch)
    for epoch in (0, 1, 0):
        plain.set_epoch(epoch), keeping.set_epoch(epoch)
        reads.clear()
        for index in (0, 3, 5):
            kept, fresh = keeping[index], plain[index]
            for name, value in fresh.items():
                assert torch.equal(kept[name], value) if isinstance(value, torch.Tensor) else kept[name] == value
    assert len(reads) == 6  # the plain one's queries and supports


def test_the_memory_bound_holds(toy_root, monkeypatch):
    keeping = episodes(toy_root)
    one = keeping.split.decode(0)
    size = one.image.nbytes + one.raw.nbytes
    keeping.split.keep_decoded(2 * size + size // 2)
    reads = noted_reads(monkeypatch)
    for _ in range(2):
        for index in range(8):
            keeping.split.load(index)
    assert len(reads) == 8 + 6, "two photos fit, which are not read a second time"


@pytest.mark.parametrize("workers", [0, 2])
def test_what_the_survey_reads_is_kept_where_its_process_loads(workers, toy_root, monkeypatch):
    settings = TrainSettings(method="aop", fold=1, crop_size=(64, 48), cache_mb=1, workers=workers)
    spec = catalog.load("toy")
    photos = training_episodes(settings, spec, catalog.locate(spec, toy_root), torch.device("cpu"))
    reads = noted_reads(monkeypatch)
    counts = []
    for _ in range(2):
        reads.clear()
        for index in range(len(photos.split)):
            photos.split.load(index)
        counts.append(len(reads))
    assert 0 < counts[1] < len(photos.split), "some of them fit"
    assert counts[0] == (len(photos.split) if workers else counts[1])
