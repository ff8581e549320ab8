"""Encoders and prototypes by themselves."""

import pytest
import timm
import torch

from networks.backbones import LITE0, Encoder
from networks.backbones.timm_conv import PACKAGED, load_ordered
from networks.backbones.xception import Xception65, load_timm_weights
from networks.checkpoints import authors, initialise
from networks.eopnet import EOPNet
from networks.prototypes import PrototypeBank, class_masks, cosine_similarity, masked_average


@pytest.fixture(scope="module")
def xception() -> Encoder:
    return Encoder("xception65").eval()


def test_xception_features_have_the_published_strides(xception):
    with torch.no_grad():
        low, high = xception(torch.zeros(1, 3, 65, 97))
    assert low.shape == (1, 256, 17, 25) and high.shape == (1, 2048, 5, 7)


def test_xception_sees_bgr_between_minus_one_and_one(xception):
    image = torch.tensor([0, 127.5, 255]).view(1, 3, 1, 1)
    assert xception.normalize(image).flatten().tolist() == [1.0, 0.0, -1.0]


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_100", "pvt_v2_b0", "mambaout_femto"]
)
def test_timm_encoders_give_strides_4_and_16(name):
    encoder = Encoder(name).eval()
    with torch.no_grad():
        low, high = encoder(encoder.normalize(torch.zeros(1, 3, 64, 96, dtype=torch.uint8)))
    assert low.shape == (1, encoder.low_channels, 16, 24) and high.shape == (1, encoder.high_channels, 4, 6)


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "efficientnet_lite_nothing"])
def test_encoders_without_those_strides_are_refused(name):
    with pytest.raises(ValueError, match=name):
        Encoder(name)


def test_timm_xception_weights_fill_every_tensor_and_turn_to_bgr(xception):
    weights = timm.create_model("xception65").state_dict()
    load_timm_weights(xception.body, weights)
    own = xception.body.state_dict()
    assert torch.equal(own["conv1.weight"], weights["stem.0.conv.weight"].flip(1))
    assert torch.equal(own["middle.0.convs.2.pointwise.weight"], weights["blocks.3.stack.conv3.conv_pw.weight"])
    assert torch.equal(own["conv5.pointwise_bn.bias"], weights["blocks.20.stack.conv3.bn_pw.bias"])
    taken = sum(v.numel() for k, v in weights.items() if not k.startswith("head."))
    assert taken == sum(v.numel() for v in own.values())
    weights.pop("stem.0.conv.weight")
    with pytest.raises(ValueError, match=r"conv1\.weight"):
        load_timm_weights(xception.body, weights)


def test_ordered_weights_reach_the_tensor_of_their_name():
    full = timm.create_model(LITE0).state_dict()
    tensors = [v for k, v in full.items() if not k.endswith("num_batches_tracked")]
    encoder = Encoder(LITE0)
    load_ordered(encoder.body, LITE0, tensors)
    for name, value in encoder.body.state_dict().items():
        assert torch.equal(value, full[name]), name
    with pytest.raises(ValueError, match="do not fit"):
        load_ordered(encoder.body, LITE0, tensors[:-1])


@pytest.mark.parametrize("name", PACKAGED)
def test_imagenet_weights_of_efficientnet_lite_come_with_the_requirements(name):
    network = EOPNet(3, "kway", name, channels=8)
    before = {k: v.clone() for k, v in network.encoder.body.state_dict().items() if not k.endswith("tracked")}
    assert initialise(network, "imagenet") == [f"ImageNet weights in the encoder {name}"]
    after = network.encoder.body.state_dict()
    assert [k for k, v in before.items() if torch.equal(v, after[k])] == []
    assert network.encoder.normalize(torch.tensor([[[[127.0]], [[255.0]], [[0.0]]]])).flatten().tolist() == [
        0.0,
        1.0,
        pytest.approx(-127 / 128),
    ]


def test_official_names_cover_xception_and_the_imagenet_map_alike():
    names = {
        authors.rename(f"xception_features.{n}", authors.DEEPLAB, "mid")
        for n in ("conv1.weight", "block1.rep.4.pointwise.weight")
    }
    assert names == {"encoder.body.conv1.weight", "encoder.body.block1.convs.2.pointwise.weight"}
    assert all(n.removeprefix("encoder.body.") in Xception65().state_dict() for n in names)


def test_prototypes_are_averages_and_absent_classes_are_zero():
    feature = torch.arange(8.0).view(1, 2, 2, 2)
    masks = class_masks(torch.tensor([[[0, 1], [1, 255]]]), 3)
    prototypes = masked_average(feature, masks)
    assert prototypes.tolist() == [[[0.0, 4.0], [1.5, 5.5], [0.0, 0.0]]]
    similarity = cosine_similarity(feature, prototypes)
    assert similarity[0, 2].abs().max() == 0
    assert similarity[0, 0, 0, 0].item() == pytest.approx(1.0)


def test_the_bank_blends_what_it_knows_and_remembers_in_order():
    bank = PrototypeBank(3, 1, momentum=0.1)
    static = torch.tensor([[[0.0], [10.0], [20.0]], [[0.0], [30.0], [0.0]]])
    present = torch.tensor([[False, True, True], [False, True, False]])
    used = bank.remember(static, present, dynamic=True)
    # The first sample fills the empty rows; the second blends its class 1 with what the first left.
    assert used[:, :, 0].tolist() == [[0.0, 10.0, 20.0], [0.0, pytest.approx(12.0), 0.0]]
    assert bank.rows[:, 0].tolist() == pytest.approx([0.0, 12.0, 20.0])
    assert bank.blend(static[:1], present[:1])[0, :, 0].tolist() == pytest.approx([0.0, 11.8, 20.0])


def test_warm_up_uses_and_remembers_static_prototypes():
    bank = PrototypeBank(2, 1)
    bank.rows[1] = 5.0
    static, present = torch.tensor([[[0.0], [7.0]]]), torch.tensor([[False, True]])
    assert bank.remember(static, present, dynamic=False)[0, 1, 0] == 7.0
    assert bank.rows[1, 0] == 7.0
