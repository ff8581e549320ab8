"""Training POPNet's stages in turn on the toy data set, stopping and going on, evaluating and comparing the result."""

import json

import pytest
import torch

import evaluate as evaluate_cli
import train as train_cli
from dataloaders import catalog, oshp_loader
from dataloaders.oshp_loader import TrainEpisodes
from engine import run, stopping, training
from engine.checkpoint import open_for_evaluation
from engine.evaluation import evaluate
from engine.settings import EvaluateSettings
from networks.base import Features
from networks.baselines import ClosedSetBaseline, NearestPrototypeBaseline
from networks.checkpoints import files
from networks.popnet import POPNet
from tools import compare
from utils.errors import UserError

from .data_helpers import few_pairs
from .samples import LITE0, random_episode
from .test_train import assert_same, last, note_steps, settings, stop_signal

APART = ("settings", "versions")  # the run folder, and the code's own state
STEPS = 2  # of each stage, k-way


FewPairs = few_pairs(12)


class FewEpisodes(TrainEpisodes):
    """k-way: eight episodes; 1-way: two of each of three classes."""

    def query_lists(self):
        lists = super().query_lists()
        kept = lists if self.way == "kway" else list(lists)[2:5]
        return {c: (lists[c][0][: 8 if self.way == "kway" else 2], lists[c][1]) for c in kept}


@pytest.fixture(scope="module", autouse=True)
def few():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "TrainEpisodes", FewEpisodes)
        for module in (run, oshp_loader, compare):
            patch.setattr(module, "TestEpisodes", FewPairs)
        yield


def pop(toy_root, run_dir, **changes):
    return settings(toy_root, run_dir, **{"method": "pop", "level": "high", "epochs": 1, "batch_size": 4, **changes})


@pytest.fixture(scope="module")
def undisturbed(toy_root, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed_pop")
    assert train_cli.train(pop(toy_root, folder)) is None
    return folder


def same_checkpoints(one, other):
    for name in ("stage1.pt", "stage2.pt", "last.pt"):
        contents = [files.read(folder / name) for folder in (one, other)]
        assert_same(*({k: v for k, v in content.items() if k not in APART} for content in contents))


def test_one_command_trains_each_stage_from_the_last(undisturbed):
    first, second, third = (files.read(undisturbed / name) for name in ("stage1.pt", "stage2.pt", "last.pt"))
    assert [content["stage"] for content in (first, second, third)] == [1, 2, 3]
    assert [content["num_slots"] for content in (first, second, third)] == [2, 5, 18]
    assert [content["steps"] for content in (first, second, third)] == [STEPS, 2 * STEPS, 3 * STEPS]
    assert second["class_names"][1] == "head" and third["class_names"][1] == "hat"
    for before, after in ((first, second), (second, third)):
        frozen = {k.removeprefix("previous."): v for k, v in after["network"].items() if k.startswith("previous.")}
        assert_same(dict(before["network"]), frozen)
        moved = (after["network"]["npm.scaler"] - before["network"]["npm.scaler"]).abs().item()
        assert 0 < moved < 1  # from where the stage before had come to
    shown = [bool(row.any()) for row in third["network"]["bank.rows"]]
    spec = catalog.load("toy")
    assert not any(shown[c] for c in (0, *spec.novel(1))) and sum(shown) > 3
    results = json.loads((undisturbed / "results.json").read_text())
    assert set(results["novel_classes"]) == {"skirt", "pants", "dress"}
    assert set(json.loads((undisturbed / "stage2_results.json").read_text())["figures"]["npm"]["iou"]) == {
        "background", "head", "body", "arms", "legs",
    }  # fmt: skip


def test_a_run_stopped_in_every_stage_ends_bit_for_bit_the_same(undisturbed, toy_root, tmp_path, monkeypatch):
    steps, stops = [], (1, STEPS + 1, 2 * STEPS + 1)

    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: len(steps) in stops))
    note_steps(monkeypatch, steps)
    for stage in (1, 2, 3):
        assert train_cli.train(pop(toy_root, tmp_path)) == 143
        assert (last(tmp_path)["stage"], last(tmp_path)["position"]) == (stage, {"epoch": 0, "batch": 1})
        torch.manual_seed(1234)
    assert train_cli.train(pop(toy_root, tmp_path)) is None
    assert len(steps) == 3 * STEPS
    same_checkpoints(undisturbed, tmp_path)


