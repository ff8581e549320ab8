"""predict.py writes over nothing but its own results; every file that is named or lies in a folder is accounted for."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dataloaders.fonts import unwritable
from dataloaders.palette import palette
from inference.batches import too_large
from inference.parsing import ClassInfo, Parsing

from . import label_forms as forms
from .data_helpers import tree
from .label_forms import box
from .own_photos import SIZE, complaint, picture, run

ROOT = Path(__file__).resolve().parents[1]


def photos_as_png(place):
    for path in (place / "photos").iterdir():
        Image.open(path).save(path.with_suffix(".png"))
        path.unlink()


def labelme_beside(place):
    (place / "photos/1.json").write_text('{"shapes": []}')


def labels_in_the_way(place):
    (place / "ref.jpg").write_bytes((place / "photos/1.jpg").read_bytes())
    (place / "ref.png").rename(place / "scene.png")
    (place / "labels.png").rename(place / "ref.png")


TAKEN = {  # what is done first, the arguments of `run`, and where the results go
    "photos": (photos_as_png, {"inputs": ["photos"]}, "photos"),
    "labelme": (labelme_beside, {"inputs": ["photos"]}, "photos"),
    "labels": (labels_in_the_way, {"inputs": ["ref.jpg"], "reference": "scene.png", "labels": "ref.png"}, "."),
    "somebody's file": (lambda p: forms.write(p / "out/1.png", "mine"), {"inputs": ["photos"]}, "out"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAKEN)
def test_no_result_takes_the_place_of_a_file_of_the_users(kind, place, capsys):
    prepare, arguments, out = TAKEN[kind]
    prepare(place)
    before = tree(place)
    inputs = arguments.pop("inputs")
    assert run(place, *inputs, more=("--out", place / out), **arguments) == 2
    arguments["inputs"] = inputs
    assert "choose another --out" in complaint(capsys) and tree(place) == before


def test_results_are_written_anew_and_are_nobodys_photos(place, capsys):
    assert run(place, "photos") == 0 and run(place, "photos") == 0
    (place / "out/new.jpg").write_bytes((place / "photos/1.jpg").read_bytes())
    capsys.readouterr()
    assert run(place, "out", more=("--out", place / "second")) == 0
    assert "1 of 1 files parsed" in capsys.readouterr().out
    assert sorted(p.name for p in (place / "second").glob("[!.]*")) == ["new.json", "new.png", "new_overlay.jpg"]


def test_results_tell_whose_they_are(place):
    (place / "more").mkdir()
    (place / "more/1.jpg").write_bytes((place / "photos/1.jpg").read_bytes())
    assert run(place, "photos", "more") == 0
    whose = {p.stem: json.loads(p.read_text())["photo"] for p in (place / "out").glob("1*.json")}
    assert whose == {"1_jpg": str(place / "photos/1.jpg"), "1_jpg_2": str(place / "more/1.jpg")}


def test_a_folder_of_every_kind_is_accounted_for(place, capsys):
    folder, image = place / "mixed", picture()[0]
    folder.mkdir()
    for name in ("a.jpg", "b.jfif", "c.png", "d.apng", "e.webp", "f.tif", "g.AVIF"):
        Image.fromarray(image).save(folder / name, format={"jfif": "JPEG", "apng": "PNG"}.get(name[2:]))
    (folder / "h.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    for name in ("~$a.jpg", ".hidden.jpg", "Thumbs.db", "desktop.ini", "raw.cr2", "notes.txt"):
        (folder / name).write_bytes(b"x")
    assert run(place, "mixed") == 1
    told = capsys.readouterr()
    assert "passed over, no photos or videos: 2 files (notes.txt, raw.cr2)" in told.out
    assert "7 of 8 files parsed" in told.out and told.err.count("skipped: ") == 1
    assert "h.HEIC: " in told.err and ("pip install pillow-heif" in told.err or "damaged" in told.err)


def test_photos_that_show_nothing_are_told_and_where_the_person_is(place, capsys):
    Image.new("RGB", (64, 96), "grey").save(place / "photos/wall.png")
    assert run(place, "photos") == 0
    assert "none of the classes is found in 1 of 3 photos: wall.png" in capsys.readouterr().out
    nobody, somebody = (json.loads((place / f"out/{name}.json").read_text())["person"] for name in ("wall", "1"))
    assert nobody == {"share": 0.0, "box": [0, 0, 0, 0]}
    x, y, width, height = somebody["box"]
    size = Image.open(place / "photos/1.jpg").size
    assert 0 < somebody["share"] <= width * height / (size[0] * size[1])
    assert x + width <= size[0] and y + height <= size[1]


def test_a_person_of_more_than_two_windows_is_told():
    image, person = np.zeros((900, 400, 3), np.uint8), np.zeros((900, 400), bool)
    person[50:850, 100:300], person[:40, :40] = True, True
    parsing = Parsing(image, person.astype(np.uint8), person, {1: 0.9}, (ClassInfo(1, "coat", (9, 9, 9)),))
    assert too_large(parsing, 384).startswith("a person fills 200x800 pixels, and --tile shows the network 384 at once")
    assert not too_large(parsing, 400)


def test_a_result_that_cannot_be_written_costs_its_photo_alone(place, capsys):
    (place / "photos" / ("n" * 244 + ".jpg")).write_bytes((place / "photos/1.jpg").read_bytes())
    assert run(place, "photos") == 1
    told = capsys.readouterr()
    assert "2 of 3 files parsed" in told.out and "File name too long" in told.err
    assert (place / "out/1.png").exists() and (place / "out/2.png").exists()


def test_a_photo_longer_than_a_jpeg_costs_itself_alone(place, capsys):
    Image.new("RGB", (66_000, 17), "red").save(place / "photos/3.png")
    assert run(place, "photos") == 1
    told = capsys.readouterr()
    assert "3.png: 66000x17 pixels: an overlay, which is a JPEG, has at most" in told.err and "2 of 3 files" in told.out
    assert not list((place / "out").glob("3*"))


def test_memory_that_runs_out_costs_its_photo_alone(place, capsys, monkeypatch):
    from inference.parser import OneShotParser

    original = OneShotParser.parse

    def parse(parser, photos, support=None, boxes=None):
        if any(rgb.shape[1] == 51 for rgb in photos):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return original(parser, photos, support, boxes)

    monkeypatch.setattr(OneShotParser, "parse", parse)
    Image.fromarray(picture((70, 51))[0]).save(place / "photos/large.png")
    assert run(place, "photos") == 1
    told = capsys.readouterr()
    assert (
        "large.png: memory has run out (" in told.err
        and "choose a smaller --max-size" in told.err
        and "2 of 3 files" in told.out
    )


def test_memory_that_would_run_out_is_told_before_it_does(place, capsys, monkeypatch):
    from inference import parser

    monkeypatch.setattr(parser, "free_memory", lambda device: 1_100_000)
    assert run(place, "photos") == 0, "for two photos at once it does not suffice, for one it does"
    monkeypatch.setattr(parser, "free_memory", lambda device: 900_000)
    assert run(place, "photos") == 2 and "memory has run out" in complaint(capsys)


def test_a_photo_from_a_pipe(place):
    command = [sys.executable, "predict.py", "--checkpoint", place / "tiny.pt", "--reference", place / "ref.png"]
    command += ["--labels", place / "labels.png", "--out", place / "out", "--device", "cpu", "/dev/stdin"]
    with (place / "photos/1.jpg").open("rb") as file:
        content = file.read()
    done = subprocess.run([str(c) for c in command], cwd=ROOT, input=content, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert Image.open(place / "out/stdin.png").size == (50, 70)


def test_a_closed_pipe_ends_quietly_and_odd_names_are_printed(place):
    (place / "photos/上.txt").write_text("no photo")
    script = "import sys, predict; from utils.errors import run_cli; run_cli(lambda: predict.main(sys.argv[1:]))"
    command = [sys.executable, "-c", script, "--checkpoint", place / "tiny.pt", "--reference", place / "ref.png"]
    command += ["--labels", place / "labels.png", "--out", place / "out", place / "photos", "--grey"]  # without a mask
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([str(c) for c in command], cwd=ROOT, capture_output=True, env=environment, timeout=120)
    assert done.returncode == 2 and b"Traceback" not in done.stderr
    assert rb"passed over, no photos or videos: 1 files (\u4e0a.txt)" in done.stdout
    quiet = f"{sys.executable} train.py --dry-run | head -1"
    done = subprocess.run(["bash", "-c", quiet], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "{\n" and done.stderr == ""


def uneven(path, times):
    """A clip whose frames are shown from the given seconds on: a rate of 10 a second, frames left out."""
    clip = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 96))
    for _ in times:
        clip.write(np.ascontiguousarray(picture()[0][..., ::-1]))
    clip.release()


def times_of(path):
    capture, times = cv2.VideoCapture(str(path)), []
    while capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    return times, capture.get(cv2.CAP_PROP_FPS)


def test_frames_keep_their_times(tmp_path):
    from inference.videos import write_video

    frame = picture()[0]
    shown = [0.0, 0.1, 0.2, 1.2, 1.3]
    write_video(tmp_path / "a.mp4", ((np.full_like(frame, 40 * i), t) for i, t in enumerate(shown)), 10.0)
    times, rate = times_of(tmp_path / "a.mp4")
    assert rate == 10 and len(times) == 14 and times[-1] == pytest.approx(1300)


@pytest.mark.parametrize("rate", [211.222, 29.97, 10.0])
def test_a_rate_that_mp4_cannot_have_is_rounded(rate, place):
    clip = cv2.VideoWriter(str(place / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), rate, (64, 96))
    for seed in range(6):
        clip.write(np.ascontiguousarray(picture(seed=seed)[0][..., ::-1]))
    clip.release()
    assert run(place, "a.avi") == 0
    times, written = times_of(place / "out/a_overlay.mp4")
    assert len(times) == 6 and written == pytest.approx(rate, abs=0.01)


def test_clips_of_odd_size_lose_no_column(tmp_path):
    from inference.videos import write_video

    write_video(tmp_path / "odd.mp4", [(picture((51, 33))[0], 0.0)], 5.0)
    _, frame = cv2.VideoCapture(str(tmp_path / "odd.mp4")).read()
    assert frame.shape == (52, 34, 3)


def test_colours_differ_and_scripts_are_written_or_told():
    names = ["background", "face", "skin", "coat", "outerwear", "shoes", "left-shoe", *map(str, range(60))]
    assert len(set(palette(names))) == len(names)
    assert unwritable(["hat"]) == [] and unwritable(["\U0010fffd" * 2]) == ["\U0010fffd" * 2]


def labelme_file(place, **more):
    shapes = [
        {"label": name, "points": box(corners), "shape_type": "polygon"}
        for name, corners in (("hat", (16, 10, 47, 37)), ("coat", (16, 38, 47, 66)), ("Background", (0, 0, 5, 5)))
    ]
    content = {"shapes": shapes, "imagePath": "ref.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1], **more}
    (place / "ref.json").write_text(json.dumps(content), encoding="utf-16")


def test_a_labelme_file_is_a_label(place, capsys):
    labelme_file(place)
    assert run(place, "photos", labels="ref.json") == 0
    assert "classes: hat, coat\n" in capsys.readouterr().out
    labelme_file(place, imageHeight=2 * SIZE[0], imageWidth=2 * SIZE[1])
    assert run(place, "photos", labels="ref.json") == 2
    assert "drawn on a photo of 128x192" in complaint(capsys)


def masks(place, **pictures):
    (place / "masks").mkdir()
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(place / "masks" / name.replace("__", "."))


def in_alpha(mask):
    return np.dstack([np.full((*SIZE, 3), 255, np.uint8), mask])


MASKS_IN_ALPHA = {
    "one colour": in_alpha,
    "a cut-out of the photo": lambda mask: np.dstack([picture()[0], mask]),
    "a brush of half strength": lambda mask: in_alpha(mask // 2),
    "black and white on nothing": lambda mask: np.dstack([mask, mask, mask, np.where(np.arange(SIZE[1]) < 60, 255, 0)
                                                          * np.ones((SIZE[0], 1), int)]).astype(np.uint8),
}  # fmt: skip


@pytest.mark.parametrize("kind", MASKS_IN_ALPHA)
def test_masks_in_the_alpha_channel(kind, place):
    label = picture()[1]
    plain = {f"{n}__png": ((label == i) * 255).astype(np.uint8) for i, n in enumerate(("hat", "coat", "shoes"), 1)}
    assert run(place, "photos") == 0
    expected = (place / "out/1.png").read_bytes()
    masks(place, **{n: MASKS_IN_ALPHA[kind](mask) for n, mask in plain.items()})
    assert run(place, "photos", labels="masks") == 0
    assert (place / "out/1.png").read_bytes() == expected


def test_label_studios_masks_are_named_by_their_tags(place, capsys):
    label = picture()[1]
    top, bottom = (label == 1).astype(np.uint8) * 255, (label == 2).astype(np.uint8) * 255
    masks(place, **{
        "task-1-annotation-2-by-3-tag-hat-0__png": top, "task-1-annotation-2-by-3-tag-coat-0__png": bottom,
        "task-1-annotation-2-by-3-tag-hat-1__png": (label == 3).astype(np.uint8) * 255,
    })  # fmt: skip
    assert run(place, "photos", labels="masks") == 0
    assert "classes: hat, coat\n" in capsys.readouterr().out
    for other in ("task-7-annotation-2", "task-1-annotation-8"):  # of another photo, or by somebody else
        Image.fromarray(top).save(place / f"masks/{other}-by-4-tag-hat-0.png")
        assert run(place, "photos", labels="masks") == 2
        assert "masks of task-1-annotation-2" in (told := capsys.readouterr().err) and f"and {other}" in told
        (place / f"masks/{other}-by-4-tag-hat-0.png").unlink()


def smooth(place):
    small = Image.fromarray(picture()[1] * 60).resize((32, 48), Image.Resampling.BILINEAR)
    small.resize(SIZE[::-1], Image.Resampling.BILINEAR).save(place / "labels.png")


def saved_from_jpeg(place):
    buffer = io.BytesIO()
    Image.fromarray(picture()[1] * 40).save(buffer, "JPEG")
    Image.open(buffer).save(place / "labels.png")


def jpeg(place):
    buffer = io.BytesIO()
    Image.fromarray(picture()[1] * 40).save(buffer, "JPEG")
    (place / "labels.png").write_bytes(buffer.getvalue())


WRONG = {
    "two files of one class": (
        lambda p: masks(p, hat__png=picture()[1] // 3 * 255, hat__jpg=picture()[1] // 3 * 255),
        "masks", "file is the mask of hat too",
    ),
    "a mask of one value": (lambda p: masks(p, hat__png=np.full(SIZE, 255, np.uint8)), "masks", "the same all over"),
    "a mask as a label map": (
        lambda p: Image.fromarray((picture()[1] > 0).astype(np.uint8) * 255).save(p / "labels.png"), "labels.png",
        "holds 0 and 255 alone",
    ),
    "smoothed": (smooth, "labels.png", "run into each other"),
    "a PNG that was a JPEG": (saved_from_jpeg, "labels.png", "run into each other"),
    "JPEG": (jpeg, "labels.png", "labels in a JPEG file are not exact"),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_labels_that_say_something_else_are_refused(kind, place, capsys):
    spoil, labels, words = WRONG[kind]
    spoil(place)
    assert run(place, "photos", labels=labels) == 2 and words in complaint(capsys)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_names_in_every_encoding_of_windows(encoding, place, capsys):
    (place / "names.json").write_bytes('{"1": "hat", "2": "coat", "3": "shoes"}'.encode(encoding))
    assert run(place, "photos") == 0 and "classes: hat, coat, shoes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "option", [("--min-score", "55"), ("--min-score", "nan"), ("--max-size", "99999"), ("--max-size", "5"),
               ("--depth", "3"), ("--device", "meta"), ("--device", "xla")],
)  # fmt: skip
def test_values_out_of_range_are_refused(option, place, capsys):
    assert run(place, "photos", more=option) == 2 and option[0][2:5] in complaint(capsys)
