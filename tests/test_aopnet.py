"""AOPNet: features, matching, presence, and the pairs of a training batch."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from inference.adapting import adapt
from inference.references import blend_rows
from networks.aop_losses import aop_losses
from networks.aopnet import AOPNet
from networks.backbones import LITE0
from networks.decoding import class_scores, decode
from networks.fast.folding import fold_batch_norm
from networks.prototypes import Prototypes
from networks.rivals import blend_support, choose_rivals
from utils.rivals import UNKNOWN_BIAS, left_over, taken_pixels

SLOTS, PSEUDO = 5, 2


@pytest.fixture(scope="module")
def network() -> AOPNet:
    torch.manual_seed(0)
    return AOPNet(SLOTS, LITE0, channels=64, pseudo_classes=PSEUDO).eval()


def photos(count: int, height: int = 64, width: int = 48) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(1)).float()


def batch(count: int = 4) -> dict[str, torch.Tensor]:
    label = torch.zeros(count, 64, 48, dtype=torch.long)
    label[:, :20], label[:, 20:40, :24], label[: count // 2, 40:] = 1, 2, 3
    body = torch.rand(count, 2, 16, 12, generator=torch.Generator().manual_seed(2))
    return {"image": photos(count), "label": label, "foreground": (label > 0).long(), "body": body}


def test_a_step_gives_every_parameter_a_gradient_and_lowers_the_loss():
    torch.manual_seed(0)
    net, data = AOPNet(SLOTS, LITE0, channels=64, pseudo_classes=PSEUDO).train(), batch()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    totals = []
    for _ in range(6):
        optimizer.zero_grad()
        losses = aop_losses(net(data, 0), data)
        losses.total.backward()
        totals.append(losses.total.item())
        optimizer.step()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    assert totals[-1] < totals[0]


def test_a_rare_class_is_not_doubted_for_being_rare(network):
    """Where nothing is known of a class, its presence loss pulls as much up as down, however few photos have it."""
    data = batch(8)
    outputs = network(data, 0)
    logits = torch.zeros_like(outputs.match.presence, requires_grad=True)
    present = torch.zeros_like(outputs.present)
    present[:, 1], present[0, 2], present[:5, 3] = True, True, True  # in all, in one, in five of eight; 4 in none
    outputs = outputs._replace(
        match=outputs.match._replace(presence=logits), present=present, shown=torch.ones_like(outputs.shown)
    )
    aop_losses(outputs, data).presence.backward()
    pull = logits.grad.sum(dim=(0, 1))
    torch.testing.assert_close(pull, torch.zeros_like(pull), atol=1e-6, rtol=0)
    assert (logits.grad.abs().sum(dim=(0, 1)) > 0).tolist() == [False, True, True, False, False, False]
    logits.grad = None
    aop_losses(outputs, data, "question").presence.backward()
    pull = logits.grad.sum(dim=(0, 1))  # upwards where most photos have the class, downwards where few have it
    assert pull[0] < pull[2] < 0 < pull[1] < pull[3] and abs(pull.sum()) < 1e-6


def test_no_photo_supports_itself_and_the_last_support_is_a_mean_of_three(network):
    data = batch(8)
    data["label"][:] = 0
    for photo in range(8):  # each photo alone holds its class
        data["label"][photo, :32] = 1 + photo % 4
    shown = network(data, 0).shown
    assert shown.shape == (8, 3, SLOTS + PSEUDO)
    assert shown[:, :2].sum(dim=2).eq(1).all() and shown[:, 2].sum(dim=1).gt(1).any()
    alone = batch(2)
    alone["label"][0], alone["label"][1] = 1, 2
    outputs = network(alone, 0).shown
    assert outputs[0, :, 2].all() and not outputs[0, :, 1].any() and outputs[1, :, 1].all()


def test_a_class_that_the_support_lacks_never_wins(network):
    support, query = network.encode(photos(1)), network.encode(photos(2)[1:])
    label = torch.zeros(1, 64, 48, dtype=torch.long)
    label[:, :20], label[:, 20:40] = 1, 3
    prototypes = network.extract_prototypes(support, label, (label > 0).long())
    match = network.match(query, prototypes)
    assert set(match.logits.argmax(dim=1).unique().tolist()) <= {0, 1, 3}


@pytest.mark.parametrize("threshold", [0.0, 0.45, 1.0])
def test_evaluation_and_parsing_give_one_label_map(network, threshold):
    query = network.encode(photos(1))
    label = torch.zeros(1, 64, 48, dtype=torch.long)
    label[:, :20], label[:, 20:40], label[:, 40:] = 1, 2, 4
    prototypes = network.extract_prototypes(query, label, (label > 0).long())
    network.min_presence = threshold
    evaluated = network.predict(query, prototypes, (64, 48)).npm[0]
    maps = network.class_maps(query, prototypes)[0]
    parsed, _ = decode(maps, (class_scores([maps]) >= threshold) & prototypes.present[0, 1:], (64, 48))
    assert torch.equal(evaluated, parsed)
    assert threshold < 1.0 or not evaluated.any()


def test_what_a_rival_wins_is_background_in_evaluation_and_parsing(network):
    """The bank knows class 4, which the support lacks: its pixels are nobody's, and classes move towards the bank."""
    query = network.encode(photos(1))
    label = torch.zeros(1, 64, 48, dtype=torch.long)
    label[:, :20], label[:, 20:40] = 1, 2
    alone = network.extract_prototypes(query, label, (label > 0).long())
    network.bank.rows.zero_()
    network.bank.rows[4] = query.fine[0, :, 14].mean(dim=-1)
    network.bank.rows[2] = alone.classes[0, 2] + 0.1
    network.min_presence = 0.0
    with_bank = network.blend_with_bank(alone)
    torch.testing.assert_close(with_bank.classes[0, 2], alone.classes[0, 2] + 0.1 * network.bank_share)
    assert torch.equal(with_bank.classes[0, 1], alone.classes[0, 1])
    before, after = (network.match(query, one).logits[0] for one in (alone, with_bank))
    assert (after[0] >= before[0] - 1e-5).all() and (after[0] > before[0] + 0.1).any()
    assert after[4].max() < -100 and set(after.argmax(dim=0).unique().tolist()) <= {0, 1, 2}
    static = network.extract_prototypes(query, label, (label > 0).long(), 3)
    reference = blend_rows(network, static, [0, 2])._replace(rivals=network.bank.rows[[4]][None])
    evaluated = network.predict(query, network.blend_with_bank(alone), (64, 48)).npm[0]
    maps = network.class_maps(query, reference)[0]
    assert torch.equal(evaluated, decode(maps, class_scores([maps]) >= 0, (64, 48))[0])


