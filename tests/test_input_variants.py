"""Inputs that people have: lists of names in any form, mask folders that are none, links, zips and boxes of tools."""

import json
import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from dataloaders.layout import read_ids
from dataloaders.prepare.custom import prepare_custom
from dataloaders.prepare.formats.common import check_names, read_names_file
from inference.inputs import collect, note_results
from inference.labelled import check_labels
from inference.mask_folder import read_folder
from inference.people import places_of_boxes
from inference.project_labels import read_cvat
from utils.errors import UserError
from utils.files import replacing, write_json
from utils.names import of_link
from utils.pictures import picture_size

from . import label_forms
from .own_photos import picture
from .test_custom_data import make_labelme, make_png


def names_of(tmp_path, text: str):
    path = tmp_path / "names.txt"
    path.write_text(text)
    return read_names_file(path)


@pytest.mark.parametrize(
    "text, labels",
    [
        ("0 background\n1 hat\n3 skin\n255 void", ("background", "hat", "class-2", "skin")),
        ("2 hair\n3 skin", ("background", "class-1", "hair", "skin")),
        ("2: skin\n1: hat", ("background", "hat", "skin")),
        ("null\nhat\nskin", ("background", "hat", "skin")),
        ("# label:color_rgb:parts\nbackground:0,0,0::\nhat:128,0,0::\nskin:0,128,0::", ("background", "hat", "skin")),
        ("'hat',\n'skin',\n'coat'", ("background", "hat", "skin", "coat")),
        ("0: 'background',\n1: 'hat',\n2: 'coat'", ("background", "hat", "coat")),
        ("NAMES = [\n  'hat',\n  'coat',\n]", ("background", "hat", "coat")),
        ('{\n"1": "hat",\n"2": "coat"\n}', ("background", "hat", "coat")),
        ("hat,\nskin,\ncoat", ("background", "hat", "skin", "coat")),
        ("hat\nskin, bare\ncoat", ("background", "hat", "skin, bare", "coat")),
    ],
)  # fmt: skip
def test_a_list_of_names_in_any_form(text, labels, tmp_path):
    assert read_names_file(names_of(tmp_path, text).path).labels == labels


def test_an_id_with_two_names_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"names\.txt: names id 2 twice"):
        names_of(tmp_path, "1 hat\n2 hair\n2 skin")


def test_a_doubled_zero_is_refused_and_large_ids_take_no_time(tmp_path):
    with pytest.raises(UserError, match=r"names\.txt: names id 0 twice"):
        names_of(tmp_path, "0 hat\n0 background\n1 coat")
    assert names_of(tmp_path, "65535 hat").labels[65535] == "hat"


def test_a_first_name_that_may_be_the_background_is_asked_about(tmp_path):
    check_names(names_of(tmp_path, "hat\nskin\nbelt"), 2 + 1)
    with pytest.raises(UserError, match="if 'void' is the background, write 'background' in its place"):
        check_names(names_of(tmp_path, "void\nhat\nskin\nbelt\nscarf"), 2)


def test_names_in_the_folder_of_label_maps_are_read_when_preparing(tmp_path):
    source = make_png(tmp_path / "source")
    (source / "labels.txt").rename(source / "labels" / "labels.txt")
    prepare_custom(source, tmp_path / "data")
    assert json.loads((tmp_path / "data/source/dataset.json").read_text())["labels"][1] == "hat"


@pytest.mark.parametrize("make", ["labelme", "supervisely"])
def test_folders_of_splits_become_the_lists_whatever_the_form(make, tmp_path):
    whole = make_labelme(tmp_path / "whole") if make == "labelme" else None
    if whole is None:
        label_forms.supervisely(tmp_path / "whole")
        whole = tmp_path / "whole"
    for place in sorted(path for path in whole.rglob("*") if path.is_file()):
        last = place.name.split(".")[0][-1] in "67"
        target = tmp_path / "source" / ("test" if last else "train") / place.relative_to(whole)
        if place.name == "meta.json":
            target = tmp_path / "source/meta.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        place.rename(target)
    prepare_custom(tmp_path / "source", tmp_path / "data")
    test = read_ids(tmp_path / "data/source", "test")
    assert test and all(one[-1] in "67" for one in test)
    assert not any(one[-1] in "67" for one in read_ids(tmp_path / "data/source", "train"))


