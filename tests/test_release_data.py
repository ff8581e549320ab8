"""The training data of the released checkpoint: every tag has a class, nothing of the test list is trained on."""

import numpy as np
import pytest

from dataloaders import catalog, toy
from dataloaders.layout import read_ids
from dataloaders.oshp_loader import TrainEpisodes
from dataloaders.prepare.ccp import TAGS
from dataloaders.split import Split
from dataloaders.toy import outfit as toy_outfit
from tools import release_data
from utils.errors import UserError

from .data_helpers import REPOSITORY, make_source


def test_every_tag_has_one_class():
    tags = [tag for names in release_data.TAGS.values() for tag in names.split()]
    assert sorted(tags) == sorted(tag for names in TAGS.values() for tag in names.split())


def test_the_data_set(tmp_path):
    source = make_source("ccp", tmp_path / "clone", 12)
    release_data.main(["--source", str(source), "--data-root", str(tmp_path), "--drawn", "5"])
    root = tmp_path / "RELEASE_OS"
    spec = catalog.load(root / "dataset.json")
    assert spec.novel(1) == () and spec.classes == tuple(range(17))
    train, test = (read_ids(root, split) for split in ("train", "test"))
    carried = (REPOSITORY / "dataloaders/splits/ccp/meta_test_id.txt").read_text().split()
    assert set(test) <= set(carried) and not set(train) & set(carried)
    assert [i[:4] for i in train].count("toy_") == 5 and len(train) == 6 + 5
    episodes = TrainEpisodes(spec, root, fold=1, way="kway", crop_size=(64, 48), scale=(0.2, 0.3))
    assert len(episodes) == len(train)
    sample = Split(spec, root, "train").load(len(train) - 1)
    assert sample.label.shape == (512, 340) and {2, 3} <= set(sample.label.unique().tolist()), "hair and skin"


def test_drawn_clothes_get_finer_classes():
    people = release_data.choose_people(40)
    names = list(release_data.TAGS)
    for _, outfit in people.values():
        assert not (outfit.jacket and outfit.upper)
        table = release_data.classes_of(outfit)
        assert names[table[toy_outfit.LEFT_ARM]] == "skin"
        assert names[table[toy_outfit.LEFT_LEG]] == ("legwear" if outfit.tights else "skin")
        assert names[table[toy_outfit.RIGHT_SHOE]] == "shoes"
    number, outfit = next(p for p in people.values() if p[1].upper == "hoodie")
    label = toy.draw(0, number, (96, 64))[1]
    assert (label == toy_outfit.UPPER).any(), "the outfit is that of the drawing"
    assert names[release_data.classes_of(outfit)[toy_outfit.UPPER]] == "upper-clothes"
    assert len(np.unique(list(people))) == 40


def test_bad_arguments(tmp_path):
    with pytest.raises(UserError, match="--drawn: -1 must be"):
        release_data.main(["--source", str(tmp_path), "--drawn", "-1"])
    with pytest.raises(UserError, match="photos"):
        release_data.main(["--source", str(tmp_path), "--data-root", str(tmp_path / "data")])
    assert not (tmp_path / "data").exists()
