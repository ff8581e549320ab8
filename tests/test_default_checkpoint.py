"""The checkpoint that comes with the project opens, is small, and finds clothes on people it has not seen."""

from pathlib import Path

import numpy as np
import pytest

from dataloaders import catalog, toy
from predict import DEFAULT_CHECKPOINT, OneShotParser

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (7, 8, 9, 10)  # of drawings, each with a reference of its own: one alone tells little


@pytest.fixture(scope="module")
def parser(tmp_path_factory) -> OneShotParser:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("elsewhere"))  # it is found from any folder
        return OneShotParser(device="cpu")


def drawn(seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    image, label = toy.draw(seed, index, (384, 256))
    return image, catalog.load("toy").merge_table()[label]


def test_it_is_small():
    assert Path(DEFAULT_CHECKPOINT).stat().st_size < 25e6


def test_a_person_is_parsed_by_the_labels_of_another(parser):
    hits = people = unions = found = present = 0
    for seed in SEEDS:
        reference, label = drawn(seed, 0)
        parser.set_reference(reference, label)
        for index in range(1, 5):
            image, truth = drawn(seed, index)
            parsing = parser.parse(image)
            hits += (parsing.foreground & (truth > 0)).sum()
            unions += (parsing.foreground | (truth > 0)).sum()
            shared = np.isin(truth, np.unique(label)) & (truth > 0)
            found += (parsing.labels == truth)[shared].sum()
            present += shared.sum()
            people += truth.any()
    # Far above chance, though no drawn person was in the training of the checkpoint.
    assert people == 16 and hits / unions > 0.8
    assert found / present > 0.4
