"""Data of the user's own, from index PNGs, labelme and COCO, through `prepare custom` to episodes."""

import base64
import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

from dataloaders import catalog
from dataloaders.layout import read_ids
from dataloaders.oshp_loader import TestEpisodes, TrainEpisodes
from dataloaders.prepare.custom import prepare_custom
from dataloaders.split import Split
from utils.errors import UserError

from .data_helpers import label_map, png_bytes, read, run_module, save_image, save_label, tree

LABELS = ["background", "hat", "left-arm", "right-arm", "shirt", "trousers"]
NUMBER = 16


def make_png(source, labels=LABELS, number=NUMBER):
    for i in range(number):
        save_image(source / "images" / f"photo {i}.jpg", i)
        save_label(source / "labels" / f"photo {i}.png", label_map(len(labels), i))
    (source / "labels.txt").write_text("\n".join(labels))
    return source


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def make_labelme(source, number=NUMBER):
    source.mkdir()
    corner = base64.b64encode(png_bytes(np.ones((4, 6), np.uint8) * 255)).decode()
    shapes = [
        shape("trousers", [[5, 10], [30, 10], [30, 40], [5, 40]]),
        shape("shirt", [[10, 20], [20, 30]], "rectangle"),
        shape("hat", [[35, 5], [35, 8]], "circle"),
        shape("__ignore__", [[2, 3], [7, 6]], "mask", mask=corner),
        shape("shirt", [[0, 0], [39, 47]], "line"),
    ]
    for i in range(number):
        save_image(source / f"{i}.jpg", i)
        content = {"version": "5.4.1", "shapes": shapes, "imagePath": f"..\\photos\\{i}.jpg", "imageData": None}
        (source / f"{i}.json").write_text(json.dumps(content))
    return source


def make_coco(source, number=NUMBER):
    rle = {"size": [48, 40], "counts": [0, 5, 48 * 40 - 5]}  # the first five pixels of the first column
    regions = [
        {"category_id": 7, "segmentation": [[5, 10, 30, 10, 30, 40, 5, 40]], "iscrowd": 0},
        {
            "category_id": 3,
            "segmentation": [[10, 20, 20, 20, 20, 30, 10, 30], [32, 2, 38, 2, 38, 8, 32, 8]],
            "iscrowd": 0,
        },
        {"category_id": 7, "segmentation": rle, "iscrowd": 1},
        {"category_id": 3, "segmentation": [], "iscrowd": 0},
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 48, "width": 40} for i in range(number + 1)],
        "categories": [{"id": 7, "name": "trousers"}, {"id": 3, "name": "shirt"}],
        "annotations": [{"id": 9 * i, "image_id": i, **region} for i in range(number) for region in regions],
    }
    for i in range(number + 1):
        save_image(source / "images" / f"{i}.png", i)
    (source / "annotations.json").write_text(json.dumps(content))
    return source


def load(data_root, name="source"):
    spec = catalog.load(data_root / name / "dataset.json")
    return spec, catalog.locate(spec, "anywhere else")


def test_index_pngs_become_a_data_set(tmp_path):
    outcome = prepare_custom(make_png(tmp_path / "My Photos"), tmp_path / "data")
    assert outcome.findings == []
    spec, root = load(tmp_path / "data", "my-photos")
    assert spec.labels == tuple(LABELS)
    assert spec.merges == {3: 2} and spec.mirrored == ((2, 3),) and spec.class_name(2) == "arms"
    assert spec.classes == (0, 1, 2, 4, 5) and set(spec.evaluation_order) == {1, 2, 4, 5}
    assert all(spec.novel(fold) and len(spec.base_classes(fold)) > 1 for fold in (1, 2))
    for way in ("kway", "1way"):
        episode = TrainEpisodes(spec, root, fold=1, way=way, crop_size=(32, 32))[0]
        assert set(episode["query_label"].unique().tolist()) <= {0, 255, *spec.base_classes(1), 1}
        episodes = TestEpisodes(spec, root, way=way)
        assert len(episodes) == 4 * spec.queries_per_class * spec.supports_per_query and episodes[0]


def test_data_set_checks_and_trains_by_its_json(tmp_path):
    place = ("--source", make_png(tmp_path / "source"), "--data-root", tmp_path / "data")
    done = run_module("dataloaders.prepare", "custom", *place, "--name", "own")
    assert done.returncode == 0, done.stderr
    checked = run_module("dataloaders.check", tmp_path / "data" / "own" / "dataset.json")
    assert checked.returncode == 0 and "12 training photos are few" in checked.stdout and "arms" in checked.stdout


