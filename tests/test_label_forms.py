"""Every form in which people keep labels comes out as the same label maps; what cannot be used is said."""

import base64
import json
import shutil
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from dataloaders import catalog
from dataloaders.layout import read_ids
from dataloaders.prepare.__main__ import main
from dataloaders.prepare.custom import prepare_custom
from dataloaders.prepare.sources import draw_test
from dataloaders.split import Split
from inference.annotations import read_labels
from utils.errors import UserError

from . import label_forms as forms
from .data_helpers import png_bytes
from .label_forms import FORMS

PLACES = {"shirt": (30, 30), "hat": (20, 70), "": (60, 90)}  # y, x in the scene; nothing lies at the last


def prepared(tmp_path, source="source", *options):
    """Prepare through the command; returns the exit code, and the two splits."""
    status = main(["custom", "--source", str(tmp_path / source), "--data-root", str(tmp_path / "data"), *options])
    spec = catalog.load(tmp_path / "data/source/dataset.json")
    return status, spec, [Split(spec, tmp_path / "data/source", split) for split in ("train", "test")]


def samples(splits):
    return [split.load(i) for split in splits for i in range(len(split))]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_labels_is_read(form, tmp_path):
    FORMS[form](tmp_path / "source")
    status, spec, splits = prepared(tmp_path)
    assert status == 0 and set(spec.labels) == {"background", "shirt", "hat"}, spec.labels
    drawn = samples(splits)
    assert len(drawn) == forms.NUMBER
    for sample in drawn:
        assert sample.image.shape[1:] == sample.label.shape == forms.SIZE
        found = {name: spec.labels[int(sample.label[place])] for name, place in PLACES.items()}
        assert found == {"shirt": "shirt", "hat": "hat", "": "background"}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_labels_is_read_behind_links_to_folders(form, tmp_path):
    FORMS[form](tmp_path / "source")
    prepared(tmp_path)
    (tmp_path / "links").mkdir()
    (tmp_path / "source" / "loop").mkdir()
    (tmp_path / "source" / "loop" / "again").symlink_to(tmp_path / "links", target_is_directory=True)
    for path in (tmp_path / "source").iterdir():
        (tmp_path / "links" / path.name).symlink_to(path, target_is_directory=path.is_dir())
    prepared(tmp_path, "links")
    assert read_ids(tmp_path / "data/links", "train") == read_ids(tmp_path / "data/source", "train")


@pytest.mark.parametrize(
    "form", ["coco in two files", "roboflow's coco in three folders", "roboflow's masks in three folders", "pascal voc"]
)
def test_a_source_with_lists_keeps_them(form, tmp_path):
    FORMS[form](tmp_path / "source")
    _, _, (train, test) = prepared(tmp_path)
    assert [i[:2] for i in train.ids] == ["p0", "p1", "p2", "p3"]
    assert [i[:2] for i in test.ids] == ["p4", "p5", "p6", "p7"]


def test_a_split_for_validation_becomes_the_validation_list(tmp_path):
    for split, number in (("train", 12), ("valid", 8), ("test", 6)):
        for i in range(number):
            forms.save(tmp_path / f"source/{split}/{split}{i}.jpg", forms.photo(i))
            forms.save(tmp_path / f"source/{split}/{split}{i}_mask.png", forms.label_map())
        forms.write(tmp_path / f"source/{split}/_classes.csv", "Pixel Value, Class\n0, background\n1, shirt\n2, hat")
    prepared(tmp_path)
    train, val, test = (read_ids(tmp_path / "data/source", split) for split in ("train", "val", "test"))
    assert len(train) == 20 and set(val) < set(train) and {i[:5] for i in val} == {"valid"} and len(val) == 8
    assert {i[:4] for i in test} == {"test"}


def test_a_class_of_the_validation_photos_alone_is_not_trained_on(tmp_path, capsys):
    for split, number in (("train", 12), ("valid", 8), ("test", 6)):
        for i in range(number):
            label = forms.label_map()
            label[:4, :4] = 3 * (split != "train")
            forms.save(tmp_path / f"source/{split}/{split}{i}.jpg", forms.photo(i))
            forms.save(tmp_path / f"source/{split}/{split}{i}_mask.png", label)
        names = "Pixel Value, Class\n0, background\n1, shirt\n2, hat\n3, scarf"
        forms.write(tmp_path / f"source/{split}/_classes.csv", names)
    _, spec, _ = prepared(tmp_path)
    assert spec.dropped == (3,) and spec.boundary["train"] == 19
    assert "class 'scarf' goes to the background" in capsys.readouterr().out


