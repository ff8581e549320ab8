"""The published tables in one command: files are recognised, placed and evaluated, and what is missing is told."""

import re
import subprocess
import sys

import pytest
import torch

from dataloaders import catalog
from dataloaders.layout import supports_path
from tools import reproduce
from tools.authors_files import recognise, recognise_all
from utils.errors import UserError

from . import goldens
from .data_helpers import REPOSITORY

ONLY = {"kway": "npm_class_fg.weight", "1way": "npm_class.weight"}  # a tensor that only such a file has


def save(path, way: str, base, rows: int):
    """A file that looks like the authors', its bank filled for these classes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bank = torch.zeros(rows, 4)
    bank[[c for c in base if c]] = 1
    torch.save({"module." + ONLY[way]: torch.ones(1), "module.prototype": bank}, path)
    return path


@pytest.mark.parametrize("way", ["kway", "1way"])
@pytest.mark.parametrize("name, fold, rows", [("atr", 1, 18), ("atr", 2, 17), ("lip", 2, 20), ("cihp", 2, 20)])
def test_a_file_is_recognised_by_its_tensors(tmp_path, way, name, fold, rows):
    path = save(tmp_path / "epoch_39.pth", way, catalog.load(name).base_classes(fold), rows)
    assert recognise(path) == (path, name, way, fold)


def test_fold_1_of_lip_and_cihp_is_told_apart_by_the_files_name(tmp_path):
    base = catalog.load("lip").base_classes(1)
    assert base == catalog.load("cihp").base_classes(1)
    assert recognise(save(tmp_path / "CIHP_39.pth", "kway", base, 20))[1] == "cihp"
    with pytest.raises(UserError, match=r"39\.pth: may be of lip or cihp; rename it"):
        recognise(save(tmp_path / "39.pth", "kway", base, 20))
    with pytest.raises(UserError, match="fit no fold"):
        recognise(save(tmp_path / "odd.pth", "kway", (0, 3), 18))


def test_a_recognised_file_gets_the_name_that_the_scripts_look_for(tmp_path, capsys):
    save(tmp_path / "models" / "some name.pth", "kway", catalog.load("atr").base_classes(1), 18)
    torch.save({"xception_features.conv1.weight": torch.ones(1)}, tmp_path / "deeplab_v3plus_v3.pth")
    (tmp_path / "broken.pth").write_bytes(b"nothing")
    for _ in "12":
        found = recognise_all(tmp_path)
        assert list(found) == [("atr", "kway", 1)] and (tmp_path / "atr_kwf1.pth").exists()
    assert "broken.pth: no checkpoint" in capsys.readouterr().out


def test_without_gdown_or_a_connection_one_line_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gdown", None)
    reproduce.fetch(tmp_path)
    unreachable = type("gdown", (), {"download_folder": lambda *_, **__: 1 / 0})
    monkeypatch.setitem(sys.modules, "gdown", unreachable)
    reproduce.fetch(tmp_path)
    first, second = capsys.readouterr().out.splitlines()
    assert "gdown is not installed" in first and "cannot be fetched (ZeroDivisionError)" in second
    assert all(line.count("drive.google.com") == 2 and str(tmp_path) in line for line in (first, second))


def test_the_table_stands_beside_the_published_figures_in_miniature(tmp_path):
    """From an empty folder: a stand-in checkpoint of ATR's fold 1, and 18 photos as its data."""
    weights, data_root = tmp_path / "weights", tmp_path / "data"
    root, spec = goldens.write_mini_atr(data_root), catalog.load("atr")
    pickle = supports_path(spec, root, "test")
    (weights / "supports").mkdir(parents=True)
    pickle.rename(weights / "supports" / pickle.name)
    torch.save(goldens.mini_atr_weights("kway"), weights / "eop of 39.pth")
    places = ["--weights", weights, "--data-root", data_root, "--out", tmp_path / "runs"]
    command = ["bash", REPOSITORY / "scripts/reproduce.sh", "atr", "lip", "--no-fetch", "--device", "cpu", *places]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.rpartition("\n\n")[2].splitlines()  # the evaluation prints tables of its own before
    rows = [re.split(r"\s*\|\s*", line)[1:-1] for line in printed]
    table = {tuple(row[:3]): row[3:] for row in rows[2:]}
    assert len(table) == 8 and pickle.exists()
    printed = goldens.numbers()["mini_atr"]["kway"]["epoch39_fold1"]["printed"][1]
    human, _, novel = (100 * float(number) for number in re.findall(r"0\.\d+", printed))
    assert table["ATR-OS", "kway", "1"] == [
        "31.1", f"{novel:.1f}", f"{novel - 31.1:+.1f}", "61.9", f"{human:.1f}", f"{human - 61.9:+.1f}", "-",
    ]  # fmt: skip
    assert table["ATR-OS", "kway", "2"][-1] == table["ATR-OS", "1way", "1"][-1] == "never released by the authors"
    assert table["LIP-OS", "kway", "1"][-1] == "checkpoint; data: bash scripts/prepare_lip.sh SOURCE"
