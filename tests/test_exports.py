"""Exports: every form is read back by the preparation of data sets and by --labels; no work in a folder is lost."""

import io
import json
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dataloaders import catalog
from dataloaders.prepare.__main__ import main
from dataloaders.prepare.formats.recognise import read_source
from dataloaders.split import Split
from inference.annotations import names_beside, read_labels
from inference.exports.coco import Coco
from inference.exports.polygons import DETAILS, polygons
from inference.exports.project import FORMS, check_exports, exporting
from inference.inputs import Source
from inference.parsing import ClassInfo, Parsing
from utils.errors import UserError

from .own_photos import complaint, run

CLASSES = (ClassInfo(1, "hat", (230, 25, 75)), ClassInfo(3, "long coat", (0, 130, 200)), ClassInfo(7, "bag", (1, 2, 3)))
SIZE = (90, 70)


def labels(seed: int) -> np.ndarray:
    """A label map whose parts have rough edges, holes of background and of another class, and specks."""
    picture = Image.new("L", SIZE[::-1])
    draw, rng = ImageDraw.Draw(picture), np.random.default_rng(seed)
    draw.ellipse((10, 20, 60, 80), fill=3)
    draw.ellipse((20, 5, 45, 25), fill=1)
    for value in (0, 7, 0, 7):
        x, y = rng.integers(18, 45, 2).tolist()
        draw.ellipse((x, y + 8, x + 9, y + 20), fill=value)
    ids = np.array(picture)
    ids[tuple(rng.integers(0, side, 40) for side in SIZE)] = 3
    ids[tuple(rng.integers(0, side, 40) for side in SIZE)] = 0
    return ids


def parsings(folder: Path, number: int = 3) -> dict[Source, Parsing]:
    """Photos, the second one a JPEG that is stored on its side, and what a parser would say of them."""
    found = {}
    for seed, suffix in enumerate((".png", ".jpg", ".webp", *[".png"] * (number - 3))):
        ids, path = labels(seed), folder / f"photo {seed}{suffix}"
        rgb = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        folder.mkdir(exist_ok=True)
        exif = Image.Exif()
        exif[274] = 6 if seed == 1 else 1
        stored = np.rot90(rgb) if seed == 1 else rgb
        Image.fromarray(stored).save(path, exif=exif)
        found[Source(path, path.stem)] = Parsing(rgb, ids, ids > 0, {1: 0.9 - seed / 5, 3: 0.8, 7: 0.95}, CLASSES)
    return found


def export(tmp_path: Path, *forms: str, number: int = 3) -> dict[Source, Parsing]:
    results, out = parsings(tmp_path / "photos", number), tmp_path / "out"
    check_exports(forms, out, [c.name for c in CLASSES], list(results), [])
    with exporting(forms, out, CLASSES) as projects:
        for source, parsing in results.items():
            for project in projects:
                project.add(source, parsing)
        for project in projects:
            project.finish()
    assert not list(out.glob(".*"))
    return results


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def by_name(ids: np.ndarray, names: tuple[str, ...] | dict[int, str]) -> dict[str, np.ndarray]:
    """The masks of the three classes, by the names that their ids have."""
    known = dict(enumerate(names)) if isinstance(names, tuple) else names
    return {c.name: np.isin(ids, [i for i, name in known.items() if name == c.name]) for c in CLASSES}


def labels_txt(form: str) -> dict[int, str]:
    return {i: c.name for c, i in zip(CLASSES, (1, 3, 7) if form == "index" else (1, 2, 3), strict=True)}


def assert_same(masks: dict[str, np.ndarray], parsing: Parsing, form: str) -> None:
    for c in CLASSES:
        least = 0.98 if form == "labelme" else 1
        assert iou(masks[c.name], parsing.labels == c.id) >= least, (form, c.name)


