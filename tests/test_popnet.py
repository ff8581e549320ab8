"""POPNet on a small encoder: frozen stages, infusion, both backgrounds, whole in one checkpoint."""

import io

import pytest
import torch

from engine.optim import make_optimizer
from engine.settings import TrainSettings
from networks.checkpoints import authors, export_released, open_checkpoint, save_run
from networks.losses import popnet_losses
from networks.plain import plain_agm, plain_npm, run_guide
from networks.prototypes import cosine_similarity
from predict import OneShotParser
from utils.errors import UserError

from .goldens import standin_weights
from .own_photos import NAMES, picture
from .samples import random_episode, tiny_stages

SIZE = (65, 49)


def copied(state: dict) -> dict:
    return {name: value.clone() for name, value in state.items()}


@pytest.mark.parametrize("way", ["kway", "1way"])
def test_a_step_trains_the_last_stage_and_leaves_the_others_as_they_are(way):
    network = tiny_stages(way).train()
    before = copied(network.state_dict())
    optimizer = make_optimizer(network, TrainSettings(method="pop", lr=0.1))
    episode = random_episode(way)
    losses = []
    for _ in range(5):
        found = popnet_losses(network(episode, 0), progress=0.5)
        losses.append(found.total.item())
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    for name, value in network.state_dict().items():
        if name.startswith("previous."):
            assert torch.equal(value, before[name]), name
    for name in ("encoder.body.conv_stem.weight", "infuse.0.pointwise.weight", "npm.scaler", "bank.rows"):
        assert not torch.equal(network.state_dict()[name], before[name]), name


def test_a_stage_starts_from_the_one_before():
    network = tiny_stages()
    network.previous.bank.rows.fill_(1.0)
    network.start_from_previous()
    own, earlier = network.state_dict(), network.previous.state_dict()
    shared = [name for name in own if not name.startswith("previous.") and name != "bank.rows"]
    assert len(shared) > 100 and all(torch.equal(own[name], earlier[name]) for name in shared)
    assert not network.bank.rows.any()
    second = tiny_stages(stages=(2, 4))  # whose infusion is new: stage 1 has none
    second.start_from_previous()
    assert torch.equal(second.encoder.body.conv_stem.weight, second.previous.encoder.body.conv_stem.weight)


def test_the_features_of_every_stage_are_infused_into_the_next():
    network = tiny_stages().eval()
    image = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        first, second = network.previous.previous.encode(image), network.previous.encode(image)
        third = network.encode(image)
        own = network.decoder(*network.encoder(network.encoder.normalize(image)))
        torch.testing.assert_close(third.fine, network.infuse(torch.cat([second.fine, own], dim=1)))
    assert torch.equal(third.coarse, first.fine) and torch.equal(second.coarse, first.fine)


def extract_prototypes(network, episode):
    query, support = network.encode(episode["query"]), network.encode(episode["support"])
    return query, network.extract_prototypes(support, episode["support_label"], episode["support_foreground"])


