"""The check finds every fault that is put into a good data folder, and nothing in the good one."""

import os
import pickle

import numpy as np
import pytest

from dataloaders import catalog
from dataloaders.prepare.build import dump_supports
from dataloaders.prepare.check import check
from utils.errors import UserError

from .data_helpers import index_of, label_map, make_data, mirror, read, run_module, save_image, save_label

TOY = catalog.load("toy")


@pytest.fixture
def root(tmp_path):
    return make_data(TOY, tmp_path / "TOY_OS")


def found(root, **options):
    """Findings other than the counts, which a miniature cannot meet."""
    return [(kind, line) for kind, line in check(TOY, root, **options).findings if kind != "count"]


def test_good_data_is_good(root):
    spec = catalog.load("toy")
    for i in range(0, 12, 2):
        label = read(root / "trainval_classes" / f"train_{i:03d}.png")
        save_label(root / "Category_rev_ids" / f"train_{i:03d}.png", mirror(spec, label))
    outcome = check(TOY, root)
    assert [kind for kind, _ in outcome.findings] == ["count", "count"]
    assert "132 pairs" in "\n".join(outcome.summary) and "Toy-OS train: 12 ids" in outcome.summary


def rewrite_list(root, split, change):
    path = root / "list" / f"meta_{split}_id.txt"
    path.write_text("".join(f"{i}\n" for i in change(path.read_text().split())))


def rewrite_index(root, split, change):
    path = root / "support" / f"meta_{split}_toy_supports.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | change))


def photo(root):
    return root / "trainval_images" / "train_003.jpg"


def label(root):
    return root / "trainval_classes" / "train_003.png"


def save_pairs(root, *lists):
    (root / "support" / "toy_meta_test_list.txt").write_bytes(pickle.dumps([list(part) for part in lists]))


def save_unswapped_mirror(root):
    save_label(root / "Category_rev_ids" / "train_003.png", read(label(root))[:, ::-1])


def save_pairs_of_other_ids(root):
    save_pairs(root, [0], [1], [5])
    path = root / "trainval_classes" / "test_001.png"
    save_label(path, np.where(read(path) == 5, 0, read(path)))


# fault -> (how it is made, kind of the finding, words in its line)
FAULTS = {
    "missing photo": (lambda r: photo(r).unlink(), "file", "train_003.jpg"),
    "missing label": (lambda r: label(r).unlink(), "file", "train_003.png"),
    "no image": (lambda r: photo(r).write_bytes(b"x"), "file", "train_003.jpg"),
    "other size": (lambda r: save_image(photo(r), 0, (50, 60)), "file", "60x50"),
    "id out of range": (lambda r: save_label(label(r), np.full((48, 40), 18, np.uint8)), "file", "label id 18"),
    "colour label": (lambda r: save_label(label(r), np.zeros((48, 40, 3), np.uint8)), "file", "RGB"),
    "mirror without swap": (save_unswapped_mirror, "file", "Category_rev_ids"),
    "wrong index": (lambda r: rewrite_index(r, "train", {1: [0, 1, 3, 4, 5]}), "support", "train_002 (index 2)"),
    "index of another list": (lambda r: rewrite_index(r, "train", {1: [12]}), "support", "past the 12 ids"),
    "class without supports": (lambda r: rewrite_index(r, "test", {5 + 17: []}), "class", "skirt"),
    "id twice": (lambda r: rewrite_list(r, "train", lambda i: [*i[:-1], i[0]]), "list", "train_000 stands 2 times"),
    "train and test": (
        lambda r: rewrite_list(r, "test", lambda i: ["train_000", *i[1:]]),
        "list",
        "training image too",
    ),
    "no list": (lambda r: (r / "list" / "meta_test_id.txt").unlink(), "list", "meta_test_id.txt"),
    "no index": (lambda r: next(r.glob("support/meta_test*")).unlink(), "support", "meta_test_toy_supports.pkl"),
    "bad pairs": (lambda r: save_pairs(r, [0], [99], [1]), "pairs", "past the 8 ids"),
    "pairs of other ids": (save_pairs_of_other_ids, "pairs", "test_001 (index 1) does not show skirt"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(root, fault):
    spoil, kind, words = FAULTS[fault]
    (root / "Category_rev_ids").mkdir()
    spoil(root)
    lines = [line for found_kind, line in found(root) if found_kind == kind]
    assert any(words in line for line in lines), found(root)
    assert str(root) in lines[0] and "\n" not in lines[0]


def test_truncated_photo_is_found_by_reading_to_the_end(root):
    path = root / "trainval_images" / "train_003.jpg"
    save_image(path, 0, (400, 400))
    save_label(root / "trainval_classes" / "train_003.png", np.resize(label_map(18, 3), (400, 400)))
    path.write_bytes(path.read_bytes()[:-400])
    assert not found(root, decode=False)
    assert [kind for kind, _ in found(root)] == ["file"]


def test_sample_and_full(root, monkeypatch):
    rewrite_index(root, "train", {1: [0, 1, 3, 4, 5]})
    monkeypatch.setattr("dataloaders.prepare.check.SAMPLE", 4)
    assert not found(root), "index 2 is not among 0, 3, 6, 9"
    assert len(found(root, full=True)) == 1


def test_many_findings_are_counted(root):
    for path in (root / "trainval_images").iterdir():
        path.unlink()
    lines = list(check(TOY, root).lines())
    assert len([line for line in lines if line.startswith("file: ")]) == 20
    rewrite_list(root, "train", lambda ids: ids * 3)
    assert "file: and 24 more" in list(check(TOY, root).lines())


def test_parallel_and_serial_agree(root, monkeypatch):
    (root / "trainval_images" / "train_003.jpg").unlink()
    serial = found(root)
    monkeypatch.setattr("utils.parallel.SMALL_JOB", 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    assert found(root) == serial
    ids = (root / "list" / "meta_train_id.txt").read_text().split()
    table = index_of(TOY, root, "train", ids)
    assert dump_supports(table) == (root / "support" / "meta_train_toy_supports.pkl").read_bytes()


def test_command_line(root):
    failed = run_module("dataloaders.check", "toy", "--data-root", root.parent)
    assert failed.returncode == 1 and "the published list has 240" in failed.stdout
    missing = run_module("dataloaders.check", "ccp", "--data-root", root.parent)
    assert missing.returncode == 2 and missing.stderr.count("\n") == 1 and "CCP_OS" in missing.stderr


def test_missing_folder(tmp_path):
    with pytest.raises(UserError, match="prepare Toy-OS first"):
        check(TOY, tmp_path / "nothing")
