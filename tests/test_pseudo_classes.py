"""Parts of people that no base class names are told apart by place and look."""

import numpy as np
import pytest
import torch

from dataloaders import catalog
from dataloaders.pseudo_classes import Parts, cluster, parts_of, pseudo_map
from dataloaders.training_photos import TrainingPhotos
from engine.looks import look_of
from utils.constants import IGNORE
from utils.errors import UserError

from .devices import on_each_device


def person(hidden_rows: slice) -> tuple[np.ndarray, np.ndarray]:
    """The label map and foreground of a person whose head has class 1, and a part of the body no name."""
    label, foreground = np.zeros((60, 40), np.uint8), np.zeros((60, 40), np.uint8)
    label[2:10, 15:25], foreground[2:10, 15:25], foreground[hidden_rows, 10:30] = 1, 1, 1
    label[50:58, 10:30], foreground[50:58, 10:30] = 2, 1
    return label, foreground


def look(hidden: tuple[float, float], head: float) -> list[torch.Tensor]:
    """A feature map of three channels: a head that differs from photo to photo in the first, and a body."""
    values = torch.zeros(3, 60, 40)
    values[2] = 1.0
    values[0, :10], values[0, 10:50], values[1, 10:50] = head, *hidden
    return [values]


def test_regions_have_their_class_their_pixels_and_no_specks():
    label, foreground = person(slice(10, 30))
    foreground[35, 5] = 1  # a single pixel
    found = parts_of(label, foreground)
    assert len(found.unlabelled) == 1 and [class_id for class_id, _ in found.named] == [1, 2]
    pixels, signs = found.unlabelled[0]
    assert len(pixels[0]) == 20 * 20 - 4 and len(signs) == 5  # the cross takes the corners
    assert len(parts_of(label, foreground, look((0, 0), 0.0)).unlabelled[0].signs) == 8


def test_what_differs_within_a_base_class_does_not_tell_parts_apart():
    """The hidden parts differ much in what a head differs in too, such as colour, and less in something else."""
    kinds, photos = [0, 0, 1, 1] * 3, []
    for number, kind in enumerate(kinds):
        colour = 1.0 if number % 2 else -1.0
        photos.append(parts_of(*person(slice(10, 30)), look((colour, kind), head=colour)))

    def kinds_are_apart(by_look: bool) -> bool:
        found = [chosen[0] for chosen in cluster(photos, 2, by_look)]
        return [one == found[0] for one in found] == [kind == 0 for kind in kinds]

    assert kinds_are_apart(by_look=True) and not kinds_are_apart(by_look=False)


def test_without_looks_the_place_tells_parts_apart():
    photos = [parts_of(*person(rows)) for rows in (slice(10, 25), slice(30, 48)) * 4]
    found = cluster(photos, 2, by_look=False)
    assert len({*(chosen[0] for chosen in found[::2])}) == 1 and found[0] != found[1]
    assert all(len(chosen) == 1 for chosen in found), "base classes have no pseudo-class"
    slots = pseudo_map((60, 40), photos[0], found[0], first=7)
    assert (slots[11:24, 11:29] == 7 + found[0][0]).all() and (slots[50:] == IGNORE).all()
    assert cluster([Parts([], [])] * 2, 2, by_look=True) == [[], []]


def test_a_training_photo_is_sorted_by_what_the_encoder_sees(toy_root):
    spec = catalog.load("toy")
    seen = []

    def counted(photo: torch.Tensor) -> list[torch.Tensor]:
        seen.append(photo.shape)
        return [photo.float().mean(dim=0, keepdim=True)]

    photos = TrainingPhotos(
        spec,
        catalog.locate(spec, toy_root),
        fold=1,
        crop_size=(64, 48),
        zoom=(1.0, 1.0),
        pseudo_classes=2,
        look=counted,
    )
    assert len(seen) == len(photos) and all(shape[0] == 3 for shape in seen)
    held = {int(slot) for number in range(len(photos)) for slot in photos[number]["label"].unique()}
    assert held & {spec.num_slots, spec.num_slots + 1}


@on_each_device
def test_an_encoder_looks_with_its_own_weights_or_not_at_all(name, monkeypatch, capsys):
    device = torch.device(name)
    assert look_of("tf_efficientnet_lite0", "none", device) is None
    sees = look_of("tf_efficientnet_lite0", "encoder", device)
    maps = sees(torch.randint(0, 256, (3, 90, 60), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)))
    assert [m.shape[0] for m in maps] == [112, 320] and all(m.shape[1] > m.shape[2] for m in maps)
    assert all(torch.allclose(m.norm(dim=0), torch.ones(m.shape[1:]), atol=1e-4) for m in maps)

    def lacking(_: object) -> str:
        raise UserError("no weights")

    monkeypatch.setattr("engine.looks.encoder_weights", lacking)
    assert look_of("tf_efficientnet_lite0", "runs/some.pt", device) is None
    assert "by place and size alone: no weights" in capsys.readouterr().out


@pytest.mark.parametrize("count", [1, 30])
def test_few_regions_or_one_pseudo_class_need_no_clusters(count):
    photos = [parts_of(*person(slice(10, 30)))]
    assert cluster(photos, count, by_look=False) == [[0]]


def test_few_regions_are_a_pseudo_class_each():
    photos = [parts_of(*person(slice(10, 30))), parts_of(*person(slice(20, 40)))]
    assert cluster(photos, 2, by_look=False) == [[0], [1]]