def test_stages_trained_one_by_one_are_the_same(undisturbed, toy_root, tmp_path, capsys):
    with pytest.raises(UserError, match=r"stage1\.pt: missing; .*--stage 1"):
        train_cli.train(pop(toy_root, tmp_path, stage=2))
    for stage in (1, 2, 3):
        torch.manual_seed(stage)
        train_cli.train(pop(toy_root, tmp_path, stage=stage))
        assert last(tmp_path)["stage"] == stage
    same_checkpoints(undisturbed, tmp_path)
    train_cli.train(pop(toy_root, tmp_path, stage=2))
    assert "stage 2 is done, so there is nothing to train" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"stage2\.pt: was trained with --channels 8"):
        train_cli.train(pop(toy_root, tmp_path, stage=3, channels=16, resume="none"))


def test_one_way_trains_and_evaluates(toy_root, tmp_path):
    train_cli.train(pop(toy_root, tmp_path, way="1way", batch_size=2, background="ucs"))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["figures"]["npm"]["binary"] > 0 and set(results["novel_classes"]) == {"skirt", "pants", "dress"}
    names = set(json.loads((tmp_path / "stage1_results.json").read_text())["figures"]["npm"]["iou"])
    assert names == {"background", "foreground"}


def evaluated(checkpoint_path, toy_root, output, monkeypatch):
    arguments = ["--checkpoint", str(checkpoint_path), "--data-root", str(toy_root), "--output", str(output)]
    monkeypatch.setattr("sys.argv", ["evaluate.py", *arguments, "--workers", "0"])
    evaluate_cli.main()
    return json.loads((output / "results.json").read_text())


@pytest.mark.parametrize("name, training", [("last.pt", "results.json"), ("stage2.pt", "stage2_results.json")])
def test_evaluate_scores_the_chain_as_the_training_does(undisturbed, toy_root, tmp_path, monkeypatch, name, training):
    found = evaluated(undisturbed / name, toy_root, tmp_path, monkeypatch)
    assert found["method"] == "pop" and found["epoch"] == 0
    during = json.loads((undisturbed / training).read_text())["figures"]["npm"]
    for name in ("human", "base", "novel", "accuracy"):  # evaluate.py folds BatchNorm, which rounds otherwise
        assert found["figures"]["npm"][name] == pytest.approx(during[name], abs=0.1)
    assert found["figures"]["npm"]["iou"] == pytest.approx(during["iou"], abs=0.3, nan_ok=True)


def test_every_photo_is_encoded_once_in_each_stage(undisturbed, toy_root, monkeypatch):
    network = open_for_evaluation(EvaluateSettings(checkpoint=str(undisturbed / "last.pt"))).build()
    spec = catalog.load("toy")
    episodes = FewPairs(spec, catalog.locate(spec, toy_root), way="kway", longest=64)
    encoded = []
    original = POPNet.embed
    monkeypatch.setattr(POPNet, "embed", lambda self, images: (encoded.append(self.stage), original(self, images))[1])
    evaluate(network, episodes, spec.base_classes(1), torch.device("cpu"), use_bank=False, progress=False)
    photos = len({pair.query for pair in episodes.pairs}) + len({pair.support for pair in episodes.pairs})
    assert [encoded.count(stage) for stage in (1, 2, 3)] == [photos] * 3


def test_compare_scores_both_networks_and_both_baselines(undisturbed, toy_root, tmp_path, capsys):
    train_cli.train(settings(toy_root, tmp_path / "eop", epochs=1, batch_size=4))
    paths = ["--eop", str(tmp_path / "eop/last.pt"), "--pop", str(undisturbed / "last.pt")]
    options = ["--workers", "0", "--device", "cpu", "--timed", "2", "--out", str(tmp_path / "out")]
    compare.main([*paths, *options, "--iterations", "3"])
    rows = json.loads((tmp_path / "out/comparison.json").read_text())["rows"]
    assert [row["iterations"] for row in rows] == [STEPS, 3 * STEPS, 3, 0, 0]
    for row, folder in zip(rows, (tmp_path / "eop", undisturbed), strict=False):
        trained = json.loads((folder / "results.json").read_text())["figures"]["npm"]
        for name in ("novel", "base", "human"):
            assert row[name] == pytest.approx(trained[name], abs=0.1)
    assert rows[2]["novel"] == 0 and rows[3]["novel"] > 0  # the closed-set head knows no novel class
    assert all(row["seconds_per_query"] > 0 for row in rows)
    assert rows[1]["parameters"] > 2 * rows[0]["parameters"] > 2 * rows[3]["parameters"]
    text = (tmp_path / "out/comparison.md").read_text()
    assert text.count("\n| ") == 6 and "The budgets differ: 2, 3, 6 iterations" in text
    with pytest.raises(UserError, match="a pop kway checkpoint; --eop takes"):
        compare.main(["--eop", str(undisturbed / "last.pt")])
    with pytest.raises(UserError, match="only stage 2 of 3"):
        compare.main(["--pop", str(undisturbed / "stage2.pt")])
    with pytest.raises(UserError, match="--eop, --pop or both"):
        compare.main([])