def test_versions_of_one_photo_come_to_one_list(tmp_path):
    for i in range(forms.NUMBER):
        for version in ("a1", "b2", "c3"):
            forms.save(tmp_path / f"source/images/p{i}_jpg.rf.{version}.jpg", forms.photo(i))
            forms.save(tmp_path / f"source/labels/p{i}_jpg.rf.{version}.png", forms.label_map())
    prepared(tmp_path)
    train, test = ({i.partition(".rf.")[0] for i in read_ids(tmp_path / "data/source", s)} for s in ("train", "test"))
    assert len(train | test) == forms.NUMBER and not train & test


def test_repeat_shots_come_to_one_list_but_for_photos_of_a_studio():
    ids, repeats = [f"p{i:02}" for i in range(40)], [(3, 4), (4, 9), (20, 21)]
    for seed in range(9):
        lists = draw_test(ids, 0.25, seed, repeats)
        where = {image_id: split for split, members in lists.items() for image_id in members}
        assert where["p03"] == where["p04"] == where["p09"] and where["p20"] == where["p21"]
        assert 8 <= len(lists["test"]) <= 12 and len(where) == 40
        outfits = draw_test(ids, 0.25, seed, [(8 * i + j, 8 * i + j + 1) for i in range(5) for j in range(7)])
        assert len(outfits["test"]) == 8, "a second outfit would make it far too long"
        studio = [(i, i + 1) for i in range(30)]
        assert draw_test(ids, 0.25, seed, studio) == draw_test(ids, 0.25, seed)


