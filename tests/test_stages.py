"""POPNet's label levels: areas hold every class, and novel classes stay hidden in training."""

import json

import numpy as np
import pytest

from dataloaders import catalog
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.stages import AREAS, FINE, FOREGROUND, stage_class, stage_spec, stage_table
from utils.errors import UserError

from .data_helpers import make_data


@pytest.mark.parametrize("name", catalog.names())
@pytest.mark.parametrize("stage", [FOREGROUND, AREAS, FINE])
def test_stages_of_every_data_set_hold_together(name, stage):
    spec = catalog.load(name)
    view, table = stage_spec(spec, stage), stage_table(spec, stage)
    assert set(table[: spec.num_slots].tolist()) == set(view.classes) and table[255] == 255
    parents = [stage_class(spec, stage, c) for c in spec.classes]
    assert set(parents) == set(view.classes) and parents[0] == 0
    for raw, merged in spec.merges.items():
        assert table[raw] == table[merged]
    for fold in spec.folds:
        assert sorted((*view.base_classes(fold), *view.novel(fold))) == sorted(view.classes)
    assert len(view.palette) == view.num_slots == (spec.num_slots if stage == FINE else len(view.classes))


def test_areas_of_atr_are_the_published_ones():
    spec = catalog.load("atr")
    assert stage_spec(spec, AREAS).labels == ("background", "head", "body", "arms", "legs")
    assert stage_table(spec, AREAS)[:18].tolist() == [0, 1, 1, 1, 2, 2, 4, 2, 2, 4, 4, 1, 4, 4, 3, 3, 2, 2]


@pytest.mark.parametrize("fold", [1, 2])
def test_novel_pixels_are_background_in_training_but_for_the_foreground(fold):
    spec = catalog.load("atr")
    novel = spec.novel(fold)
    for stage in (AREAS, FINE):
        hidden, whole = stage_table(spec, stage, spec.base_classes(fold)), stage_table(spec, stage)
        changed = np.flatnonzero(hidden != whole).tolist()
        assert changed == [raw for raw in range(18) if spec.merge_table()[raw] in novel]
        assert (hidden[changed] == 0).all()
    assert (stage_table(spec, FOREGROUND, spec.base_classes(fold))[1:18] == 1).all()


@pytest.fixture(scope="module")
def atr(tmp_path_factory):
    return make_data(catalog.load("atr"), tmp_path_factory.mktemp("atr"))


@pytest.mark.parametrize("stage, ids", [(1, {0, 1}), (2, {0, 1, 2, 3, 4}), (3, {0, 1, 2, 4, 9, 11, 12, 14, 16})])
def test_training_labels_are_the_stages(atr, stage, ids):
    episodes = TrainEpisodes(
        catalog.load("atr"), atr, fold=1, way="kway", crop_size=(48, 40), scale=(1.0, 1.0), stage=stage
    )
    found = [set(episodes[i]["support_label"].unique().tolist()) for i in range(len(episodes))]
    assert all(labels <= ids | {255} for labels in found) and set().union(*found) - {255} == ids
    if stage == FOREGROUND:
        assert (episodes[0]["query_label"] == episodes[0]["query_foreground"]).all()


@pytest.mark.parametrize("stage", [1, 2])
def test_in_one_way_a_class_stands_for_its_parent(atr, stage):
    spec = catalog.load("atr")
    make = {"crop_size": (48, 40), "scale": (1.0, 1.0), "fold": 1, "way": "1way"}
    fine, coarse = (TrainEpisodes(spec, atr, stage=s, **make) for s in (FINE, stage))
    for i in (0, len(fine) // 2, len(fine) - 1):
        one, other = fine[i], coarse[i]
        assert other["class_id"] == stage_class(spec, stage, one["class_id"])
        assert other["query_id"] == one["query_id"] and set(other["query_label"].unique().tolist()) <= {0, 1, 255}
        assert ((other["query_label"] == 1) >= (one["query_label"] == 1)).all()  # an area holds its parts
    tests = TestEpisodes(spec, atr, way="1way", stage=stage)
    assert {pair.class_id for pair in tests.pairs} == set(range(1, stage_spec(spec, stage).num_slots))


@pytest.mark.parametrize(
    "areas, told",
    [
        ({"head": ["hat"], "body": ["shirt", "left", "right"]}, "no area for 'trousers'"),
        ({"head": ["hat", "shirt"], "body": ["shirt", "trousers", "left", "right"]}, "each label once"),
        ({"head": ["hat", "left"], "body": ["shirt", "trousers", "right"]}, "'right'"),
        ({"head": ["hat", 0], "body": ["shirt", "trousers", "left", "right"]}, "not the background"),
    ],
)
def test_areas_of_a_dataset_json_are_checked(tmp_path, areas, told):
    content = {
        "name": "mine",
        "labels": ["background", "hat", "shirt", "trousers", "left", "right", "dust"],
        "merges": {"right": "left"},
        "dropped": ["dust"],
        "folds": {"1": ["shirt"]},
        "boundary": {"train": 5, "test": 2},
    }
    path = tmp_path / "dataset.json"
    path.write_text(json.dumps(content))
    assert stage_spec(catalog.load(path), AREAS).labels == ("background", "person")
    path.write_text(json.dumps({**content, "body_areas": areas}))
    with pytest.raises(UserError, match=told):
        catalog.load(path)
    good = {"head": ["hat"], "body": ["shirt", "left", "right"], "legs": ["trousers"]}
    path.write_text(json.dumps({**content, "body_areas": good}))
    view = stage_spec(catalog.load(path), AREAS)
    assert view.labels[1:] == ("head", "body", "legs") and view.base_classes(1) == (0, 1, 2, 3)
