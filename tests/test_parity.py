"""The networks against goldens of the authors' networks under stand-in weights."""

import json

import numpy as np
import pytest
import torch

from networks.base import Features
from networks.checkpoints import authors
from networks.checkpoints.checkpoint import load_weights
from networks.eopnet import EOPNet
from networks.losses import eopnet_losses
from networks.popnet import POPNet

from .shared import PARITY, golden, needs_parity, standin_weights

pytestmark = needs_parity
EPOCHS = {"static": 10, "dynamic": 39}


def load_official(way: str) -> EOPNet:
    network = EOPNet(num_slots=18, way=way)
    weights = standin_weights(f"official_eop_{way}_atr_shapes.json")
    assert not load_weights(network, authors.convert(weights, f"eop_{way}", 18, "mid").weights)
    return network


def as_rgb(images: torch.Tensor) -> torch.Tensor:
    """The goldens hold what the authors' encoder takes, BGR in -1..1."""
    return (images.flip(1) + 1) * 127.5


def episode_of(arrays: dict[str, torch.Tensor], dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    label = {"label": "mask", "foreground": "fg"}
    episode = {
        f"{who}_{ours}": arrays[f"{who}_{theirs}"][:, 0].long()
        for who in ("query", "support")
        for ours, theirs in label.items()
    }
    episode |= {who: as_rgb(arrays[who].to(dtype)) for who in ("query", "support")}
    episode["class_id"] = arrays.get("cate", torch.zeros(len(episode["query"]), dtype=torch.long))
    return episode


@pytest.mark.parametrize("mode", ["static", "dynamic"])
@pytest.mark.parametrize("way", ["kway", "1way"])
def test_evaluation_logits_equal_the_authors(way, mode):
    network = load_official(way).eval()
    arrays = golden(f"eop_{way}_eval_{mode}_0.npz")
    with torch.no_grad():
        outputs = network(episode_of(arrays), epoch=EPOCHS[mode])
    for ours, theirs in (("npm", "npm_out"), ("agm", "agm_out"), ("coarse", "s1_qry_out")):
        difference = (getattr(outputs.logits, ours) - arrays[theirs]).abs().max().item()
        assert difference < 1e-4, f"{ours} logits differ by {difference:.2g}"
    assert torch.equal(outputs.label, arrays["s2_qry_gt"][:, 0].long())


@pytest.mark.parametrize("way, name", [("kway", "eop_kway_train_dynamic"), ("1way", "eop_1way_train_warmup")])
def test_training_step_equals_the_authors(way, name):
    expected = json.loads((PARITY / f"{name}.json").read_text())
    network = load_official(way).double().train()
    episode = episode_of(golden(f"{name}_in.npz"), torch.float64)
    outputs = network(episode, epoch=expected["epoch"])
    losses = eopnet_losses(
        outputs, episode["query_foreground"], progress=expected["beta"][1], temperature=0.1 if way == "kway" else None
    )
    for ours, theirs in (("agm", "agm"), ("npm", "npm"), ("coarse", "s1"), ("contrast", "contrast")):
        assert getattr(losses, ours).item() == pytest.approx(expected["losses"][theirs], rel=1e-4), ours
    losses.total.backward()
    check_gradients(network, expected)
    assert network.bank.rows.norm(dim=1).tolist() == pytest.approx(expected["prototype_norms"], rel=1e-4)
    assert network.bank.rows.sum().item() == pytest.approx(expected["prototype_sum"], rel=1e-4)


def check_gradients(network: EOPNet, expected: dict) -> None:
    parameters = dict(network.named_parameters())
    for theirs, norm in expected["grad_norm"].items():
        gradient = parameters[authors.rename(theirs, f"eop_{network.way}", "mid")].grad
        assert gradient.norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-9), theirs
    assert len(expected["grad_norm"]) == len(parameters)


def drawn(rng: np.random.Generator, shape: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.abs(rng.standard_normal(tuple(shape.tolist())))).float()


@pytest.mark.parametrize("mode", ["dynamic", "infused_static"])
def test_popnet_logits_equal_the_authors(mode):
    """One stage: by itself with its bank, and with given features of a previous stage infused, in the warm-up."""
    arrays = golden("pop_kway_eval.npz")
    network = POPNet(18, previous=POPNet(2)).eval()
    converted = authors.convert(standin_weights("official_pop_kway_atr_shapes.json"), "pop_kway", 18, "high")
    assert all(name.startswith("midfea") for name in converted.unused)
    assert all(name.startswith("previous.") for name in load_weights(network, converted.weights, "infuse."))
    with torch.no_grad():
        query, support = (network.decoder(*network.encoder(arrays[who])) for who in ("query", "support"))
        if mode == "infused_static":
            rng = np.random.default_rng(int(arrays["prev_seed"]))
            query = network.infused(query, drawn(rng, arrays["prev_query_shape"]))
            support = network.infused(support, drawn(rng, arrays["prev_support_shape"]))
        label = arrays["support_mask"][:, 0].long()
        static = network.extract_prototypes(Features(support, support), label, (label > 0).long())
        used = network.blend_with_bank(static) if network.bank_in_use(EPOCHS[mode.removeprefix("infused_")]) else static
        logits = network.logits_at(Features(query, query), used, arrays["query"].shape[-2:], with_agm=True)
    for ours, theirs in (("npm", "ncm"), ("agm", "agm")):
        difference = (getattr(logits, ours) - arrays[f"{theirs}_{mode}"]).abs().max().item()
        assert difference < 1e-4, f"{ours} logits differ by {difference:.2g}"
