"""The validation list: what it holds, who trains and chooses on it, and that nothing is chosen on the test list."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import evaluate as evaluate_cli
import train as train_cli
from dataloaders import catalog
from dataloaders.layout import label_path, list_path, read_ids
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.prepare.custom import prepare_custom
from dataloaders.prepare.photos import PreparedPhoto, encoded
from dataloaders.prepare.validation import draw_val
from dataloaders.spec import VAL
from engine.settings import EvaluateSettings
from networks.checkpoints import files
from tools import compare
from utils.errors import UserError

from .data_helpers import REPOSITORY, make_data, make_source, prepare, read, save_label
from .test_custom_data import load, make_png
from .test_train import assert_same, settings

CCP = catalog.load("ccp")


def write_val(root, ids) -> None:
    list_path(root, VAL).write_text("".join(f"{i}\n" for i in ids))


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """CCP in miniature: twelve train photos, of which two queries and two supports are for validation."""
    root = make_data(CCP, tmp_path_factory.mktemp("held") / "CCP_OS")
    write_val(root, ["train_007", "train_001", "train_010", "train_004"])
    return root


@pytest.mark.parametrize("way", ["kway", "1way"])
@pytest.mark.parametrize("train_on, expected", [("rest", {0, 2, 3, 5, 6, 8, 9, 11}), ("all", set(range(12)))])
def test_training_leaves_the_validation_photos_out_unless_asked_for_all(held, way, train_on, expected):
    episodes = TrainEpisodes(CCP, held, fold=1, way=way, crop_size=(32, 32), resample_supports=True, train_on=train_on)
    drawn = set()
    for epoch in range(20):
        episodes.set_epoch(epoch)
        drawn |= {index for pair in episodes.pairs for index in pair[:2]}
    assert drawn == expected and set(episodes.held_out) == set(range(12)) - expected


def test_the_first_half_of_the_list_are_queries(held):
    episodes = TestEpisodes(CCP, held, way="kway", split="val")
    assert {pair.query for pair in episodes.pairs} == {0, 1} and {pair.support for pair in episodes.pairs} == {2, 3}
    assert {pair.class_id for pair in episodes.pairs} == set(CCP.evaluation_order)
    assert (episodes[0]["query_id"], episodes[0]["support_id"]) == ("train_007", "train_010")


def test_a_list_that_is_no_part_of_the_train_list_is_told(held, tmp_path):
    root = shutil.copytree(held, tmp_path / "CCP_OS")
    write_val(root, ["train_001", "test_003"])
    with pytest.raises(UserError, match=r"val_id\.txt: test_003 is not in the train list"):
        TrainEpisodes(CCP, root, fold=1, way="kway", crop_size=(32, 32))
    list_path(root, VAL).unlink()
    with pytest.raises(UserError, match=r"val_id\.txt: no such file"):
        TestEpisodes(CCP, root, way="kway", split="val")


def test_the_carried_list_holds_train_photos_alone():
    names = ("meta_train_id", "meta_test_id", "val_id", "val_repeats")
    train, test, val, repeats = (
        (REPOSITORY / "dataloaders/splits/ccp" / f"{name}.txt").read_text().split() for name in names
    )
    assert len(val) == len(set(val)) == 200 and set(val) <= set(train)
    assert not set(repeats) & {*train, *test}, "they are photos with image-level tags"


def drawable(number: int, rare: int) -> list[PreparedPhoto]:
    """Photos of noise that all hold class 2, every `rare`th also class 1; the last one is another shot of the first."""
    photos = []
    for i in range(number):
        noise = np.random.default_rng(0 if i == number - 1 else i).integers(0, 255, (6, 5, 3), dtype=np.uint8)
        picture = Image.fromarray(noise).resize((40, 48), Image.Resampling.BICUBIC)
        photos.append(PreparedPhoto(str(i), encoded(picture), b"", (1, 2) if i % rare == 0 else (2,)))
    return photos


def test_a_drawn_list_shows_rare_classes_in_both_roles_and_leaves_most_of_them_for_training():
    photos = drawable(60, rare=5)
    ids = [int(i) for i in draw_val(CCP, photos, 12)]
    assert len(ids) == len(set(ids)) == 12 and ids == [int(i) for i in draw_val(CCP, photos, 12)]
    assert not {0, 59} & set(ids), "a photo and its repeat shot stay for training"
    rare = [i % 5 == 0 for i in ids]
    assert sum(rare[:6]) == sum(rare[6:]) == 2, "a third of the twelve"
    with pytest.raises(UserError, match="--val 40"):
        draw_val(CCP, photos, 40)


def test_own_data_gets_a_list_where_there_are_enough_photos(tmp_path):
    prepare_custom(make_png(tmp_path / "source", number=84), tmp_path / "data")
    spec, root = load(tmp_path / "data")
    assert len(read_ids(root, "train")) == 63 and len(read_ids(root, VAL)) == 12
    assert TestEpisodes(spec, root, way="kway", split="val").pairs
    assert len(TrainEpisodes(spec, root, fold=1, way="kway", crop_size=(32, 32))) == 63 - 12
    before = list_path(root, VAL).read_text()
    prepare_custom(tmp_path / "source", tmp_path / "data", val=8)
    assert list_path(root, VAL).read_text() == before, "a list that stands is kept"


def test_a_published_set_gets_a_list_on_request(tmp_path):
    source = make_source("cihp", tmp_path / "source", 48)
    prepare("cihp", source, tmp_path / "without")
    prepare("cihp", source, tmp_path / "with", val=8)
    assert not list_path(tmp_path / "without/CIHP_OS", VAL).exists()
    assert len(read_ids(tmp_path / "with/CIHP_OS", VAL)) == 8


@pytest.fixture(scope="module")
def toy_held(toy_root, tmp_path_factory):
    """A toy data root with a validation list of eight."""
    data_root = tmp_path_factory.mktemp("toy_held")
    root = shutil.copytree(toy_root / "TOY_OS", data_root / "TOY_OS", symlinks=True)
    write_val(root, read_ids(root, "train")[:8])
    return data_root


@pytest.fixture(scope="module")
def run(toy_held, tmp_path_factory):
    """A short training beside a validation list."""
    folder = tmp_path_factory.mktemp("held_run")
    train_cli.train(settings(toy_held, folder, eval_every=1))
    return folder


def test_other_test_labels_give_the_same_best_checkpoint(run, toy_held, tmp_path):
    data_root = shutil.copytree(toy_held, tmp_path / "data", symlinks=True)
    root = data_root / "TOY_OS"
    for image_id in read_ids(root, "test"):
        path = label_path(root, image_id)
        label = read(path)
        os.remove(path)
        save_label(path, np.where(label > 0, 17 - label, 0).astype(np.uint8))
    train_cli.train(settings(data_root, tmp_path / "run", eval_every=1))
    one, other = (files.read(folder / "best.pt") for folder in (run, tmp_path / "run"))
    assert_same(one["network"], other["network"])
    assert one["history"] == other["history"] and one["trained_epoch"] == other["trained_epoch"]


def test_results_say_which_list_they_are_of(run, toy_held, tmp_path):
    assert json.loads((run / "results.json").read_text())["split"] == "val"
    for split in ("test", "val"):
        score(run, toy_held, tmp_path / split, split)
        assert json.loads((tmp_path / split / "results.json").read_text())["split"] == split


def test_pictures_of_an_earlier_evaluation_do_not_stay_beside_new_ones(run, toy_held, tmp_path):
    for number in (5, 2, 0):
        score(run, toy_held, tmp_path, save_pictures=number)
    assert len(list(tmp_path.glob("pictures/pair_*.png"))) == 2


def score(run, data_root, out, split="test", **more) -> None:
    """Evaluate the last checkpoint of a run."""
    evaluate_cli.evaluate(
        EvaluateSettings(
            checkpoint=str(run / "last.pt"), data_root=str(data_root), split=split, device="cpu", workers=0,
            output=str(out), **more,
        )
    )  # fmt: skip


def test_results_are_put_side_by_side_where_pairs_and_labels_are_the_same(run, toy_held, tmp_path, capsys):
    data_root = shutil.copytree(toy_held, tmp_path / "data", symlinks=True)
    score(run, toy_held, tmp_path / "one")
    score(run, data_root, tmp_path / "same")
    root = data_root / "TOY_OS"
    path = label_path(root, read_ids(root, "test")[0])
    label = read(path)
    label[0, 0] = 1 - label[0, 0]
    os.remove(path)
    save_label(path, label)
    score(run, data_root, tmp_path / "flipped")
    score(run, data_root, tmp_path / "val", "val")
    capsys.readouterr()
    one, same, flipped, val = (str(tmp_path / name / "results.json") for name in ("one", "same", "flipped", "val"))
    compare.main(["--results", one, same])
    told = capsys.readouterr().out
    assert told.count("results.json") == 4 and told.count("+0.0 (0.0 to 0.0)") == 3
    (tmp_path / "same/results.npz").write_bytes((tmp_path / "val/results.npz").read_bytes())
    compare.main(["--results", one, same])
    assert "same/results.npz is missing or of another evaluation" in capsys.readouterr().out
    with pytest.raises(UserError, match="not of the same labels as"):
        compare.main(["--results", one, flipped])
    with pytest.raises(UserError, match="not of the same photo list, pairs, labels as"):
        compare.main(["--results", flipped, val])
    weights = {json.loads((tmp_path / name / "results.json").read_text())["weights_digest"] for name in ("one", "val")}
    assert weights == {files.read(run / "last.pt")["digests"]["weights"]}


def test_a_run_neither_goes_on_nor_is_scored_under_other_folds_or_lists(tmp_path):
    prepare_custom(make_png(tmp_path / "source"), tmp_path / "data")
    spec, root = load(tmp_path / "data")
    short = settings(tmp_path, tmp_path / "run", dataset=str(root / "dataset.json"), epochs=1, batch_size=4)
    train_cli.train(short)
    record = json.loads((root / "dataset.json").read_text())
    (root / "dataset.json").write_text(json.dumps(record | {"folds": {"1": [spec.labels[spec.base_classes(1)[1]]]}}))
    with pytest.raises(UserError, match=r"last\.pt: was trained with other novel classes than the data set has now"):
        train_cli.train(short)
    with pytest.raises(UserError, match="trained with other novel classes than fold 1"):
        score(tmp_path / "run", tmp_path, tmp_path / "scored")
    (root / "dataset.json").write_text(json.dumps(record))
    ids = read_ids(root, "train")
    (root / "list/bad_id.txt").write_text(ids[0])
    with pytest.raises(UserError, match="was trained with other photos of the train list than"):
        train_cli.train(short)
    (root / "list/bad_id.txt").unlink()
    assert train_cli.train(short) is None
    score(tmp_path / "run", tmp_path, tmp_path / "scored")


def test_a_run_that_trained_on_all_photos_does_not_go_on_with_fewer(toy_root, toy_held, tmp_path):
    for earlier in ("best.pt", "epoch_8.pt"):
        (tmp_path / earlier).write_bytes(b"of an earlier run")
    train_cli.train(settings(toy_held, tmp_path, epochs=1, train_on="all"))
    assert not (tmp_path / "best.pt").exists() and not (tmp_path / "epoch_8.pt").exists(), "nothing may choose it"
    assert json.loads((tmp_path / "results.json").read_text())["split"] == "test"
    content = files.read(tmp_path / "last.pt")
    del content["settings"]["train_on"], content["held_out"]  # as of a run that began before there was such a list
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(UserError, match="go on with --train-on all"):
        train_cli.train(settings(toy_held, tmp_path, epochs=1))
    train_cli.train(settings(toy_root, tmp_path, epochs=1))
