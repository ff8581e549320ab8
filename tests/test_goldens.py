"""The shipped goldens are the measurements that they were taken from, and the rules give the inputs of these."""

import numpy as np
import pytest
import torch

from dataloaders.supports import read_plain_pickle

from . import goldens, make_goldens
from .shared import PARITY, SHARED, golden, needs_parity

pytestmark = needs_parity


def assert_inputs(episode: goldens.Episode, arrays: dict[str, torch.Tensor]) -> None:
    for who in ("query", "support"):
        assert torch.equal(episode[who], goldens.rgb(arrays[who].double())), who
        for ours, theirs in ((f"{who}_label", f"{who}_mask"), (f"{who}_foreground", f"{who}_fg")):
            if theirs in arrays:
                assert torch.equal(episode[ours], arrays[theirs][:, 0].long()), ours
    assert torch.equal(episode["class_id"], arrays.get("cate", torch.zeros(1)).long().expand_as(episode["class_id"]))


def test_shipped_files_hold_what_was_measured(tmp_path):
    make_goldens.make(SHARED, tmp_path)
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == sorted(path.name for path in goldens.FOLDER.iterdir())
    for name in made:
        if name.endswith(".npz"):
            with np.load(tmp_path / name) as ours, np.load(goldens.FOLDER / name) as shipped:
                assert ours.files == shipped.files
                assert all(np.array_equal(ours[key], shipped[key]) for key in ours.files), name
        elif name.endswith(".zip"):
            assert (tmp_path / name).read_bytes() == (goldens.FOLDER / name).read_bytes()
        else:
            assert goldens.read_json(tmp_path / name) == goldens.read_json(goldens.FOLDER / name), name


@pytest.mark.parametrize("run", make_goldens.EVALUATIONS)
def test_evaluated_photos_and_labels_follow_from_the_rule(run):
    assert_inputs(goldens.evaluation_episode(run.split("_")[1]), golden(make_goldens.evaluation_file(run)))


def test_popnets_photos_follow_from_the_rule():
    arrays = golden("pop_kway_eval.npz")
    assert_inputs(goldens.evaluation_episode("kway", goldens.STAGE_SEED), arrays)
    assert int(arrays["prev_seed"]) == goldens.PREVIOUS_SEED


@pytest.mark.parametrize("way", make_goldens.STEPS)
def test_the_training_batch_follows_from_the_rule(way):
    assert_inputs(goldens.training_batch(way), golden(f"{make_goldens.STEPS[way]}_in.npz"))


@pytest.mark.parametrize("way", make_goldens.STEPS)
@pytest.mark.parametrize("padded", [False, True])
def test_the_batches_of_the_longer_trainings_follow_from_the_rule(way, padded, monkeypatch):
    monkeypatch.syspath_prepend(PARITY)
    theirs = __import__("trajectory_batch").batch
    for step in range(4):
        episode, (arrays, class_ids) = goldens.trajectory_batch(way, step, padded), theirs(step, way, padded)
        names = [f"{who}{part}" for who in ("query", "support") for part in ("", "_mask", "_fg")]
        cate = {"cate": class_ids} if way == "1way" else {}
        assert_inputs(episode, dict(zip(names, arrays, strict=True)) | cate)


def test_standin_weights_are_those_of_the_measurement(monkeypatch):
    monkeypatch.syspath_prepend(PARITY)
    theirs = __import__("standin_weights").tensor_for
    for kind in make_goldens.KINDS:
        drawn = goldens.standin_weights(kind)
        assert all(torch.equal(tensor, theirs(name, tensor.shape)) for name, tensor in drawn.items())


def test_atr_lists_are_the_published_ones(tmp_path):
    goldens.write_atr_lists(tmp_path)
    for split in ("train", "test"):
        ours = read_plain_pickle(tmp_path / "support" / f"meta_{split}_atr_supports.pkl")
        assert ours == read_plain_pickle(make_goldens.support_file(SHARED, split))
