"""Inputs as users sent them to other projects: each is used, or refused in one line, and nothing else."""

import json

import numpy as np
import pytest
from PIL import Image

from dataloaders import catalog
from dataloaders.prepare.__main__ import main as prepare
from dataloaders.split import Split
from utils.errors import UserError

from .own_photos import run
from .shared import SHARED

CASES = SHARED / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the users' inputs (../shared/cases) are not here")

READ = {  # source -> names of its classes
    "orientation/a_coco_6_rawsize": "shirt hat", "orientation/c_coco_3": "shirt hat",
    "orientation/e_png_6": "shirt hat",
    "index_png/b_Background": "Hat Upper-clothes Pants", "index_png/o_cvat_mask11": "hat shirt trousers",
    "labelme/a_rect4": "hat shirt", "labelme/c_sibling": "hat shirt", "labelme/c_sibling/json": "hat shirt",
    "labelme/e_bom": "hat shirt", "coco/b_two_points": "shirt hat", "coco/e_flat_list": "shirt hat",
    "coco/g_backslash": "shirt hat", "coco/m_str_ids": "shirt hat", "left_right/source": "left_arm right_arm shirt",
}  # fmt: skip
TOY = "arms bag dress face hair hat legs pants shoes skirt upper-clothes"
READ |= dict.fromkeys(
    ("coco/backslash_windows", "windows/coco_case", "roboflow/category_twice", "roboflow/coco_three_splits",
     "exports/supervisely"), TOY,
)  # fmt: skip
REFUSED = {"index_png/h_0_255": "write 1 in the place of 255", "index_png/j_one_class": "labelled: person"}


@pytest.mark.parametrize("case", READ)
def test_a_source_is_read(case, tmp_path):
    arguments = ["custom", "--source", str(CASES / case), "--data-root", str(tmp_path), "--name", "own"]
    assert prepare(arguments) == 0
    spec = catalog.load(tmp_path / "own/dataset.json")
    assert spec.labels[1:] == tuple(READ[case].split())
    sample = Split(spec, tmp_path / "own", "test").load(0)
    assert sample.image.shape[1:] == sample.label.shape and len(sample.label.unique()) > 2


def test_the_two_exports_of_one_set_agree(tmp_path):
    """Supervisely's bitmaps and COCO's polygons of the same drawn people differ along the edges alone."""
    maps = []
    for case in ("exports/supervisely", "coco/backslash_windows"):
        root = tmp_path / case.partition("/")[0]
        prepare(["custom", "--source", str(CASES / case), "--data-root", str(root), "--name", "own"])
        files = {p.name.partition("_jpg")[0].removesuffix(".png"): p for p in root.glob("own/trainval_classes/*.png")}
        maps.append({name: np.asarray(Image.open(path)) for name, path in files.items()})
    pairs = [(maps[0][name], maps[1][name]) for name in maps[0].keys() & maps[1].keys()]
    assert len(pairs) == 16
    for bitmaps, polygons in pairs:
        same, both = bitmaps == polygons, (bitmaps > 0) & (polygons > 0)
        assert same.mean() > 0.95 and same[both].mean() > 0.97


@pytest.mark.parametrize("case", REFUSED)
def test_a_source_is_refused(case, tmp_path):
    with pytest.raises(UserError, match=REFUSED[case]):
        prepare(["custom", "--source", str(CASES / case), "--data-root", str(tmp_path), "--name", "own"])


def test_photos_and_clips_are_parsed_or_named(place, capsys):
    for folder, number in (("broken_exif", 3), ("dark", 3), ("video", 2), ("onnx", 3), ("profiles", 5)):
        assert run(place, CASES / folder, more=("--out", place / folder)) == 0
        assert f"{number} of {number} files parsed" in capsys.readouterr().out
    black = json.loads((place / "dark/black.json").read_text())
    assert black["blank_frames"] == black["frames"] > 0 and not any(black["mean_share"].values())
    assert run(place, CASES / "image_kinds/iphone", more=("--out", place / "iphone")) in (0, 1)
    assert "of 4 files parsed" in capsys.readouterr().out
