"""From the unpacked download to a trained step, and what happens when the download is not as it should be."""

import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

import train
from dataloaders import catalog
from dataloaders.layout import read_ids, supports_path
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.prepare.__main__ import main as command_line
from dataloaders.prepare.build import choose_lists
from dataloaders.prepare.published import find
from dataloaders.prepare.toy_set import prepare_toy
from dataloaders.spec import SPLITS
from engine.settings import TrainSettings
from utils.errors import UserError

from .data_helpers import make_data, make_source, prepare, read, run_module, save_image, tree
from .shared import SHARED

SETS = ["atr", "lip", "cihp", "ccp"]
CCP = SHARED / "real" / "clothing-co-parsing"


def trained_step(name, data_root, run_dir):
    """Train one epoch on the prepared data, evaluated on two pairs so that it stays quick."""
    spec = catalog.load(name)
    pairs = [[0, 1], [1, 0], [spec.evaluation_order[0]] * 2]
    root = catalog.locate(spec, data_root)
    (root / "support" / f"{name}_meta_test_list.txt").write_bytes(pickle.dumps(pairs))
    settings = TrainSettings(
        dataset=name, data_root=str(data_root), encoder="tf_efficientnet_lite0", channels=16, pretrained="none",
        epochs=1, crop_size=(32, 32), workers=0, device="cpu", run_dir=str(run_dir),
    )  # fmt: skip
    train.train(settings)


@pytest.mark.parametrize("name", SETS)
def test_from_source_to_a_trained_step(name, tmp_path):
    outcome = prepare(name, make_source(name, tmp_path / "source"), tmp_path / "data")
    assert {kind for kind, _ in outcome.findings} == {"count"}
    root = catalog.locate(catalog.load(name), tmp_path / "data")
    assert len(list((root / "trainval_images").iterdir())) == len(list((root / "trainval_classes").iterdir())) == 16
    assert (root / "Category_rev_ids").exists() == (name != "ccp")
    trained_step(name, tmp_path / "data", tmp_path / "run")
    assert (tmp_path / "run" / "last.pt").exists()


@pytest.mark.parametrize("name", SETS)
def test_a_second_run_changes_nothing(name, tmp_path):
    source = make_source(name, tmp_path / "source")
    prepare(name, source, tmp_path / "data")
    before = tree(tmp_path / "data")
    prepare(name, source, tmp_path / "data")
    assert tree(tmp_path / "data") == before


def test_links_by_default_and_copies_on_request(tmp_path):
    source = make_source("lip", tmp_path / "source")
    for copy in (False, True):
        prepare("lip", source, tmp_path / str(copy), copy=copy)
        files = list((tmp_path / str(copy) / "LIP_OS" / "trainval_images").iterdir())
        assert all(path.is_symlink() != copy for path in files)
    assert tree(tmp_path / "True") == tree(tmp_path / "False")


def test_archive_folders_decide_the_splits(tmp_path):
    prepare("cihp", make_source("cihp", tmp_path / "source"), tmp_path / "data")
    root = tmp_path / "data" / "CIHP_OS"
    assert read_ids(root, "train") == [f"{i:07d}" for i in range(1, 16, 2)]
    assert read_ids(root, "test") == [f"{i:07d}" for i in range(0, 16, 2)]


@pytest.mark.parametrize("flat", ["TrainVal_images/{}_images TrainVal_parsing_annotations/{}_segmentations",
                                  "{}_images {}_segmentations"])  # fmt: skip
def test_flat_lip_layouts(tmp_path, flat):
    nested, source = make_source("lip", tmp_path / "nested"), tmp_path / "source"
    for split in ("train", "val"):
        images, labels = flat.format(split, split).split()
        shutil.copytree(nested / "TrainVal_images" / "TrainVal_images" / f"{split}_images", source / images)
        annotations = nested / "TrainVal_parsing_annotations" / "TrainVal_parsing_annotations"
        shutil.copytree(annotations / f"{split}_segmentations", source / labels)
    prepare("lip", source, tmp_path / "data")
    assert len(read_ids(tmp_path / "data" / "LIP_OS", "train")) == 8


