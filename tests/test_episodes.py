"""Episodes: what they hold, how they are drawn, and that bad files are named."""

import dataclasses
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from dataloaders import catalog
from dataloaders.batches import EpisodeBatches
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.split import Split
from dataloaders.transforms import DecodedPhoto, random_scaled_crop, scaled_crop
from utils.errors import UserError

from .data_helpers import label_map, make_data, mirror, read, save_image, save_label
from .goldens import write_atr_lists

KEYS = {"query", "query_label", "query_foreground", "support", "support_label", "support_foreground"}


@pytest.fixture(scope="module")
def atr(tmp_path_factory):
    return make_data(catalog.load("atr"), tmp_path_factory.mktemp("data") / "ATR_OS")


@pytest.fixture
def own_atr(tmp_path):
    return make_data(catalog.load("atr"), tmp_path / "ATR_OS")


def train(root, name="atr", **options):
    options = {"fold": 1, "way": "kway", "crop_size": (32, 24), "scale": (0.5, 1.5)} | options
    return TrainEpisodes(catalog.load(name), root, **options)


def test_sample_holds_merged_labels_and_the_foreground_of_the_raw_ones(atr):
    split = Split(catalog.load("atr"), atr, "train")
    sample, raw = split.load(0), read(atr / "trainval_classes" / "train_000.png")
    assert sample.image.dtype == torch.uint8 and sample.image.shape == (3, *raw.shape)
    assert np.array_equal(sample.label, catalog.load("atr").merge_table()[raw])
    assert np.array_equal(sample.foreground, raw > 0), "a scarf is dropped from the classes, but is foreground"
    pixels = np.array(Image.open(atr / "trainval_images" / "train_000.jpg"))
    assert np.array_equal(sample.image.permute(1, 2, 0), pixels), "RGB"


def test_ignored_pixels_stay_ignored(own_atr):
    label = label_map(18, 0)
    label[:5] = 255
    save_label(own_atr / "trainval_classes" / "train_000.png", label)
    sample = Split(catalog.load("atr"), own_atr, "train").load(0)
    assert (sample.label[:5] == 255).all() and (sample.foreground[:5] == 255).all()


def test_mirrored_label_file_is_used_where_it_stands(own_atr):
    spec, split = catalog.load("atr"), Split(catalog.load("atr"), own_atr, "train")
    plain, without = split.load(0), split.load(0, mirrored=True)
    assert torch.equal(without.image, plain.image.flip(-1)) and torch.equal(without.label, plain.label.flip(-1))
    mirrored = mirror(spec, read(own_atr / "trainval_classes" / "train_000.png"))
    save_label(own_atr / "Category_rev_ids" / "train_000.png", mirrored)
    assert torch.equal(split.load(0, mirrored=True).label, without.label)
    save_label(own_atr / "Category_rev_ids" / "train_000.png", np.full_like(mirrored, 16))
    assert (split.load(0, mirrored=True).label == 16).all()


def test_kway_episode_hides_novel_classes(atr):
    for episode in train(atr):
        assert set(episode) == KEYS | {"class_id", "query_id", "support_id"}
        assert all(episode[key].dtype == torch.uint8 and episode[key].is_contiguous() for key in KEYS)
        assert episode["query"].shape == (3, 32, 24) and episode["support_foreground"].shape == (32, 24)
        assert episode["class_id"] == 0
        base = {*catalog.load("atr").base_classes(1), 255}
        assert set(episode["query_label"].unique().tolist()) <= base
        hidden = (episode["query_label"] == 0) & (episode["query_foreground"] == 1)
        assert hidden.any(), "novel and dropped classes are foreground without a label"


def test_hidden_pixels_of_the_query_alone_may_be_ignored(atr):
    plain, ignoring = train(atr), train(atr, unlabelled_person="ignore")
    ignored = 0
    for index in range(len(plain)):
        one, other = plain[index], ignoring[index]
        for key in KEYS - {"query_label"}:
            assert torch.equal(one[key], other[key]), key
        unknown = (one["query_label"] == 0) & (one["query_foreground"] == 1)
        assert (other["query_label"][unknown] == 255).all()
        assert torch.equal(other["query_label"][~unknown], one["query_label"][~unknown])
        ignored += int(unknown.sum())
    assert ignored


