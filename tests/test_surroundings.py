"""Training photos in larger surroundings: what lies around a person goes on, and what does not is not taught."""

import numpy as np
import pytest
import torch

from dataloaders import catalog
from dataloaders.surroundings import GAP, GREY, LEAST_MARGIN, window
from dataloaders.training_photos import TrainingPhotos
from dataloaders.transforms import Sample
from tools.compositions import cut_out, set_small
from utils.constants import IGNORE

from .test_train_aop import FOLD_0

SIZE = (40, 30)


def sample(rows=slice(10, 30), columns=slice(10, 20)) -> Sample:
    """A person before columns and rows that are all of another colour."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(SIZE[0])[:, None], np.arange(SIZE[1])
    person = np.zeros(SIZE, np.uint8)
    person[rows, columns] = 1
    image[..., 2] = person * 255
    maps = torch.from_numpy(person)
    return Sample(torch.from_numpy(image).permute(2, 0, 1), maps * 4, maps, "one")


def test_margins_go_on_mirrored_and_hold_nobody():
    made = window(sample(), np.array([-30, -20]), (100, 70), surrounded=True)
    rows, columns = made.image[0, :, 0], made.image[1, 0]
    margin = 10 - GAP
    np.testing.assert_array_equal(rows[30:70], np.arange(40))
    np.testing.assert_array_equal(rows[30 - margin : 30].flip(0), np.arange(margin))
    np.testing.assert_array_equal(rows[30 - 2 * margin : 30 - margin], np.arange(margin)), "and back again"
    np.testing.assert_array_equal(columns[50 : 50 + margin], np.arange(29, 29 - margin, -1))
    assert (
        made.foreground.sum() == sample().foreground.sum() and (made.label == 4).sum() == (made.image[2] == 255).sum()
    )
    assert not (made.label == IGNORE).any(), "what goes on is background"


def test_a_margin_that_is_too_narrow_does_not_go_on():
    narrow = sample(rows=slice(GAP + LEAST_MARGIN - 1, 30))
    made = window(narrow, np.array([-10, 0]), (60, 30), surrounded=True)
    assert (made.image[:, :10] == GREY).all() and (made.label[:10] == IGNORE).all()
    assert not (made.label[50:] == IGNORE).any()


def test_a_window_inside_or_beyond_the_photo_is_grey_outside():
    whole = sample()
    cut = window(whole, np.array([5, 4]), (20, 20))
    assert torch.equal(cut.image, whole.image[:, 5:25, 4:24]) and torch.equal(cut.label, whole.label[5:25, 4:24])
    padded = window(whole, np.array([-2, -3]), (44, 36))
    assert torch.equal(padded.image[:, 2:42, 3:33], whole.image) and (padded.image[:, :2] == GREY).all()
    assert (padded.foreground[:, 33:] == IGNORE).all() and torch.equal(padded.foreground[2:42, 3:33], whole.foreground)


@pytest.mark.parametrize("share, smaller", [(0.0, False), (1.0, True)])
def test_people_are_small_as_often_as_asked_for(share, smaller, toy_root):
    spec = catalog.load("toy")
    options = {**FOLD_0, "fold": 1, "crop_size": (96, 96), "zoom": (1.0, 1.0), "surroundings": share}
    photos = TrainingPhotos(spec, catalog.locate(spec, toy_root), **options)
    heights = [(photo["foreground"] == 1).any(dim=1).sum().item() for photo in (photos[n] for n in range(8))]
    assert (np.mean(heights) < 64) == smaller
    photo = photos[0]
    height, there = photo["body"][0], (photo["foreground"][::4, ::4] == 1).any(dim=1).nonzero()[:, 0]
    assert abs(height[there[0], 0]) < 0.12 and abs(height[there[-1], 0] - 1) < 0.12, "the place follows the person"


def test_a_small_person_of_a_picture_takes_the_share_asked_for():
    rng = np.random.default_rng(0)
    photo, label, outline = rng.integers(0, 255, (100, 80, 3), dtype=np.uint8), np.zeros((100, 80), np.uint8), None
    label[10:90, 30:60] = 3
    outline = label > 0
    person = cut_out(photo, label, outline)
    assert person is not None
    image, labels = set_small(person, photo[:, :15], 0.4, rng)
    assert image.shape[:2] == labels.shape and labels.shape[0] == 200
    assert (labels == 3).sum() == outline.sum() and np.ptp(labels.any(axis=1).nonzero()[0]) == 79
