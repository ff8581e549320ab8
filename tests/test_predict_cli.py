"""predict.py on the command line: photos, folders, videos, the three forms of labels, and bad input."""

import json
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import predict
from inference.annotations import read_labels, read_names
from inference.exports import project
from inference.inputs import Source, is_of_photos, results_of
from inference.mask_folder import read_folder
from utils.errors import UserError
from utils.locks import alone_in

from .own_photos import COLORS, SIZE, complaint, picture, run

ROOT = Path(__file__).resolve().parents[1]


def test_photos_folders_and_videos(place, capsys):
    assert run(place, "photos", "clip.mp4", "ref.png") == 0
    assert sorted(p.name for p in (place / "out").iterdir()) == [
        ".predict.json",
        "1.json", "1.png", "1_overlay.jpg", "2.json", "2.png", "2_overlay.jpg", "clip.json", "clip_overlay.mp4",
        "ref.json", "ref.png", "ref_overlay.jpg",
    ]  # fmt: skip
    assert Image.open(place / "out" / "1.png").size == (50, 70)
    classes = json.loads((place / "out" / "1.json").read_text())["classes"]
    assert list(classes) == ["hat", "coat", "shoes"] and set(classes["hat"]) == {"id", "pixels", "share", "score"}
    video = json.loads((place / "out" / "clip.json").read_text())
    assert video["frames"] == 5 and set(video["mean_share"]) == {"hat", "coat", "shoes"}
    back = cv2.VideoCapture(str(place / "out" / "clip_overlay.mp4"))
    assert back.get(cv2.CAP_PROP_FRAME_COUNT) == 5 and back.get(cv2.CAP_PROP_FRAME_WIDTH) == SIZE[1]
    assert "4 of 4 files" in capsys.readouterr().out


def test_the_three_forms_of_labels_agree(place):
    _, label = picture()
    table = np.array([(0, 0, 0), *COLORS], dtype=np.uint8)
    Image.fromarray(table[label]).save(place / "colored.png")
    (place / "colors.json").write_text(json.dumps(dict(zip(("hat", "coat", "shoes"), COLORS, strict=True))))
    (place / "masks").mkdir()
    for slot, name in enumerate(("hat", "coat", "shoes"), 1):
        mask = (label == slot).astype(np.uint8) * (255 if slot > 1 else 1)
        Image.fromarray(mask).save(place / "masks" / f"{name}.png")
    results = []
    for labels, more in (("labels.png", ()), ("colored.png", ("--colors", place / "colors.json")), ("masks", ())):
        assert run(place, "photos", labels=labels, more=more) == 0
        results.append((place / "out" / "1.png").read_bytes())
    assert results[0] == results[1] == results[2]


def test_several_references(place):
    pair = ("--reference", place / "ref.png", "--labels", place / "labels.png")
    assert run(place, "photos") == 0
    once = (place / "out" / "1.png").read_bytes()
    assert run(place, "photos", more=pair) == 0
    assert (place / "out" / "1.png").read_bytes() == once


def test_files_of_one_name_do_not_overwrite_each_other(place):
    (place / "more").mkdir()
    for name in ("1.jpg", "1.png"):
        Image.fromarray(picture()[0]).save(place / "more" / name)
    assert run(place, "photos", "more") == 0
    assert sorted(p.name for p in (place / "out").glob("1*.json")) == ["1_jpg.json", "1_jpg_2.json", "1_png.json"]


def test_names_that_are_one_file_on_some_systems_get_results_of_their_own(place):
    for folder, name in (("one", "Look.jpg"), ("two", "look.jpg"), ("two", "caf\u00e9.jpg"), ("one", "cafe\u0301.jpg")):
        (place / folder).mkdir(exist_ok=True)
        (place / folder / name).write_bytes((place / "photos/1.jpg").read_bytes())
    assert run(place, "one", "two") == 0
    maps = [path.name for path in (place / "out").glob("*.png")]
    assert len(maps) == 4 == len({unicodedata.normalize("NFC", name).casefold() for name in maps})


def test_two_results_of_a_frame_with_one_name_are_refused_too(place):
    clip = Source(place / "clip.mp4", "clip", more=("_frames",))
    with pytest.raises(UserError, match=r"_people\.png: two results of clip\.mp4 are called so"):
        results_of([clip], ["_people.png", "_People.png"])


def test_a_folder_of_an_export_is_no_folder_of_photos(place):
    assert is_of_photos(place / "photos")
    (place / "photos/.export.json").write_text("{}")
    assert not is_of_photos(place / "photos")


def test_labels_and_references_are_counted(place, capsys):
    assert run(place, "photos", more=("--reference", str(place / "photos/1.jpg"))) == 2
    assert "2 --reference and 1 --labels; give --labels once for each" in complaint(capsys)