def test_hidden_pixels_of_both_photos_may_be_one_more_class(atr):
    plain, telling = train(atr), train(atr, unlabelled_person="class")
    spare = catalog.load("atr").spare_slot()
    assert spare not in catalog.load("atr").classes and 0 < spare < catalog.load("atr").num_slots
    for index in range(len(plain)):
        one, other = plain[index], telling[index]
        for who in ("query", "support"):
            unknown = (one[f"{who}_label"] == 0) & (one[f"{who}_foreground"] == 1)
            assert unknown.any() and (other[f"{who}_label"][unknown] == spare).all()
            assert torch.equal(other[f"{who}_label"][~unknown], one[f"{who}_label"][~unknown])


def test_hidden_pixels_need_a_slot_to_be_a_class(atr):
    spec = catalog.load("atr")
    full = dataclasses.replace(spec, classes=tuple(range(spec.num_slots)))
    with pytest.raises(UserError, match="every label is a class"):
        full.spare_slot()


def test_1way_episode_is_binary(atr):
    episodes = train(atr, way="1way", scale=(1, 1), crop_size=(48, 40))
    assert sorted(set(episodes.class_ids)) == list(catalog.load("atr").base_classes(1)[1:])
    for index in (0, len(episodes) - 1):
        assert set(episodes[index]["support_label"].unique().tolist()) == {0, 1}
        assert episodes[index]["class_id"] == episodes.class_ids[index]


def test_published_training_scheme(tmp_path):
    write_atr_lists(tmp_path)
    kway = train(tmp_path)
    assert [pair.query for pair in kway.pairs] == list(range(7500))
    assert min(pair.support for pair in kway.pairs) >= 7500
    oneway = train(tmp_path, way="1way")
    assert Counter(oneway.class_ids) == {1: 1384} | dict.fromkeys((2, 4, 9, 11, 12, 14, 16), 1500)
    supports = oneway.split.supports
    assert all(pair.support in set(supports.supports(pair.class_id)) for pair in oneway.pairs[::500])


def test_supports_are_drawn_once_or_every_epoch(atr):
    fixed, drawn = train(atr), train(atr, resample_supports=True)
    first = list(fixed.pairs), list(drawn.pairs)
    for episodes in (fixed, drawn):
        episodes.set_epoch(1)
    assert fixed.pairs == first[0] and drawn.pairs != first[1]
    assert first[1] == first[0] == train(atr).pairs != train(atr, seed=1).pairs


@pytest.mark.parametrize("way", ["kway", "1way"])
def test_ccp_draws_every_image_and_never_itself(tmp_path, way):
    episodes = train(make_data(catalog.load("ccp"), tmp_path), "ccp", way=way, resample_supports=True)
    drawn = set()
    for epoch in range(100):
        episodes.set_epoch(epoch)
        assert all(pair.query != pair.support for pair in episodes.pairs)
        drawn |= {(pair.query, pair.support) for pair in episodes.pairs}
    assert len(drawn) == 12 * 11


def test_workers_change_no_bit_and_see_the_epoch(atr):
    episodes = train(atr, resample_supports=True)
    loader = DataLoader(episodes, batch_size=2, num_workers=2, persistent_workers=True)
    seen = []
    for epoch in (0, 1):
        episodes.set_epoch(epoch)
        batches = list(loader)
        alone = [episodes[i] for i in range(len(episodes))]
        assert torch.equal(torch.cat([b["query"] for b in batches]), torch.stack([e["query"] for e in alone]))
        assert [i for b in batches for i in b["support_id"]] == [e["support_id"] for e in alone]
        seen.append(torch.cat([b["query"] for b in batches]))
    assert not torch.equal(*seen)


