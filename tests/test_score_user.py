"""The measure of what a user gets, on maps made by hand and on the toy set."""

import pytest
import torch

from dataloaders import catalog
from dataloaders.split import Split
from networks.decoding import Maps
from predict import OneShotParser
from tools import measuring, score_user
from utils.errors import UserError

from .own_photos import write_checkpoint


def maps(rows: list[list[float]]) -> Maps:
    """Maps (1 + K, 1, w) from the probabilities of background and classes, pixel by pixel; all is foreground."""
    classes = torch.tensor(rows).T[:, None].log()
    return Maps(classes, torch.tensor([-1.0, 1.0])[:, None, None].expand(2, 1, len(rows)))


def test_counts_on_maps_made_by_hand():
    """Class 5 is there with probability 0.8; class 7, which is not, wins one pixel with 0.5."""
    tables = score_user.Tables(8, score_user.STEPS)
    tables.add(maps([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.3, 0.2, 0.5]]), torch.tensor([[5, 5, 0]]), [5, 7])
    rows = {step: figures for step, *figures in tables.rows()}
    assert rows[0.0] == pytest.approx([50.0, 100.0, 0.0]), "class 7 is found where it is not"
    assert rows[0.55] == pytest.approx([100.0, 0.0, 0.0])
    tables.add(maps([[0.4, 0.6, 0.0]]), torch.tensor([[5]]), [5, 7])
    assert dict((r[0], r[3]) for r in tables.rows())[0.65] == pytest.approx(50.0), "one of two is missed"
    assert tables.area_under_curve() == 1.0


def test_a_class_that_the_reference_lacks_is_background_in_the_truth():
    tables = score_user.Tables(8, [0.0])
    tables.add(maps([[0.1, 0.9], [0.9, 0.1]]), torch.tensor([[5, 3]]), [5])
    assert tables.rows()[0][1] == pytest.approx(100.0)


@pytest.mark.parametrize("references", [1, 2])
def test_on_a_split(toy_root, tmp_path, references):
    spec = catalog.load("toy")
    split = Split(spec, catalog.locate(spec, toy_root), "test")
    parser = OneShotParser(write_checkpoint(tmp_path / "tiny.pt"), "cpu")
    groups = list(measuring.draw(split.usable[:14], parses=3, references=references, seed=0))
    assert all(len(g[0]) == references and not set(g[0]) & set(g[1]) for g in groups)
    rows = score_user.measure(parser, split, spec.classes, iter(groups), score_user.STEPS).rows()
    absent_found, present_missed = ([row[column] for row in rows] for column in (2, 3))
    assert absent_found == sorted(absent_found, reverse=True) and present_missed == sorted(present_missed)
    assert absent_found[0] > absent_found[-1], "a random network sees classes that are not there"


def test_a_short_list_is_measured_and_too_short_a_one_refused():
    groups = list(measuring.draw([0, 1, 3, 4], parses=4, references=2, seed=0))
    assert [sorted(map(sorted, group)) for group in groups] == [[[0, 4], [1, 3]]] * 2
    with pytest.raises(UserError, match="2 photos for references and 2 to parse: too few"):
        list(measuring.draw([0, 1, 3, 4], parses=4, references=3, seed=0))


def test_classes_have_the_names_by_which_checkpoints_know_them(toy_root, tmp_path):
    spec = catalog.load("toy")
    split = Split(spec, catalog.locate(spec, toy_root), "test")
    parser = OneShotParser(write_checkpoint(tmp_path / "tiny.pt"), "cpu")
    support, _ = next(measuring.meetings(parser, split, spec.classes, [([1, 3, 5, 7], [0])]))
    assert {"shoes", "legs", "arms"} <= {c.name for c in support.classes}