@pytest.mark.parametrize("form", FORMS)
def test_an_export_is_read_back_as_a_data_set_and_as_labels(form, tmp_path):
    if form == "coco":
        pytest.importorskip("pycocotools")
    results = export(tmp_path, form)
    folder = tmp_path / "out" / form
    if form == "cvat":
        with zipfile.ZipFile(folder / "cvat.zip") as archive:
            archive.extractall(tmp_path / "unpacked")
    source = tmp_path / "unpacked" if form == "cvat" else folder
    labelled = read_source(source, None, None)
    photos = {photo.id: photo for photo in labelled.photos}
    assert set(photos) == {"photo 0", "photo 1", "photo 2"}
    for own, parsing in results.items():
        photo = photos[own.name]
        label = photo.label if isinstance(photo.label, Path) else io.BytesIO(photo.label)
        assert_same(by_name(np.array(Image.open(label)), labelled.labels), parsing, form)
        image = Image.open(photo.origin)
        assert image.size == SIZE[::-1] and photo.origin.suffix == (".png" if own.name == "photo 0" else ".jpg")
        file = {
            "coco": folder / "annotations/instances_default.json", "labelme": folder / f"{own.name}.json",
            "cvat": folder / "cvat.zip", "index": folder / f"labels/{own.name}.png",
        }[form]  # fmt: skip
        read = read_labels(file, photo=photo.origin)
        names = names_beside([file])
        assert_same(by_name(read, names) if isinstance(read, np.ndarray) else dict(read), parsing, form)
        ids = {"coco": {1: "hat", 3: "long coat", 7: "bag"}, "cvat": {}}  # the zip's are numbered in their order
        known = {i: name for i, name in names.items() if name in [c.name for c in CLASSES]}
        assert known == ids.get(form, labels_txt(form))


def test_a_zip_of_cvat_becomes_a_data_set(tmp_path):
    results = export(tmp_path, "cvat", number=8)
    archive = str(tmp_path / "out/cvat/cvat.zip")
    assert main(["custom", "--source", archive, "--data-root", str(tmp_path / "data"), "--name", "mine"]) == 0
    spec = catalog.load(tmp_path / "data/mine/dataset.json")
    split = Split(spec, tmp_path / "data/mine", "train")
    expected = {source.name: parsing for source, parsing in results.items()}[split.ids[0]]
    assert_same(by_name(split.load(0).label.numpy(), spec.labels), expected, "cvat")


