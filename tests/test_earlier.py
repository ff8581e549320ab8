"""Files that earlier code wrote are opened, and runs that it began go on."""

import shutil
import sys

import pytest
import torch

import train as train_cli
from engine import run as run_module
from inference.parser import OneShotParser
from networks.checkpoints import open_checkpoint
from networks.eopnet import EOPNet
from networks.popnet import POPNet

from . import earlier
from .data_helpers import few_pairs
from .own_photos import parsed

CLASSES = {
    0: "background", 1: "hat", 2: "hair", 4: "upper-clothes", 5: "skirt", 6: "pants", 7: "dress", 9: "shoes",
    11: "face", 12: "legs", 14: "arms", 16: "bag",
}  # fmt: skip
SMALL = (  # the commands of the day, in the words of the day
    "--dataset=toy --encoder=tf_efficientnet_lite0 --pretrained=none --head-lr-scale=4 --npm-lr-scale=0 "
    "--npm-threshold=0.25 --amp=auto --resample-supports --epochs=1 --batch-size=4 --crop-size 64 48 --test-size=64 "
    "--workers=0 --device=cpu --resume=auto"
)
COMMANDS = {
    "eop_kway": f"{SMALL} --hidden=96 --hidden-pixels=class --scale 0.8 1.25 --warmup-epochs=9 --lr=0.005 "
    "--eval-every=0",
    "pop_kway": f"{SMALL} --hidden=16 --method=pop --warmup-epochs=0",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder that holds all recorded files under their names."""
    folder = tmp_path_factory.mktemp("earlier")
    for name in earlier.names():
        earlier.write(name, folder / name)
    return folder


def fingerprint(weights: dict[str, torch.Tensor]) -> list[tuple]:
    """Shapes and sums of the tensors, whatever they are called."""
    return sorted((tuple(t.shape), round(t.double().sum().item(), 4)) for t in weights.values())


@pytest.mark.parametrize("name", earlier.names())
def test_an_earlier_file_opens_with_its_weights_and_words(name, files):
    opened, content = open_checkpoint(files / name), earlier.read(files / name)
    network = opened.build()
    assert type(network) is (POPNet if name.startswith("pop") else EOPNet)
    assert network.way == ("1way" if "1way" in name else "kway")
    assert fingerprint(network.state_dict()) == fingerprint(content.get("network", content.get("tensors")))
    if name.startswith("released"):
        assert (opened.epoch, opened.test_size, opened.min_score) == (4, 384, 0.55)
        assert len(opened.class_names) == 17 and opened.class_names[16] == "accessories"
    else:
        assert (opened.epoch, opened.test_size, opened.min_score) == (0, 64, None)
        assert opened.class_names == (CLASSES if name.endswith("last.pt") else content["class_names"])
    parsed(OneShotParser(files / name, "cpu", max_size=64))


FewPairs = few_pairs(12)


@pytest.mark.parametrize("method", COMMANDS)
def test_an_earlier_run_goes_on_at_an_earlier_command(method, files, toy_root, tmp_path, monkeypatch):
    run = shutil.copytree(files / method, tmp_path / method)
    before = earlier.read(run / "last.pt")
    before["position"] = {"epoch": 0, "batch": 4}  # one step before the end
    torch.save(before, run / "last.pt")
    monkeypatch.setattr(run_module, "TestEpisodes", FewPairs)
    options = [*COMMANDS[method].split(), f"--data-root={toy_root}", f"--run-dir={run}"]
    monkeypatch.setattr(sys, "argv", ["train.py", *options])
    assert train_cli.main() is None
    after = earlier.read(run / "last.pt")
    assert after["position"] == {"epoch": 1, "batch": 0} and after["trained_epoch"] == 0
    assert len(after["history"]) == len(before["history"]) + 1
    assert fingerprint(after["network"]) != fingerprint(before["network"])
