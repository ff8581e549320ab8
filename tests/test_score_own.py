"""The measure of own classes, on a made clone and with parsers whose results are known."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.io

from dataloaders import catalog
from dataloaders.prepare.ccp import prepare_ccp
from dataloaders.split import Split
from tools import score_own
from utils.errors import UserError

from .data_helpers import make_source

OWN = 13  # the id behind those of CCP-OS


class Known:
    """A parser that knows the truth by heart, or finds the own class everywhere."""

    def __init__(self, tagged: score_own.Tagged, everywhere: bool) -> None:
        own, count = tagged.ids["accessories"], len(tagged.split.ids)
        photos = [tagged.split.load(n).rgb.tobytes() for n in range(count)]
        self.truth = dict(zip(photos, [tags == own for tags in tagged.tags.values()], strict=True))
        self.everywhere, self.marked = everywhere, []

    def make_support(self, rgb, labels, names):
        self.marked.append((set(np.unique(labels).tolist()), names[OWN]))

    def parse(self, rgb, support):
        return SimpleNamespace(labels=OWN * (self.truth[rgb.tobytes()] | self.everywhere))


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    source = make_source("ccp", folder / "clone", 16)
    ids = score_own.tag_ids(source)
    for number, path in enumerate(sorted((source / "annotations/pixel-level").glob("*.mat"))):
        tags = scipy.io.loadmat(path)["groundtruth"]
        if number % 2:
            scipy.io.savemat(path, {"groundtruth": np.where(tags == ids["accessories"], 0, tags).astype(np.uint8)})
    prepare_ccp(source, folder / "data", val=0)
    spec = catalog.load("ccp")
    return score_own.Tagged(source, Split(spec, catalog.locate(spec, folder / "data"), "test"))


@pytest.mark.parametrize("alone", [False, True])
def test_a_perfect_parser_and_one_that_sees_it_everywhere(tagged, alone):
    there, absent = tagged.photos(tagged.ids["accessories"])
    assert len(there) > 1 and absent
    perfect = Known(tagged, everywhere=False)
    assert score_own.score(perfect, tagged, "accessories", alone, 0)[1:] == [
        str(len(there)),
        "100.0",
        "100.0",
        "0.0",
        "0.0",
    ]
    assert len(perfect.marked) == len(there) and all(name == "accessories" for _, name in perfect.marked)
    assert all((ids == {0, OWN}) == alone and OWN in ids for ids, _ in perfect.marked)
    _, _, where_there, over_all, missed, found = score_own.score(Known(tagged, True), tagged, "accessories", alone, 0)
    assert float(over_all) < float(where_there) < 100 and (missed, found) == ("0.0", "100.0")


def test_a_tag_that_all_photos_or_none_show_leaves_its_cells_empty(tagged, capsys):
    assert not tagged.photos(tagged.ids["skin"])[1]
    assert score_own.score(Known(tagged, True), tagged, "skin", True, 0)[-1] == "-"
    score_own.main([str(tagged.source), "--data-root", str(tagged.split.root.parent), "--split=test", "--tags", "tie"])
    assert capsys.readouterr().out.splitlines()[-1].replace(" ", "") == "|mean||-|-|-|-|"


def test_what_cannot_be_measured_is_said(tagged):
    assert score_own.score(Known(tagged, True), tagged, "tie", True, 0) == ["tie", "0", "-", "-", "-", "-"]
    with pytest.raises(UserError, match=r"--tags kilt: no tag of .* scarf"):
        arguments = [
            str(tagged.source),
            "--data-root",
            str(tagged.split.root.parent),
            "--split",
            "test",
            "--tags",
            "kilt",
        ]
        score_own.main(arguments)
