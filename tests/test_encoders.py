"""Every kind of encoder goes through the same tests; `ENCODERS` names a small one of each kind."""

from __future__ import annotations

import copy
import math
from urllib.error import URLError

import pytest
import timm
import torch
from safetensors.torch import save_file

from engine.optim import make_optimizer
from engine.settings import TrainSettings
from networks.backbones import Encoder
from networks.build import build_network
from networks.checkpoints import hub, initialise, open_checkpoint, save_run
from networks.eopnet import EOPNet
from networks.losses import eopnet_losses
from networks.settings import NetworkSettings
from utils.device import tune
from utils.errors import UserError

from .samples import random_episode

PYRAMID, PLAIN = (4, 8, 16), (4, 16)
ENCODERS = {  # name -> strides of its features
    "xception65": PYRAMID,
    "tf_efficientnet_lite0": PYRAMID,
    "hrnet_w18_small": PYRAMID,
    "sam2_hiera_tiny.fb_r896_2pt1": PYRAMID,
    "convnext_atto": PYRAMID,
    "pvt_v2_b0": PYRAMID,
    "vit_small_patch14_reg4_dinov2": PLAIN,
    "vit_small_patch16_dinov3": PLAIN,
    "eva02_tiny_patch14_224": PLAIN,
}
NOT_EXPORTED = ("eva02_tiny_patch14_224",)
ODD_SIZES = ((65, 97), (33, 90), (16, 240))
SLOTS = 7


def trained_once(network: EOPNet, batch: int = 2) -> EOPNet:
    """The network with the gradients of one step in it."""
    episode = random_episode(batch=batch)
    outputs = network.train()(episode, 0)
    eopnet_losses(outputs, episode["query_foreground"], 0.5).total.backward()
    return network


@pytest.fixture(scope="module", params=ENCODERS)
def made(request) -> EOPNet:
    """A network on the encoder; tests that change it copy it."""
    torch.manual_seed(0)
    return build_network(SLOTS, "kway", NetworkSettings(encoder=request.param, channels=8)).eval()


@torch.no_grad()
def test_features_of_photos_of_any_size(made):
    encoder = made.encoder
    assert tuple(encoder.channels) == ENCODERS[encoder.name]
    for height, width in ODD_SIZES:
        images = encoder.normalize(torch.randint(0, 256, (1, 3, height, width), dtype=torch.uint8))
        features = encoder.features(images)
        for stride, feature in features.items():
            size = (math.ceil(height / stride), math.ceil(width / stride))
            assert feature.shape == (1, encoder.channels[stride], *size), stride
            assert feature.isfinite().all() and feature.std() > 0
        low, high = encoder(images)
        assert torch.equal(low, features[4]) and torch.equal(high, features[16])


@pytest.mark.parametrize("batch", [1, 2])
def test_a_step_reaches_every_weight_that_learns(made, batch):
    network = trained_once(copy.deepcopy(made), batch)
    for name, parameter in network.encoder.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
        assert (parameter.grad is not None) == parameter.requires_grad, name


def test_a_checkpoint_brings_it_back(made, tmp_path):
    path = tmp_path / "last.pt"
    settings = {"dataset": "toy", "encoder": made.encoder.name, "channels": 8}
    save_run(path, made, {"settings": settings, "num_slots": SLOTS, "trained_epoch": 0})
    read = open_checkpoint(path).build()
    image = torch.randint(0, 256, (1, 3, 70, 50))
    with torch.no_grad():
        assert torch.equal(read.encode(image).fine, made.encode(image).fine)


def test_a_frozen_one_stays_as_it_is_while_the_rest_learns(made):
    network = copy.deepcopy(made)
    network.encoder.freeze()
    before = {name: tensor.clone() for name, tensor in network.encoder.body.state_dict().items()}
    trained_once(network)
    optimizer = make_optimizer(network, TrainSettings(lr=0.1))
    optimizer.step()
    assert [name for name, tensor in network.encoder.body.state_dict().items() if (tensor != before[name]).any()] == []
    held = {id(p) for p in network.encoder.body.parameters()}
    assert not held & {id(p) for group in optimizer.param_groups for p in group["params"]}
    learns = [name for name, p in network.named_parameters() if p.requires_grad]
    assert all(network.get_parameter(name).grad is not None for name in learns) and "decoder.low.conv.weight" in learns