def test_dataset_json_of_the_user_is_kept(tmp_path):
    source = make_png(tmp_path / "source")
    prepare_custom(source, tmp_path / "data")
    path = tmp_path / "data" / "source" / "dataset.json"
    content = json.loads(path.read_text()) | {"folds": {"1": ["shirt"]}, "title": "Mine"}
    path.write_text(json.dumps(content))
    assert prepare_custom(source, tmp_path / "data").findings == []
    assert json.loads(path.read_text()) == content
    shutil.copy(path, source)
    prepare_custom(source, tmp_path / "other")
    spec, _ = load(tmp_path / "other")
    assert spec.title == "Mine" and spec.novel(1) == (4,)


def test_labelme_regions_are_drawn(tmp_path):
    assert prepare_custom(make_labelme(tmp_path / "source"), tmp_path / "data").findings == []
    spec, root = load(tmp_path / "data")
    assert spec.labels == ("background", "hat", "shirt", "trousers")
    label = read(root / "trainval_classes" / "0.png")
    assert label.shape == (48, 40)
    assert [int(label[y, x]) for y, x in ((35, 25), (25, 15), (5, 35), (5, 5), (0, 0))] == [3, 2, 1, 255, 0]
    assert int(label[44, 38]) == 0, "a line has no area"


def test_coco_regions_are_drawn(tmp_path):
    pytest.importorskip("pycocotools")
    source = make_coco(tmp_path / "source")
    assert prepare_custom(source, tmp_path / "data", annotations=source / "annotations.json").findings == []
    spec, root = load(tmp_path / "data")
    assert spec.labels == ("background", "shirt", "trousers")
    label = read(root / "trainval_classes" / "0.png")
    assert [int(label[y, x]) for y, x in ((35, 25), (25, 15), (5, 35), (4, 0), (5, 0))] == [2, 1, 1, 255, 0]
    assert len(list((root / "trainval_images").iterdir())) == NUMBER, "an image without annotations is left out"


@pytest.mark.parametrize("make", [make_labelme, make_png])
def test_photos_labelled_upright_are_read_upright(tmp_path, make):
    source = make(tmp_path / "source")
    photo = next(path for path in sorted(source.rglob("*.jpg")))
    picture = Image.open(photo).resize((48, 40))  # lies on its side; the tag says: turn by 90 degrees
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(photo, exif=exif)
    prepare_custom(source, tmp_path / "data")
    spec, root = load(tmp_path / "data")
    train, test = Split(spec, root, "train"), Split(spec, root, "test")
    split = train if photo.stem in train.ids else test
    shown = split.load(split.ids.index(photo.stem)).image.permute(1, 2, 0).numpy()
    assert np.array_equal(shown, np.array(ImageOps.exif_transpose(Image.open(photo))))


def test_rare_classes_are_dropped_or_not_evaluated(tmp_path, capsys):
    source = make_png(tmp_path / "source")
    for i in range(1, NUMBER):
        save_label(source / "labels" / f"photo {i}.png", label_map(6, i, without=(1,)))
    prepare_custom(source, tmp_path / "data")
    spec, _ = load(tmp_path / "data")
    assert spec.dropped == (1,) and "class 'hat' goes to the background" in capsys.readouterr().out


def colour_labels(source):
    for path in (source / "labels").iterdir():
        save_label(path, np.stack([read(path)] * 3, -1))


SPOILERS = {
    "sub-folder images": lambda s: shutil.rmtree(s / "images"),
    "stand alone": lambda s: (s / "labels" / "photo 3.png").unlink(),
    "16 of 16": colour_labels,
    "1 of 16": lambda s: save_image(s / "images" / "photo 3.jpg", 0, (9, 9)),
    "labels.txt": lambda s: (s / "labels.txt").write_text("hat\nhat"),
    "two classes": lambda s: [save_label(p, np.eye(48, 40, dtype=np.uint8)) for p in (s / "labels").iterdir()],
}


@pytest.mark.parametrize("complaint", SPOILERS)
def test_bad_source_is_told_and_leaves_nothing(tmp_path, complaint, capsys):
    source = make_png(tmp_path / "source")
    SPOILERS[complaint](source)
    with pytest.raises(UserError, match=complaint) as caught:
        prepare_custom(source, tmp_path / "data")
    assert "\n" not in str(caught.value) and not (tmp_path / "data").exists()
    if complaint == "16 of 16":
        assert "save it as an 8-bit grey or palette PNG" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        {"shapes": [shape("cape", [[0, 0], [9, 0], [9, 9]])]},
        {"shapes": [{"points": [[0, 0], [9, 0], [9, 9]]}]},
        {"imagePath": "gone.jpg"},
    ],
)
def test_bad_labelme_file_is_named(tmp_path, change, capsys):
    source = make_labelme(tmp_path / "source")
    (source / "labels.txt").write_text("hat\nshirt\ntrousers\n")
    path = source / "3.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match="1 of 16"):
        prepare_custom(source, tmp_path / "data")
    assert str(path) in capsys.readouterr().out
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("content", ["{", "{}", '{"images": [{"id": 1}], "annotations": [], "categories": [1]}'])
def test_bad_coco_file_is_named(tmp_path, content):
    source = make_coco(tmp_path / "source")
    (source / "annotations.json").write_text(content)
    with pytest.raises(UserError, match=r"annotations.json"):
        prepare_custom(source, tmp_path / "data", annotations=source / "annotations.json")


