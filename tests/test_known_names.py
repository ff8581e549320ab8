"""Which names of a reference mean a class that the checkpoint knows."""

import pytest

from inference.known_names import MEANING, SAME, known_as, shown_name

KNOWN = ["hat", "upper-clothes", "outerwear", "pants", "shoes"]


@pytest.mark.parametrize(
    "names, expected",
    [(["Upper_Clothes", "PANTS", "apron"], {"Upper_Clothes": "upper-clothes", "PANTS": "pants"}),
     (["trousers", "Coat", "shoe"], {"trousers": "pants", "Coat": "outerwear", "shoe": "shoes"}),
     (["coat", "jacket"], {}),  # two classes of the user's, so neither is all outerwear
     (["outerwear", "jacket"], {"outerwear": "outerwear"}),
     (["hats", "pant"], {"hats": "hat", "pant": "pants"}),
     (["left-shoe", "face", "dress", "boots", ""], {})],  # parts, what the checkpoint lacks, one kind of shoes
)  # fmt: skip
def test_names_of_one_meaning_are_one_class(names, expected):
    assert known_as(names, KNOWN) == expected


def test_a_name_means_the_class_of_its_plural_but_for_one_that_has_that_name():
    assert known_as(["arm", "sleeves"], ["arms", "sleeve"]) == {"arm": "arms", "sleeves": "sleeve"}
    assert known_as(["arm", "arms"], ["arms"]) == {"arms": "arms"}


def test_no_name_has_two_meanings():
    assert sum(map(len, SAME)) == len(MEANING)


def test_another_name_is_told():
    assert shown_name("Coat", "outerwear") == "Coat (as outerwear)"
    assert shown_name("Upper clothes", "upper-clothes") == "Upper clothes"