@torch.no_grad()
def test_memory_format_changes_nothing(made):
    tuned = copy.deepcopy(made)
    tune(tuned, torch.device("cpu"), "on")
    image = torch.randint(0, 256, (1, 3, 65, 97))
    torch.testing.assert_close(tuned.encode(image).fine, made.encode(image).fine, rtol=1e-3, atol=1e-3)


def test_the_exported_graphs_agree_at_other_sizes(made, tmp_path):
    pytest.importorskip("onnxruntime")
    export_onnx = pytest.importorskip("tools.export_onnx")
    if made.encoder.name in NOT_EXPORTED:
        with pytest.raises(UserError, match="cannot be exported"):
            export_onnx.export(made, tmp_path)
        return
    export_onnx.export(made, tmp_path)
    for size, classes in (((64, 48), 2), ((33, 90), 3)):
        assert export_onnx.check(made, tmp_path, size, classes) > 0.999


def test_positions_that_a_graph_is_traced_with_are_timms():
    """With random weights positions matter little to the features, so that they are compared by themselves."""
    rope = Encoder("vit_tiny_patch16_dinov3_qkvb").body.vit.rope
    traced = torch.jit.trace(lambda x: rope.get_embed(x.shape), (torch.zeros(3, 2),))
    for size in ((3, 2), (7, 12)):
        torch.testing.assert_close(traced(torch.zeros(size)), rope.get_embed(size), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["bat_resnext26ts", "swin_tiny_patch4_window7_224"])
def test_what_cannot_take_photos_of_any_size_is_refused_before_the_first_step(name):
    with pytest.raises(UserError, match=f"{name}.*choose another"):
        build_network(SLOTS, "kway", NetworkSettings(encoder=name))


@pytest.mark.parametrize(
    "name, near",
    [
        ("convnext_tinny", "convnext_tiny"),
        ("vit_small_patch16_dino3", "vit_small_patch16_dinov3"),
        ("convnext_tiny.dinov3", r"convnext_tiny\.dinov3_lvd1689m"),
    ],
)
def test_an_unknown_name_is_told_with_near_ones(name, near):
    with pytest.raises(ValueError, match=near):
        Encoder(name)


def test_rates_fall_from_block_to_block_towards_the_photo():
    network = EOPNet(SLOTS, "kway", "vit_tiny_patch16_224", channels=8)
    optimizer = make_optimizer(network, TrainSettings(lr=0.1, head_lr_scale=4.0, layer_decay=0.5))
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    expected = {
        "encoder.body.vit.patch_embed.proj.weight": 0.1 * 0.5**12,
        "encoder.body.vit.pos_embed": 0.1 * 0.5**12,
        "encoder.body.vit.blocks.0.attn.qkv.weight": 0.1 * 0.5**11,
        "encoder.body.vit.blocks.11.mlp.fc1.weight": 0.1,
        "encoder.body.vit.norm.weight": 0.1,
        "encoder.stem.0.weight": 0.4,
        "fine_space.weight": 0.4,
    }
    assert {name: rates[id(network.get_parameter(name))] for name in expected} == pytest.approx(expected)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_a_recipe_in_which_nothing_learns_is_told():
    network = EOPNet(SLOTS, "kway", "vit_tiny_patch16_224", channels=8).requires_grad_(False)
    with pytest.raises(UserError, match="nothing is left to train"):
        make_optimizer(network, TrainSettings())


