"""OneShotParser: any classes, several references, 1-way, bank, sizes, kinds of images, and bad input."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from inference import references
from inference.annotations import marked
from inference.labelled import check_labels
from inference.parsing import ClassInfo, Parsing
from inference.self_check import poorly_parsed
from inference.tiles import tiles
from networks.decoding import Maps
from networks.prototypes import cosine_similarity
from predict import OneShotParser
from utils.errors import UserError
from utils.imaging import resize_longest, to_rgb

from .own_photos import SIZE, network, picture, write_checkpoint


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    return {way: write_checkpoint(folder / f"{way}.pt", way) for way in ("kway", "1way")}


@pytest.fixture(scope="module")
def kway(checkpoints):
    return OneShotParser(checkpoints["kway"], "cpu")


@pytest.fixture(scope="module")
def binary(checkpoints):
    return OneShotParser(checkpoints["1way"], "cpu")


def test_the_result_is_what_the_network_says(kway):
    """With the data set's own ids, and photos at the network's size, the parse is that of the evaluation."""
    image, label = picture()
    query, _ = picture(seed=1)
    net = network()
    with torch.inference_mode():
        photos = torch.stack([torch.from_numpy(p).permute(2, 0, 1) for p in (image, query)])
        support, query_features = (net.encode(photo[None]) for photo in photos)
        labels = torch.from_numpy(label)[None].long()
        logits = net.logits_at(query_features, net.extract_prototypes(support, labels, (labels > 0).long()), SIZE)
    # The network has a slot for a class 4 that the reference lacks; the parser has none, at the same background.
    expected = logits.npm[:, :4].argmax(dim=1)[0].numpy()
    kway.set_reference(image, label)
    assert (kway.parse(query).labels == expected).mean() > 0.999
    assert len(np.unique(expected)) > 2


@pytest.mark.parametrize("parser", ["kway", "binary"])
def test_the_reference_finds_itself_whatever_the_ids(parser, request):
    parser = request.getfixturevalue(parser)
    image, label = picture()
    parser.set_reference(image, label)
    plain = parser.parse(image)
    table = np.array([0, 3, 200, 4464])
    parser.set_reference(image, table[label], {200: "coat"})
    sparse = parser.parse(image)
    assert (sparse.labels == table[plain.labels]).all() and sparse.labels.dtype == np.uint16
    assert [c.name for c in sparse.classes] == ["class 3", "coat", "class 4464"]
    # A 1-way network with random weights may call all pixels background; a k-way one tells the bands apart.
    if parser.network.way == "kway":
        assert (plain.labels == label)[label > 0].mean() > 0.7


def test_a_mask_whose_name_has_the_id_of_what_does_not_count_takes_another(kway):
    image, label = picture()
    support = kway.make_support(image, {"hat": label == 1, "coat": label == 2}, {255: "hat", 2: "coat"})
    assert [(c.id, c.name) for c in support.classes] == [(1, "hat"), (2, "coat")]


def test_the_highest_id_is_drawn_too():
    labels = np.full((4, 4), 65535, np.uint16)
    top = Parsing(
        np.zeros((4, 4, 3), np.uint8), labels, labels > 0, {65535: 1.0}, (ClassInfo(65535, "hat", (9, 8, 7)),)
    )
    assert np.array_equal(top.overlay(1.0, legend=False), np.full((4, 4, 3), (9, 8, 7)))


def test_any_number_of_classes(kway):
    image, _ = picture()
    label = np.arange(SIZE[0] * SIZE[1]).reshape(SIZE) // 16
    parser_support = kway.make_support(image, np.where(label == 255, 0, label))
    assert len(parser_support.classes) == SIZE[0] * SIZE[1] // 16 - 2
    assert kway.parse(image, parser_support).labels.shape == SIZE


def test_masks_by_name_are_the_same_as_an_index_map(kway):
    image, label = picture()
    masks = {"shoes": label == 3, "hat": label == 1, "coat": label == 2}
    by_map = kway.make_support(image, label)
    by_mask = kway.make_support(image, masks, {1: "hat", 2: "coat", 3: "shoes"})
    assert [c.id for c in by_mask.classes] == [1, 2, 3] and by_mask.classes[2].name == "shoes"
    torch.testing.assert_close(by_map.prototypes.classes, by_mask.prototypes.classes)
    unnamed = kway.make_support(image, masks)
    assert [(c.id, c.name) for c in unnamed.classes] == [(1, "shoes"), (2, "hat"), (3, "coat")]


@pytest.mark.parametrize("inside, outside", [(0.9, 0.05), (1, 0), (230, 12), (7, 0), (255.0, 20.0)])
def test_masks_of_numbers_count_above_half_of_their_range(kway, inside, outside):
    image, label = picture()
    masks = {name: np.where(label == i, inside, outside) for i, name in enumerate(("hat", "coat", "shoes"), 1)}
    absent = np.full(SIZE, 0.05)
    support = kway.make_support(image, {**masks, "bag": absent})
    assert [c.name for c in support.classes] == ["hat", "coat", "shoes"]
    torch.testing.assert_close(support.prototypes.classes, kway.make_support(image, label).prototypes.classes)
    assert marked(np.array([[0, 1, 2, 3]])).tolist() == [[False, True, True, True]], "numbers of instances"


def test_several_references_average_each_class_over_those_that_hold_it(kway):
    (a, label), (b, _) = picture(), picture(seed=1)
    only_first = np.where(label == 3, 0, label)
    one, two = kway.make_support(a, label), kway.make_support(b, only_first)
    both = kway.make_support([a, b], [label, only_first])
    mean = (one.prototypes.classes[0, 1:][:2] + two.prototypes.classes[0, 1:]) / 2
    torch.testing.assert_close(both.prototypes.classes[0, 1:][:2], mean)
    torch.testing.assert_close(both.prototypes.classes[0, 1:][2], one.prototypes.classes[0, 1:][2])
    torch.testing.assert_close(both.prototypes.foreground, (one.prototypes.foreground + two.prototypes.foreground) / 2)


def test_ignored_pixels_do_not_count(kway):
    image, label = picture()
    ignored = label.copy()
    ignored[40:50, 20:40] = 255
    whole, without = kway.make_support(image, label), kway.make_support(image, ignored)
    assert [c.id for c in without.classes] == [1, 2, 3]
    assert not torch.allclose(whole.prototypes.classes[0, 1:][1], without.prototypes.classes[0, 1:][1])


@pytest.mark.parametrize("parser", ["kway", "binary"])
def test_photos_together_and_alone(parser, request):
    parser = request.getfixturevalue(parser)
    parser.set_reference(*picture())
    photos = [picture(seed=i)[0] for i in range(5)] + [picture((50, 90), seed=9)[0]]
    together = parser.parse(photos)
    for photo, parsing in zip(photos, together, strict=True):
        alone = parser.parse(photo)
        assert parsing.labels.shape == photo.shape[:2] and (alone.labels == parsing.labels).mean() > 0.999
        assert alone.scores == pytest.approx(parsing.scores, abs=1e-4)


def test_a_1way_class_is_judged_as_the_network_judges_it(checkpoints):
    image, label = picture()
    net, parser = network("1way"), OneShotParser(checkpoints["1way"], "cpu")
    with torch.no_grad():
        features = net.encode(torch.from_numpy(image).permute(2, 0, 1)[None])
        one = torch.from_numpy(label == 2)[None].long()
        prototypes = net.extract_prototypes(features, one, one)
        for made in (net, parser.network):  # so that the class wins half of the pixels
            made.npm.set_threshold(cosine_similarity(features.fine, prototypes.classes).median().item())
        expected = net.logits_at(features, prototypes, SIZE).npm.argmax(dim=1)[0].numpy()
    assert set(np.unique(expected)) == {0, 1}
    assert (parser.parse(image, parser.make_support(image, label == 2)).labels == expected).mean() > 0.99


def test_the_bank_blends_the_classes_that_are_mapped(checkpoints):
    image, label = picture()
    parser = OneShotParser(checkpoints["kway"], "cpu", "bank")
    names = {1: "my hat", 2: "coat", 3: "shoes"}
    static = OneShotParser(checkpoints["kway"], "cpu").make_support(image, label, names).prototypes.classes[0, 1:]
    rows = parser.network.bank.rows
    by_name = parser.make_support(image, label, names).prototypes.classes[0, 1:]
    torch.testing.assert_close(by_name[1], 0.999 * rows[2] + 0.001 * static[1])
    torch.testing.assert_close(by_name[[0, 2]], static[[0, 2]])
    mapped = parser.make_support(image, label, names, {"my hat": "hat", "shoes": 2}).prototypes.classes[0, 1:]
    torch.testing.assert_close(mapped[0], 0.999 * rows[1] + 0.001 * static[0])
    torch.testing.assert_close(mapped[2], 0.999 * rows[2] + 0.001 * static[2])
    for wrong in ({"my hat": "bag"}, {"nothing": "hat"}, {"my hat": 0}, {"my hat": 77}, {}):
        with pytest.raises(UserError, match=r"bank: .*hat, coat"):
            parser.make_support(image, label, names, wrong)


def test_prototypes_turn_in_half_precision_too(checkpoints):
    plain, turned = (
        OneShotParser(checkpoints["kway"], "cpu", adapt=adapt, amp="bf16").make_support(*picture()).prototypes.classes
        for adapt in (False, True)
    )
    assert turned.isfinite().all() and not torch.equal(plain.float(), turned.float())


def test_the_bank_blends_one_class_at_a_time_in_1way(checkpoints):
    pair, names = picture(), {2: "coat"}
    bank = OneShotParser(checkpoints["1way"], "cpu", "bank")
    blended = bank.make_support(*pair, names).prototypes.classes[:, 0]
    static = OneShotParser(checkpoints["1way"], "cpu").make_support(*pair, names).prototypes.classes[:, 0]
    torch.testing.assert_close(blended[1], 0.999 * bank.network.bank.rows[2] + 0.001 * static[1])
    assert torch.equal(blended[[0, 2]], static[[0, 2]])


def test_prototypes_auto_is_the_reference_alone(checkpoints):
    pair, names = picture(), {2: "coat"}  # which the bank remembers
    default, auto, alone = (
        OneShotParser(checkpoints["kway"], "cpu", *kind).make_support(*pair, names).prototypes.classes
        for kind in ((), ("auto",), ("support-only",))
    )
    assert torch.equal(default, alone) and torch.equal(auto, alone)


def test_programs_find_the_names_they_import(kway):
    from predict import DEFAULT_CHECKPOINT, Support

    assert isinstance(kway.make_support(*picture()), Support) and DEFAULT_CHECKPOINT.endswith(".safetensors")
    with pytest.raises(ImportError, match="nothing"):
        from predict import nothing  # noqa: F401


def test_the_bank_of_a_warm_up_is_not_used(tmp_path):
    with pytest.raises(UserError, match="warm-up"):
        OneShotParser(write_checkpoint(tmp_path / "early.pt", trained_epoch=1), "cpu", "bank")


def test_a_class_below_the_score_is_absent(checkpoints):
    image, label = picture()
    parser = OneShotParser(checkpoints["kway"], "cpu")
    parser.set_reference(image, label)
    full = parser.parse(image)
    weakest = min(full.scores, key=full.scores.get)
    parser.min_score = full.scores[weakest] + 1e-4
    less = parser.parse(image)
    assert (full.labels == weakest).any() and not (less.labels == weakest).any()
    assert (less.labels == full.labels)[full.labels != weakest].all() and less.scores == full.scores
    parser.min_score = 1.1
    assert not parser.parse(image).labels.any()


def test_a_class_too_small_for_the_feature_is_kept():
    label = torch.zeros(40, 40, dtype=torch.long)
    label[7, 9], label[20:30, 20:30] = 2, 1
    small = references.shrink_labels(label, (10, 10))
    assert small[1, 2] == 2 and small[6, 6] == 1 and (small == 2).sum() == 1


def test_a_small_class_does_not_take_the_last_cell_of_another():
    label = torch.zeros(40, 40, dtype=torch.long)
    label[1, 1], label[1, 2] = 1, 2
    small = references.shrink_labels(label, (10, 10))
    assert small.unique().tolist() == [0, 1]
    label[3, 4] = 2
    small = references.shrink_labels(label, (10, 10))
    assert small[0, 0] == 1 and small[0, 1] == 2


def test_a_class_that_cannot_be_seen_is_named(kway):
    image, label = picture()
    label[:] = 0
    label[1, 1], label[1, 2] = 1, 2
    with pytest.raises(UserError, match=r"hat is too small.*raise max_size|coat is too small.*raise max_size"):
        kway.set_reference(image, label, {1: "hat", 2: "coat"})


def test_the_photo_that_holds_what_cannot_be_seen_is_named(kway, tmp_path):
    image, label = picture()
    paths = [str(tmp_path / f"{number}.png") for number in range(2)]
    for path in paths:
        Image.fromarray(image).save(path)
    small = np.where(label == 1, 1, 0).astype(np.uint8)
    small[0, 0], small[0, 1] = 2, 3
    with pytest.raises(UserError, match=r"1\.png: class [23] is too small to be seen"):
        kway.make_support(paths, [np.where(label == 1, 1, 0), small])


def test_labels_may_be_a_pil_image(kway):
    image, label = picture()
    given = kway.make_support(Image.fromarray(image), Image.fromarray(label), {1: "hat", 2: "coat", 3: "shoes"})
    assert [c.name for c in given.classes] == ["hat", "coat", "shoes"]


def test_ids_that_the_names_leave_out_are_told(kway):
    image, label = picture()
    assert "names: has no name for the ids 2, 3" in kway.make_support(image, label, {1: "hat"}).notes


def test_a_list_beside_masks_with_names_of_their_own_is_not_theirs(tmp_path):
    image, label = picture()
    Image.fromarray(image).save(tmp_path / "photo.png")
    shapes = [
        {"label": name, "shape_type": "rectangle", "points": [[4, top], [40, top + 20]]}
        for name, top in (("hat", 5), ("coat", 50))
    ]
    size = {"imageHeight": len(label), "imageWidth": label.shape[1]}
    (tmp_path / "photo.json").write_text(json.dumps({"shapes": shapes, "imagePath": "photo.png", **size}))
    (tmp_path / "labels.txt").write_text("foo\nbar\nbaz\n")
    classes, _ = check_labels([tmp_path / "photo.png"], [tmp_path / "photo.json"], {})
    assert sorted(c.id for c in classes) == [1, 2] and {c.name for c in classes} == {"hat", "coat"}


def test_tiles_cover_every_pixel_once():
    for size in ((100, 100), (101, 333), (40, 700), (64, 65)):
        seen = np.zeros(size, dtype=int)
        for tile in tiles(size, 64):
            seen[tile.core] += 1
            for window, core in zip(tile.window, tile.core, strict=True):
                assert window.start <= core.start < core.stop <= window.stop and window.stop - window.start <= 64
        assert (seen == 1).all()


def test_tiled_photos(checkpoints):
    image, label = picture()
    parser = OneShotParser(checkpoints["kway"], "cpu", tile=True)
    parser.set_reference(image, label)
    assert (parser.parse(image).labels == label)[label > 0].mean() > 0.7
    wide = np.concatenate([image] * 4, axis=1)
    found = parser.parse(wide)
    truth = np.concatenate([label] * 4, axis=1)
    assert found.labels.shape == truth.shape and (found.labels == truth)[truth > 0].mean() > 0.6
    parser.min_score = 1.1
    assert not parser.parse(wide).labels.any()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 1), (37, 41)])
def test_odd_sizes(kway, size):
    kway.set_reference(*picture())
    assert kway.parse(picture(size)[0]).labels.shape == size


def test_small_photos_are_enlarged_as_in_the_evaluation(tmp_path):
    small, large = picture((40, 20)), picture((2048, 1024))

    def seen(parser, pair):
        """The size at which the network sees a photo; its feature has a quarter of it."""
        return [4 * side for side in parser.maps(pair[0], parser.make_support(*pair)).classes.shape[-2:]]

    for test_size, expected in ((96, [96, 48]), (0, [40, 20])):
        checkpoint = write_checkpoint(tmp_path / f"{test_size}.pt", test_size=test_size)
        parser = OneShotParser(checkpoint, "cpu")
        assert seen(parser, small) == expected
    assert seen(parser, large) == [512, 256]
    assert seen(OneShotParser(checkpoint, "cpu", max_size=80), small) == [80, 40]


@pytest.mark.parametrize(
    "size, longest, enlarge, expected",
    [
        ((40, 20), 96, True, (96, 48)),
        ((40, 20), 96, False, (40, 20)),
        ((2048, 1024), 512, False, (512, 256)),
        ((300, 2), 96, True, (96, 16)),
        ((3, 200), 512, False, (16, 200)),
    ],
)
def test_a_photo_at_network_size(size, longest, enlarge, expected):
    photo = torch.full((3, *size), 77, dtype=torch.uint8)
    resized = resize_longest(photo, longest, enlarge)
    assert resized.shape == (3, *expected) and resized.dtype == torch.uint8 and (resized == 77).all()


def saved(tmp_path, pixels, name="photo.png", **options):
    Image.fromarray(pixels).save(tmp_path / name, **options)
    return tmp_path / name


def test_kinds_of_images(tmp_path):
    image, _ = picture()
    grey = image[..., 0]
    for photo in (saved(tmp_path, grey), saved(tmp_path, grey.astype(np.uint16) * 257), grey, grey.astype(float) / 255):
        assert (to_rgb(photo) == grey[..., None]).all()
    clear = np.dstack([image, np.where(grey > 110, 255, 0).astype(np.uint8)])
    for photo in (saved(tmp_path, clear), clear):
        rgb = to_rgb(photo)
        assert (rgb[grey > 110] == image[grey > 110]).all() and (rgb[grey <= 110] == 255).all()
    flat = Image.fromarray(image).quantize(8)
    flat.save(tmp_path / "flat.png", transparency=0)
    assert (to_rgb(tmp_path / "flat.png")[np.asarray(flat) == 0] == 255).all()


@pytest.mark.parametrize("turn, shape", [(3, (96, 64, 3)), (6, (64, 96, 3)), (8, (64, 96, 3))])
def test_exif_orientation(tmp_path, turn, shape):
    image, _ = picture()
    exif = Image.Exif()
    exif[0x0112] = turn
    path = saved(tmp_path, image, exif=exif)
    turned = np.rot90(image, {3: 2, 6: 3, 8: 1}[turn])
    assert to_rgb(path).shape == shape and (to_rgb(path) == turned).all()


def test_results_on_disk(kway, tmp_path):
    image, label = picture()
    kway.set_reference(image, label, {1: "hat", 2: "coat", 3: "shoes"})
    parsing = kway.parse(image)
    index, overlay, areas = parsing.save(tmp_path / "new" / "folder", "photo")
    with Image.open(index) as back:
        assert back.mode == "P" and (np.array(back) == parsing.labels).all()
    assert Image.open(overlay).size[0] == SIZE[1] and '"hat"' in areas.read_text()
    assert sum(a["pixels"] for a in parsing.areas().values()) == (parsing.labels > 0).sum()
    assert parsing.absent == [name for name, area in parsing.areas().items() if area["pixels"] == 0]
    assert (parsing.overlay(0.0, legend=False) == image).all()
    one = parsing.overlay({"hat": 1.0}, legend=False)
    assert (one != image).any(axis=2)[parsing.labels == 1].all() and (one == image)[parsing.labels != 1].all()
    assert not list((tmp_path / "new" / "folder").glob(".*"))


@pytest.mark.parametrize(
    "labels, told",
    [
        (np.zeros(SIZE, np.uint8), "no class"),
        (np.full(SIZE, 255, np.uint8), "no class"),
        (np.ones((30, 20), np.uint8), "20x30"),
        (np.ones(SIZE, np.float32), "integer"),
        (np.full(SIZE, -1), "-1"),
        (np.ones((*SIZE, 3), np.uint8), "integer"),
        ({}, "no masks"),
        ({"hat": np.zeros(SIZE, bool)}, "no class"),
        ({"hat": np.full(SIZE, "x")}, "a mask cannot hold"),
        ({"hat": np.ones(SIZE, bool), "coat": np.ones((3, 3), bool)}, "differ"),
    ],
)
def test_bad_references(kway, labels, told):
    with pytest.raises(UserError, match=told):
        kway.set_reference(picture()[0], labels)


@pytest.mark.parametrize("values", [(0, 85, 170, 255), (0, 64, 128, 255), (0, 128, 255, 255)])
def test_labels_scaled_to_be_seen_are_refused_unless_named(kway, values):
    image, label = picture()
    scaled = np.array(values, np.uint8)[label]
    if values[1] == 64:  # no equal steps, so 255 is what does not count
        assert len(kway.make_support(image, scaled).classes) == 2
        return
    with pytest.raises(UserError, match="look scaled to be seen, and 255 does not count; number the classes 1 to"):
        kway.make_support(image, scaled)
    names = {i: f"a{i}" for i in values[1:] if i < 255}
    assert [c.id for c in kway.make_support(image, scaled, names).classes] == list(names)


def test_other_bad_calls(kway, checkpoints, tmp_path):
    image, label = picture()
    with pytest.raises(UserError, match="one for each photo"):
        kway.set_reference([image], [label, label])
    with pytest.raises(UserError, match="two classes are named 'hat'"):
        kway.set_reference(image, label, {1: "hat", 2: "hat"})
    with pytest.raises(UserError, match="set_reference first"):
        OneShotParser(checkpoints["kway"], "cpu").parse(image)
    with pytest.raises(UserError, match="shape"):
        to_rgb(np.zeros((4, 4, 7)))
    for wrong, told in (
        ({"prototypes": "other"}, "prototypes 'other': choose"), ({"max_size": 3}, "max_size 3: must be at least"),
        ({"device": "cuda:99"}, "--device cuda:99: not available"), ({"dataset": "nowhere"}, "atr, lip, cihp"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=told):
            OneShotParser(checkpoints["kway"], **{"device": "cpu", **wrong})


def test_bad_image_files(tmp_path):
    good = saved(tmp_path, picture((300, 300))[0])
    half, text, huge, bomb = (tmp_path / name for name in ("half.png", "text.jpg", "huge.png", "bomb.png"))
    half.write_bytes(good.read_bytes()[:20000])
    text.write_text("no picture")
    Image.new("1", (12000, 9000)).save(huge)
    Image.new("1", (20000, 20000)).save(bomb)
    bad = ((half, "damaged"), (text, "not an image"), (huge, "million"), (bomb, "million"), (tmp_path, "folder"))
    for path, told in bad:
        with pytest.raises(UserError, match=told) as raised:
            to_rgb(path)
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    with pytest.raises(UserError, match="no such file"):
        to_rgb(tmp_path / "missing.jpg")


def test_pil_images_that_cannot_be_read_are_refused_in_one_line(tmp_path):
    good = saved(tmp_path, picture((300, 300))[0])
    (tmp_path / "half.png").write_bytes(good.read_bytes()[:20000])
    closed = Image.open(good)
    closed.close()
    for image in (Image.open(tmp_path / "half.png"), closed):
        with pytest.raises(UserError, match="cannot be read"):
            to_rgb(image)
    with pytest.raises(UserError, match="0x0 pixels"):
        to_rgb(Image.new("RGB", (0, 0)))
    assert to_rgb(Image.open(good)).shape == (300, 300, 3)


def test_what_python_programs_pass_is_taken_or_refused_in_one_line(kway, tmp_path):
    image, label = picture()
    Image.fromarray(label).save(tmp_path / "labels.png")
    Image.fromarray(image).save(tmp_path / "ref.png")
    expected = [(1, "hat"), (2, "coat"), (3, "shoes")]
    for names in (
        {1: "hat", 2: "coat", 3: "shoes"},
        {"1": "hat", "2": "coat", "3": "shoes"},
        ["", "hat", "coat", "shoes"],
    ):
        support = kway.make_support(str(tmp_path / "ref.png"), str(tmp_path / "labels.png"), names)
        assert [c[:2] for c in support.classes] == expected
    for wrong in (None, 3, {"a": 1}):
        with pytest.raises(UserError, match="a photo cannot be"):
            kway.parse(wrong, support)
    with pytest.raises(UserError, match="class names by id"):
        kway.make_support(image, label, {"hat": 1})
    for shifted in (["hat", "coat", "shoes"], {0: "hat", 1: "coat"}):
        with pytest.raises(UserError, match="names id 0 'hat', but 0 is the background"):
            kway.make_support(image, label, shifted)


def test_a_class_that_is_not_even_found_in_the_reference_is_told():
    """Class 1 wins all its pixels, and class 2 none of its own; what does not count is no mistake."""
    classes = torch.tensor([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]]).T[:, None].log()
    maps = Maps(classes, torch.tensor([-1.0, 1.0])[:, None, None].expand(2, 1, 4))
    label = torch.tensor([[1, 1, 2, -1]])
    told = poorly_parsed([maps], [label], ["coat", "collar"], [1, 2], 0.0)
    assert len(told) == 1 and "(IoU): collar 0 %; mark more" in told[0]
    assert not poorly_parsed([maps], [label], ["coat", "collar"], [1], 0.0), "the checkpoint knows the other by name"