def test_names_of_masks_must_fit_too(place, capsys):
    label = np.array(Image.open(place / "labels.png"))
    for i, name in ((1, "hut"), (2, "mantel")):
        Image.fromarray(((label == i) * 255).astype(np.uint8)).save(place / f"{name}.png")
    (place / "masks").mkdir()
    for name in ("hut", "mantel"):
        (place / f"{name}.png").rename(place / f"masks/{name}.png")
    assert run(place, "photos", labels="masks") == 2
    assert "names.json: names none of the masks of the labels (hut, mantel)" in complaint(capsys)
    (place / "names.json").write_text('{"1": "hut"}')
    assert run(place, "photos", labels="masks") == 0
    assert "names.json: has no name for the masks mantel" in capsys.readouterr().out
    (place / "names.json").write_text('{"1": "background", "2": "hat"}')
    assert run(place, "photos") == 2
    assert "names id 1 'background', but the background is 0" in complaint(capsys)


def test_a_list_of_names_beside_masks_of_other_names_is_not_of_them(place):
    box = [[16, 10], [48, 10], [48, 38], [16, 38]]
    shapes = [{"label": "hut", "points": box, "shape_type": "polygon"}]
    content = {"imagePath": "ref.png", "imageHeight": 96, "imageWidth": 64, "shapes": shapes}
    (place / "ref.json").write_text(json.dumps(content))
    (place / "labels.txt").write_text("hat\ncoat\n")
    arguments = ["--checkpoint", place / "tiny.pt", "--reference", place / "ref.png", "--labels", place / "ref.json"]
    assert predict.main([str(word) for word in (*arguments, "--out", place / "out", place / "photos/1.jpg")]) == 0
    assert list(json.loads((place / "out/1.json").read_text())["classes"]) == ["hut"]


def test_an_export_that_is_refused_costs_no_other(place, capsys, monkeypatch):
    original = project.Project.finish

    def refused(self):
        if self.folder.name == "labelme":
            raise UserError(f"{self.folder}: files were changed, while this run parsed; choose another --out")
        return original(self)

    monkeypatch.setattr(project.Project, "finish", refused)
    assert run(place, "photos", "clip.mp4", more=("--export", "labelme", "--export", "index")) == 1
    told = capsys.readouterr()
    assert "not exported:" in told.err and "3 of 3 files parsed" in told.out
    assert (place / "out/index/labels").is_dir() and (place / "out/clip_overlay.mp4").exists()


def test_two_runs_do_not_write_one_export(place, capsys):
    with alone_in(place / "out/.index.partial", wait=False):
        assert run(place, "photos", more=("--export", "index")) == 2
    assert ".index.partial: another run is writing there" in complaint(capsys)
    assert run(place, "photos", more=("--export", "index")) == 0