def test_a_rival_that_is_one_of_the_reference_s_own_classes_is_left_out(network):
    with torch.no_grad():
        network.coarse.bias.copy_(torch.tensor([-50.0, 50.0]))
    query = network.encode(photos(1))
    label = torch.zeros(1, 64, 48, dtype=torch.long)
    label[:, :20], label[:, 20:40] = 1, 2
    fine = torch.zeros_like(query.fine)
    fine[:, 0, :5], fine[:, 1, 5:10], fine[:, 2, 10:] = 1, 1, 1
    query = query._replace(fine=fine, guide=None)
    static = network.extract_prototypes(query, label, (label > 0).long(), 3)
    network.bank.rows.zero_()
    network.bank.rows[1, 1], network.bank.rows[3, 2], network.bank.rows[4, 0] = 1, 1, 1  # class 2, none, class 1
    seen = [(query, label[0].numpy())]
    assert choose_rivals(network, seen, [1, 3, 4], [1, 2], static) == [3]
    assert choose_rivals(network, seen, [1, 3, 4], [1], static) == [1, 3]  # class 2 is known by its name
    # Of the class 7 takes 12 of 100 pixels, which are a quarter of its own; 8 as many, but has far more elsewhere;
    # 9 takes too few. 11 and 12 are like it: 11 is seen nowhere, 12 elsewhere alone.
    few = np.array([[70, 0], [12, 36], [12, 88], [6, 0], [0, 0], [0, 50]])
    own, others = np.array([[1.0, 0.0]]), np.array([[0, 1], [0, 1], [0, 1], [3, 1], [3, 1]])
    assert left_over(few, own, others, [7, 8, 9, 11, 12]) == [8, 9, 12]
    static = network.extract_prototypes(query, label, (label > 0).long())
    network.bank.rows[1], network.bank.rows[2] = network.bank.rows[2], network.bank.rows[1].clone()
    blended = blend_support(network, static, query, label, 0)
    rivals = blended.rivals
    assert rivals is not None and (rivals[0] != 0).any(dim=1).nonzero()[:, 0].tolist() == [3]  # 2 is known, 4 is like 1
    assert blended.presence_bias is not None and blended.presence_bias.nonzero().tolist() == [[0, 1]]
    doubted = blended._replace(presence_bias=None)
    gained = network.match(query, blended).presence - network.match(query, doubted).presence
    torch.testing.assert_close(gained, UNKNOWN_BIAS * F.one_hot(torch.tensor([0]), gained.shape[1]).float())