def test_test_episodes_are_whole(atr):
    episodes = TestEpisodes(catalog.load("atr"), atr, way="kway")
    episode, pair = episodes[150], episodes.pairs[150]
    raw = read(atr / "trainval_classes" / f"{episode['query_id']}.png")
    assert np.array_equal(episode["query_label"], catalog.load("atr").merge_table()[raw])
    assert episode["query_id"] == episodes.split.ids[pair.query] and episode["class_id"] == 0
    binary = TestEpisodes(catalog.load("atr"), atr, way="1way")[150]
    assert binary["class_id"] == pair.class_id == 7
    assert np.array_equal(binary["query_label"], raw == 7)
    assert episodes.list.reused == 11 * 10 - 4 + 11 * 150 - 4


def test_batches_hold_one_class_over_all_ranks(tmp_path):
    episodes = train(make_data(catalog.load("atr"), tmp_path, train=14), way="1way")
    ranks = [EpisodeBatches(episodes, 2, seed=3, rank=rank, world=2) for rank in (0, 1)]
    steps = list(zip(*ranks, strict=True))
    assert len(steps) == len(ranks[0]) == 8, "seven queries of each class make one joint batch of four"
    for step in steps:
        joint = [i for part in step for i in part]
        assert len(joint) == len(set(joint)) == 4 and len(set(episodes.class_ids[joint])) == 1


def test_batches_are_shuffled_by_epoch_and_can_start_late(atr):
    batches = EpisodeBatches(train(atr), 2)
    first = list(batches)
    batches.set_epoch(1)
    second = list(batches)
    assert first != second and len(batches) == len(second) == 2
    batches.set_epoch(1, start_batch=1)
    assert list(batches) == second[1:] and len(batches) == 2
    assert len(list(EpisodeBatches(train(atr), 8))) == 1, "the only batch is filled up rather than left out"


def test_crop_pads_at_the_right_and_bottom():
    photo = DecodedPhoto(torch.ones(3, 4, 9, dtype=torch.uint8), np.ones((4, 9), np.uint8), "x")
    padded = random_scaled_crop(photo, (1, 1), (6, 5), np.random.default_rng(0))
    assert padded.image[:, :4].eq(1).all() and padded.image[:, 4:].eq(0).all()
    assert (padded.raw[:4] == 1).all() and (padded.raw[4:] == 255).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_crop_of_the_resized_photo_is_what_resizing_and_cropping_give(mirrored):
    rng = np.random.default_rng(0)
    for _ in range(20):
        height, width = rng.integers(20, 60, 2)
        photo = noise_photo(rng, int(height), int(width), mirrored)
        whole = (int(height * rng.uniform(0.5, 2)), int(width * rng.uniform(0.5, 2)))
        corner = tuple(int(rng.integers(0, max(w - s, 0) + 1)) for w, s in zip(whole, (32, 24), strict=True))
        crop = scaled_crop(photo, whole, corner, (32, 24))
        image, raw = photo.image, torch.from_numpy(photo.raw)[None]
        if mirrored:
            image, raw = image.flip(-1), raw.flip(-1)
        image = functional.resize(image, list(whole), antialias=True)
        raw = functional.resize(raw, list(whole), InterpolationMode.NEAREST_EXACT)[0]
        rows, columns = (slice(c, c + s) for c, s in zip(corner, (32, 24), strict=True))
        expected, labels = image[:, rows, columns], raw[rows, columns]
        h, w = labels.shape
        assert (crop.image[:, :h, :w].int() - expected.int()).abs().max() <= int(mirrored), "a mirrored sum may round"
        assert torch.equal(torch.from_numpy(crop.raw)[:h, :w], labels)
        assert crop.image[:, h:].eq(0).all() and (crop.raw[:, w:] == 255).all()


def noise_photo(rng, height, width, mirrored) -> DecodedPhoto:
    """A photo of noise with a label map of noise."""
    image = torch.from_numpy(rng.integers(0, 255, (height, width, 3), dtype=np.uint8)).permute(2, 0, 1)
    return DecodedPhoto(image, rng.integers(0, 18, (height, width), dtype=np.uint8), "x", mirrored, mirrored)