def test_lists_and_index_of_the_user_are_used(tmp_path, capsys):
    source, root = make_source("atr", tmp_path / "source"), tmp_path / "data" / "ATR_OS"
    (root / "list").mkdir(parents=True)
    (root / "list" / "meta_train_id.txt").write_text("".join(f"2500_{i}\n" for i in range(10)))
    (root / "list" / "meta_test_id.txt").write_text("".join(f"2500_{i}\n" for i in range(10, 14)))
    (source / "support").mkdir()
    spec = catalog.load("atr")
    table = {c: [0, 1, 2] for c in spec.classes[1:]} | {c + 17: [3, 4, 5, 6, 7, 8, 9] for c in spec.classes[1:]}
    supports_path(spec, source, "train").write_bytes(pickle.dumps(table))
    outcome = prepare("atr", source, tmp_path / "data")
    said = capsys.readouterr().out
    assert "id lists: stand in the data folder" in said
    assert "support index, train: comes from SOURCE" in said and "support index, test: built" in said
    assert {kind for kind, _ in outcome.findings} == {"count"}
    assert len(list((root / "trainval_images").iterdir())) == 14, "what is on no list is left out"
    assert TestEpisodes(spec, root, way="kway").pairs[0].support in (2, 3)


@pytest.mark.skipif(not (SHARED / "official_splits").is_dir(), reason="the published lists (../shared) are not here")
@pytest.mark.parametrize("name", ["atr", "lip", "cihp"])
def test_published_lists_fit_the_catalogue(name, tmp_path):
    spec = catalog.load(name)
    folder = SHARED / "official_splits" / spec.folder
    assert {split: len(read_ids(folder, split)) for split in SPLITS} == spec.counts
    source = make_source(name, tmp_path / "source")
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match="ids of the lists lack photo or label"):
        choose_lists(folder, source, *find(spec, source))


def test_ccp_is_scaled_and_gathered(tmp_path):
    source = make_source("ccp", tmp_path / "source")
    prepare("ccp", source, tmp_path / "small", size=24)
    prepare("ccp", source, tmp_path / "whole", size=0)
    name = read_ids(tmp_path / "small" / "CCP_OS", "train")[0]
    label = read(tmp_path / "whole" / "CCP_OS" / "trainval_classes" / f"{name}.png")
    assert set(np.unique(label)) == set(range(13))
    small = Image.open(tmp_path / "small" / "CCP_OS" / "trainval_images" / f"{name}.jpg")
    assert small.size == (20, 24) == Image.open(tmp_path / "small" / "CCP_OS" / "trainval_classes" / f"{name}.png").size
    with pytest.raises(UserError, match="already stands and differs"):
        prepare("ccp", source, tmp_path / "small", size=0)


@pytest.mark.skipif(not CCP.is_dir(), reason="the CCP photos (../shared/real) are not here")
def test_real_ccp_labels(tmp_path):
    for part in ("photos", "annotations/pixel-level"):
        (tmp_path / "source" / part).mkdir(parents=True)
        for number in ("0002", "0003", "0004", "0006", "0001", "0005", "0014", "0015", "0480", "0536"):
            (source,) = (CCP / part).glob(f"{number}.*")
            (tmp_path / "source" / part / source.name).symlink_to(source)
    (tmp_path / "source" / "label_list.mat").symlink_to(CCP / "label_list.mat")
    prepare("ccp", tmp_path / "source", tmp_path / "data")
    root = tmp_path / "data" / "CCP_OS"
    ids = read_ids(root, "train") + read_ids(root, "test")
    assert "0480" not in ids and "0536" not in ids
    for image_id in ids:
        label = read(root / "trainval_classes" / f"{image_id}.png")
        assert max(label.shape) == 512
        assert {0, 3, 9} <= set(np.unique(label)), "skin and shoes are on every one of these photos"


