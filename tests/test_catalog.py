"""The catalogue holds together and says what the benchmark's description says."""

import colorsys
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from dataloaders import catalog
from dataloaders.palette import palette
from dataloaders.prepare.ccp import TAGS
from engine.checkpoint import is_foreign, open_for_evaluation, use_bank
from engine.resume import same_value
from engine.settings import EvaluateSettings, TrainSettings
from utils.errors import UserError

from .own_photos import write_checkpoint


@pytest.mark.parametrize("name", catalog.names())
def test_record_holds_together(name):
    spec = catalog.load(name)
    merged = set(spec.merge_table()[: spec.num_slots].tolist())
    assert merged == set(spec.classes)
    assert set(spec.evaluation_order) == set(spec.classes) - {0}
    assert spec.folds == (1, 2)
    for fold in spec.folds:
        assert spec.base_classes(fold)[0] == 0
        assert sorted(spec.base_classes(fold) + spec.novel(fold)) == sorted(spec.classes)
    areas = [raw for ids in spec.body_areas.values() for raw in ids]
    assert sorted(areas) == list(range(1, spec.num_slots))
    assert len(set(spec.palette)) == len(spec.palette) == spec.num_slots
    for left, right in spec.mirrored:
        assert spec.merge_table()[left] == spec.merge_table()[right]  # a flip of merged labels is a plain mirror


@pytest.mark.parametrize(
    ("name", "novel1", "novel2"),
    [
        ("atr", (5, 6, 7), (1, 4, 16)),
        ("lip", (6, 9, 12), (5, 7, 10)),
        ("cihp", (6, 9, 12), (1, 5, 7)),
        ("ccp", (5, 6, 7), (1, 4, 11)),
        ("toy", (5, 6, 7), (1, 4, 16)),
    ],
)
def test_novel_classes(name, novel1, novel2):
    spec = catalog.load(name)
    assert (spec.novel(1), spec.novel(2)) == (novel1, novel2)


def test_slots():
    assert [catalog.load(name).num_slots for name in catalog.names()] == [18, 20, 20, 13, 18]


def test_merge_table_keeps_what_is_out_of_range():
    table = catalog.load("atr").merge_table()
    assert table.dtype == np.uint8 and table.shape == (256,)
    assert [int(table[i]) for i in (0, 10, 13, 15, 3, 8, 17, 255, 18, 254)] == [0, 9, 12, 14, 0, 0, 0, 255, 18, 254]


def test_merged_classes_have_plural_names():
    atr, lip = catalog.load("atr"), catalog.load("LIP")
    assert [atr.class_name(c) for c in (9, 12, 14, 4)] == ["shoes", "legs", "arms", "upper-clothes"]
    assert lip.class_name(18) == "shoes"
    both = dataclasses.replace(atr, merges={**atr.merges, 6: 5})  # trousers and skirts, which are no two sides
    assert both.class_name(5) == "skirt" and both.class_name(9) == "shoes"


def test_published_results():
    assert catalog.load("atr").published("eop", "1way", 1) == {"novel": 53.0, "human": 68.2}
    assert catalog.load("ccp").published("eop", "kway", 1) is None


def test_every_ccp_class_has_tags():
    assert tuple(TAGS) == catalog.load("ccp").labels
    tags = [tag for names in TAGS.values() for tag in names.split()]
    assert len(tags) == len(set(tags)) == 59


def test_boundary_of_a_part_of_the_data():
    spec = catalog.load("atr")
    assert spec.last_query("train", 15000) == 7500
    assert spec.last_query("train", 12) == 5


def test_unknown_names_and_folds_are_told():
    with pytest.raises(UserError, match="atr, lip, cihp, ccp, toy"):
        catalog.load("pascal")
    with pytest.raises(UserError, match="no fold 3"):
        catalog.load("atr").novel(3)


def test_locate(tmp_path):
    assert catalog.locate(catalog.load("ccp"), tmp_path) == tmp_path / "CCP_OS"


def test_colours_of_own_names_have_hues_of_their_own():
    """A sleeve was as yellow as the skin."""
    names = ["background", "body", "left sleeve", "right sleeve", "collar", "logo", "skin", "hair"]
    hues = [colorsys.rgb_to_hsv(*colour)[0] for colour in palette(names)[1:]]
    assert min(min(abs(a - b), 1 - abs(a - b)) for a, b in itertools.combinations(hues, 2)) > 0.03
    assert len(set(palette(["background", *map(str, range(250))]))) == 251


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A data set of the user's own, in ../mine."""
    content = json.loads((Path(catalog.__file__).parent / "sets/toy.json").read_text())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/dataset.json").write_text(json.dumps({k: content[k] for k in content.keys() - {"folder"}}))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "mine"


def test_a_folder_is_the_data_set_of_its_dataset_json(mine):
    spellings = ["../mine", "../mine/", "../mine/dataset.json", str(mine), f"{mine}/dataset.json"]
    assert {catalog.load(name).home for name in spellings} == {mine}
    assert all(catalog.same_dataset(one, other) for one in spellings for other in spellings)
    assert catalog.validate_dataset("../mine") == "../mine/dataset.json" and catalog.validate_dataset("TOY") == "toy"
    for name in spellings:
        assert TrainSettings(dataset=name).folder() == Path("runs/mine_eop_kway_f1")
    assert not any(catalog.same_dataset(name, other) for name in ("toy", "../other") for other in spellings)


def test_a_checkpoint_knows_its_data_set_under_every_spelling(mine):
    for then in ("../mine", "../mine/dataset.json"):
        checkpoint = str(write_checkpoint(mine / "tiny.pt", dataset=then, fold=2))
        for now in ("", "../mine", str(mine), "../mine/dataset.json"):
            settings = EvaluateSettings(checkpoint=checkpoint, dataset=now)
            opened = open_for_evaluation(settings)
            assert settings.fold == 2 and same_value("dataset", settings.dataset, then)
            assert not is_foreign(settings, opened) and use_bank(settings, opened)
