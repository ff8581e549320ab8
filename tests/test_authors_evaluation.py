"""A whole evaluation against the authors' program, files to figures, on 66 small pairs, as `evaluate.py` runs it."""

import json
import re

import pytest
import torch

import evaluate as evaluate_cli
from dataloaders import catalog
from engine import evaluation
from engine.settings import EvaluateSettings

from . import goldens

ATR = catalog.load("atr")
PROTOTYPES = {"static": "support-only", "dynamic": "auto"}  # the authors' file is of epoch 39: auto is the bank
PIXELS = {"npm": 5, "agm": 50}  # that may be counted elsewhere in all of the pairs; AGM's logits lie closer together


@pytest.fixture(scope="module", params=["kway", "1way"])
def checkpoint(request, tmp_path_factory):
    """The way, a data root with the small ATR-OS, and a file of the authors' with their program's weights."""
    folder = tmp_path_factory.mktemp("mini")
    goldens.write_mini_atr(folder)
    torch.save(goldens.mini_atr_weights(request.param), folder / "atr.pth")
    return request.param, folder


@pytest.mark.parametrize("mode", goldens.EPOCHS)
def test_the_figures_equal_those_of_the_authors_program(checkpoint, tmp_path, monkeypatch, mode):
    (way, folder), kept, score = checkpoint, [], evaluation.evaluate

    def noted(network, episodes, *arguments, **named):
        kept.append((episodes, score(network, episodes, *arguments, **named)))
        return kept[0][1]

    monkeypatch.setattr(evaluation, "evaluate", noted)
    evaluate_cli.evaluate(
        EvaluateSettings(
            checkpoint=str(folder / "atr.pth"), dataset="atr", data_root=str(folder), fold=1, way=way,
            agm=way == "kway", prototypes=PROTOTYPES[mode], device="cpu", workers=0, output=str(tmp_path),
        )
    )  # fmt: skip
    ((episodes, scored),) = kept
    expected = goldens.numbers()["mini_atr"][way]
    assert [list(pair) for pair in episodes.pairs] == expected["pairs"]
    expected = expected[f"epoch{goldens.EPOCHS[mode]}_fold1"]
    figures = json.loads((tmp_path / "results.json").read_text())["figures"]
    if way == "kway":
        for name in ("npm", "agm"):
            counts = scored.counts[name][0].sum(dim=0)
            moved = (counts - torch.tensor(expected[name]["confusion"])).abs().sum().item() // 2
            assert moved <= PIXELS[name], name
    else:
        iou = figures["npm"]["iou"]
        theirs = {c: expected["binary_iou"][c][1] for c in ATR.classes[1:]}
        assert [iou[ATR.class_name(c)] for c in theirs] == pytest.approx([100 * v for v in theirs.values()], abs=0.01)
    for name, printed in zip(("agm", "npm")[-len(figures) :], expected["printed"], strict=True):
        means = [100 * float(number) for number in re.findall(r"0\.\d+", printed)[:3]]
        assert [figures[name][mean] for mean in ("human", "base", "novel")] == pytest.approx(means, abs=0.01), name