GOOD = {
    "name": "own",
    "labels": ["background", "hat", "left arm", "right arm", "shirt", "belt"],
    "merges": {"right arm": "left arm"},
    "dropped": ["belt"],
    "folds": {"1": ["hat"], "2": [4]},
    "boundary": {"train": 9, "test": 3},
}


def write_json(folder, content):
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder / "dataset.json"


def test_dataset_json_by_names_and_ids(tmp_path):
    spec = catalog.load(write_json(tmp_path, GOOD))
    assert spec.classes == (0, 1, 2, 4) and spec.merges == {3: 2} and spec.dropped == (5,)
    assert spec.base == {1: (0, 2, 4), 2: (0, 1, 2)} and spec.evaluation_order == (1, 2, 4)
    assert catalog.load(tmp_path) == spec, "the folder will do"
    by_id = catalog.load(write_json(tmp_path, GOOD | {"merges": {"3": 2}, "dropped": [5]}))
    assert by_id == spec
    assert catalog.load(write_json(tmp_path, GOOD | {"folds": {"1": []}})).novel(1) == ()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "../up"}, "name"),
        ({"name": None}, "name"),
        ({"label": []}, "unknown entry 'label'"),
        ({"labels": ["background"]}, "labels"),
        ({"labels": ["background", "hat", "hat"]}, "twice"),
        ({"merges": {"right arm": "glove"}}, "'glove'"),
        ({"merges": {"right arm": "belt"}}, "merges"),
        ({"dropped": ["background"]}, "dropped"),
        ({"dropped": "belt"}, "dropped"),
        ({"folds": {}}, "folds"),
        ({"folds": {"one": ["hat"]}}, "folds"),
        ({"folds": {"1": ["belt"]}}, "dropped"),
        ({"folds": {"0": ["hat"], "1": ["shirt"]}}, "number the folds from 1"),
        ({"folds": {"1": ["hat"], "01": ["shirt"]}}, "each once"),
        ({"folds": {"1": ["hat", "left arm", "shirt"]}}, "not all"),
        ({"evaluation_order": ["hat", "hat"]}, "twice"),
        ({"boundary": {"train": 9}}, "boundary"),
        ({"queries_per_class": 0}, "queries_per_class"),
        ({"all_images_both": 1}, "all_images_both"),
        ({"mirrored": [["left arm"]]}, "pairs"),
        ({"palette": [[0, 0, 0]]}, "palette"),
        ({"palette": [[0, 0, 300]] * 6}, "palette"),
    ],
)
def test_bad_dataset_json_is_told(tmp_path, change, complaint):
    with pytest.raises(UserError, match=complaint) as caught:
        catalog.load(write_json(tmp_path, GOOD | change))
    assert "dataset.json" in str(caught.value) and "\n" not in str(caught.value)


def test_second_run_changes_nothing(tmp_path):
    source = make_png(tmp_path / "source")
    prepare_custom(source, tmp_path / "data", copy=True)
    before = tree(tmp_path / "data")
    prepare_custom(source, tmp_path / "data", copy=True)
    assert tree(tmp_path / "data") == before


def parts_of(folders):
    """A source with 8 photos in each pair of folders, the photos' and the label maps'."""

    def make(source):
        for number, (photos, labels) in enumerate(folders):
            for i in range(8):
                save_image(source / photos / f"{number}-{i}.jpg", i)
                save_label(source / labels / f"{number}-{i}.png", label_map(3, i))

    return make


