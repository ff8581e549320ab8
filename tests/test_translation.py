"""Label maps in the ids of ATR, LIP and CIHP: which class becomes which, what is said of it, and the files."""

import numpy as np
import pytest
from PIL import Image

from dataloaders import catalog
from inference.parsing import ClassInfo, Parsing
from inference.translation import DATASETS, KINDS, PALETTES, label_for, note_of
from utils.errors import UserError

from .own_photos import complaint, run


@pytest.mark.parametrize(
    "name, atr, lip, cihp",
    [("hair", 2, 2, 2), ("Upper clothes", 4, 5, 5), ("RightShoe", 10, 19, 19), ("arm (L)", 14, 14, 14),
     ("outerwear", 4, 7, 7), ("T-shirt", 4, 5, 5), ("shoes", 9, 18, 18), ("legwear", 0, 8, 8), ("jumpsuit", 0, 10, 0),
     ("neck", 0, 0, 10), ("skin", 0, 0, 0), ("handbag", 16, 0, 0), ("background", 0, 0, 0),
     ("Hats", 1, 1, 1), ("slacks", 6, 9, 9)],
)  # fmt: skip
def test_classes_take_the_ids_that_the_data_set_has_for_their_names(name, atr, lip, cihp):
    for dataset, expected in zip(DATASETS, (atr, lip, cihp), strict=True):
        labels = catalog.load(dataset).labels
        label = label_for(name, labels)
        assert (labels.index(label) if label else 0) == expected, dataset


def test_every_synonym_leads_to_a_label_and_every_label_has_a_colour():
    known = {label for dataset in DATASETS for label in catalog.load(dataset).labels}
    assert {label for labels in KINDS.values() for label in labels} <= known
    for dataset in DATASETS:
        assert len(set(PALETTES[dataset])) == len(catalog.load(dataset).labels)


def test_a_label_map_is_translated_with_its_palette():
    classes = (ClassInfo(3, "pants", (1, 1, 1)), ClassInfo(300, "coat", (2, 2, 2)), ClassInfo(9, "skin", (3, 3, 3)))
    labels = np.array([[0, 3], [300, 9]], np.uint16)
    scores = dict.fromkeys((3, 300, 9), 1.0)
    parsing = Parsing(np.zeros((2, 2, 3), np.uint8), labels, labels > 0, scores, classes)
    picture = parsing.as_dataset("lip")
    assert picture.mode == "P" and np.array(picture).tolist() == [[0, 9], [7, 0]]
    assert np.array(picture.convert("RGB"))[1, 0].tolist() == [0, 119, 221]
    assert np.array(parsing.as_dataset("atr")).tolist() == [[0, 6], [4, 0]]
    with pytest.raises(UserError, match="choose one of atr, lip, cihp"):
        parsing.as_dataset("voc")


def test_what_matches_and_what_does_not_is_said():
    line = note_of("lip", ["hat", "outerwear", "shoes", "skin", "bag"])
    assert (
        line == "as lip: hat, outerwear -> coat, shoes -> left-shoe (both sides); not in it, so background: skin, bag"
    )
    with pytest.raises(UserError, match=r"none of your classes \(skin\); it knows hat, hair"):
        note_of("atr", ["skin"])


def test_the_command_writes_them_and_says_what_matches(place, capsys):
    assert run(place, "photos", more=("--as", "lip", "--as", "atr")) == 0
    assert "as atr: hat, coat -> upper-clothes, shoes -> left-shoe (both sides)\n" in capsys.readouterr().out
    own, lip = (np.array(Image.open(place / f"out/1{end}.png")) for end in ("", "_lip"))
    assert np.array_equal(lip, np.array([0, 1, 7, 18])[own]) and (place / "out/2_atr.png").is_file()
    (place / "names.json").write_text('{"1": "x", "2": "y", "3": "z"}')
    assert run(place, "photos", more=("--as", "cihp")) == 2
    assert "--as cihp: it has none of your classes (x, y, z)" in complaint(capsys)
