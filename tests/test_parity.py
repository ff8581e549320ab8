"""The networks against the authors', under the same weights and inputs (see goldens.py)."""

import numpy as np
import pytest
import torch

from networks.base import Features, Logits
from networks.checkpoints import authors
from networks.checkpoints.checkpoint import load_weights
from networks.eopnet import EOPNet
from networks.losses import eopnet_losses, segmentation_loss
from networks.popnet import POPNet

from . import goldens
from .shared import golden, needs_parity

THEIRS = {"npm": "npm_out", "agm": "agm_out", "coarse": "s1_qry_out"}
TERMS = {"agm": "agm", "npm": "npm", "coarse": "s1", "contrast": "contrast"}


def load_official(way: str) -> EOPNet:
    network = EOPNet(num_slots=18, way=way)
    converted = authors.convert(goldens.standin_weights(f"eop_{way}"), f"eop_{way}", 18, "mid")
    assert not load_weights(network, converted.weights)
    return network


def our_name(theirs: str, way: str) -> str | None:
    return authors.rename(theirs, f"eop_{way}", "mid")


@pytest.fixture(scope="module", params=["kway", "1way"])
def evaluated(request):
    """The way, its episode, and the outputs in the warm-up and with the bank."""
    network, episode = load_official(request.param).eval(), goldens.evaluation_episode(request.param)
    with torch.no_grad():
        return request.param, episode, {mode: network(episode, epoch) for mode, epoch in goldens.EPOCHS.items()}


def assert_close(logits: Logits, expected: dict[str, torch.Tensor], pixels: torch.Tensor | None = None) -> None:
    for name, theirs in expected.items():
        ours = getattr(logits, name)
        ours = ours if pixels is None else ours[0].flatten(1)[:, pixels]
        difference = (ours - theirs).abs().max().item()
        assert difference < 1e-4, f"{name} logits differ by {difference:.2g}"


def test_evaluation_logits_and_losses_equal_the_authors(evaluated):
    way, episode, outputs = evaluated
    arrays = goldens.arrays("logits")
    for mode, output in outputs.items():
        run = f"eop_{way}_{mode}"
        assert_close(output.logits, {name: arrays[f"{run}_{name}"] for name in THEIRS}, arrays["pixels"])
        assert torch.equal(output.label.flatten()[arrays["pixels"]], arrays[f"{run}_label"].long())
        for name, label in (("agm", output.label), ("npm", output.label), ("coarse", episode["query_foreground"])):
            loss = goldens.numbers()["evaluation"][run][TERMS[name]]
            assert segmentation_loss(getattr(output.logits, name), label).item() == pytest.approx(loss, rel=1e-5)


@needs_parity
def test_evaluation_logits_equal_the_authors_at_every_pixel(evaluated):
    way, _, outputs = evaluated
    for mode, output in outputs.items():
        arrays = golden(f"eop_{way}_eval_{mode}_0.npz")
        assert_close(output.logits, {name: arrays[theirs] for name, theirs in THEIRS.items()})
        assert torch.equal(output.label, arrays["s2_qry_gt"][:, 0].long())


@pytest.mark.parametrize("way", ["kway", "1way"])
def test_training_step_equals_the_authors(way):
    expected = goldens.numbers()["training_step"][way]
    network = load_official(way).double().train()
    losses = step_losses(network, goldens.training_batch(way), expected["epoch"], expected["beta"][1])
    for ours, theirs in TERMS.items():
        assert getattr(losses, ours).item() == pytest.approx(expected["losses"][theirs], rel=1e-4), ours
    losses.total.backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    for theirs, norm in expected["grad_norm"].items():
        assert gradients[our_name(theirs, way)].norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-9), theirs
    assert len(expected["grad_norm"]) == len(gradients)
    assert network.bank.rows.norm(dim=1).tolist() == pytest.approx(expected["prototype_norms"], rel=1e-4)
    assert network.bank.rows.sum().item() == pytest.approx(expected["prototype_sum"], rel=1e-4)


def step_losses(network: EOPNet, episode: goldens.Episode, epoch: int, progress: float):
    episode = {name: value.double() if value.is_floating_point() else value for name, value in episode.items()}
    temperature = 0.1 if network.way == "kway" else None
    return eopnet_losses(network(episode, epoch), episode["query_foreground"], progress, temperature)


@pytest.fixture(scope="module")
def stage():
    """A POPNet stage with the authors' weights, and its logits by itself with its bank, and with given features of a
    previous stage infused, in the warm-up."""
    network = POPNet(18, previous=POPNet(2)).eval()
    converted = authors.convert(goldens.standin_weights("pop_kway"), "pop_kway", 18, "high")
    assert all(name.startswith("midfea") for name in converted.unused)
    assert all(name.startswith("previous.") for name in load_weights(network, converted.weights, "infuse."))
    episode = goldens.evaluation_episode("kway", goldens.STAGE_SEED)
    with torch.no_grad():
        features = [
            network.decoder(*network.encoder(network.encoder.normalize(episode[who]))) for who in ("query", "support")
        ]
        rng = np.random.default_rng(goldens.PREVIOUS_SEED)
        infused = [network.infused(f, torch.from_numpy(np.abs(rng.standard_normal(f.shape))).float()) for f in features]
        return {
            "dynamic": stage_logits(network, *features, episode, epoch=goldens.EPOCHS["dynamic"]),
            "infused_static": stage_logits(network, *infused, episode, epoch=goldens.EPOCHS["static"]),
        }


def stage_logits(network: POPNet, query: torch.Tensor, support: torch.Tensor, episode: goldens.Episode, epoch: int):
    label = episode["support_label"]
    used = network.extract_prototypes(Features(support, support), label, (label > 0).long())
    if network.bank_in_use(epoch):
        used = network.blend_with_bank(used)
    return network.logits_at(Features(query, query), used, goldens.QUERY_SIZE, with_agm=True)


def test_popnet_logits_equal_the_authors(stage):
    arrays = goldens.arrays("logits")
    for run, logits in stage.items():
        assert_close(logits, {name: arrays[f"pop_kway_{run}_{name}"] for name in ("npm", "agm")}, arrays["pixels"])


@needs_parity
def test_popnet_logits_equal_the_authors_at_every_pixel(stage):
    arrays = golden("pop_kway_eval.npz")
    for run, logits in stage.items():
        assert_close(logits, {"npm": arrays[f"ncm_{run}"], "agm": arrays[f"agm_{run}"]})
