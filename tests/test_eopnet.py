"""EOPNet on a small encoder: equal to the plain loop, whole after saving, at odd sizes, with any batch."""

import copy
import io

import pytest
import torch

from networks.eopnet import EOPNet
from networks.losses import contrastive_loss, eopnet_losses, segmentation_loss
from networks.plain import plain_forward

from .samples import random_episode, tiny_network


def step(network: EOPNet, forward, epoch: int) -> tuple[dict, dict, dict]:
    episode = random_episode(network.way)
    episode = {k: v.double() if v.is_floating_point() else v for k, v in episode.items()}
    outputs = forward(episode, epoch)
    temperature = 0.1 if network.way == "kway" else None
    losses = eopnet_losses(outputs, episode["query_foreground"], progress=0.4, temperature=temperature)
    losses.total.backward()
    gradients = {n: p.grad for n, p in network.named_parameters()}
    return losses._asdict(), gradients, dict(network.named_buffers())


@pytest.mark.parametrize("way", ["kway", "1way"])
@pytest.mark.parametrize("epoch", [0, 5])
def test_a_training_step_equals_the_plain_loop_over_samples_and_classes(way, epoch):
    fast = tiny_network(way).double().train()
    fast.bank.rows[2] = 1.0
    slow = copy.deepcopy(fast)
    ours = step(fast, fast, epoch)
    plain = step(slow, lambda episode, e: plain_forward(slow, episode, e), epoch)
    for one, other in zip(ours, plain, strict=True):
        assert one.keys() == other.keys()
        for name, value in one.items():
            torch.testing.assert_close(value, other[name], rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("way", ["kway", "1way"])
def test_batches_parse_like_single_episodes_in_evaluation(way):
    network = tiny_network(way).eval()
    episode = random_episode(way, batch=3)
    with torch.no_grad():
        together = network(episode, epoch=0)
        for i in range(3):
            alone = network({k: v[i : i + 1] for k, v in episode.items()}, epoch=0)
            for name in ("npm", "agm", "coarse"):
                torch.testing.assert_close(
                    getattr(alone.logits, name)[0], getattr(together.logits, name)[i], atol=1e-4, rtol=1e-4
                )


@pytest.mark.parametrize("size", [(33, 47), (64, 64), (50, 97)])
@pytest.mark.parametrize("level", ["mid", "high"])
def test_any_size_gives_logits_at_that_size(size, level):
    network = tiny_network(level=level).eval()
    with torch.no_grad():
        outputs = network(random_episode(batch=1, size=size), epoch=0)
    assert outputs.logits.npm.shape == (1, 7, *size)
    assert outputs.logits.coarse.shape == (1, 2, *size)


def test_agm_is_not_computed_unless_asked_for(monkeypatch):
    network = tiny_network().eval()
    monkeypatch.setattr(network.agm, "forward", lambda *_: pytest.fail("AGM ran"))
    episode = random_episode(batch=1)
    with torch.no_grad():
        reference = network.extract_prototypes(
            network.encode(episode["support"]), episode["support_label"], episode["support_foreground"]
        )
        assert network.logits_at(network.encode(episode["query"]), reference, (65, 49)).agm is None


def test_the_background_keeps_its_scale_with_few_classes():
    network = tiny_network().eval()
    episode = random_episode(batch=1)
    with torch.no_grad():
        query, support = network.encode(episode["query"]), network.encode(episode["support"])
        full = network.extract_prototypes(support, episode["support_label"], episode["support_foreground"])
        few = network.extract_prototypes(support, episode["support_label"], episode["support_foreground"], slots=5)
        whole, part = (network.logits_at(query, reference, (65, 49)).npm for reference in (full, few))
    assert not full.present[:, 5:].any()
    torch.testing.assert_close(part, whole[:, :5])


def test_only_unsupported_classes_leave_the_query_label():
    network = tiny_network()
    label = torch.tensor([[[0, 1, 2, 3, 255]]])
    present = torch.zeros(1, 7, dtype=torch.bool)
    present[0, 2] = True
    assert network.drop_unsupported(label, present).tolist() == [[[0, 0, 2, 0, 255]]]


def test_the_state_survives_saving(tmp_path):
    network = tiny_network()
    network.bank.rows.normal_()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    buffer.seek(0)
    other = tiny_network()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other.bank.rows, network.bank.rows)


def test_a_step_changes_what_the_network_says_and_fills_the_bank():
    network = tiny_network().train()
    episode = random_episode()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    first = None
    for _ in range(5):
        losses = eopnet_losses(network(episode, 0), episode["query_foreground"], progress=0.5)
        first = first or losses.total.item()
        optimizer.zero_grad()
        losses.total.backward()
        optimizer.step()
    assert losses.total.item() < first
    present = (network.bank.rows != 0).any(dim=1).tolist()
    shown = [bool((episode["support_label"] == c).any()) for c in range(7)]
    assert present[1:] == shown[1:] and not present[0]


def test_the_bank_moves_under_mixed_precision():
    network = tiny_network().train()
    network.bank.rows[1:5] = 1.0
    before = network.bank.rows.clone()
    with torch.autocast("cpu", torch.bfloat16):
        network(random_episode(), epoch=5)
    moved = (network.bank.rows - before).abs().amax(dim=1)
    assert (moved[1:5] > 0).all() and (moved[1:5] < 0.1).all()


def test_unknown_way_level_and_encoder_are_refused():
    for options in ({"way": "2way"}, {"level": "low"}, {"encoder": "no_such_encoder"}):
        with pytest.raises(ValueError, match=str(next(iter(options.values())))):
            EOPNet(5, **{"encoder": "tf_efficientnet_lite0", "channels": 8, **options})


def test_losses_ignore_255_and_empty_labels():
    logits = torch.randn(1, 3, 2, 2)
    nothing = torch.full((1, 2, 2), 255)
    assert segmentation_loss(logits, nothing).item() == 0
    one = nothing.clone()
    one[0, 0, 0] = 2
    expected = -logits[0, :, 0, 0].log_softmax(0)[2]
    torch.testing.assert_close(segmentation_loss(logits, one), expected)


def test_contrast_is_low_when_prototypes_match_and_finite_without_a_match():
    prototypes = torch.eye(4)[None]
    present = torch.tensor([[True, True, True, False]])
    matched = contrastive_loss(prototypes, present, prototypes, present, temperature=0.1)
    crossed = contrastive_loss(prototypes, present, prototypes[:, [0, 2, 1, 3]], present, temperature=0.1)
    assert matched < 0.01 < crossed
    alone = contrastive_loss(prototypes, present, prototypes, torch.zeros_like(present), temperature=0.1)
    assert torch.isfinite(alone)
