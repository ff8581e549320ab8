"""Small islands of a label map take what lies around them; the rest of it stays."""

import json

import numpy as np
from PIL import Image

from inference import specks
from inference.parsing import ClassInfo, Parsing
from inference.specks import without_specks

from .own_photos import run

CLASSES = (ClassInfo(1, "coat", (9, 9, 9)), ClassInfo(2, "hat", (8, 8, 8)), ClassInfo(5, "ring", (7, 7, 7)))


def parsing(person_ids: bool = False) -> Parsing:
    """A coat of 100 x 50 pixels with a hat on it, a ring of 4 pixels, and specks of 4: less than a thousandth."""
    labels = np.zeros((120, 80), np.uint8)
    labels[10:110, 10:60] = 1
    labels[10:40, 20:50] = 2
    labels[100:102, 15:17] = 5  # the only ring is none
    person = labels > 0
    labels[60:62, 30:32] = 2  # a speck of the hat in the coat
    labels[70:72, 40:42] = 0  # one of no class in the person
    labels[80:82, 20:22], person[80:82, 20:22] = 0, False  # a hole in the person
    person[5:7, 70:72] = True  # and somebody in the wall
    ids = np.where(person, 1, 0).astype(np.uint8) if person_ids else None
    image = np.zeros((*labels.shape, 3), np.uint8)
    return Parsing(image, labels, person, {1: 0.9, 2: 0.8, 5: 0.7}, CLASSES, ids, ({1: 0.9, 2: 0.8, 5: 0.7},))


def test_specks_of_every_kind_go_and_the_largest_part_of_a_class_stays():
    clean = parsing(person_ids=True).without_specks()
    expected = np.zeros((120, 80), np.uint8)
    expected[10:110, 10:60] = 1
    expected[10:40, 20:50] = 2
    expected[100:102, 15:17] = 5
    assert np.array_equal(clean.labels, expected)
    assert np.array_equal(clean.foreground, expected > 0) and np.array_equal(clean.person_ids > 0, expected > 0)
    assert clean.areas()["hat"]["pixels"] == 30 * 30


def test_nothing_to_clean():
    nobody = np.zeros((9, 9), np.uint8)
    for labels in (nobody, np.ones_like(nobody)):
        cleaned = without_specks(labels, labels > 0)
        assert np.array_equal(cleaned.labels, labels) and np.array_equal(cleaned.foreground, labels > 0)


def test_the_command_makes_all_results_of_the_clean_parse(place, monkeypatch):
    monkeypatch.setattr(specks, "SPECK", 0.02)  # the photos are small
    more = ("--mask", "all=foreground")
    assert run(place, "photos", more=more) == 0
    raw, foreground = (np.array(Image.open(place / f"out/1{end}.png")) for end in ("", "_all"))
    assert run(place, "photos", "clip.mp4", more=(*more, "--drop-specks")) == 0
    clean = without_specks(raw, foreground > 0)
    assert clean.specks.size, "a network of random weights makes some"
    assert np.array_equal(np.array(Image.open(place / "out/1.png")), clean.labels)
    assert np.array_equal(np.array(Image.open(place / "out/1_all.png")) > 0, clean.foreground)
    shares = json.loads((place / "out/1.json").read_text())["classes"]
    assert all(area["pixels"] == (clean.labels == area["id"]).sum() for area in shares.values())