@pytest.mark.parametrize("background", ["fixed", "ucs"])
def test_backgrounds_equal_the_plain_loop_over_classes(background):
    network = tiny_stages(background=background).eval()
    query, reference = extract_prototypes(network, random_episode(batch=3))
    assert len({tuple(row) for row in reference.present.tolist()}) > 1  # supports that show different classes
    with torch.no_grad():
        found = network.logits_at(query, reference, query.fine.shape[-2:], with_agm=True)
        for i in range(3):
            feature, prototypes = query.fine[i : i + 1], reference.classes[i : i + 1]
            similarity = cosine_similarity(feature, prototypes[:, 1:])
            if background == "fixed":
                each = similarity.split(1, dim=1)
                npm, agm = plain_npm(network.npm, each), plain_agm(network.agm, feature, each)
            else:
                npm, agm = plain_ucs(network, feature, similarity, reference.present[i, 1:])
            torch.testing.assert_close(found.npm[i : i + 1], npm, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(found.agm[i : i + 1], agm, rtol=1e-4, atol=1e-4)


def plain_ucs(network, feature, similarity, present):
    """Only the classes that the support shows take part; the logits of the others stay 0."""
    shown = present.nonzero()[:, 0].tolist()
    npm, agm = (torch.zeros(1, 1 + similarity.shape[1], *similarity.shape[-2:]) for _ in range(2))
    passes = {c: run_guide(network.agm.guide, (1 + similarity[:, c : c + 1]) * feature) for c in shown}
    head = network.npm
    far = sum(head.background(1 - similarity[:, c : c + 1]) for c in shown) / len(shown)
    npm[:, :1] = head.fusion(far)
    agm[:, :1] = network.agm.background(sum(p[:, 1:] for p in passes.values()) / len(shown))
    for c in shown:
        npm[:, c + 1] = head.foreground(similarity[:, c])
        agm[:, c + 1] = passes[c][:, 0]
    return head.scaler * npm, agm


def test_the_foreground_is_what_stage_one_says():
    network = tiny_stages().eval()
    first = network.previous.previous
    first.bank.rows[1] = torch.rand(8)
    episode = random_episode(batch=1)
    with torch.no_grad():
        query, reference = extract_prototypes(network, episode)
        for epoch, recalled in ((1, False), (2, True)):
            used = network.blend_with_bank(reference) if network.bank_in_use(epoch) else reference
            assert torch.equal(used.foreground, reference.foreground) != recalled
            logits = network.logits_at(query, used, SIZE)
            alone = first.extract_prototypes(
                first.encode(episode["support"]), episode["support_foreground"], episode["support_foreground"]
            )
            blended = first.blend_with_bank(alone) if first.bank_in_use(epoch) else alone
            expected = first.logits_at(first.encode(episode["query"]), blended, SIZE)
            torch.testing.assert_close(logits.coarse, expected.npm)


@pytest.mark.parametrize("size", [(33, 47), (50, 97)])
def test_any_size_gives_logits_at_that_size(size):
    network = tiny_stages().eval()
    with torch.no_grad():
        outputs = network(random_episode(batch=1, size=size), epoch=0)
    assert outputs.logits.npm.shape == (1, 7, *size) and outputs.logits.coarse.shape == (1, 2, *size)


def test_the_stages_survive_saving():
    network = tiny_stages()
    network.bank.rows.normal_()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    buffer.seek(0)
    other = tiny_stages(background="ucs")
    other.load_state_dict(torch.load(buffer, weights_only=True))
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_an_unknown_background_is_refused():
    with pytest.raises(ValueError, match="background 'none'"):
        tiny_stages(background="none")


def write_chain(path, way):
    network = tiny_stages(way, stages=(2, 4, 5))
    network.previous.previous.bank.rows[1] = 1.0
    network.bank.rows[1:3] = torch.rand(2, 8)
    settings = {"method": "pop", "encoder": network.encoder.name, "channels": 8, "way": way, "level": "high"}
    settings |= {"warmup_epochs": 1, "test_size": 64, "dataset": "toy"}
    content = {"settings": settings, "num_slots": 5, "class_names": NAMES, "trained_epoch": 3, "stage": 3}
    save_run(path, network, content)
    return network


@pytest.mark.parametrize("way", ["kway", "1way"])
def test_predict_and_released_files_take_the_three_stages(tmp_path, way):
    path, out = tmp_path / "pop.pt", tmp_path / "pop.safetensors"
    network = write_chain(path, way)
    export_released(path, out)
    image, label = picture((64, 48))
    for file in (path, out):
        opened = open_checkpoint(file).build()
        assert opened.stage == 3 and opened.previous.previous.num_slots == 2
        torch.testing.assert_close(opened.bank.rows, network.bank.rows, rtol=1e-3, atol=1e-3)
    parser = OneShotParser(path, "cpu")
    parser.set_reference(image, label, NAMES)
    parsed = parser.parse(image)
    assert parsed.labels.shape == label.shape and set(parsed.scores) == {1, 2, 3}
    with_bank = OneShotParser(path, "cpu", "bank").make_support(image, label, NAMES).prototypes
    plain = parser.support.prototypes
    assert not torch.equal(with_bank.foreground, plain.foreground)
    assert torch.equal(
        with_bank.classes.flatten(0, 1)[-1], plain.classes.flatten(0, 1)[-1]
    )  # "shoes" is not in the bank


def test_the_authors_stage_is_taken_and_kept_apart_from_eopnet(tmp_path):
    weights = standin_weights("pop_kway")
    path = tmp_path / "pop.pth"
    torch.save({f"module.{k}": v for k, v in weights.items()}, path)
    opened = open_checkpoint(path, num_slots=18, way="kway")
    network = opened.build()
    assert torch.equal(network.bank.rows, weights["prototype"]) and opened.stage == 3
    assert network.decoder.level == "high" and "without knowledge infusion" in " ".join(opened.notes)
    feature = torch.rand(1, 1, 256)
    assert torch.equal(network.blend_foreground(feature), feature)  # its bank holds no foreground
    with pytest.raises(ValueError, match="the network is eop_kway"):
        authors.convert(weights, "eop_kway", 18, "mid")
    with pytest.raises(UserError, match="pop_1way"):
        open_checkpoint(path, num_slots=18, way="1way")
