"""Reading the authors' files: prefixes, missing counters, banks of other lengths, DeepLab weights, strangers."""

import pytest
import torch

from networks.checkpoints import authors as official
from networks.checkpoints import loading
from networks.eopnet import EOPNet
from utils.errors import UserError

from .shared import needs_parity, standin_weights

pytestmark = needs_parity


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return standin_weights("official_eop_kway_atr_shapes.json")


@pytest.fixture(scope="module")
def network() -> EOPNet:
    return EOPNet(18, "kway")


def test_prefix_and_missing_counters_do_not_matter(weights, network):
    wrapped = {"state_dict": {f"module.{k}": v for k, v in weights.items() if not k.endswith("num_batches_tracked")}}
    converted = official.convert(official.unwrap(wrapped), network)
    network.load_state_dict(converted.state)
    assert torch.equal(network.bank.rows, weights["prototype"])
    assert not converted.new and not converted.notes
    unused = {name.split(".")[0].rstrip("1234") for name in converted.unused}
    assert unused == {
        "aspp",
        "global_avg_pool",
        "concat_projection_conv",
        "concat_projection_bn",
        "decoder",
        "s1_prototype",
    }


@pytest.mark.parametrize("rows", [17, 20])
def test_a_bank_of_another_length_keeps_its_rows_by_class(weights, network, rows):
    other = {**weights, "prototype": torch.arange(rows * 256.0).view(rows, 256)}
    converted = official.convert(other, network)
    bank = converted.state["bank.rows"]
    assert bank.shape == (18, 256)
    assert torch.equal(bank[: min(rows, 18)], other["prototype"][:18])
    assert "rows" in converted.notes[0]


def test_level_high_takes_the_aspp_weights(weights):
    network = EOPNet(18, "kway", level="high")
    converted = official.convert(weights, network, "high")
    assert torch.equal(
        converted.state["decoder.adapt.atrous.1.depthwise.weight"], weights["aspp3.atrous_convolution.depthwise.weight"]
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
    notes = " ".join(loading.initialise(network, str(path)))
    assert torch.equal(network.encoder.body.conv1.weight, coco["xception_features.conv1.weight"])
    assert "semantic.weight" in notes and "fine_space" in notes and "npm" in notes
    with pytest.raises(UserError, match="start training from"):
        loading.load_authors(str(path), coco, 18, "kway")


def test_strangers_and_the_wrong_way_are_refused(weights, network):
    cases = [
        ({"layer.weight": torch.zeros(1)}, "neither"),
        ({"a": 1}, "holds no network weights"),
        (standin_weights("official_eop_1way_atr_shapes.json"), "eop_1way"),
        ({k: v for k, v in weights.items() if k != "s2_trans.bias"}, "fine_space.bias"),
        ({**weights, "scaler": torch.zeros(3)}, "scaler"),
    ]
    for content, told in cases:
        with pytest.raises(UserError, match=told) as caught:
            loading.load_authors("file.pth", content, 18, "kway")
        assert "file.pth" in str(caught.value) and "\n" not in str(caught.value)