def test_resized_labels_lie_where_the_photo_does():
    edge = torch.zeros(8, 64, dtype=torch.uint8)
    edge[:, 33:] = 1
    photo = DecodedPhoto((edge * 255).expand(3, -1, -1), edge.numpy(), "x")
    small = scaled_crop(photo, (4, 17), (0, 0), (4, 17))
    assert torch.equal(small.image[0] > 127, torch.from_numpy(small.raw).bool())


def test_unknown_way_fold_and_split_are_told(atr):
    with pytest.raises(UserError, match="no way '2way'"):
        train(atr, way="2way")
    with pytest.raises(UserError, match="no fold 3"):
        train(atr, fold=3)
    with pytest.raises(UserError, match="no split 'dev'"):
        Split(catalog.load("atr"), atr, "dev")


def breakages(root):
    """Name of the file at fault, and what breaks it."""
    label, photo = root / "trainval_classes" / "train_000.png", root / "trainval_images" / "train_000.jpg"
    good = label_map(18, 0)
    return [
        (photo, photo.unlink),
        (photo, lambda: photo.write_bytes(b"no jpeg")),
        (photo, lambda: (save_image(photo, 0, (200, 200)), photo.write_bytes(photo.read_bytes()[:900]))),
        (label, label.unlink),
        (label, lambda: save_label(label, good[:-1])),
        (label, lambda: save_label(label, np.where(good == 4, 18, good).astype(np.uint8))),
        (label, lambda: save_label(label, np.stack([good] * 3, -1))),
        (label, lambda: save_label(label, good.astype(np.uint16))),
    ]


@pytest.mark.parametrize("case", range(8))
def test_bad_file_is_named(own_atr, case):
    path, spoil = breakages(own_atr)[case]
    spoil()
    with pytest.raises(UserError) as caught:
        Split(catalog.load("atr"), own_atr, "train").load(0)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_palette_label_is_read_by_index(own_atr):
    path = own_atr / "trainval_classes" / "train_000.png"
    picture = Image.open(path).copy()
    picture.putpalette([v for rgb in catalog.load("atr").palette for v in rgb])
    picture.save(path)
    assert Image.open(path).mode == "P"
    assert set(Split(catalog.load("atr"), own_atr, "train").load(0).label.unique().tolist()) == set(
        catalog.load("atr").classes
    )


@pytest.mark.parametrize("content", [None, "", "../train_000\n"])
def test_bad_list_is_named(own_atr, content):
    path = own_atr / "list" / "meta_train_id.txt"
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(UserError, match=r"meta_train_id.txt"):
        train(own_atr)


def test_missing_folder_and_index_are_named(own_atr, tmp_path):
    with pytest.raises(UserError, match="prepare ATR-OS first"):
        train(tmp_path / "nothing")
    (own_atr / "support" / "meta_train_atr_supports.pkl").unlink()
    train(own_atr)  # k-way training draws from all images and needs no index
    with pytest.raises(UserError, match=r"meta_train_atr_supports.pkl"):
        train(own_atr, way="1way")


def test_class_with_one_image_cannot_be_trained_1way(tmp_path):
    root = make_data(catalog.load("ccp"), tmp_path)
    path = root / "support" / "meta_train_ccp_supports.pkl"
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | {1: [3], 13: [3]}))
    with pytest.raises(UserError, match="too few images of hat"):
        train(root, "ccp", way="1way")


def test_a_query_whose_class_has_no_other_support_cannot_be_trained_1way(own_atr):
    path = own_atr / "support" / "meta_train_atr_supports.pkl"
    spec = catalog.load("atr")
    hat = spec.base_classes(1)[1]
    only = {hat: [0, 5], hat + spec.num_slots - 1: [5]}
    path.write_bytes(pickle.dumps(pickle.loads(path.read_bytes()) | only))
    with pytest.raises(UserError, match="too few images of"):
        train(own_atr, way="1way")
