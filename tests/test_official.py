"""Reading the authors' files: prefixes, missing counters, banks of other lengths, DeepLab weights, strangers."""

import pytest
import torch

from inference.parser import OneShotParser
from networks.checkpoints import authors, initialise, open_checkpoint
from networks.checkpoints.checkpoint import load_weights
from networks.eopnet import EOPNet
from utils.errors import UserError

from .goldens import standin_weights
from .own_photos import parsed


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return standin_weights("eop_kway")


@pytest.fixture(scope="module")
def network() -> EOPNet:
    return EOPNet(18, "kway")


def test_prefix_and_missing_counters_do_not_matter(weights, tmp_path):
    wrapped = {"state_dict": {f"module.{k}": v for k, v in weights.items() if not k.endswith("num_batches_tracked")}}
    torch.save(wrapped, tmp_path / "kway.pth")
    opened = open_checkpoint(tmp_path / "kway.pth", num_slots=18, way="kway")
    assert (opened.kind, opened.epoch, opened.stage, opened.class_names) == ("authors", 39, 3, {})
    assert torch.equal(opened.build().bank.rows, weights["prototype"])
    unused = {name.split(".")[0].rstrip("1234") for name in authors.convert(wrapped, "eop_kway", 18, "mid").unused}
    assert unused == {
        "aspp",
        "global_avg_pool",
        "concat_projection_conv",
        "concat_projection_bn",
        "decoder",
        "s1_prototype",
    }
    assert len(opened.notes) == 1 and "not used: s1_prototype" in opened.notes[0]


@pytest.mark.parametrize("kind", ["eop_kway", "eop_1way", "pop_kway"])
def test_each_form_parses_a_photo(kind, tmp_path):
    path = tmp_path / f"{kind}.pth"
    torch.save(standin_weights(kind), path)
    parsed(OneShotParser(path, "cpu", max_size=64, dataset="atr", way=kind.partition("_")[2]))


@pytest.mark.parametrize("rows", [17, 20])
def test_a_bank_of_another_length_keeps_its_rows_by_class(weights, rows):
    other = {**weights, "prototype": torch.arange(rows * 256.0).view(rows, 256)}
    converted = authors.convert(other, "eop_kway", 18, "mid")
    bank = converted.weights["bank.rows"]
    assert bank.shape == (18, 256)
    assert torch.equal(bank[: min(rows, 18)], other["prototype"][:18])
    assert "rows" in converted.notes[0]


def test_level_high_takes_the_aspp_weights(weights):
    network = EOPNet(18, "kway", level="high")
    converted = authors.convert(weights, "eop_kway", 18, "high")
    assert not load_weights(network, converted.weights)
    assert torch.equal(
        network.state_dict()["decoder.adapt.atrous.1.depthwise.weight"],
        weights["aspp3.atrous_convolution.depthwise.weight"],
    )
    assert all(name.startswith(("midfea", "s1_prototype")) for name in converted.unused)


def test_coco_weights_fill_the_encoder_and_report_the_rest(weights, network, tmp_path):
    coco = {
        k: v
        for k, v in weights.items()
        if k.startswith(("xception_features", "aspp", "global", "concat", "feature_projection", "decoder1"))
    }
    coco["semantic.weight"] = torch.zeros(21, 256, 1, 1)
    path = tmp_path / "coco.pth"
    torch.save(coco, path)
    notes = " ".join(initialise(network, str(path)))
    assert torch.equal(network.encoder.body.conv1.weight, coco["xception_features.conv1.weight"])
    assert "semantic.weight" in notes and "fine_space" in notes and "npm" in notes
    with pytest.raises(UserError, match="start training from"):
        open_checkpoint(path, num_slots=18, way="kway")
    del coco["xception_features.bn2.bias"]
    torch.save(coco, path)
    with pytest.raises(UserError, match=r"encoder\.body\.bn2\.bias"):
        initialise(network, str(path))


def test_strangers_and_the_wrong_way_are_refused(weights, tmp_path):
    path = tmp_path / "file.pth"
    cases = [
        ({"layer.weight": torch.zeros(1)}, "neither"),
        ({"a": 1}, "holds no network weights"),
        ({}, "holds no network weights"),
        (standin_weights("eop_1way"), "eop_1way"),
        ({k: v for k, v in weights.items() if k != "s2_trans.bias"}, r"fine_space\.bias"),
        ({**weights, "scaler": torch.zeros(3)}, "scaler"),
        ({**weights, "prototype": torch.zeros(18)}, r"bank\.rows"),
    ]
    for content, told in cases:
        torch.save(content, path)
        with pytest.raises(UserError, match=told) as caught:
            open_checkpoint(path, num_slots=18, way="kway").build()
        assert "file.pth" in str(caught.value) and "\n" not in str(caught.value)
