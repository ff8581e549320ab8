"""Training, resuming and evaluating on the toy data set, as the command line does it."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import train as train_cli
from dataloaders import catalog
from dataloaders.oshp_loader import TestEpisodes
from engine import stopping, training
from engine.checkpoint import open_for_evaluation
from engine.evaluation import evaluate
from engine.metrics import ConfusionMatrix, kway_figures
from engine.settings import EvaluateSettings, TrainSettings
from inference.parser import OneShotParser
from networks import losses
from networks.backbones import LITE0
from networks.checkpoints import files, initialise, open_checkpoint
from networks.checkpoints.checkpoint import export_released
from networks.eopnet import EOPNet
from utils.device import choose_device
from utils.errors import UserError
from utils.locks import locked

ROOT = Path(__file__).resolve().parents[1]


def settings(toy_root, run_dir, **changes) -> TrainSettings:
    small = TrainSettings(
        dataset="toy",
        data_root=str(toy_root),
        encoder="tf_efficientnet_lite0",
        channels=8,
        pretrained="none",
        epochs=2,
        warmup_epochs=0,
        batch_size=5,
        lr=0.01,
        crop_size=(64, 48),
        scale=(0.3, 0.5),
        test_size=64,
        eval_every=0,
        workers=0,
        device="cpu",
        run_dir=str(run_dir),
        resume="auto",
        resample_supports=True,
    )
    return dataclasses.replace(small, **changes)


def last(run_dir) -> dict:
    return files.read(run_dir / "last.pt")


def assert_same(one, other, where="checkpoint") -> None:
    assert type(one) is type(other), where
    if isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), where
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_same(a, b, f"{where}[{i}]")
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    else:
        assert one == other or (one != one and other != other), where


def stop_signal(asked) -> type[stopping.StopSignal]:
    """A stop signal that is asked when the function says so."""
    return type("StopsItself", (stopping.StopSignal,), {"asked": property(lambda _: asked(), lambda *_: None)})


def note_steps(monkeypatch, steps: list) -> None:
    """Keep every step of the runs to come."""
    original = training.Trainer.steps

    def noted(*arguments):
        for step in original(*arguments):
            steps.append(step)
            yield step

    monkeypatch.setattr(training.Trainer, "steps", noted)


@pytest.fixture(scope="module")
def undisturbed(toy_root, tmp_path_factory):
    """A k-way run from start to end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert train_cli.train(settings(toy_root, folder)) is None
    return folder


def test_a_run_writes_checkpoints_settings_results_and_logs(undisturbed):
    content = last(undisturbed)
    assert content["position"] == {"epoch": 2, "batch": 0} and content["trained_epoch"] == 1
    assert list((undisturbed / "tensorboard").iterdir())
    assert not (undisturbed / "best.pt").exists(), "there is no validation list to choose it by"
    assert json.loads((undisturbed / "settings.json").read_text())["channels"] == 8
    results = json.loads((undisturbed / "results.json").read_text())
    assert 0 <= results["figures"]["npm"]["human"] <= 100
    assert content["history"][0]["epoch"] == 1


@pytest.mark.parametrize("stop_after", [2, 4, 5, 8])
def test_a_stopped_run_ends_bit_for_bit_like_one_that_never_stopped(
    undisturbed, toy_root, tmp_path, monkeypatch, stop_after
):
    """Four batches an epoch: within an epoch or at its end, when the evaluation is still to come."""
    steps = []

    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: len(steps) == stop_after))
    note_steps(monkeypatch, steps)
    first = train_cli.train(settings(toy_root, tmp_path))
    assert first == 143
    assert last(tmp_path)["position"] == {"epoch": (stop_after - 1) // 4, "batch": (stop_after - 1) % 4 + 1}
    torch.manual_seed(1234)
    assert train_cli.train(settings(toy_root, tmp_path)) is None
    assert [step.batches for step in steps] == [1] * 8
    assert [step.lr for step in steps] == pytest.approx([0.01 * (1 - i / 8) ** 0.9 for i in range(8)])
    apart = ("settings", "versions")  # the run folder, and the code's own state
    assert_same(*({k: v for k, v in last(folder).items() if k not in apart} for folder in (undisturbed, tmp_path)))


def test_the_line_of_an_epoch_is_of_the_whole_epoch_also_after_a_resume(
    undisturbed, toy_root, tmp_path, capsys, monkeypatch
):
    def lines(run):
        capsys.readouterr()
        run()
        return [
            line.partition(";")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("epoch 0 of")
        ]

    whole = lines(lambda: train_cli.train(settings(toy_root, tmp_path / "whole", epochs=1)))
    steps = []
    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: len(steps) == 2))
    note_steps(monkeypatch, steps)
    train_cli.train(settings(toy_root, tmp_path / "cut", epochs=1))
    assert lines(lambda: train_cli.train(settings(toy_root, tmp_path / "cut", epochs=1))) == whole and len(whole) == 1


