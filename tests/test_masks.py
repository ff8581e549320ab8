"""Masks by recipe: how a recipe is read, what its steps draw, and the files that come of it."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inference.parsing import ClassInfo, Parsing
from inference.recipes import parse_recipe, read_recipes
from utils.errors import UserError

from .own_photos import ROOT, complaint, picture, run

NAMES = ("hair", "upper", "upper-clothes", "clothes", "skin + face", "skin")
HAIR, COAT, BAG = ClassInfo(1, "hair", (9, 9, 9)), ClassInfo(2, "long coat", (8, 8, 8)), ClassInfo(7, "bag", (7, 7, 7))


def parsing() -> Parsing:
    """A person of 40 rows: hair (10 rows), a coat with a hole of no class (30 rows), and a bag beside it; 60 x 50."""
    labels = np.zeros((60, 50), np.uint8)
    labels[10:20, 10:30], labels[20:50, 10:30], labels[30:40, 35:45] = 1, 2, 7
    labels[30:34, 18:22] = 0
    person = labels > 0
    person[30:34, 18:22] = True
    image = np.arange(60 * 50 * 3, dtype=np.uint32).reshape(60, 50, 3).astype(np.uint8)
    return Parsing(image, labels, person, {1: 0.9, 2: 0.9, 7: 0.4}, (HAIR, COAT, BAG))


def operands(text: str) -> list[str]:
    return [operation.name + operation.operand for operation in parse_recipe(text, NAMES).operations]


def test_the_longest_name_that_the_reference_knows_is_taken():
    assert operands("upper-clothes") == ["+upper-clothes"]
    assert operands("upper - clothes") == ["+upper", "-clothes"]
    assert operands("skin + face+Hair") == ["+skin + face", "+hair"]
    assert operands("foreground-hair-skin|fill") == ["+foreground", "-hair", "-skin", "fill"]
    assert operands("skin | grow 2% | - hair + upper | invert") == ["+skin", "grow", "-hair", "+upper", "invert"]


WRONG = {
    "hat": ("^hat", "no class 'hat' (it has"),
    "foreground - hairs | fill": ("foreground - ^hairs | fill", "the nearest is 'hair'"),
    "upper-cloths": ("upper-^cloths", "the nearest is 'clothes'"),
    "person - hair": ("^person - hair", "the person is 'foreground'"),
    "": ("^", "expected a class"),
    "hair +": ("hair +^", "expected a class"),
    "hair skin": ("hair ^skin", "expected +, - or |"),
    "hair |": ("hair |^", "expected a step: grow"),
    "hair | swell 2": ("hair | ^swell 2", "expected a step: grow"),
    "hair | grow": ("hair | grow^", "needs a length"),
    "hair | drop": ("hair | drop^", "needs an area"),
    "hair | grow x": ("hair | grow ^x", "needs a length"),
    "hair | feather 2 | fill": ("hair | feather 2 ^| fill", "nothing can follow feather"),
    "hair | fill 2": ("hair | fill ^2", "expected +, - or |"),
}  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_recipe_is_told_with_a_caret_at_the_place(text):
    place, why = WRONG[text]
    with pytest.raises(UserError) as error:
        parse_recipe(text, NAMES, "--mask keep")
    assert str(error.value).startswith(f'--mask keep: "{place}": ') and why in str(error.value)


def drawn(recipe: str) -> np.ndarray:
    mask = parsing().mask(recipe)
    assert mask.dtype == np.uint8 and mask.shape == (60, 50)
    return mask


def test_sums_and_differences():
    labels, person = parsing().labels, parsing().foreground
    assert np.array_equal(drawn("long coat + bag"), np.isin(labels, (2, 7)) * np.uint8(255))
    assert np.array_equal(drawn("foreground - hair") > 0, person & (labels != 1))
    assert np.array_equal(drawn("background") > 0, ~person)
    assert np.array_equal(drawn("foreground - long coat | invert") > 0, ~person | (labels == 2))


def test_steps_fill_box_grow_and_shrink():
    assert drawn("long coat | fill").astype(bool).sum() == 30 * 20 == drawn("long coat").astype(bool).sum() + 16
    rows, columns = np.nonzero(drawn("hair + bag | box"))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 39, 10, 44) and len(rows) == 30 * 35
    ys, xs = np.mgrid[:60, :50]
    away = np.hypot(np.clip(np.maximum(30 - ys, ys - 39), 0, None), np.clip(np.maximum(35 - xs, xs - 44), 0, None))
    assert np.array_equal(drawn("bag | grow 4") > 0, away <= 4)
    assert np.array_equal(drawn("bag | grow 10%"), drawn("bag | grow 4"))  # the person is 40 pixels high
    assert np.array_equal(drawn("bag | shrink 3px") > 0, np.pad(np.ones((4, 4), bool), ((33, 23), (38, 8))))
    assert drawn("foreground + background | shrink 9").all()  # the rim of the photo is no edge
    assert not drawn("hair - hair | grow 5 | box | fill").any()


def test_small_parts_are_dropped_by_pixels_and_by_the_persons_area():
    labels = parsing().labels  # 200 pixels of hair and 100 of the bag; the person has 900
    for step in ("drop 101", "drop 12%"):
        assert np.array_equal(drawn(f"hair + bag | {step}") > 0, labels == 1)
    assert np.array_equal(drawn("hair + bag | drop 11%"), drawn("hair + bag"))
    assert not drawn("hair + bag | drop 50%").any()


def test_persons_by_their_numbers():
    one = parsing()
    ids = np.zeros(one.labels.shape, np.uint8)
    ids[:, :25], ids[:, 25:] = one.foreground[:, :25], 2 * one.foreground[:, 25:]
    several = replace(one, person_ids=ids)
    assert np.array_equal(several.mask("person 2 - hair") > 0, (ids == 2) & (one.labels != 1))
    assert np.array_equal(several.mask("hair - Person 1") > 0, (ids == 2) & (one.labels == 1))
    assert not several.mask("person 3").any(), "the photo shows two"
    with pytest.raises(UserError, match="names 'person 1', and nobody was looked for"):
        one.mask("person 1")
    with pytest.raises(UserError, match="the person is 'foreground'"):
        one.mask("person")


def test_the_command_asks_for_people_where_a_mask_names_one(place, capsys):
    assert run(place, "photos", more=("--mask", "first=person 1")) == 2
    assert "--mask names person 1; add --people auto" in complaint(capsys)


def test_a_feathered_edge_fades_over_its_length_to_either_side():
    row = drawn("background | - background + bag | feather 4")[35]
    assert (
        row[40] == 255 and row[29] == 0 and set(row[31:39]) - {0, 255} and (np.diff(row[28:40].astype(int)) >= 0).all()
    )
    assert row[34] + row[35] == 255  # the edge itself lies between two pixels


def test_cutouts_and_greyed_photos():
    result = parsing()
    image, mask = result.image, result.mask("bag | feather 3")
    shown = np.where(mask[..., None] > 0, image, 0)  # what is cut away is in no file
    assert np.array_equal(result.cutout("bag | feather 3"), np.dstack([shown, mask]))
    grey = result.greyed("bag | feather 3")
    assert (grey[mask == 255] == 128).all() and np.array_equal(grey[mask == 0], image[mask == 0])
    expected = image + (128.0 - image) * mask[..., None] / 255
    assert np.abs(grey - expected).max() <= 0.51


def test_recipes_of_a_file_pass_over_what_the_reference_lacks(tmp_path):
    path = tmp_path / "recipes.json"
    path.write_text('{"top": "upper-clothes + outerwear | grow 1%", "dress": "dress - skin", "hair": "hair"}')
    recipes, notes = read_recipes(["skins=skin"], [str(path)], NAMES)
    assert list(recipes) == ["skins", "top", "hair"] and recipes["top"].operations[0].operand == "upper-clothes"
    assert len(notes) == 2 and "mask top: the reference lacks 'outerwear', which it goes without" in notes[0]
    assert "mask dress: the reference lacks 'dress', so it is not made" in notes[1]


def test_the_recipes_that_come_with_the_project_need_nothing_but_ccps_classes():
    labels = json.loads((ROOT / "dataloaders/sets/ccp.json").read_text())["labels"][1:]
    recipes, notes = read_recipes([], [str(ROOT / "scripts/recipes/tryon.json")], labels)
    assert {"upper-body", "lower-body", "dress"} <= recipes.keys() and not notes


@pytest.mark.parametrize(
    "given, content, told",
    [(["a b=hair"], None, "cannot be called 'a b'"), (["hair"], None, "must be NAME=RECIPE"),
     (["a=hair", "a=skin"], None, "two masks are called 'a'"), ([], "[1]", "must hold recipes by name"),
     ([], '{"a": 1}', "must hold recipes by name"), ([], '{"a": "hair | grwo 2"}', 'recipes.json a: "hair | ^grwo 2"')],
)  # fmt: skip
def test_bad_names_and_files_of_recipes(given, content, told, tmp_path):
    path = tmp_path / "recipes.json"
    path.write_text(content or '{"b": "hair"}')
    with pytest.raises(UserError) as error:
        read_recipes(given, [str(path)], NAMES)
    assert told in str(error.value)


def test_the_command_writes_masks_beside_its_results_and_again(place, capsys):
    (place / "m.json").write_text('{"all": "foreground", "dress": "dress"}')
    more = ("--mask", "top=hat+coat | feather 2", "--masks", place / "m.json", "--cutout", "--grey")
    assert run(place, "photos", "clip.mp4", more=more) == 0 and run(place, "photos", "clip.mp4", more=more) == 0
    assert "the reference lacks 'dress', so it is not made" in capsys.readouterr().out
    ends = ["_all.png", "_all_cutout.png", "_all_grey.jpg", "_top.png", "_top_cutout.png", "_top_grey.jpg"]
    assert sorted(p.name for p in (place / "out").glob("1_*")) == sorted([*(f"1{e}" for e in ends), "1_overlay.jpg"])
    labels, everyone = (np.array(Image.open(place / f"out/1{end}")) for end in (".png", "_all.png"))
    cutout, photo = Image.open(place / "out/1_all_cutout.png"), Image.open(place / "photos/1.jpg")
    assert set(np.unique(everyone)) <= {0, 255} and (everyone[labels > 0] == 255).all()
    shown = np.where(everyone[..., None] > 0, np.array(photo), 0)
    assert np.array_equal(np.array(cutout), np.dstack([shown, everyone]))
    shares = json.loads((place / "out/1.json").read_text())["masks"]
    assert shares["all"]["share"] == pytest.approx((everyone / 255).mean(), abs=1e-6) and set(shares) == {"all", "top"}


def test_a_mask_that_is_called_as_a_data_set_is_told(place, capsys):
    assert run(place, "photos", more=("--mask", "lip=hat", "--as", "lip")) == 2
    assert "1_lip.png: two results of 1.jpg are called so; rename the mask" in complaint(capsys)


def test_a_mask_takes_no_files_place(place, capsys):
    (place / "out").mkdir()
    (place / "out/1_top.png").write_text("mine")
    assert run(place, "photos", more=("--mask", "top=hat")) == 2
    assert "1_top.png: stands already" in complaint(capsys) and (place / "out/1_top.png").read_text() == "mine"
    Image.fromarray(picture()[0]).save(place / "photos/2_top.jpg")
    assert run(place, "photos", more=("--mask", "top=hat", "--out", place / "new")) == 2
    assert "2_top.png: would be a result of 2.jpg and of 2_top.jpg" in complaint(capsys)


def test_mistakes_in_recipes_do_not_wait_for_torch(place):
    arguments = ["photos", "--reference", "ref.png", "--labels", "labels.png", "--names", "names.json"]
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.modules['torch'] = None; "
        "from utils.errors import run_cli; import predict; run_cli(lambda: predict.main(sys.argv[1:]))"
    )
    for more, told in ((["--mask", "a=hut"], "^hut"), (["--grey"], "--grey: is made of a mask")):
        command = [sys.executable, "-c", program, *arguments, *more]
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        assert done.returncode == 2 and told in done.stderr and done.stderr.count("\n") == 1, done.stderr