@torch.no_grad()
def test_features_lose_what_they_say_of_the_place_alone():
    """In the photo without content nearly all that differs from place to place goes; elsewhere the rest stays."""
    torch.manual_seed(0)
    encoder = Encoder("vit_tiny_patch16_224").eval()
    photo = encoder.normalize(torch.randint(0, 256, (1, 3, 64, 96)))
    empty = encoder.normalize(torch.zeros(1, 3, 512, 512))
    before, bare = encoder(photo)[1], encoder(empty)[1]
    encoder.ignore_place(150)
    assert torch.equal(encoder(photo)[1], before)
    encoder.find_place()
    assert encoder.place.shape == (4, 192, 150) and "place" in encoder.state_dict()
    after, cleaned = encoder(photo)[1], encoder(empty)[1]
    blocks = [feature.reshape(4, 192, -1) for feature in (before, after)]
    assert (encoder.place.mT @ blocks[1]).abs().max() < 1e-3 * blocks[0].abs().max()
    torch.testing.assert_close(blocks[1], blocks[0] - encoder.place @ (encoder.place.mT @ blocks[0]))
    assert cleaned.std(dim=(2, 3)).mean() < 0.3 * bare.std(dim=(2, 3)).mean()
    with pytest.raises(UserError, match="--ignore-place 192: must be below 192"):
        encoder.ignore_place(192)


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A function that puts a model's weights where the hub's client keeps them; the hub itself does not answer."""
    asked = []

    def unreachable(request, timeout):
        asked.append(request.full_url)
        raise URLError("no route to host")

    monkeypatch.setattr(hub, "urlopen", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    def put(name: str, weights: dict[str, torch.Tensor]) -> None:
        folder = tmp_path / f"models--timm--{name}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs/main").write_text("0")
        (folder / "snapshots/0").mkdir(parents=True)
        save_file(weights, folder / "snapshots/0/model.safetensors")

    put.asked = asked
    return put


@pytest.mark.parametrize("name", ["convnext_atto.d2_in1k", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"])
def test_the_weights_of_a_tag_come_from_the_cache(name, cached):
    model = timm.create_model(name)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    weights = {key: value.contiguous() for key, value in model.state_dict().items()}
    cached(name, weights)
    network = EOPNet(SLOTS, "kway", name, channels=8)
    assert initialise(network, "encoder") == [f"{name.partition('.')[2]} weights in the encoder {name}"]
    own = {key.removeprefix("vit."): value for key, value in network.encoder.body.state_dict().items()}
    assert sum(value.numel() for value in own.values()) > 0.5 * sum(value.numel() for value in weights.values())
    for key, value in own.items():
        assert torch.equal(value, weights.get(key, weights.get(key.replace("_", ".", 1)))), key
    assert cached.asked == []


def test_weights_that_cannot_be_fetched_are_told_after_one_question(cached):
    network = EOPNet(SLOTS, "kway", "convnext_tiny.dinov3_lvd1689m", channels=8)
    with pytest.raises(UserError, match=r"convnext_tiny\.dinov3_lvd1689m \(\S+: no route to host\); connect"):
        initialise(network, "encoder")
    assert len(cached.asked) == 1 and "convnext_tiny.dinov3_lvd1689m" in cached.asked[0]


def test_a_file_of_the_encoder_alone_is_taken_and_another_models_refused(tmp_path):
    model = timm.create_model("vit_tiny_patch16_224")
    torch.save(model.state_dict(), tmp_path / "vit.pth")
    network = EOPNet(SLOTS, "kway", "vit_tiny_patch16_224", channels=8)
    initialise(network, str(tmp_path / "vit.pth"))
    assert torch.equal(network.encoder.body.vit.blocks[3].mlp.fc1.weight, model.blocks[3].mlp.fc1.weight)
    for encoder in ("vit_tiny_patch16_dinov3_qkvb", "convnext_atto"):
        with pytest.raises(UserError, match=rf"vit\.pth: not the weights of {encoder}"):
            initialise(EOPNet(SLOTS, "kway", encoder, channels=8), str(tmp_path / "vit.pth"))
