"""The support index: read safely, built from the labels, and the test list that follows from it."""

import pickle
from pathlib import Path

import pytest

from dataloaders import catalog
from dataloaders.layout import read_ids, supports_path
from dataloaders.oshp_loader import TestEpisodes
from dataloaders.pairs import FixedList, pairs_by_rule
from dataloaders.prepare.build import dump_supports
from dataloaders.supports import SupportIndex, read_supports
from utils.errors import UserError

from .data_helpers import index_of, label_map, make_data, save_label
from .goldens import numbers, pairs_digest, write_atr_lists


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder with ATR's published support lists."""
    return write_atr_lists(tmp_path_factory.mktemp("ATR_OS"))


@pytest.fixture
def atr(tmp_path):
    return make_data(catalog.load("atr"), tmp_path / "ATR_OS")


def test_published_atr_files_give_the_published_test_list(published):
    episodes = TestEpisodes(catalog.load("atr"), published, way="kway")
    assert len(episodes.pairs) == 1650
    assert pairs_digest(episodes.pairs) == numbers()["atr_pairs_sha256"]
    assert episodes.list.reused == 0


def test_published_atr_index_is_read_with_its_old_keys(published):
    index = read_supports(catalog.load("atr"), published, "train", 15000)
    assert len(index.queries(4)) == 6159 and max(index.queries(4)) == 7500
    assert min(index.supports(4)) > 7500


def test_index_is_built_from_the_labels(tmp_path):
    spec = catalog.load("atr")
    root = make_data(spec, tmp_path / "ATR_OS")
    save_label(root / "trainval_classes" / "train_001.png", label_map(18, 1, without=(1, 10)))
    save_label(root / "trainval_classes" / "train_011.png", label_map(18, 1, without=(9, 10)))
    table = index_of(spec, root, "train", read_ids(root, "train"))
    assert table[1] == [0, 2, 3, 4, 5] and table[1 + 17] == [6, 7, 8, 9, 10, 11]
    assert table[9] == [0, 1, 2, 3, 4, 5], "a left shoe alone is a shoe"
    assert table[9 + 17] == [6, 7, 8, 9, 10]
    assert not any(table[key] for raw in (3, 8, 17, 10, 13, 15) for key in (raw, raw + 17))


def test_train_images_of_ccp_play_both_roles(tmp_path):
    spec = catalog.load("ccp")
    root = make_data(spec, tmp_path / "CCP_OS")
    index = read_supports(spec, root, "train", 12)
    assert list(index.queries(5)) == list(index.supports(5)) == list(range(12))


def test_rule_takes_fresh_images_first_and_counts_what_it_reuses():
    spec = catalog.load("toy")
    full = {c: list(range(30)) for c in spec.classes[1:]} | {c + 17: list(range(30, 60)) for c in spec.classes[1:]}
    pairs, reused = pairs_by_rule(spec, SupportIndex(spec, full, Path("x")))
    assert len(pairs) == 11 * 12
    assert [p.query for p in pairs[:6]] == [0, 0, 0, 1, 1, 1] and [p.support for p in pairs[:3]] == [30, 31, 32]
    assert [p.query for p in pairs[12:15]] == [4, 4, 4], "the second class goes on where the first stopped"
    assert reused == (11 * 4 - 30) + (11 * 12 - 30)


class Stranger:
    """A class whose pickles no data file may hold."""


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (pickle.dumps({1: Stranger()}), "Stranger"),
        (pickle.dumps({1: [0]})[:-3], "not a pickle"),
        (b"", "not a pickle"),
        (pickle.dumps([1, 2]), "holds a list"),
        (pickle.dumps({99: [0]}), "key 99"),
        (pickle.dumps({"1": [0]}), "key '1'"),
        (pickle.dumps({1: [0.5]}), "key 1 does not hold a list of ints"),
        (pickle.dumps({1: (0,)}), "key 1 does not hold a list of ints"),
        (pickle.dumps({1: [12]}), "points past the 12 ids"),
        (pickle.dumps({1: [-1]}), "points past the 12 ids"),
    ],
)
def test_bad_index_is_refused(atr, content, complaint):
    spec = catalog.load("atr")
    path = supports_path(spec, atr, "train")
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as caught:
        read_supports(spec, atr, "train", 12)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_notes_on_pairs_serve_the_validation_list_too():
    notes = FixedList([], reused=3, lacking=("skirt",), passed_over=2).notes()
    assert len(notes) == 3 and not any("test" in line for line in notes)


def test_a_class_without_supports_is_left_out_and_named(atr):
    spec = catalog.load("atr")
    path = supports_path(spec, atr, "test")
    table = pickle.loads(path.read_bytes())
    path.write_bytes(dump_supports(table | {5 + 17: []}))
    episodes = TestEpisodes(spec, atr, way="kway")
    assert len(episodes) == 1500 and 5 not in {pair.class_id for pair in episodes.pairs}
    assert episodes.list.notes()[0].endswith("lacks a query or a support of it: skirt")
    path.write_bytes(dump_supports({c: [] for c in table}))
    with pytest.raises(UserError, match="no class has a query and a support image"):
        TestEpisodes(spec, atr, way="kway")
    path.write_bytes(dump_supports(table | {8: [], 8 + 17: []}))
    assert len(TestEpisodes(spec, atr, way="kway")) == 1650


def test_list_file_takes_the_place_of_the_rule(atr):
    spec = catalog.load("atr")
    path = atr / "support" / "atr_meta_test_list.txt"
    path.write_bytes(pickle.dumps([[0, 1], [4, 5], [1, 16]]))
    assert [tuple(pair) for pair in TestEpisodes(spec, atr, way="1way").pairs] == [(0, 4, 1), (1, 5, 16)]
    for broken in ([[0], [4]], [[0], [4, 5], [1]], [[0], [8], [1]], [[0], [4], [3]], [[0], [4], ["1"]]):
        path.write_bytes(pickle.dumps(broken))
        with pytest.raises(UserError, match=r"atr_meta_test_list.txt"):
            TestEpisodes(spec, atr, way="1way")