def test_toy_set_is_drawn_once(tmp_path):
    prepare_toy(tmp_path, images=16, seed=1)
    before = tree(tmp_path)
    prepare_toy(tmp_path, images=16, seed=1)
    assert tree(tmp_path) == before
    with pytest.raises(UserError, match="already stands and differs"):
        prepare_toy(tmp_path, images=16, seed=2)
    assert tree(tmp_path) == before
    episodes = TrainEpisodes(catalog.load("toy"), tmp_path / "TOY_OS", fold=1, way="kway", crop_size=(64, 48))
    assert episodes[0]["query"].shape == (3, 64, 48)


def spoil_sources(name, source):
    """Ways in which a download is not as it should be, each with what the message must say."""
    photos = sorted(path for path in source.rglob("*.jpg"))
    labels = sorted(path for path in source.rglob("*.mat" if name == "ccp" else "*.png"))
    labels = [path for path in labels if path.name != "label_list.mat" and "rev" not in str(path)]

    def several():
        for path in photos[:2]:
            path.write_bytes(path.read_bytes()[:200])

    return {
        "sub-folder": lambda: shutil.rmtree(photos[0].parent),
        "stand alone": labels[0].unlink,
        "1 of 16": lambda: save_image(photos[0], 0, (20, 20)),
        "2 of 16": several,
    }


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("complaint", ["sub-folder", "stand alone", "1 of 16", "2 of 16"])
def test_bad_source_is_told_and_leaves_nothing(name, complaint, tmp_path, capsys):
    source = make_source(name, tmp_path / "source")
    spoil_sources(name, source)[complaint]()
    with pytest.raises(UserError, match=complaint) as caught:
        prepare(name, source, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "data").exists()
    if " of " in complaint:
        assert ".jpg" in capsys.readouterr().out, "each unusable photo is named"