def test_encoders_are_compared_untrained_without_a_checkpoint(toy_root, tmp_path):
    arguments = ["--encoder", LITE0, "--encoder", "resnet10t", "--pretrained", "none", "--dataset", "toy"]
    arguments += [
        "--data-root",
        str(toy_root),
        "--test-size",
        "32",
        "--workers",
        "0",
        "--device",
        "cpu",
        "--timed",
        "1",
    ]
    compare.main([*arguments, "--ignore-place", "3", "--out", str(tmp_path)])
    rows = json.loads((tmp_path / "comparison.json").read_text())["rows"]
    kinds = ("nearest prototype, not trained", "nearest of 5 prototypes a class, not trained")
    assert [row["network"] for row in rows] == [f"{name}: {kind}" for name in (LITE0, "resnet10t") for kind in kinds]
    assert all(row["iterations"] == 0 and row["human"] > 0 for row in rows)
    with pytest.raises(UserError, match=r"--encoder: encoder 'resnet10' is neither .*resnet10t"):
        compare.main(["--encoder", "resnet10", *arguments[4:]])


def test_the_nearest_prototype_baseline_finds_the_support_in_itself():
    """Its prediction is the class of the most similar prototype, the background's among them."""
    torch.manual_seed(0)
    network = NearestPrototypeBaseline(7, LITE0).eval()
    episode = random_episode(batch=1)
    with torch.no_grad():
        features = network.encode(episode["support"])
        reference = network.extract_prototypes(features, episode["support_label"], episode["support_foreground"])
        size = features.fine.shape[-2:]
        logits = network.logits_at(features, reference, size)
    cosine = torch.nn.functional.cosine_similarity(
        features.fine[:, None], reference.classes[:, :, 0, :, None, None], dim=2
    )
    shown = reference.present[0].nonzero()[:, 0].tolist()
    winner = torch.tensor([0, *shown])[cosine[0, [0, *shown]].argmax(dim=0)]
    assert torch.equal(logits.npm[0].argmax(dim=0), winner)
    assert torch.equal(logits.coarse[0].argmax(dim=0), (winner > 0).long())


def test_of_several_prototypes_of_a_class_the_nearest_counts():
    """A class of two looks, and a class between them."""
    network = NearestPrototypeBaseline(3, LITE0, per_class=2)
    looks = torch.eye(4)
    feature = torch.stack([looks[0], looks[1], looks[0] + looks[1] + looks[3], looks[2]]).T.reshape(1, 4, 2, 2)
    features, label = Features(feature, feature), torch.tensor([[[1, 1], [2, 0]]])
    reference = network.extract_prototypes(features, label, (label > 0).long())
    assert reference.classes.shape == (1, 3, 2, 4) and reference.present.tolist() == [[False, True, True]]
    logits = network.logits(features, reference).npm
    assert logits.argmax(dim=1).tolist() == label.tolist()
    assert logits[0, :, 0, 0].tolist() == pytest.approx([0.0, 1.0, 3**-0.5])


def test_the_closed_set_head_answers_base_classes_of_the_support_only():
    torch.manual_seed(0)
    network = ClosedSetBaseline(7, (0, 1, 2, 4), LITE0, 8, "mid").eval()
    episode = random_episode(batch=1)
    episode["support_label"][episode["support_label"] == 4] = 0
    with torch.no_grad():
        features = network.encode(episode["query"])
        reference = network.extract_prototypes(
            network.encode(episode["support"]), episode["support_label"], episode["support_foreground"]
        )
        logits = network.logits_at(features, reference, (65, 49))
        assert set(logits.npm.argmax(dim=1).unique().tolist()) <= {0, 1, 2}
        outputs = network.train()(episode, 0)
        everything, labels = outputs.logits.npm, outputs.label
    assert everything.shape == (2, 7, 65, 49) and labels.shape == (2, 65, 49)