def test_a_checkpoint_after_a_resume_says_what_its_scores_are_of(toy_root, tmp_path, monkeypatch):
    steps, digests = [], []
    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: len(steps) in (5, 6)))
    note_steps(monkeypatch, steps)
    for _ in range(2):
        assert train_cli.train(settings(toy_root, tmp_path, eval_every=1)) == 143
        digests.append(last(tmp_path)["digests"])
    weights = [each.pop("weights") for each in digests]
    assert digests[0] == digests[1] and weights[0] != weights[1]
    assert {"train_ids", "split", "pairs_digest", "labels_digest"} <= digests[1].keys()


def test_a_stopped_run_has_no_results_of_an_earlier_one_in_its_folder(toy_root, tmp_path, monkeypatch):
    for name in ("results.json", "results.npz"):
        (tmp_path / name).write_text("of an earlier run")
    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: True))
    assert train_cli.train(settings(toy_root, tmp_path)) == 143
    assert (tmp_path / "last.pt").exists() and not list(tmp_path.glob("results.*"))


def test_two_runs_do_not_share_a_folder(toy_root, tmp_path):
    holder = (
        "import sys, time; from utils.locks import locked\nwith locked(sys.argv[1]): print(flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(UserError, match="another run is writing there"):
            train_cli.train(settings(toy_root, tmp_path))
        process.kill()
        process.wait()
    with locked(tmp_path):
        assert (tmp_path / "run.lock").exists(), "a killed process lets the folder go"


def test_loader_processes_do_not_change_the_result(undisturbed, toy_root, tmp_path):
    train_cli.train(settings(toy_root, tmp_path, workers=2))
    assert_same(last(undisturbed)["network"], last(tmp_path)["network"])


def test_resuming_with_other_settings_is_refused(undisturbed, toy_root):
    with pytest.raises(UserError, match=r"--lr 0\.01"):
        train_cli.train(settings(toy_root, undisturbed, lr=0.02))
    train_cli.train(settings(toy_root, undisturbed, workers=1))


def test_resuming_on_another_number_of_processes_is_refused(undisturbed, toy_root, tmp_path):
    (tmp_path / "tensorboard").mkdir()
    torch.save({**last(undisturbed), "world": 2}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="by 2 processes, not 1"):
        train_cli.train(settings(toy_root, tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": []}, {"optimizer": {"state": 3, "param_groups": []}}, {"optimizer": None},
        {"rng": {"cpu": "x"}}, {"rng": []}, {"position": {"epoch": "x", "batch": 0}}, {"position": []},
        {"best": "x"}, {"history": 3}, {"steps": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_crafted_run_file_costs_one_line(change, undisturbed, toy_root, tmp_path):
    torch.save({**last(undisturbed), **change}, tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"^[^\n]*last\.pt: [^\n]*move it away[^\n]*$"):
        train_cli.train(settings(toy_root, tmp_path))


def test_a_folder_in_the_checkpoints_place_is_told_at_the_start(toy_root, tmp_path):
    (tmp_path / "last.pt").mkdir()
    with pytest.raises(UserError, match=r"last\.pt: a folder stands"):
        train_cli.train(settings(toy_root, tmp_path, resume="none"))


def test_a_loss_that_is_not_finite_stops_the_run_with_its_terms(toy_root, tmp_path, monkeypatch):
    original = losses.eopnet_losses

    def broken(*arguments, **named):
        terms = original(*arguments, **named)
        return terms._replace(total=terms.total * math.nan)

    monkeypatch.setattr(losses, "eopnet_losses", broken)
    with pytest.raises(UserError, match=r"not finite in epoch 0, step 0 \(total nan, agm \d.*contrast"):
        train_cli.train(settings(toy_root, tmp_path))
    assert not (tmp_path / "last.pt").exists()


def test_one_way_trains_and_evaluates(toy_root, tmp_path):
    train_cli.train(settings(toy_root, tmp_path, way="1way", epochs=1, batch_size=4))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["figures"]["npm"]["binary"] > 0
    assert set(results["novel_classes"]) == {"skirt", "pants", "dress"}


def test_evaluation_equals_scoring_episode_by_episode(undisturbed, toy_root):
    """Evaluation encodes each photo once; here every pair is run by itself through `forward`."""
    network = open_for_evaluation(EvaluateSettings(checkpoint=str(undisturbed / "last.pt"))).build()
    spec, device = catalog.load("toy"), choose_device("cpu")
    episodes = TestEpisodes(spec, catalog.locate(spec, toy_root), way="kway")
    episodes.pairs = episodes.pairs[::20]
    base = spec.base_classes(1)
    scored = evaluate(network, episodes, base, device, use_bank=True, with_agm=True, keep=[0], progress=False)
    matrices, persons = {"npm": ConfusionMatrix(18), "agm": ConfusionMatrix(18)}, ConfusionMatrix(2)
    for i in range(len(episodes.pairs)):
        batch = {k: torch.as_tensor(v)[None] for k, v in episodes[i].items() if not k.endswith("_id")}
        batch = training.to_device({**batch, "class_id": torch.zeros(1)}, device)
        with torch.no_grad():
            outputs = network(batch, epoch=1)
        human = outputs.logits.coarse.argmax(1)
        persons.update(human, batch["query_foreground"])
        for name, matrix in matrices.items():
            prediction = getattr(outputs.logits, name).argmax(1) * human
            matrix.update(prediction, outputs.label)
            if name == "npm" and i == 0:
                assert torch.equal(scored.predictions[0], prediction[0].to(torch.uint8))
    for name, matrix in matrices.items():
        expected = kway_figures(matrix, spec.classes, base)
        assert scored.figures[name].human == pytest.approx(expected.human, abs=0.05)
        assert scored.figures[name].accuracy == pytest.approx(expected.accuracy, abs=0.05)
    background, person = persons.iou()
    expected = {"mean": (background + person) / 2, "background": background, "human": person}
    assert scored.foreground == pytest.approx(expected, abs=0.05)


def test_a_run_as_published_keeps_its_epochs_and_goes_on_after_a_stop_in_any_of_them(toy_root, tmp_path, monkeypatch):
    """1-way, four epochs of some steps each, whose rate falls in every epoch; stopped in the first and the second."""
    published = {
        "way": "1way", "epochs": 4, "schedule": "steps", "kaiming_init": True, "padding_in_prototypes": True,
        "coarse_running_mean": True, "coarse_background_pass": True, "mixed_batches": True, "keep_every": 2,
        "batch_size": 40,
    }  # fmt: skip
    whole, stopped, steps = tmp_path / "whole", tmp_path / "stopped", []
    train_cli.train(settings(toy_root, whole, **published))
    note_steps(monkeypatch, steps)
    per_epoch = last(whole)["steps"] // 4
    monkeypatch.setattr(stopping, "StopSignal", stop_signal(lambda: len(steps) in (1, per_epoch + 2)))
    for _ in range(3):
        train_cli.train(settings(toy_root, stopped, **published))
    rates = [0.01 * (1 - step // per_epoch / 4) ** 0.9 for step in range(4 * per_epoch)]
    assert [step.lr for step in steps] == pytest.approx(rates)
    for name in ("epoch_1.pt", "epoch_3.pt", "last.pt"):
        one, other = (files.read(folder / name) for folder in (whole, stopped))
        assert_same(one["network"], other["network"])
    assert one["network"]["coarse_bank.rows"].any() and not (whole / "epoch_0.pt").exists()


def test_a_frozen_encoder_keeps_its_weights_and_its_licence_goes_with_the_checkpoint(toy_root, tmp_path):
    network = EOPNet(18, "kway", LITE0, channels=8)
    initialise(network, "encoder")
    frozen = {"freeze_encoder": True, "ignore_place": 3, "pretrained": "encoder"}
    train_cli.train(settings(toy_root, tmp_path, epochs=1, **frozen))
    weights = last(tmp_path)["network"]
    for name, value in network.encoder.body.state_dict().items():
        assert torch.equal(weights[f"encoder.body.{name}"], value), name
    assert weights["encoder.place"].shape == (1, network.encoder.high_channels, 3) and weights["encoder.place"].any()
    export_released(tmp_path / "last.pt", tmp_path / "small.safetensors")
    opened = open_checkpoint(tmp_path / "small.safetensors")
    assert opened.record["encoder_licence"] == "apache-2.0" and opened.build().encoder.frozen
    assert (
        f"licence of the weights in {LITE0}: apache-2.0" in OneShotParser(tmp_path / "small.safetensors", "cpu").notes
    )
