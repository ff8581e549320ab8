"""A bad file costs its pairs, not the data set; and a checkpoint is evaluated on another set than its own."""

import json
import pickle

import pytest

import evaluate
from dataloaders import catalog
from dataloaders.check import main as check
from dataloaders.layout import read_ids, supports_path
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.prepare.__main__ import main as prepare
from dataloaders.training_photos import TrainingPhotos
from engine.settings import EvaluateSettings
from utils.errors import UserError

from . import label_forms as forms
from .data_helpers import make_source
from .own_photos import write_checkpoint


@pytest.fixture
def spoilt(tmp_path):
    """An unpacked CIHP with a broken photo in each split and a label that is missing; its lists name all ids."""
    source = make_source("cihp", tmp_path / "source")
    next(iter(sorted(source.rglob("Training/Images/*.jpg")))).write_bytes(b"no photo")
    next(iter(sorted(source.rglob("Validation/Images/*.jpg")))).write_bytes(b"no photo")
    sorted(source.rglob("Training/Category_ids/*.png"))[2].unlink()
    (source / "list").mkdir()
    for split, folder in (("train", "Training"), ("test", "Validation")):
        ids = sorted(path.stem for path in source.rglob(f"{folder}/Images/*.jpg"))
        (source / f"list/meta_{split}_id.txt").write_text("".join(f"{i}\n" for i in ids))
    return source


def test_positions_stay_and_bad_files_are_passed_over(spoilt, tmp_path, capsys, monkeypatch):
    arguments = ["cihp", "--source", str(spoilt), "--data-root", str(tmp_path / "data")]
    with pytest.raises(UserError, match="1 ids of the lists lack photo or label"):
        prepare(arguments)
    assert prepare([*arguments, "--skip-bad"]) == 0
    assert "3 ids keep their places without photo or label" in capsys.readouterr().out
    spec = catalog.load("cihp")
    root = catalog.locate(spec, tmp_path / "data")
    ids, listed = read_ids(root, "train"), (spoilt / "list/meta_train_id.txt").read_text().split()
    assert ids == listed and (root / "list/bad_id.txt").read_text().split() == [
        ids[0],
        ids[2],
        read_ids(root, "test")[0],
    ]
    table = pickle.loads(supports_path(spec, root, "train").read_bytes())
    assert not {0, 2} & {index for indices in table.values() for index in indices}
    episodes = TrainEpisodes(spec, root, fold=1, way="kway", crop_size=(32, 32))
    assert not {0, 2} & {index for pair in episodes.pairs for index in pair[:2]} and episodes[0]
    photos = TrainingPhotos(spec, root, fold=1, crop_size=(32, 32), zoom=(1.0, 1.0), pseudo_classes=2)
    assert photos.used_ids() == [one for place, one in enumerate(ids) if place not in (0, 2)] and photos[0]
    monkeypatch.setattr("sys.argv", ["check", "cihp", "--data-root", str(tmp_path / "data")])
    check()
    assert "2 of the train ids are passed over" in capsys.readouterr().out


def test_pairs_of_a_bad_file_are_passed_over_and_the_result_says_so(spoilt, tmp_path):
    prepare(["cihp", "--source", str(spoilt), "--data-root", str(tmp_path / "data"), "--skip-bad"])
    spec = catalog.load("cihp")
    root = catalog.locate(spec, tmp_path / "data")
    class_id = spec.evaluation_order[0]
    lists = [[0, 1, 2], [3, 0, 4], [class_id] * 3]
    (root / "support/cihp_meta_test_list.txt").write_bytes(pickle.dumps(lists))
    episodes = TestEpisodes(spec, root, way="kway")
    assert [pair[:2] for pair in episodes.pairs] == [(2, 4)] and episodes.list.passed_over == 2
    assert "2 pairs are passed over" in episodes.list.notes()[0]
    (root / "support/cihp_meta_test_list.txt").write_bytes(pickle.dumps([row[:2] for row in lists]))
    with pytest.raises(UserError, match=r"cihp_meta_test_list.txt: every pair has a photo that cannot be used"):
        TestEpisodes(spec, root, way="kway")


def test_a_mended_file_is_told_and_a_further_bad_one_refused(spoilt, tmp_path, capsys):
    photo, *others = sorted(spoilt.rglob("Training/Images/*.jpg"))
    arguments = ["cihp", "--source", str(spoilt), "--data-root", str(tmp_path / "data"), "--skip-bad"]
    prepare(arguments)
    assert "though their files can be used" not in capsys.readouterr().out
    photo.write_bytes(others[0].read_bytes())
    assert prepare(arguments) == 0
    assert f"passed over, though their files can be used ({photo.stem}); to take them in" in capsys.readouterr().out
    others[3].write_bytes(b"no photo")
    with pytest.raises(UserError, match=rf"bad_id.txt: lacks ids whose files cannot be used \({others[3].stem}\)"):
        prepare(arguments)
    root = tmp_path / "data/CIHP_OS"
    for path in (root / "list/bad_id.txt", *(root / "support").iterdir()):
        path.unlink()
    assert prepare(arguments) == 0
    assert photo.stem not in (root / "list/bad_id.txt").read_text().split()


def test_own_data_goes_on_without_bad_photos(tmp_path, capsys):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat")
    (tmp_path / "source/images/p3.jpg").write_bytes(b"no photo")
    arguments = ["custom", "--source", str(tmp_path / "source"), "--data-root", str(tmp_path / "data")]
    with pytest.raises(UserError, match="leave them out with --skip-bad"):
        prepare(arguments)
    assert prepare([*arguments, "--skip-bad"]) == 0
    assert "1 of 8 photos or labels cannot be used" in capsys.readouterr().out
    ids = {i for split in ("train", "test") for i in read_ids(tmp_path / "data/source", split)}
    assert ids == {f"p{i}" for i in range(8)} - {"p3"}


def test_lists_of_own_data_keep_their_places(tmp_path):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat")
    arguments = ["custom", "--source", str(tmp_path / "source"), "--data-root", str(tmp_path / "data")]
    prepare(arguments)
    root = tmp_path / "data/source"
    before = [read_ids(root, split) for split in ("train", "test")]
    (tmp_path / "source/images/p3.jpg").write_bytes(b"no photo")
    assert prepare([*arguments, "--skip-bad"]) == 0
    assert [read_ids(root, split) for split in ("train", "test")] == before
    assert (root / "list/bad_id.txt").read_text().split() == ["p3"]


def test_a_checkpoint_is_evaluated_on_another_data_set(tmp_path, capsys):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat")
    prepare(["custom", "--source", str(tmp_path / "source"), "--data-root", str(tmp_path / "data")])
    other = str(tmp_path / "data/source/dataset.json")
    checkpoint = str(write_checkpoint(tmp_path / "tiny.pt"))
    settings = EvaluateSettings(checkpoint=checkpoint, dataset=other, device="cpu", workers=0, test_size=64)
    evaluate.evaluate(settings)
    results = json.loads((tmp_path / "on_source/results.json").read_text())
    assert set(results["figures"]["npm"]["iou"]) == {"background", "shirt", "hat"} and results["comparable"]
    assert results["prototypes"] == "support-only" and results["dataset"] == "source"
    assert "another data set than the checkpoint's" in capsys.readouterr().out
    with pytest.raises(UserError, match="the bank knows no class of"):
        evaluate.evaluate(EvaluateSettings(**{**vars(settings), "prototypes": "bank"}))