def test_repeat_shots_of_own_photos_are_looked_for(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = cv2.GaussianBlur(rng.uniform(0, 255, (*forms.SIZE, 3)), (0, 0), 4)
        pixels = np.clip(128 + 5 * (pixels - 128), 0, 255).astype(np.uint8)
        for shot in "ab":
            forms.save(tmp_path / f"source/images/p{i}{shot}.png", pixels)
            forms.save(tmp_path / f"source/labels/p{i}{shot}.png", forms.label_map())
    prepared(tmp_path)
    train, test = ({i[:-1] for i in read_ids(tmp_path / "data/source", split)} for split in ("train", "test"))
    assert len(train | test) == 12 and not train & test


@pytest.mark.parametrize(
    ("form", "spoil"),
    [("labelme", {"shapes": []}),
     ("labelme", {"shapes": [{"label": "shirt", "points": [[3, 3]], "shape_type": "point"}]}),
     ("supervisely", {"objects": [{"classTitle": "hat", "geometryType": "point", "points": {"exterior": [[3, 3]]}}]})],
)  # fmt: skip
def test_a_photo_without_a_region_is_not_one_of_nobody(form, spoil, tmp_path, capsys):
    getattr(forms, form)(tmp_path / "source")
    path = next(p for p in sorted((tmp_path / "source").rglob("*.json")) if p.name.startswith("p0"))
    path.write_text(json.dumps(json.loads(path.read_text()) | spoil))
    _, _, splits = prepared(tmp_path)
    ids = {image_id for split in splits for image_id in split.ids}
    assert ids == {f"p{i}" for i in range(1, forms.NUMBER)}
    assert "photos without a region that can be drawn (p0)" in capsys.readouterr().out


def test_a_listed_photo_that_has_lost_its_regions_is_passed_over(tmp_path, capsys):
    forms.labelme(tmp_path / "source")
    prepared(tmp_path)
    path = next((tmp_path / "source").rglob("p0.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"shapes": []}))
    status, _, splits = prepared(tmp_path)
    usable = {split.ids[number] for split in splits for number in split.usable}
    assert status == 0 and usable == {f"p{i}" for i in range(1, forms.NUMBER)}


def test_a_source_without_any_region_is_told(tmp_path, capsys):
    forms.labelme(tmp_path / "source", {"label": "shirt", "points": [[3, 3]], "shape_type": "point"})
    for path in (tmp_path / "source").rglob("*.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"shapes": content["shapes"][:1]}))
    with pytest.raises(UserError, match="source: no photo has a region that can be drawn"):
        prepare_custom(tmp_path / "source", tmp_path / "data")


def test_blanks_at_the_end_of_a_name_do_no_harm(tmp_path):
    forms.labelme(tmp_path / "source")
    for path in sorted((tmp_path / "source").rglob("p0.*")):
        if path.suffix == ".json":
            path.write_text(path.read_text().replace("p0.jpg", "p0 .jpg"))
        path.rename(path.with_stem("p0 "))
    status, _, splits = prepared(tmp_path)
    assert status == 0 and len(samples(splits)) == forms.NUMBER


def test_labels_that_differ_in_case_alone_are_told(tmp_path, capsys):
    shirt = {"label": "Hat", "points": forms.box(forms.SHIRT), "shape_type": "polygon"}
    forms.labelme(tmp_path / "source", shirt)
    prepared(tmp_path)
    assert "labels Hat, hat: they stay 2 classes; join them with merges" in capsys.readouterr().out


@pytest.mark.parametrize("taken_apart", ["photos", "labels"])
def test_accents_that_macos_takes_apart_are_the_same_name(taken_apart, tmp_path):
    whole, apart = "caf\u00e9{}.jpg", "cafe\u0301{}.jpg"
    on_disk, in_file = (apart, whole) if taken_apart == "photos" else (whole, apart)
    forms.labelme(tmp_path / "source", name=in_file, photo_folder="unused")
    shutil.rmtree(tmp_path / "source/unused")
    forms.photos(tmp_path / "source", on_disk)
    _, _, splits = prepared(tmp_path)
    assert len(samples(splits)) == forms.NUMBER


def test_accents_of_photos_and_label_maps_may_be_written_in_two_ways(tmp_path):
    forms.index_png(tmp_path / "source")
    for number, (photo, label) in enumerate(
        zip(*(sorted((tmp_path / "source" / f).iterdir()) for f in ("images", "labels")), strict=True)
    ):
        photo.rename(photo.with_stem(f"caf\u00e9{number}"))
        label.rename(label.with_stem(f"cafe\u0301{number}"))
    _, _, splits = prepared(tmp_path)
    assert len(samples(splits)) == forms.NUMBER


def test_predict_too_finds_accents_that_macos_takes_apart(tmp_path):
    forms.coco(tmp_path / "source", name="caf\u00e9{}.jpg")
    photo = tmp_path / "source/images/p0.jpg"
    photo = photo.rename(photo.with_name("cafe\u03010.jpg"))
    assert read_labels(tmp_path / "source/result.json", photo=photo)["shirt"][PLACES["shirt"]]


def test_what_was_erased_from_a_colour_picture_is_background(tmp_path):
    pixels = np.dstack([forms.in_colours(forms.COLOURS.values()), (forms.label_map() > 0).astype(np.uint8) * 255])
    pixels[forms.label_map() == 0, :3] = 255
    pixels[:30, :30, 3] = 0  # its colour stays
    forms.save(tmp_path / "a.png", pixels)
    masks = read_labels(tmp_path / "a.png", forms.COLOURS)
    expected = forms.label_map()
    expected[:30, :30] = 0
    for number, name in enumerate(forms.COLOURS, 1):
        assert np.array_equal(masks[name], expected == number)


def each_file(source, change):
    """Change the JSON files of a source, each by its number."""
    for number, path in enumerate(sorted(source.rglob("p*.json"))):
        content = json.loads(path.read_bytes())
        change(number, content)
        path.write_text(json.dumps(content))


def as_text(number, content):
    """Sizes as text, and blanks behind every other name."""
    if "size" in content:
        content["size"] = {side: str(length) for side, length in content["size"].items()}
    else:
        content.update(imageHeight="64", imageWidth="96")
    for entry in content.get("objects", content.get("shapes")):
        key = "classTitle" if "classTitle" in entry else "label"
        entry[key] += " " * (number % 2)


@pytest.mark.parametrize("form", [form for form in FORMS if "labelme" in form or "supervisely" in form])
def test_sizes_as_text_and_blanks_around_names_change_nothing(form, tmp_path):
    FORMS[form](tmp_path / "source")
    each_file(tmp_path / "source", as_text)
    _, spec, splits = prepared(tmp_path)
    assert set(spec.labels) == {"background", "shirt", "hat"} and len(samples(splits)) == forms.NUMBER


SIZES = {"text": str, "1.0": float, "1.0 as text": lambda side: f"{side}.0", "null": lambda side: None}


def change_sizes(source, change):
    """Change the sizes in all JSON files of a source."""
    for path in source.rglob("*.json"):
        content = json.loads(path.read_bytes())
        for entry in content.get("images", [content.get("size", content)]):
            sides = {key for key in entry if key.lower().endswith(("height", "width"))}
            entry.update({key: change(entry[key]) for key in sides})
        path.write_text(json.dumps(content))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", ["coco", "labelme", "supervisely's bitmaps"])
def test_sizes_are_read_alike_in_every_form(form, size, tmp_path):
    FORMS[form](tmp_path / "source")
    change_sizes(tmp_path / "source", SIZES[size])
    _, _, splits = prepared(tmp_path)
    assert len(samples(splits)) == forms.NUMBER


@pytest.mark.parametrize("form", ["coco", "labelme", "supervisely's bitmaps"])
def test_sizes_that_are_none_are_told(form, tmp_path, capsys):
    FORMS[form](tmp_path / "source")
    change_sizes(tmp_path / "source", lambda side: side + 0.5)
    with pytest.raises(UserError, match="holds no region" if form == "coco" else "8 of 8 photos or labels cannot"):
        prepared(tmp_path)
    words = "8 images without id or file_name, or of a broken" if form == "coco" else "drawn on a photo of 96.5x64.5"
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("form", [form for form in FORMS if form in ("labelme", "coco") or "supervisely" in form])
def test_a_photo_that_is_missing_is_passed_over_where_that_is_wanted(form, tmp_path, capsys):
    FORMS[form](tmp_path / "source")
    next(path for path in (tmp_path / "source").rglob("p3.*") if path.suffix != ".json").unlink()
    with pytest.raises(UserError, match="1 of 8 photos cannot be found, as named above; add them, or leave"):
        prepared(tmp_path)
    _, _, splits = prepared(tmp_path, "source", "--skip-bad")
    assert "1 of 8 photos cannot be found, as named above: they are passed over" in capsys.readouterr().out
    assert sorted(photo for split in splits for photo in split.ids) == [f"p{i}" for i in range(8) if i != 3]


@pytest.mark.parametrize("end", ["jpg", "JPG"])
def test_a_labelme_file_beside_another_photo_than_it_names_is_refused(end, tmp_path, capsys):
    forms.labelme(tmp_path / "source")
    each_file(tmp_path / "source", lambda number, content: content.update(imagePath=f"p{max(number - 1, 0)}.{end}"))
    for photo in (tmp_path / "source").glob("*.jpg"):
        photo.rename(photo.with_suffix(f".{end}"))
    with pytest.raises(UserError, match="7 of 8 photos or labels cannot be used"):
        prepared(tmp_path)
    assert f"p1.json: its imagePath is p0.{end}, but p1.{end} lies beside it; correct" in capsys.readouterr().out


def test_several_labelme_files_of_one_photo_are_told(tmp_path, capsys):
    forms.labelme(tmp_path / "source", folder="first")
    shutil.copytree(tmp_path / "source/first", tmp_path / "source/second")
    _, _, splits = prepared(tmp_path)
    assert len(samples(splits)) == 2 * forms.NUMBER
    assert "8 photos (p0.jpg, p1.jpg, p2.jpg ...): several labelme files name them" in capsys.readouterr().out


def zipped(source, method=zipfile.ZIP_STORED, separator="/"):
    """The source as a zip file beside it."""
    with zipfile.ZipFile(source.with_suffix(".zip"), "w", method) as archive:
        for path in sorted(p for p in source.rglob("*") if p.is_file()):
            archive.writestr(separator.join(path.relative_to(source).parts), path.read_bytes())
    shutil.rmtree(source)
    return source.with_suffix(".zip")


def test_palettes_in_a_zip_of_cvat_are_read_by_the_colours_of_its_labelmap(tmp_path):
    forms.cvat_in_a_palette(tmp_path / "source")
    masks = read_labels(zipped(tmp_path / "source"), photo=tmp_path / "source/JPEGImages/p0.jpg")
    for number, name in enumerate(forms.COLOURS, 1):
        assert np.array_equal(masks[name], forms.label_map() == number)


def test_a_zip_of_an_old_windows_tool_is_read(tmp_path):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat")
    zipped(tmp_path / "source", separator="\\")
    _, spec, splits = prepared(tmp_path, "source.zip")
    assert spec.labels == ("background", "shirt", "hat") and len(samples(splits)) == forms.NUMBER


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_told_in_one_line(method, tmp_path):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat")
    archive = zipped(tmp_path / "source", method)
    content = bytearray(archive.read_bytes())
    start = content.index(b"images/p0.jpg") + len("images/p0.jpg")
    content[start : start + 60] = bytes(range(195, 255))
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"source\.zip: not a readable zip file .*; pack or export it again"):
        prepared(tmp_path, "source.zip")


def test_a_zip_is_named_rather_than_where_it_was_unpacked(tmp_path):
    forms.write(tmp_path / "source/notes.md", "nothing")
    zipped(tmp_path / "source")
    with pytest.raises(UserError, match=r"source\.zip: has no sub-folder images"):
        prepared(tmp_path, "source.zip")


@pytest.mark.parametrize("form", ["index PNG", "labelme", "supervisely's bitmaps", "cvat's colours"])
def test_a_bad_photo_in_a_zip_is_named_by_the_zip_and_its_place_there(form, tmp_path, capsys):
    FORMS[form](tmp_path / "source")
    bad = next(path for path in (tmp_path / "source").rglob("p3.jpg"))
    bad.write_bytes(b"no photo")
    place = bad.relative_to(tmp_path / "source")
    archive = zipped(tmp_path / "source")
    _, _, splits = prepared(tmp_path, "source.zip", "--skip-bad")
    printed = capsys.readouterr().out
    assert len(samples(splits)) == forms.NUMBER - 1 and "/source-" not in printed
    assert f"{archive}/{place}: " in printed and "1 of 8 photos or labels cannot be used" in printed


def with_a_bitmap_outside(number, content):
    entry = content["objects"][0]
    content["objects"].append({**entry, "bitmap": {**entry["bitmap"], "origin": [-70, 10]}})


MASK, EMPTY = (base64.b64encode(png_bytes(np.full((10, 10), value, np.uint8))).decode() for value in (255, 0))
LEFT_OUT = {  # form -> the line that is printed
    "polygons of two points": (
        lambda s: forms.coco(s, forms.with_another([[20, 20, 60, 30]])),
        "left out: 8 polygons with fewer than three points, or broken ones (p0, p1, p2 ...)",
    ),
    "an empty polygon": (lambda s: forms.coco(s, forms.with_another([[]])), "left out: 8 polygons with fewer"),
    "boxes": (
        lambda s: forms.coco(s, forms.with_another([], bbox=[1, 1, 5, 5])),
        "left out: 8 boxes without a mask (annotation 900, annotation 901, annotation 902 ...)",
    ),
    "no such category": (
        lambda s: forms.coco(s, lambda c: c["annotations"].append({"id": 5, "image_id": 0, "category_id": 77})),
        "left out: 1 annotations of no known category (annotation 5)",
    ),
    "crowds": (
        lambda s: forms.coco(s, forms.with_another([[1, 1, 5, 1, 5, 5]], iscrowd=1)),
        "left out: 8 crowds (iscrowd is 1), whose pixels do not count (annotation 900, annotation 901",
    ),
    "broken run lengths": (
        lambda s: forms.coco(s, forms.with_another({"size": [64, 96], "counts": "x"})),
        "left out: 8 masks that are broken, or of another size than their photo (p0",
    ),
    "a broken file beside a good one": (
        lambda s: (forms.coco(s), forms.write(s / "old/result.json", '{"images": [')),
        "left out: 1 JSON files that cannot be read (old/result.json)",
    ),
    "regions beside the photo": (
        lambda s: forms.coco(s, forms.with_another([[200, 200, 220, 200, 220, 220]])),
        "left out: 8 regions that cover no pixel of their photo (p0",
    ),
    "shares of the photo": (
        lambda s: forms.coco(s, forms.with_another([[0.1, 0.1, 0.9, 0.1, 0.9, 0.9]])),
        "left out: 8 regions with all coordinates from 0 to 1, which must be in pixels (p0",
    ),
    "an image without an id": (
        lambda s: forms.coco(s, lambda c: c["images"].append({"file_name": "p0.jpg"})),
        "left out: 1 images without id or file_name, or of a broken width or height (result.json)",
    ),
    "photos without annotations": (
        lambda s: forms.coco(s, lambda c: c["images"].append({**c["images"][0], "id": 99, "file_name": "alone.jpg"})),
        "left out: 1 photos without annotations (alone.jpg)",
    ),
    "photos that coco does not list": (
        lambda s: (forms.coco(s), forms.save(s / "images/extra.jpg", forms.photo())),
        "left out: 1 photos that no label file names (extra.jpg)",
    ),
    "photos without a labelme file": (
        lambda s: (forms.labelme(s), forms.save(s / "extra.jpg", forms.photo())),
        "left out: 1 photos that no label file names (extra.jpg)",
    ),
    "shapes beside the photo and as shares": (
        lambda s: forms.labelme(s, shapes=[
            forms.shirt_shape("polygon", forms.box(forms.SHIRT)),
            {**forms.shirt_shape("polygon", forms.box(forms.HAT)), "label": "hat"},
            forms.shirt_shape("polygon", [[-9, 1], [-5, 1], [-5, 9]]),
            forms.shirt_shape("rectangle", [[0.2, 0.2], [0.8, 0.9]]),
        ]),
        "left out: 8 regions with all coordinates from 0 to 1, which must be in pixels (p0",
    ),
    "circles and masks beside the photo": (
        lambda s: forms.labelme(s, shapes=[
            forms.shirt_shape("polygon", forms.box(forms.SHIRT)),
            {**forms.shirt_shape("polygon", forms.box(forms.HAT)), "label": "hat"},
            forms.shirt_shape("circle", [[-20, 5], [-15, 5]]),
            {**forms.shirt_shape("mask", [[200, 5], [210, 15]]), "mask": MASK},
            {**forms.shirt_shape("mask", [[5, 5], [15, 15]]), "mask": EMPTY},
        ]),
        "left out: 24 regions that cover no pixel of their photo (p0",
    ),
    "bitmaps beside the photo": (
        lambda s: (forms.supervisely(s), each_file(s, with_a_bitmap_outside)),
        "left out: 8 regions that cover no pixel of their photo (p0",
    ),
    "unknown kinds": (
        lambda s: forms.labelme(s, flags={}, shapes=[
            forms.shirt_shape("polygon", forms.box(forms.SHIRT)),
            {**forms.shirt_shape("polygon", forms.box(forms.HAT)), "label": "hat"},
            forms.shirt_shape("spline", [[1, 1], [2, 2], [3, 1]]),
        ]),
        "left out: 8 shapes of the kind 'spline', which is not known (p0, p1, p2 ...)",
    ),
    "labelme beside coco": (
        lambda s: (forms.coco(s), forms.labelme(s, folder="lm", photo_folder="images")),
        "left out: 8 labelme files, since the COCO labels are read; prepare each form by itself (lm/p0.json",
    ),
    "label maps beside labelme": (
        lambda s: (forms.index_png(s, folders=("images", "masks")), forms.labelme(s, folder="lm", photo_folder="lm")),
        "left out: 8 label maps, since the labelme labels are read; prepare each form by itself (masks/p0.png",
    ),
    "voc without labels": (forms.pascal_voc, "left out: 8 photos without a label map (without0, without1"),
}  # fmt: skip


@pytest.mark.parametrize("form", LEFT_OUT)
def test_what_cannot_be_used_is_left_out_and_counted(form, tmp_path, capsys):
    make, line = LEFT_OUT[form]
    make(tmp_path / "source")
    status, _, splits = prepared(tmp_path)
    assert status == 0 and line in capsys.readouterr().out
    assert len(samples(splits)) == forms.NUMBER


def only_boxes(content):
    forms.each_annotation(lambda a: a.update(segmentation=[], bbox=[1, 1, 5, 5]))(content)


def smoothed(source):
    label = Image.fromarray(forms.label_map(40, 120)).resize((48, 32), Image.Resampling.BILINEAR)
    forms.index_png(source, label=np.asarray(label.resize((96, 64), Image.Resampling.BILINEAR)))


def of_several_pages(source):
    forms.index_png(source, ends=("jpg", "tif"))
    for path in (source / "labels").iterdir():
        pages = [Image.fromarray(np.uint8(forms.label_map() == i)) for i in (1, 2)]
        pages[0].save(path, save_all=True, append_images=pages[1:])


REFUSED = {  # form -> words of the one line
    "detection export": (lambda s: forms.coco(s, only_boxes), "holds no region to train on"),
    "two annotation files": (
        lambda s: (forms.coco(s), forms.coco(s, file="other.json")), "name the one to use with --annotations",
    ),
    "an annotation file of a split and a draft": (
        lambda s: (forms.coco(s, file="train.json"), forms.coco(s, file="draft.json")),
        "(draft.json, train.json); name the one to use with --annotations",
    ),
    "a mask of 0 and 255": (lambda s: forms.index_png(s, label=forms.label_map(255, 255)), "write 1 in the place"),
    "one class": (lambda s: forms.index_png(s, "background\nshirt", forms.label_map(1, 1)), "(labelled: shirt)"),
    "labels as JPEG": (lambda s: forms.index_png(s, ends=("png", "jpg")), "8 of 8 photos or labels cannot be used"),
    "labels scaled to be seen": (lambda s: forms.index_png(s, label=forms.label_map(127, 255)), "look scaled"),
    "three labels scaled to be seen": (lambda s: forms.index_png(s, label=forms.label_map(85, 170)), "look scaled"),
    "one class, of a high id": (lambda s: forms.index_png(s, label=forms.label_map(128, 128)), "(labelled: class-128)"),
    "labels of several pages": (of_several_pages, "8 of 8 photos or labels cannot be used"),
    "smoothed labels": (smoothed, "8 of 8 photos or labels cannot be used"),
    "names that may be shifted": (lambda s: forms.index_png(s, "fond\nshirt\nhat"), "if 'fond' is the background"),
    "a class for id 0": (lambda s: forms.index_png(s, "0 shirt\n1 hat"), "0 is the background"),
    "a name twice": (
        lambda s: forms.index_png(s, "background\nshirt\nhat\nhat"), "labels.txt: class 'hat' is there twice",
    ),
    "names of nothing": (lambda s: forms.index_png(s, "background"), "labels.txt: must hold one label name a line"),
    "an id without a name": (
        lambda s: forms.index_png(s, "background\nshirt"), "8 of 8 photos or labels cannot be used",
    ),
    "resized after annotation": (lambda s: forms.labelme(s, imageHeight=128, imageWidth=192), "8 of 8 photos or"),
    "broken file of a photo": (
        lambda s: (forms.labelme(s), forms.write(s / "p3.json", "{")), "p3.json: not a readable JSON file",
    ),
    "broken file of a project": (
        lambda s: (forms.coco(s), forms.write(s / "result.json", '{"images": [')), "result.json: not a readable JSON",
    ),
    "colours of no class": (
        lambda s: (forms.cvat(s), forms.write(s / "labelmap.txt", "background:0,0,0::\nshirt:1,2,3::")),
        "8 of 8 photos or labels cannot be used",
    ),
    "a colour's name twice": (
        lambda s: (forms.cvat(s), forms.write(s / "labelmap.txt", "hat:176,112,32::\nhat:48,112,32::")),
        "labelmap.txt: class 'hat' is there twice",
    ),
    "a mask's name twice": (
        lambda s: (forms.roboflow_masks(s, ("",)), forms.write(s / "_classes.csv", "Value, Class\n1, hat\n2, hat")),
        "_classes.csv: class 'hat' is there twice",
    ),
    "a category without a name": (
        lambda s: forms.coco(s, lambda c: c["categories"].append({"id": 9, "name": None})),
        "result.json: a class has no name",
    ),
    "a shape without a name": (
        lambda s: forms.labelme(s, {**forms.shirt_shape("polygon", forms.box(forms.SHIRT)), "label": ""}),
        "8 of 8 photos or labels cannot be used, as named above",
    ),
    "two classes of one colour": (
        lambda s: (forms.cvat(s), forms.write(s / "labelmap.txt", "background:0,0,0::\nshirt:1,2,3::\nhat:0,0,0::")),
        "'hat:0,0,0::' has the colour of another class",
    ),
    "no photos": (lambda s: forms.write(s / "result.json", {"images": []}), "has no sub-folder images"),
}  # fmt: skip


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_meant_is_refused_in_one_line(form, tmp_path):
    make, words = REFUSED[form]
    make(tmp_path / "source")
    with pytest.raises(UserError) as caught:
        prepared(tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value) and not (tmp_path / "data").exists()


def two_sets_joined(content):
    for image in content["images"]:
        image["id"] %= 4
    for annotation in content["annotations"]:
        annotation["image_id"] %= 4


AMBIGUOUS = {
    "image ids": (two_sets_joined, "image id 0 is 'p0.jpg' as well as 'p4.jpg'"),
    "category ids": (
        lambda c: c["categories"].append({"id": 1, "name": "sock"}), "category id 1 is 'shirt' as well as 'sock'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("ids", AMBIGUOUS)
def test_an_id_that_stands_for_two_is_refused_with_its_file(ids, tmp_path):
    change, words = AMBIGUOUS[ids]
    forms.coco(tmp_path / "source", change)
    file = tmp_path / "source/result.json"
    with pytest.raises(UserError, match=f"^{file}: {words}; give each an id of its own"):
        prepared(tmp_path)
    with pytest.raises(UserError, match=f"^{file}: {words}; give each an id of its own"):
        read_labels(file, photo=tmp_path / "source/images/p0.jpg")


def test_a_crowd_is_told_by_predict_too(tmp_path, capsys):
    forms.coco(tmp_path / "source", lambda c: c["annotations"][1].update(iscrowd=1))
    masks = read_labels(tmp_path / "source/result.json", photo=tmp_path / "source/images/p0.jpg")
    assert not masks["hat"].any() and masks["__ignore__"][PLACES["hat"]]
    assert "result.json: 1 crowds (iscrowd is 1), whose pixels do not count: left out" in capsys.readouterr().out


MANY = [{"id": i, "name": {1: "shirt", 2: "hat"}.get(i, f"thing {i}")} for i in range(1, 366)]


def last_for_first(content):
    """365 categories, of which hat and the last one, which is called shirt, have regions."""
    content["categories"] = [*MANY[1:-1], {"id": 365, "name": "shirt"}]
    for annotation in content["annotations"]:
        annotation["category_id"] = {1: 365}.get(annotation["category_id"], annotation["category_id"])


def test_of_too_many_categories_those_with_regions_are_classes(tmp_path, capsys):
    forms.coco(tmp_path / "source", last_for_first)
    for _ in range(2):  # the second time with the dataset.json of the first
        status, spec, splits = prepared(tmp_path)
        assert status == 0 and spec.labels == ("background", "hat", "shirt")
        assert int(samples(splits)[0].label[PLACES["shirt"]]) == 2
        assert "result.json: 2 of 364 categories are classes, those that have" in capsys.readouterr().out
    masks = read_labels(tmp_path / "source/result.json", photo=tmp_path / "source/images/p0.jpg")
    assert {name: bool(mask[PLACES[name]]) for name, mask in masks.items()} == {"shirt": True, "hat": True}


def test_regions_of_too_many_categories_are_refused(tmp_path):
    def all_in_use(content):
        content["categories"], shirt = MANY, content["annotations"][0]
        content["annotations"] += [{**shirt, "id": 1000 + c["id"], "category_id": c["id"]} for c in MANY]

    forms.coco(tmp_path / "source", all_in_use)
    for read in (prepared, lambda _: read_labels(tmp_path / "source/result.json", photo="p0.jpg")):
        with pytest.raises(UserError, match=r"result\.json: regions of 365 categories, but 253 classes are the most"):
            read(tmp_path)


def test_a_region_of_no_known_category_is_told_by_predict_too(tmp_path, capsys):
    forms.coco(tmp_path / "source", lambda c: c["annotations"][1].update(category_id=77))
    masks = read_labels(tmp_path / "source/result.json", photo=tmp_path / "source/images/p0.jpg")
    assert masks["shirt"].any() and not masks["hat"].any()
    assert "result.json: 1 annotations of no known category: left out" in capsys.readouterr().out


def turned(source, orientation, suffix, stored_label=False):
    """The scene as a camera stores it that was held another way, with the tag; labels as a viewer shows it."""
    back = {1: 0, 3: 2, 6: 1, 8: 3}[orientation]  # quarter turns against the clock
    exif = Image.Exif()
    exif[0x0112] = orientation
    for i in range(forms.NUMBER):
        forms.save(source / f"images/p{i}.{suffix}", np.rot90(forms.photo(i), back), exif=exif)
        label = np.rot90(forms.label_map(), back) if stored_label else forms.label_map()
        forms.save(source / f"labels/p{i}.png", np.ascontiguousarray(label))


def coco_of_raw_size(source, orientation, suffix):
    """Polygons on what a viewer shows, and the size of what the file stores."""
    swapped = orientation in (6, 8)

    def raw_size(content):
        for image in content["images"]:
            image.update(width=64 if swapped else 96, height=96 if swapped else 64)

    forms.coco(source, raw_size, name=f"p{{}}.{suffix}", folder="unused")
    turned(source, orientation, suffix)
    for folder in ("unused", "labels"):
        shutil.rmtree(source / folder)


@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("make", [turned, coco_of_raw_size])
def test_turned_photos_meet_their_labels(orientation, suffix, make, tmp_path):
    make(tmp_path / "source", orientation, suffix)
    _, _, splits = prepared(tmp_path)
    for sample in samples(splits):
        assert sample.label.shape == forms.SIZE
        red = (sample.image[0] > 140) & (sample.image[2] < 100)
        shirt = sample.label == sample.label[PLACES["shirt"]]
        assert (red & shirt).sum() / (red | shirt).sum() > 0.9


def test_predict_too_knows_coco_regions_of_the_stored_size(tmp_path):
    """As Label Studio writes them: drawn on the upright photo, with the width and height of the stored one."""
    coco_of_raw_size(tmp_path / "source", 6, "jpg")
    masks = read_labels(tmp_path / "source/result.json", photo=tmp_path / "source/images/p0.jpg")
    assert masks["shirt"].shape == forms.SIZE and masks["shirt"][PLACES["shirt"]] and masks["hat"][PLACES["hat"]]


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_labels_that_fit_the_stored_form_alone_are_told(suffix, tmp_path, capsys):
    turned(tmp_path / "source", 6, suffix, stored_label=True)
    status, _, splits = prepared(tmp_path)
    assert status == 0 and "8 photos (p0, p1, p2 ...): labels fit only the form" in capsys.readouterr().out
    sample = samples(splits)[0]
    assert sample.label.shape == (96, 64) == sample.image.shape[1:]
    assert sample.image[0, 95 - 30, 30] > 140 and sample.label[95 - 30, 30] == 1, "the shirt is where it is stored"


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("stored_label", [True, False])
def test_labels_with_a_tag_of_their_own_meet_their_photos(orientation, stored_label, tmp_path):
    """As the photo is stored they are turned with it; a tag that was copied to upright ones is told by the size."""
    turned(tmp_path / "source", orientation, "jpg", stored_label)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if stored_label or orientation == 6:
        for path in (tmp_path / "source/labels").iterdir():
            Image.open(path).save(path, exif=exif)
    _, _, splits = prepared(tmp_path)
    sample = samples(splits)[0]
    assert sample.label.shape == forms.SIZE
    assert (int(sample.label[PLACES["shirt"]]), int(sample.label[PLACES["hat"]])) == (1, 2)
    assert sample.image[0][PLACES["shirt"]] > 140 > sample.image[2][PLACES["shirt"]]


SIDES = {
    "left_arm": "right_arm",
    "LeftArm": "RightArm",
    "left arm": "right arm",
    "arm-left": "arm-right",
    "L arm": "R arm",
}


@pytest.mark.parametrize("left", SIDES)
def test_left_and_right_are_recognised_and_swapped_by_a_flip(left, tmp_path):
    right = SIDES[left]
    forms.index_png(tmp_path / "source", f"background\n{left}\n{right}\ntie", ends=("png", "png"))
    for path in (tmp_path / "source/labels").iterdir():
        label = forms.label_map()
        label[:5, :5] = 3
        Image.fromarray(label).save(path)
    _, spec, _ = prepared(tmp_path)
    assert spec.mirrored == ((1, 2),) and spec.merges == {2: 1}
    path = tmp_path / "data/source/dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "merges": {}, "body_areas": {"a": [1, 2, 3]}}))
    split = Split(catalog.load(path), path.parent, "train")
    plain, flipped = split.load(0), split.load(0, mirrored=True)
    assert int(plain.label[30, 30]) == 1 and int(flipped.label[30, 95 - 30]) == 2
    assert int(plain.label[20, 70]) == 2 and int(flipped.label[20, 95 - 70]) == 1
    assert int(flipped.label[2, 93]) == 3 and flipped.image[0, 30, 65] == plain.image[0, 30, 30]