@pytest.mark.parametrize("name", SETS)
def test_missing_source_names_what_was_looked_for(name, tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        prepare(name, tmp_path / "nothing", tmp_path / "data")
    (tmp_path / "empty").mkdir()
    looked_for = {"atr": "JPEGImages", "lip": "train_images", "cihp": "Training/Images", "ccp": "photos"}[name]
    with pytest.raises(UserError, match=looked_for):
        prepare(name, tmp_path / "empty", tmp_path / "data")


def test_ids_with_odd_characters(tmp_path):
    source = make_source("atr", tmp_path / "source")
    for folder in source.iterdir():
        (path,) = folder.glob("2500_3.*")
        path.rename(folder / f"ä b#%(3).ü{path.suffix}")
    (source / "JPEGImages" / ".DS_Store.jpg").write_bytes(b"")
    prepare("atr", source, tmp_path / "data")
    root = tmp_path / "data" / "ATR_OS"
    assert "ä b#%(3).ü" in read_ids(root, "train") + read_ids(root, "test")
    for folder in source.iterdir():
        (path,) = folder.glob("2500_4.*")
        path.rename(folder / f"two\nlines{path.suffix}")
    with pytest.raises(UserError, match="cannot be an id"):
        prepare("atr", source, tmp_path / "other")


def test_nothing_that_stands_is_overwritten(tmp_path):
    source, root = make_source("atr", tmp_path / "source"), tmp_path / "data" / "ATR_OS"
    save_image(root / "trainval_images" / "2500_0.jpg", 99)
    before = tree(tmp_path / "data")
    with pytest.raises(UserError, match=r"2500_0.jpg: already stands and differs"):
        prepare("atr", source, tmp_path / "data")
    assert tree(tmp_path / "data") == before


def test_full_disk_leaves_nothing(tmp_path, monkeypatch):
    source = make_source("atr", tmp_path / "source")
    copyfile, copied = shutil.copyfile, []

    def fail_at_tenth(*arguments):
        copied.append(arguments)
        if len(copied) == 10:
            raise OSError(28, "No space left on device")
        return copyfile(*arguments)

    monkeypatch.setattr(shutil, "copyfile", fail_at_tenth)
    with pytest.raises(UserError, match="No space left"):
        prepare("atr", source, tmp_path / "data", copy=True)
    assert not (tmp_path / "data").exists()


def test_target_that_cannot_be_written(tmp_path):
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(UserError, match="cannot be made"):
        prepare("atr", make_source("atr", tmp_path / "source"), tmp_path / "data")


def test_list_without_its_fellow(tmp_path):
    root = make_data(catalog.load("atr"), tmp_path / "data" / "ATR_OS")
    (root / "list" / "meta_test_id.txt").unlink()
    with pytest.raises(UserError, match=r"meta_train_id.txt: stands without"):
        prepare("atr", make_source("atr", tmp_path / "source"), tmp_path / "data")


def test_command_line(tmp_path):
    source = make_source("ccp", tmp_path / "source")
    done = run_module("dataloaders.prepare", "ccp", "--source", source, "--data-root", tmp_path / "data")
    assert done.returncode == 0, done.stderr
    assert "550 pairs" in done.stdout and "the project's own lists" in done.stdout
    failed = run_module("dataloaders.prepare", "atr", "--source", source, "--data-root", tmp_path / "data")
    assert failed.returncode == 2
    assert failed.stderr.count("\n") == 1 and "JPEGImages" in failed.stderr
    assert run_module("dataloaders.prepare", "lip").returncode == 2


def stop_at_move(monkeypatch, number):
    """Ctrl-C at the `number`th step in which what is ready moves to its place."""
    move, moved = shutil.move, []

    def stopped(*arguments):
        moved.append(arguments)
        if len(moved) == number:
            raise KeyboardInterrupt
        return move(*arguments)

    monkeypatch.setattr(shutil, "move", stopped)


@pytest.mark.parametrize("number", [1, 3])
def test_a_stopped_run_leaves_what_stood_and_no_more(tmp_path, monkeypatch, number):
    source, root = make_source("atr", tmp_path / "source"), tmp_path / "data" / "ATR_OS"
    (root / "list").mkdir(parents=True)
    for split, ids in (("train", range(10)), ("test", range(10, 14))):
        (root / "list" / f"meta_{split}_id.txt").write_text("".join(f"2500_{i}\n" for i in ids))
    before = tree(tmp_path / "data")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        stop_at_move(patched, number)
        prepare("atr", source, tmp_path / "data")
    assert tree(tmp_path / "data") == before and [path.name for path in root.iterdir()] == ["list"]
    prepare("atr", source, tmp_path / "data")
    assert before.items() <= tree(tmp_path / "data").items() and len(
        TestEpisodes(catalog.load("atr"), root, way="kway")
    )


def test_what_a_killed_run_left_is_removed(tmp_path):
    source, data = make_source("atr", tmp_path / "source"), tmp_path / "data"
    save_image(data / "ATR_OS.partial" / "trainval_images" / "2500_0.jpg", 99)
    prepare("atr", source, data)
    save_image(data / "ATR_OS" / ".partial" / "trainval_images" / "2500_0.jpg", 99)
    prepare("atr", source, data)
    assert not list(data.rglob("*.partial")) and not list(data.rglob(".partial"))


@pytest.mark.parametrize(
    "dataset, option, sets",
    [
        ("toy", "--val 10", "atr, lip, cihp, ccp, custom"), ("toy", "--source x", "atr, lip, cihp, ccp, custom"),
        ("toy", "--with-tagged", "ccp"), ("toy", "--name mine", "custom"), ("custom", "--size 100", "ccp"),
        ("ccp", "--seed 1", "toy, custom"), ("atr", "--images 9", "toy"), ("lip", "--depth 12", "custom"),
    ],
)  # fmt: skip
def test_an_option_of_another_data_set_is_refused(dataset, option, sets, tmp_path):
    with pytest.raises(UserError, match=f"^{option.split()[0]} is for {sets}, not {dataset}; leave it away$"):
        command_line([dataset, *option.split(), "--data-root", str(tmp_path)])
    assert not list(tmp_path.iterdir())