@pytest.mark.parametrize(
    "folders",
    [
        (("train/images", "train/masks"), ("val/images", "val/masks")),
        (("images/train", "labels/train"), ("images/val", "labels/val")),
        (("images", "labels"), ("images/test", "labels/test")),
        (("Training/images", "Training/labels"), ("Validation/images", "Validation/labels")),
        (("images/Training", "labels/Training"), ("images/testing", "labels/testing")),
    ],
)
def test_folders_of_splits_become_the_lists(folders, tmp_path, capsys):
    parts_of(folders)(tmp_path / "source")
    prepare_custom(tmp_path / "source", tmp_path / "data")
    lists = [read_ids(tmp_path / "data/source", split) for split in ("train", "test")]
    assert lists == [[f"{number}-{i}" for i in range(8)] for number in (0, 1)]
    line = f"photos are read from 2 folders: 8 in {folders[0][0]}, 8 in {folders[1][0]}"
    assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folders", "read", "line"),
    [
        ((("a/images", "a/labels"), ("b/images", "b/labels")), 16, "8 in a/images, 8 in b/images"),
        ((("images", "labels"), ("images/more", "labels/more")), 16, "8 in images, 8 in images/more"),
        (
            (("images", "labels"), ("old/images", "old/labels")), 8,
            "left out: 16 pictures in folders that are not read (old/images/1-0.jpg",
        ),
        ((("images", "labels"), ("images/more", "rest")), 8, "left out: 16 pictures in folders that are not read"),
    ],
)  # fmt: skip
def test_no_folder_of_photos_is_passed_over_in_silence(folders, read, line, tmp_path, capsys):
    parts_of(folders)(tmp_path / "source")
    prepare_custom(tmp_path / "source", tmp_path / "data")
    assert line in capsys.readouterr().out
    assert len(list((tmp_path / "data/source/trainval_images").iterdir())) == read


def test_parts_of_a_set_have_their_names_beside_them_and_the_same(tmp_path):
    parts_of((("train/images", "train/masks"), ("val/images", "val/masks")))(tmp_path / "source")
    names = [tmp_path / "source" / part / "labels.txt" for part in ("train", "val")]
    names[0].write_text("background\nhat\nshirt")
    prepare_custom(tmp_path / "source", tmp_path / "data")
    assert load(tmp_path / "data")[0].labels == ("background", "hat", "shirt")
    names[1].write_text("background\nshirt\nhat")
    with pytest.raises(UserError, match=r"val/labels\.txt: differs from .*train/labels\.txt"):
        prepare_custom(tmp_path / "source", tmp_path / "other")


def test_folders_without_photos_are_told(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / "source" / folder).mkdir(parents=True)
    with pytest.raises(UserError, match="images: holds no photo; put photos there"):
        prepare_custom(tmp_path / "source", tmp_path / "data")


def make_voc(source, train, val):
    for i in range(8):
        save_image(source / "JPEGImages" / f"p{i}.jpg", i)
        save_label(source / "SegmentationClass" / f"p{i}.png", label_map(3, i))
    for name, lines in (("train", train), ("val", val)):
        path = source / "ImageSets/Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines))


@pytest.mark.parametrize("entry", ["p{}.jpg", "JPEGImages/p{0}.jpg SegmentationClass/p{0}.png", "JPEGImages\\p{}.JPG"])
def test_lists_may_hold_names_and_paths(entry, tmp_path, capsys):
    make_voc(tmp_path / "source", *([entry.format(i) for i in part] for part in ((0, 1, 2, 3), (4, 5, 6, 7))))
    prepare_custom(tmp_path / "source", tmp_path / "data")
    lists = [read_ids(tmp_path / "data/source", split) for split in ("train", "test")]
    assert lists == [["p0", "p1", "p2", "p3"], ["p4", "p5", "p6", "p7"]]
    assert "left out" not in capsys.readouterr().out


def test_what_no_list_names_and_names_of_no_photo_are_told(tmp_path, capsys):
    make_voc(tmp_path / "source", ["p0", "p1", "p2", "pp3"], ["p4", "p5"])
    prepare_custom(tmp_path / "source", tmp_path / "data")
    printed = capsys.readouterr().out
    assert "left out: 1 entries of train.txt that are no photo with a label map (pp3)" in printed
    assert "left out: 3 photos that are in no list; add them to the lists of the source (p3, p6, p7)" in printed


def test_a_list_of_no_photo_is_refused(tmp_path):
    make_voc(tmp_path / "source", ["a", "b"], ["p4", "p5"])
    with pytest.raises(UserError, match=r"train\.txt: none of its 2 entries \(a, b\) is a photo with a label map"):
        prepare_custom(tmp_path / "source", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_photos_that_came_later_are_told_with_what_takes_them_in(tmp_path, capsys):
    prepare_custom(make_png(tmp_path / "source", number=8), tmp_path / "data")
    prepare_custom(make_png(tmp_path / "source", number=10), tmp_path / "data")
    root = tmp_path / "data/source"
    remedy = f"delete what is in {root / 'list'} and {root / 'support'}, and run this again"
    line = f"left out: 2 photos that are in no list; to take them in, {remedy} (photo 8, photo 9)"
    assert line in capsys.readouterr().out
    for folder in ("list", "support"):
        shutil.rmtree(root / folder)
    prepare_custom(tmp_path / "source", tmp_path / "data")
    assert len(list((root / "trainval_images").iterdir())) == 10
