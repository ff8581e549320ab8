"""The winning slots found at little cost are those of the logits at full size."""

import pytest
import torch

from networks.decoding import shown_winner
from networks.prototypes import cosine_similarity

from .samples import random_episode, tiny_network, tiny_stages

SIZE = (65, 49)
NETWORKS = {
    "eop kway": lambda: tiny_network(),
    "eop 1way": lambda: tiny_network("1way"),
    "pop fixed": lambda: tiny_stages(),
    "pop ucs": lambda: tiny_stages(background="ucs"),
}


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("bias", [0.0, 0.6])
def test_labels_are_the_winners_of_the_parse(kind, bias):
    network = NETWORKS[kind]().double().eval()
    if network.way == "kway":
        network.npm.foreground.bias.data.fill_(bias)  # at 0.6 an absent class beats the background
    episode = random_episode(network.way, batch=4)
    query, support = episode["query"][:1].double(), episode["support"].double()
    with torch.no_grad():
        reference = network.extract_prototypes(
            network.encode(support), episode["support_label"], episode["support_foreground"]
        )
        assert not reference.present[:, 1:].all() or network.way == "1way"
        features = network.encode(query)
        if network.way == "1way":
            network.npm.set_threshold(cosine_similarity(features.fine, reference.classes).median().item())
        found = network.predict(features, reference, SIZE, with_agm=True)
        logits = network.logits_at(features, reference, SIZE, with_agm=True)
    human = logits.coarse.argmax(dim=1)
    assert torch.equal(found.human, human.bool())
    assert torch.equal(found.npm, logits.npm.argmax(dim=1) * human)
    assert torch.equal(found.agm, logits.agm.argmax(dim=1) * human)
    assert len(found.npm.unique()) > 1


def test_the_first_absent_class_stands_for_all_of_them():
    logits = torch.full((1, 5, 2, 2), -1.0)
    logits[0, 1] = logits[0, 3] = logits[0, 4] = 2.0
    present = torch.tensor([[False, True, False, False]])
    assert (shown_winner(logits, present, (4, 4)) == 1).all()
    logits[0, 2] = 3.0
    assert (shown_winner(logits, present, (4, 4)) == 2).all()