def test_coco_tells_the_persons_apart(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools import mask as coco_mask

    one = next(iter(parsings(tmp_path / "photos", 1).values()))
    ids = np.zeros(one.labels.shape, np.uint8)
    ids[:, : ids.shape[1] // 2], ids[:, ids.shape[1] // 2 :] = 1, 2
    of_each = ({1: 0.5, 3: 0.6, 7: 0.7}, {1: 0.8, 3: 0.9, 7: 1.0})
    form = Coco(tmp_path, CLASSES)
    form.add("a.jpg", replace(one, person_ids=ids, scores_of_persons=of_each))
    assert {a["person"] for a in form.annotations} == {1, 2}
    for entry in form.annotations:
        person, class_id = entry["person"], entry["category_id"]
        assert np.array_equal(coco_mask.decode(entry["segmentation"]) > 0, (one.labels == class_id) & (ids == person))
        assert entry["score"] == of_each[person - 1][class_id]


def test_what_the_tools_look_for_is_there(tmp_path):
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO

    results = export(tmp_path, *FORMS)
    out = tmp_path / "out"
    coco = COCO(str(out / "coco/annotations/instances_default.json"))
    first = next(iter(results.values()))
    entry = next(a for a in coco.loadAnns(coco.getAnnIds(imgIds=[1])) if a["category_id"] == 3)
    assert np.array_equal(coco.annToMask(entry) > 0, first.labels == 3) and entry["area"] == (first.labels == 3).sum()
    rows, columns = (np.flatnonzero((first.labels == 3).any(axis=axis)) for axis in (1, 0))
    assert entry["bbox"] == [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
    with zipfile.ZipFile(out / "cvat/cvat.zip") as archive:
        files = set(archive.namelist())
        assert archive.read("labelmap.txt").decode().splitlines()[1:3] == ["background:0,0,0::", "hat:230,25,75::"]
        assert archive.read("ImageSets/Segmentation/default.txt").decode().split("\n")[:2] == ["photo 0", "photo 1"]
        instances = np.array(Image.open(io.BytesIO(archive.read("SegmentationObject/photo 0.png"))))
    assert {"SegmentationClass/photo 1.png", "JPEGImages/photo 1.jpg"} <= files
    assert np.array_equal((instances == (0, 128, 0)).all(axis=2), first.labels == 3)  # the second one in VOC's colours
    shape = json.loads((out / "labelme/photo 0.json").read_text())
    assert shape["imagePath"] == "photo 0.png" and all(len(s["points"]) >= 3 for s in shape["shapes"])
    assert (out / "index/labels.txt").read_text() == "0 background\n1 hat\n3 long coat\n7 bag\n"
    review = [line.split("\t") for line in (out / "index/review.txt").read_text().splitlines()]
    assert [photo for _, photo, _ in review] == ["photo 2.jpg", "photo 1.jpg", "photo 0.png"]
    last = list(results.values())[2]
    mean = np.mean([last.scores[i] for i in last.labels[last.labels > 0].tolist()])
    assert review[0][0] == f"{mean:.4f}" and review[0][2] == "hat 0.50, long coat 0.80, bag 0.95"


@pytest.mark.parametrize("kind", ["rough", "dense", "checks", "lines", "empty"])
def test_polygons_of_the_finest_detail_keep_every_hole_and_speck(kind):
    rng, grid = np.random.default_rng(0), np.indices((24, 24))
    mask = {"rough": rng.random((24, 24)) > 0.5, "dense": rng.random((24, 24)) > 0.1, "checks": grid.sum(0) % 2 == 0,
            "lines": (grid % 4 == 0).any(0), "empty": np.zeros((24, 24), bool)}[kind]  # fmt: skip
    canvas = Image.new("1", (24, 24))
    for ring in polygons(mask, DETAILS[-1]):
        ImageDraw.Draw(canvas).polygon([tuple(corner) for corner in ring.tolist()], fill=1, outline=1)
    assert iou(np.array(canvas), mask) == (kind != "empty")


def test_a_folder_that_holds_other_work_is_left_alone(tmp_path):
    sources, names = list(export(tmp_path, "labelme")), [c.name for c in CLASSES]
    out = tmp_path / "out"
    check_exports(["labelme"], out, names, sources, [])  # its own is written anew

    def refused(told: str, *, sources: list[Source] = sources, read: tuple[Path, ...] = ()) -> None:
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        with pytest.raises(UserError, match=told):
            check_exports(["labelme"], out, names, sources, read)
        assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    refused(r"other photos too \(photo 2\); move it away", sources=sources[:2])
    refused("this run reads files there", read=(out / "labelme/photo 0.json",))
    file = out / "labelme/photo 1.json"
    content = file.read_text()
    file.write_text(content.replace("hat", "cap"))
    refused(r"changed or added since it was exported \(photo 1.json\)")
    file.write_text(content)
    with pytest.raises(UserError, match="while this run parsed"), exporting(["labelme"], out, CLASSES) as projects:
        (out / "labelme/notes.txt").write_text("mine")
        projects[0].photos.append("photo 0")
        projects[0].finish()
    assert (out / "labelme/notes.txt").exists() and not list(out.glob(".*"))
    refused(r"changed or added since it was exported \(notes.txt\)")
    (out / "labelme/.export.json").unlink()
    refused("stands already, and is no export")


@pytest.mark.parametrize(
    "form, names, told",
    [("index", ["hat", "bg"], "cannot be called 'bg'"), ("labelme", ["a\nb"], r"cannot be called 'a\\nb'"),
     ("cvat", ["a:b"], "'a:b' cannot be written into CVAT's"), ("coco", [f"{i}" for i in range(300)], "300 classes")],
)  # fmt: skip
def test_classes_that_a_form_cannot_hold_are_refused(form, names, told, tmp_path):
    with pytest.raises(UserError, match=told):
        check_exports([form], tmp_path, names, [], [])


@pytest.mark.parametrize("form", FORMS)
def test_a_photo_whose_name_no_form_can_hold_is_refused_before_the_parse(form, tmp_path):
    check_exports([form], tmp_path, ["hat"], [Source(tmp_path / "a\udce9.mp4", "a\udce9")], [])
    with pytest.raises(UserError, match=r"a.\.jpg: its name is not UTF-8, .* rename it for --export"):
        check_exports([form], tmp_path, ["hat"], [Source(tmp_path / "a\udce9.jpg", "a\udce9")], [])


def test_pycocotools_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(UserError, match="--export coco needs pycocotools; run: pip install pycocotools"):
        check_exports(["coco"], tmp_path, ["hat"], [], [])
    check_exports(["labelme", "cvat", "index"], tmp_path, ["hat"], [], [])


def test_the_command_exports_twice_and_reads_its_export(place, capsys):
    more = ("--export", "index", "--export", "cvat")
    assert run(place, "photos", "clip.mp4", more=more) == 0 and run(place, "photos", more=more) == 0
    told = capsys.readouterr().out
    assert "not exported, since they are videos: clip.mp4" in told and f"{place / 'out/index'}: 2 photos" in told
    assert np.array_equal(*(np.array(Image.open(place / "out" / name)) for name in ("1.png", "index/labels/1.png")))
    assert (place / "out/index/images/1.jpg").read_bytes() == (place / "photos/1.jpg").read_bytes(), "as it is"
    more = ("--names", place / "out/index/labels.txt", "--out", place / "again")
    assert run(place, "photos/1.jpg", labels="out/index/labels/1.png", reference="photos/1.jpg", more=more) == 0
    assert "classes: hat, coat, shoes\n" in capsys.readouterr().out
    assert run(place, "photos/1.jpg", more=("--export", "index")) == 2
    assert "out/index: is an export of other photos too (2)" in complaint(capsys)


def test_names_that_lie_beside_a_label_map_are_read_where_they_are_sure(tmp_path):
    for name, lines in (("a", "hat\ncoat\n"), ("b", "nothing\nhat\ncoat\n"), ("c", "bg\nhat\ncoat\n")):
        (tmp_path / name / "labels").mkdir(parents=True)
        Image.fromarray(np.eye(4, dtype=np.uint8) * 2).save(tmp_path / name / "labels/p.png")
        (tmp_path / name / "labels.txt").write_text(lines)
    told: list[str] = []
    a, b, c = (tmp_path / name / "labels/p.png" for name in "abc")
    assert names_beside([a], told.append) == names_beside([c]) == {0: "background", 1: "hat", 2: "coat"}
    assert told == [f"names of the classes: {tmp_path / 'a/labels.txt'}"]
    with pytest.raises(UserError, match="if 'nothing' is the background"):
        names_beside([b])
    (tmp_path / "c/labels.txt").write_text("bg\nhat\nbag\n")
    with pytest.raises(UserError, match="name the classes differently"):
        names_beside([a, c])


def test_labels_of_a_project_that_lacks_the_photo_are_told(tmp_path):
    pytest.importorskip("pycocotools")
    export(tmp_path, "coco", "cvat")
    for file in ("coco/annotations/instances_default.json", "cvat/cvat.zip"):
        with pytest.raises(UserError, match=r"has no photos called 'ref' \(it holds .*photo 0"):
            read_labels(tmp_path / "out" / file, photo=tmp_path / "ref.jpg")
        with pytest.raises(UserError, match="holds 3 photos; give the reference as a path"):
            read_labels(tmp_path / "out" / file)
    (tmp_path / "broken.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="not a readable zip file"):
        read_labels(tmp_path / "broken.zip")
    with zipfile.ZipFile(tmp_path / "out/cvat/cvat.zip") as good, zipfile.ZipFile(tmp_path / "old.zip", "w") as old:
        for name in good.namelist():
            old.writestr(name.replace("/", "\\"), good.read(name))
    found = [dict(read_labels(tmp_path / name, photo="photo 0.png")) for name in ("out/cvat/cvat.zip", "old.zip")]
    assert found[0].keys() == found[1].keys() and all(np.array_equal(found[0][k], found[1][k]) for k in found[0])