def test_bad_files_are_named_and_skipped(place, capsys):
    (place / "photos" / "text.jpg").write_text("no picture")
    (place / "photos" / "empty.mp4").write_bytes(b"")
    cv2.VideoWriter(str(place / "photos" / "none.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 5, SIZE).release()
    Image.new("1", (20000, 20000)).save(place / "photos" / "bomb.png")
    assert run(place, "photos") == 1
    told = capsys.readouterr().err
    for name in ("text.jpg", "empty.mp4", "none.mp4", "bomb.png"):
        assert f"photos/{name}: " in told
    assert (place / "out" / "1.png").exists() and (place / "out" / "2.png").exists()


def save_labels(place, label, **options):
    Image.fromarray(label).save(place / "labels.png", **options)


def save_pages(place):
    label = picture()[1]
    save_labels(place, label, format="TIFF", save_all=True, append_images=[Image.fromarray(label // 2)])


BAD = {
    "another size": (lambda p: save_labels(p, np.ones((9, 8), np.uint8)), "8x9"),
    "no class": (lambda p: save_labels(p, np.zeros(SIZE, np.uint8)), "no class"),
    "colours without names": (lambda p: save_labels(p, picture()[0]), "--colors"),
    "several pages": (save_pages, "labels.png: holds several pages"),
    "no image": (lambda p: (p / "labels.png").write_text("x"), "labels.png"),
    "no labels": (lambda p: (p / "labels.png").unlink(), "labels.png"),
    "no reference": (lambda p: (p / "ref.png").unlink(), "ref.png"),
    "no checkpoint": (lambda p: (p / "tiny.pt").unlink(), "tiny.pt"),
    "broken checkpoint": (lambda p: (p / "tiny.pt").write_text("x"), "tiny.pt"),
    "no photos": (lambda p: [f.unlink() for f in (p / "photos").iterdir()], "photos: the folder holds no photos"),
    "no folder": (lambda p: (p / "photos").rename(p / "elsewhere"), "photos: no such file or folder"),
    "names": (lambda p: (p / "names.json").write_text('{"hat": 1}'), "names.json"),
    "names that are no text": (lambda p: (p / "names.json").write_text('{"1": {"name": "hat"}}'), "class names by id"),
    "names from id 0 on": (lambda p: (p / "names.json").write_text('["hat", "coat", "shoes"]'), "names id 0 'hat'"),
    "names of no id": (lambda p: (p / "names.json").write_text('{"77": "hat"}'), "names none of the ids"),
    "no JSON": (lambda p: (p / "names.json").write_text("hat"), "names.json"),
}


@pytest.mark.parametrize("damage, told", BAD.values(), ids=BAD)
def test_bad_input(damage, told, place, capsys):
    damage(place)
    assert run(place, "photos") == 2
    assert told in complaint(capsys) and not (place / "out").exists()


NAMES_TXT = {
    "fond\nhat\ncoat\nshoes": "if 'fond' is the background",
    "# classes\nbackground\nhat\ncoat\nshoes": "'background' is not its first line",
    "0 hat\n1 coat\n2 shoes": "0 is the background",
}


@pytest.mark.parametrize("content, told", NAMES_TXT.items())
def test_a_list_of_names_that_may_be_shifted_is_refused(content, told, place, capsys):
    (place / "names.txt").write_text(content)
    assert run(place, "photos", more=("--names", place / "names.txt")) == 2
    assert told in complaint(capsys) and not (place / "out").exists()


@pytest.mark.parametrize("option, file", [("--names", "names.json"), ("--bank-map", "map.json"), ("--masks", "m.json")])
def test_a_name_that_is_there_twice_in_a_file_is_told(option, file, place, capsys):
    (place / file).write_text('{"1": "hat", "1": "coat"}')
    assert run(place, "photos", more=(option, place / file)) == 2
    assert f'{file}: holds "1" twice; keep one of them' in complaint(capsys)


def test_a_missing_list_of_names_is_told(place, capsys):
    assert run(place, "photos", more=("--names", place / "gone.txt")) == 2
    assert "gone.txt: no such file" in complaint(capsys)


@pytest.mark.parametrize("first", ["", "0_background\n", "_background_\n", "0 bg\n"])
def test_a_list_of_names_may_begin_with_the_background(first, tmp_path):
    (tmp_path / "names.txt").write_text(first + "hat\ncoat")
    assert list(read_names(tmp_path / "names.txt", [np.array([[0, 2, 255]])]).values()) == ["background", "hat", "coat"]


@pytest.mark.parametrize(
    "content, told",
    [
        ({"hat": [1, 2]}, "colors.json"),
        ({"hat": [0.9, 0.1, 0.3]}, "object of colours"),
        ([1], "colors.json"),
        ({"hat": list(COLORS[0])}, "does not name"),
    ],
)
def test_bad_colors(content, told, place, capsys):
    _, label = picture()
    save_labels(place, np.array([(0, 0, 0), *COLORS], dtype=np.uint8)[label])
    (place / "colors.json").write_text(json.dumps(content))
    assert run(place, "photos", more=("--colors", place / "colors.json")) == 2
    assert told in complaint(capsys)


def test_a_bad_bank_map(place, capsys):
    (place / "map.json").write_text('["hat"]')
    assert run(place, "photos", more=("--prototypes", "bank", "--bank-map", place / "map.json")) == 2
    assert "map.json: must map names" in complaint(capsys)


def test_what_of_the_names_and_folders_is_left_out_is_told(place, capsys):
    (place / "names.json").write_text('{"1": "hat"}')
    shutil.copy(place / "ref.png", place / "photos")
    shutil.copy(place / "labels.png", place / "photos")
    (place / "photos" / "gone.jpg").symlink_to(place / "nowhere.jpg")
    for folder in ("more", "notes", "results"):
        (place / "photos" / folder).mkdir()
    for folder in ("more", "results"):
        shutil.copy(place / "ref.png", place / "photos" / folder)
    (place / "photos/results/.predict.json").write_text("{}")
    assert run(place, "photos", labels="photos/labels.png", more=("--mask", "all=foreground")) == 0
    told = capsys.readouterr().out
    assert "names.json: has no name for the ids 2, 3" in told and told.count("has no name for") == 1
    assert "passed over, no photos or videos: 2 files (gone.jpg, labels.png)" in told
    assert "passed over, sub-folders: more/; name them too" in told
    assert not (place / "out" / "labels.png").exists() and (place / "out" / "ref.png").exists()


def test_references_with_names_and_with_ids_alone(place, capsys):
    (place / "masks").mkdir()
    for name, value in (("hat", 1), ("coat", 2)):
        Image.fromarray((picture()[1] == value).astype(np.uint8) * 255).save(place / "masks" / f"{name}.png")
    (place / "names.json").write_text('{"1": "hat"}')
    more = ("--reference", place / "ref.png", "--labels", place / "masks")
    assert run(place, "photos", more=more) == 2
    assert "another has ids without names (2, 3)" in complaint(capsys)


def test_bad_mask_folders(place, capsys):
    (place / "names.json").write_text('{"1": "a", "2": "b"}')
    (place / "masks").mkdir()
    assert run(place, "photos", labels="masks") == 2
    assert "holds no masks" in complaint(capsys)
    for name, size in (("a", 5), ("b", 6)):
        Image.new("L", (size, size), 255).save(place / "masks" / f"{name}.png")
    assert run(place, "photos", labels="masks") == 2
    assert "differ in size" in complaint(capsys)
    shades = np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)
    inverted = {name: np.where(picture()[1] == i, 0, 255).astype(np.uint8) for i, name in enumerate("ab", 1)}
    covered = {name: 255 - mask for name, mask in inverted.items()} | {"c": 255 - inverted["a"]}
    for pictures, told in (
        ({"a": shades, "b": shades}, "looks like a photo"),
        (inverted, "is white to all corners of the photo"),
        (covered, "cover all of the mask of"),
    ):
        for name, pixels in pictures.items():
            Image.fromarray(pixels).save(place / "masks" / f"{name}.png")
        assert run(place, "photos", labels="masks") == 2
        assert told in complaint(capsys)


def test_what_is_no_picture_in_a_folder_of_masks_is_named(tmp_path, capsys):
    Image.fromarray((picture()[1] == 1).astype(np.uint8)).save(tmp_path / "hat.png")
    assert list(read_folder(tmp_path)) == ["hat"] and not capsys.readouterr().out
    (tmp_path / "sub").mkdir()
    for name in ("coat.npy", ".hidden", "Thumbs.db"):
        (tmp_path / name).write_text("x")
    assert list(read_folder(tmp_path)) == ["hat"]
    assert "passed over, no pictures: 2 files or folders (coat.npy, sub)" in capsys.readouterr().out


@pytest.mark.parametrize("orientation, quarters", [(3, 2), (6, 1)])
def test_labels_are_turned_as_their_tag_says(orientation, quarters, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    label = picture()[1]
    stored = np.ascontiguousarray(np.rot90(label, quarters))
    (tmp_path / "masks").mkdir()
    Image.fromarray(stored).save(tmp_path / "labels.png", exif=exif)
    Image.fromarray(np.array([(0, 0, 0), *COLORS], np.uint8)[stored]).save(tmp_path / "colors.png", exif=exif)
    Image.fromarray((stored == 1).astype(np.uint8)).save(tmp_path / "masks/hat.png", exif=exif)
    colors = dict(zip(("hat", "coat", "shoes"), COLORS, strict=True))
    assert np.array_equal(read_labels(tmp_path / "labels.png"), label)
    assert np.array_equal(read_labels(tmp_path / "masks")["hat"], label == 1)
    assert np.array_equal(read_labels(tmp_path / "colors.png", colors)["coat"], label == 2)


@pytest.mark.parametrize("palette", [[255] * 3 + [0] * 3, [0] * 3 + [255] * 3, [90, 0, 90, 0, 90, 0]])
def test_a_mask_in_a_palette_is_meant_as_it_looks_where_it_is_black_and_white(palette, tmp_path):
    drawn = picture()[1] == 1
    picked = Image.fromarray((drawn != (palette[0] == 255)).astype(np.uint8))
    picked.putpalette(palette)
    picked.save(tmp_path / "hat.png")
    assert np.array_equal(read_folder(tmp_path)["hat"], drawn)


@pytest.mark.parametrize("entry", ["predict", "demo"])
def test_help_and_mistakes_do_not_wait_for_torch(entry):
    program = (
        "import sys; sys.modules['torch'] = sys.modules['gradio'] = None; from utils.errors import run_cli; "
        f"import {entry}; run_cli(lambda: {entry}.main(sys.argv[1:]))"
    )

    def answer(option: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-c", program, option], cwd=ROOT, capture_output=True, text=True)

    assert answer("--help").returncode == 0 and "--checkpoint" in answer("--help").stdout
    mistake = answer("--wrong")
    assert mistake.returncode == 2 and mistake.stderr.startswith("error: ") and mistake.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written(place, capsys):
    (place / "out").write_text("in the way")
    assert run(place, "photos") == 2
    assert "cannot be written" in complaint(capsys)