def test_a_label_map_or_a_cut_out_is_no_mask_of_one_class(tmp_path):
    photo, label = picture((200, 150))
    Image.fromarray(label * 3).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: holds 3 values or colours, and is no mask of one class"):
        read_folder(tmp_path)
    dark = np.where((label == 1)[..., None], photo // 9, 0)
    dark[label == 2] = photo[label == 2]
    Image.fromarray(dark.astype(np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: .*is no mask of one class"):
        read_folder(tmp_path)


def test_photos_with_a_star_are_no_results_of_the_run_before(tmp_path):
    for name in ("a.png", "b.png", "a_overlay.jpg", "ref.png"):
        Image.fromarray(picture()[0]).save(tmp_path / name)
    sources, _ = collect([tmp_path / "b.png"])
    note_results(tmp_path, [source._replace(path=tmp_path / "a.jpg", name="a") for source in sources])
    named, passed_over = collect(sorted(tmp_path.glob("*.*g")), [tmp_path / "ref.png"])
    assert [source.path.name for source in named] == ["b.png"]
    assert sorted(passed_over) == ["a.png", "a_overlay.jpg", "ref.png"]
    assert collect([tmp_path / "a.png"])[0], "alone it is meant"
    results = tmp_path / "parsed"
    results.mkdir()
    Image.fromarray(picture()[0]).save(results / "b.png")
    note_results(results, sources)
    named, passed_over = collect([tmp_path / "b.png", results])
    assert [source.path.name for source in named] == ["b.png"] and passed_over == ["parsed/"]
    with pytest.raises(UserError, match="holds no photos or videos"):
        collect([results])


def test_only_exif_turns_a_photo(tmp_path):
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    xmp += '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    photo = Image.fromarray(picture((60, 40))[0])
    photo.save(tmp_path / "xmp.jpg", xmp=xmp.encode())
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(tmp_path / "exif.jpg", exif=exif, xmp=xmp.encode())
    assert picture_size(tmp_path / "xmp.jpg")[0] == (60, 40) and picture_size(tmp_path / "exif.jpg")[0] == (40, 60)


def test_boxes_may_be_a_tensor():
    (place,) = places_of_boxes(torch.tensor([[10.0, 5.0, 30.0, 40.0]]), (60, 80))
    (same,) = places_of_boxes([(10, 5, 30, 40)], (60, 80))
    assert place.window == same.window and (place.own == same.own).all()


def test_masks_have_names(tmp_path):
    photo, label = picture()
    with pytest.raises(UserError, match="a mask is called 2; call each by the name of its class"):
        check_labels([photo], [{2: label == 2}], {2: "hair"})  # type: ignore[dict-item]


def test_a_photo_whose_name_is_no_line_is_refused_before_anything_is_written(tmp_path):
    label_forms.coco(tmp_path / "source", name="x\u2028p{}.jpg")
    label_forms.photos(tmp_path / "source/images", "x\u2028p{}.jpg")
    with pytest.raises(UserError, match="cannot be an id"):
        prepare_custom(tmp_path / "source", tmp_path / "data")
    assert not (tmp_path / "data/source").exists()


def test_a_zip_of_cvat_may_keep_the_folders_of_its_photos(tmp_path):
    colours = np.zeros((*label_forms.SIZE, 3), np.uint8)
    colours[10:50, 10:50] = (128, 0, 0)
    for place in ("shop/1.png", "other/1.png"):
        path = tmp_path / "SegmentationClass" / place
        path.parent.mkdir(parents=True)
        Image.fromarray(colours if place.startswith("shop") else colours[::-1]).save(path)
    with zipfile.ZipFile(tmp_path / "task.zip", "w") as archive:
        archive.writestr("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nshirt:128,0,0::\n")
        for path in (tmp_path / "SegmentationClass").rglob("*.png"):
            archive.write(path, path.relative_to(tmp_path))
    for folder, row in (("shop", 10), ("other", 14)):
        (tmp_path / folder).mkdir()
        label_forms.save(tmp_path / folder / "1.jpg", label_forms.photo())
        masks = read_cvat(tmp_path / "task.zip", tmp_path / folder / "1.jpg")
        assert np.flatnonzero(masks["shirt"].any(axis=1))[0] == row


def test_links_of_label_studio_are_paths():
    assert of_link("/data/local-files/?d=shop/a%20b.jpg") == "shop/a b.jpg"
    assert of_link("https://x.y/shop/a.jpg?sig=1") == "https://x.y/shop/a.jpg"
    assert of_link("what is this?.jpg") == "what is this?.jpg"


def test_a_file_whose_name_is_as_long_as_the_system_allows_is_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".json")
    write_json(path, {"a": 1})
    assert json.loads(path.read_text()) == {"a": 1} and os.listdir(tmp_path) == [path.name]
    with pytest.raises(UserError, match="give it a shorter name"), replacing(tmp_path / ("n" * 300 + ".json")) as name:
        name.write_text("")