def test_pixels_are_counted_by_winner_and_class():
    labels = np.array([[4, 4, 9, 0], [4, 7, 255, -1]])
    won = np.array([[0, 1, 1, 1], [1, 2, 2, 2]])
    assert taken_pixels(won, labels, [4, 7], 2).tolist() == [[1, 0, 0], [2, 0, 2], [0, 1, 0]]


def test_photos_of_odd_sizes_keep_their_size(network):
    for height, width in ((33, 90), (65, 97), (16, 16)):
        features = network.encode(photos(1, height, width))
        assert features.fine.shape[-2:] == features.coarse.shape[-2:] == (-(-height // 4), -(-width // 4))


def test_a_photo_of_any_size_is_seen_as_one_that_fills_the_cells(network):
    image = photos(1, 65, 97)
    filled = torch.nn.functional.pad(image, (0, 31, 0, 31), mode="replicate")
    own, whole = network.encode(image), network.encode(filled)
    for part, of in ((own.fine, whole.fine), (own.coarse, whole.coarse)):
        np.testing.assert_allclose(part.detach(), of[..., :17, :25].detach(), atol=1e-4)


def test_folded_batch_norm_gives_the_same_features():
    torch.manual_seed(0)
    net = AOPNet(SLOTS, LITE0, channels=64).eval()
    before = net.encode(photos(1)).fine
    fold_batch_norm(net)
    np.testing.assert_allclose(net.encode(photos(1)).fine.detach(), before.detach(), atol=1e-4)


def test_presence_does_not_depend_on_the_order_of_the_classes(network):
    query = network.encode(photos(1))
    label = torch.randint(1, 4, (1, 64, 48), generator=torch.Generator().manual_seed(3))
    prototypes = network.extract_prototypes(query, label, (label > 0).long())
    order = [0, 3, 1, 2, 4]
    turned = prototypes._replace(classes=prototypes.classes[:, order], present=prototypes.present[:, order])
    first, second = (network.match(query, one).presence[0] for one in (prototypes, turned))
    np.testing.assert_allclose(first[[2, 0, 1, 3]].detach(), second.detach(), atol=1e-5)


def test_turned_prototypes_parse_the_reference_better_and_stay_near(network):
    features = network.encode(photos(1))
    label = torch.randint(0, 4, (16, 12), generator=torch.Generator().manual_seed(4))
    label[:, 0] = -1  # does not count
    foreground = (label > 0).long()
    before = network.extract_prototypes(features, label[None], foreground[None], slots=4)
    after = adapt(network, [(features, label)], before, [1, 2, 3])

    def loss(prototypes: Prototypes) -> float:
        logits = network.logits(features, prototypes).npm[0]
        return torch.nn.functional.cross_entropy(logits.flatten(1).T[label.flatten() > 0], label[label > 0]).item()

    assert loss(after) < loss(before)
    assert torch.nn.functional.cosine_similarity(after.classes[:, 1:], before.classes[:, 1:], dim=-1).min() > 0.3
    assert torch.equal(after.present, before.present) and not after.classes.requires_grad
    nobody = (features, torch.zeros_like(label))  # a further reference that shows no class
    torch.testing.assert_close(adapt(network, [(features, label), nobody], before, [1, 2, 3]).classes, after.classes)
    some = adapt(network, [(features, label)], before, [2])
    assert [torch.equal(some.classes[:, slot], before.classes[:, slot]) for slot in (1, 2, 3)] == [True, False, True]
