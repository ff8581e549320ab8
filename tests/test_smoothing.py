"""Videos: labels steadied over time, each frame's label map, and a part of a clip."""

import json
import os
import struct
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from inference.parser import OneShotParser
from inference.smoothing import Smoother
from inference.videos import Video, write_video
from networks.decoding import Maps
from tools.measure_smoothing import ClipTables, pan, walk
from utils.errors import UserError

from .own_photos import ROOT, complaint, run

SIDE = (96, 64)


def scene(left: int, seed: int = 0) -> tuple[np.ndarray, torch.Tensor]:
    """A textured square on a texture, `left` pixels from the left: a frame, and where the square is (h, w)."""
    rng = np.random.default_rng(seed)
    image, square = (cv2.GaussianBlur(rng.uniform(0, 255, (*size, 3)), (0, 0), 2) for size in (SIDE, (40, 24)))
    image, square = (np.clip(128 + 3 * (part - 128), 0, 255).astype(np.uint8) for part in (image, square))
    image[30:70, left : left + 24] = square
    truth = torch.zeros(SIDE, dtype=torch.bool)
    truth[30:70, left : left + 24] = True
    return image, truth


def logits(truth: torch.Tensor, noise: float, seed: int) -> Maps:
    """Maps of one class that is where `truth` says, under noise."""
    clean = torch.where(truth, 1.0, -1.0)
    drawn = noise * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
    return Maps(
        torch.stack([torch.zeros(truth.shape), clean + drawn]), torch.stack([-clean, clean]), torch.tensor([0.5])
    )


def wrong(maps: Maps, truth: torch.Tensor) -> float:
    return float((maps.classes.argmax(dim=0).bool() != truth).float().mean())


def test_noise_is_averaged_along_the_motion():
    smoother = Smoother()
    for step in range(8):
        image, truth = scene(8 + 3 * step)
        noisy = logits(truth, 1.0, step)
        smooth = smoother(image, noisy, SIDE)
    assert wrong(smooth, truth) < 0.4 * wrong(noisy, truth)


def test_at_a_cut_the_past_is_forgotten():
    smoother = Smoother()
    for step in range(4):
        image, truth = scene(8)
        smoother(image, logits(truth, 0.0, step), SIDE)
    image, truth = scene(36, seed=1)
    now = logits(truth, 0.0, 9)
    after = smoother(255 - image, now._replace(presence=torch.tensor([0.9])), SIDE)
    assert torch.equal(after.classes, now.classes) and float(after.presence) == pytest.approx(0.9)


def test_a_class_stays_with_less_presence_than_it_needs_to_appear():
    smoother, (image, truth) = Smoother(0.25), scene(8)
    told = []
    for value in (0.2, 0.3, 0.2, 0.1, 0.2):
        maps = logits(truth, 0.0, 0)._replace(presence=torch.tensor([value]))
        told.append(float(smoother(image, maps, SIDE).presence) >= 0.25)
    assert told == [False, True, True, False, False]


def test_maps_at_the_size_of_the_feature():
    smoother, (image, truth) = Smoother(), scene(8)
    small = logits(truth[::4, ::4], 0.5, 0)._replace(presence=None)
    for _ in range(2):
        smooth = smoother(image, small, SIDE)
    assert smooth.presence is None and torch.allclose(smooth.classes, small.classes, atol=1e-4)


def test_frames_and_times_of_a_part(place, capsys):
    more = ("--smooth", "--frames", "--start", "0.3", "--end", "0.9")
    for _ in range(2):
        assert run(place, "clip.mp4", more=more) == 0
    content = json.loads((place / "out" / "clip.json").read_text())
    assert content["frames"] == 3 and [one["second"] for one in content["label_maps"]] == [0.4, 0.6, 0.8]
    maps = [Image.open(place / "out" / one["file"]) for one in content["label_maps"]]
    assert all(one.size == (64, 96) and one.mode == "P" for one in maps)
    back = cv2.VideoCapture(str(place / "out" / "clip_overlay.mp4"))
    assert back.get(cv2.CAP_PROP_FRAME_COUNT) == 3 == Video(place / "clip.mp4", 0.3, 0.9).length
    assert run(place, "clip.mp4", more=("--frames", "--start", "0.7")) == 0
    assert len(list((place / "out" / "clip_frames").iterdir())) == 1
    drawn = ("--mask", "all=foreground", "--cutout", "--grey", "--as", "lip")
    assert run(place, "clip.mp4", more=("--start", "0.7", *drawn)) == 0
    assert "only with --frames" in capsys.readouterr().out
    assert run(place, "clip.mp4", more=("--frames", "--start", "0.7", *drawn)) == 0
    kinds = ("", "_all", "_all_cutout", "_lip")
    expected = {f"000000{kind}.png" for kind in kinds} | {"000000_all_grey.jpg"}
    assert {path.name for path in (place / "out" / "clip_frames").iterdir()} == expected
    mask = np.array(Image.open(place / "out" / "clip_frames" / "000000_all.png"))
    assert mask.shape == (96, 64) and set(np.unique(mask).tolist()) <= {0, 255}
    assert run(place, "clip.mp4", more=("--frames", "--start", "0.7")) == 0
    assert len(list((place / "out" / "clip_frames").iterdir())) == 1


def test_frames_take_no_file_of_the_users_away(place, capsys):
    assert run(place, "clip.mp4", more=("--frames",)) == 0
    frames = place / "out" / "clip_frames"
    for name in ("000001_mine.png", "10.jpg", "notes.txt"):
        (frames / name).write_bytes(b"mine")
    assert run(place, "clip.mp4", more=("--frames", "--start", "0.7")) == 0
    kept = {"000001_mine.png", "10.jpg", "notes.txt"}
    assert {path.name for path in frames.iterdir()} == {"000000.png", *kept}
    capsys.readouterr()
    assert run(place, "clip.mp4", labels="out/clip_frames/000000.png", more=("--frames",)) == 2
    assert "clip_frames: this run reads the file, and a result would take its place" in complaint(capsys)


@pytest.mark.parametrize(
    "more, told",
    [
        (("--start", "2", "--end", "1"), "the start must lie before the end"),
        (("--start", "5"), "clip.mp4: --start 5 lies behind its end at 1.00 seconds"),
        (("--smooth", "--tile"), "leave --tile and --people away"),
    ],
)
def test_bad_parts(more, told, place, capsys):
    assert run(place, "clip.mp4", more=more) == 2
    assert told in complaint(capsys) and not (place / "out").exists()


def twelve_frames(path):
    """A video of twelve frames, three a second."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 3, SIDE[::-1])
    for left in range(12):
        writer.write(scene(left)[0])
    writer.release()
    return path


@pytest.fixture
def clip(tmp_path):
    return twelve_frames(tmp_path / "long.avi")


def test_a_video_that_breaks_off_is_told_and_kept(clip, place, capsys):
    assert run(place, "long.avi") == 0
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    assert run(place, "long.avi") == 1
    told, facts = capsys.readouterr(), json.loads((place / "out" / "long.json").read_text())
    assert 3 < facts["frames"] < 9 and (place / "out" / "long_overlay.mp4").exists()
    assert f"long.avi: the rest, since it breaks off after {facts['frames']} of the 12 frames" in told.err
    assert "0 of 1 files parsed" in told.out
    assert run(place, "long.avi", more=("--end", "1")) == 0, "what is asked for is there"


def test_a_name_that_is_not_utf8_is_read_and_written(clip, place):
    named = clip.rename(clip.with_name("caf\udce9.avi"))
    assert run(place, "photos", named.name, more=("--end", "1")) == 0
    back = Video(place / "out" / "caf\udce9_overlay.mp4")
    assert len(list(back)) == 3 and (place / "out" / "1.png").exists()


def test_a_name_with_a_colon_is_no_protocol(clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    clip.rename("look:1.avi")
    assert len(list(Video("look:1.avi"))) == 12
    write_video("look:1.mp4", Video("look:1.avi"), 3)
    assert len(list(Video("look:1.mp4"))) == 12


def test_a_slightly_wrong_length_is_no_damage(clip):
    video = Video(clip)
    video._stated = (14.0, 3.0)
    assert len(list(video)) == 12 and not video.incomplete
    video._stated = (15.0, 3.0)
    assert "12 of the 15" in video.incomplete
    video._stated = (15.0, 3.8)
    assert not video.incomplete, "uneven times: the frames are a guess, and the end is reached"


def test_an_mkv_whose_sound_is_longer_is_no_damage(tmp_path):
    content = bytearray(twelve_frames(tmp_path / "a.mkv").read_bytes())
    place = content.index(b"\x44\x89\x88") + 3  # the length of the whole in milliseconds, which sound makes longer
    content[place : place + 8] = struct.pack(">d", 2 * struct.unpack(">d", content[place : place + 8])[0])
    for name, part, told in (("a.mkv", content, ""), ("half.mkv", content[: len(content) // 2], "of the 24 frames")):
        (tmp_path / name).write_bytes(part)
        video = Video(tmp_path / name)
        frames = len(list(video))
        assert video.length == 24 and bool(video.incomplete) == bool(told) and told in video.incomplete
        assert frames == 12 if not told else 3 < frames < 9


def with_wide_pixels(path, ratio):
    """The MP4 with a note in it that each pixel is `ratio` (width, height) in shape."""
    content = bytearray(path.read_bytes())
    entry = content.index(b"mp4v", content.index(b"stsd")) - 4  # of the picture, where its boxes end it
    end = entry + int.from_bytes(content[entry : entry + 4], "big")
    content[end:end] = struct.pack(">I4sII", 16, b"pasp", *ratio)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"mp4v"):
        start = content.index(box, content.index(b"moov")) - 4
        content[start : start + 4] = struct.pack(">I", 16 + int.from_bytes(content[start : start + 4], "big"))
    path.write_bytes(content)


@pytest.mark.parametrize(("ratio", "size"), [((3, 2), (96, 96)), ((1, 2), (192, 64)), ((1, 1), (96, 64))])
def test_a_video_of_pixels_that_are_not_square_is_parsed_as_it_is_shown(ratio, size, tmp_path):
    write_video(tmp_path / "wide.mp4", [(scene(left)[0], left / 5) for left in range(3)], 5)
    with_wide_pixels(tmp_path / "wide.mp4", ratio)
    frames = [frame for frame, _ in Video(tmp_path / "wide.mp4")]
    assert [frame.shape[:2] for frame in frames] == [size] * 3


def test_video_options_need_a_video(place, capsys):
    assert run(place, "photos", more=("--smooth",)) == 2
    assert "no video is given" in complaint(capsys)


def test_the_measure_counts_flicker_where_the_truth_stands_still():
    truth = [np.zeros((4, 4), np.uint8)] * 2 + [np.ones((4, 4), np.uint8)] * 2
    labels = [one.copy() for one in truth]
    labels[1][0, 0] = labels[3][0, 0] = 2
    tables = ClipTables(3)
    tables.add(labels, truth, cut=2)
    assert tables.row()[0] == pytest.approx(1000 / 16)


def test_drawn_clips_move():
    first, second = walk(0, 1, 3)[0::2]
    assert 0 < (first[1] != second[1]).mean() < 0.2 and first[0].shape[:2] == first[1].shape
    image, label = first
    moved = pan(image, label, np.random.default_rng(0), 3)
    assert 0 < (moved[0][1] != moved[2][1]).mean() < 0.2


def test_frames_in_windows_are_not_smoothed():
    frame = np.zeros((48, 32, 3), dtype=np.uint8)
    for options, told in (({"tile": True}, "leave out tile"), ({"people": "auto"}, "and people"), ({}, "no reference")):
        with pytest.raises(UserError, match=told):
            OneShotParser(device="cpu", **options).parse_frames([frame], Smoother(0.5))


@pytest.mark.parametrize("size", [(24, 384), (20, 128), (64, 8)])
def test_low_and_narrow_frames_are_smoothed_too(size):
    rng, smoother = np.random.default_rng(0), Smoother()
    maps = Maps(torch.randn(2, *size), torch.randn(2, *size), None)
    for _ in range(2):
        smoothed = smoother(rng.integers(0, 255, (*size, 3), dtype=np.uint8), maps, size)
        assert smoothed.classes.shape == maps.classes.shape and smoothed.classes.isfinite().all()


FULL = """
import resource
import numpy as np
from inference.videos import write_video
from utils.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
frames = ((np.random.default_rng(n).integers(0, 255, (96, 64, 3), dtype=np.uint8), n / 10) for n in range(40))
try:
    write_video("full.mp4", frames, 10.0)
except UserError as error:
    print(error)
"""


def test_a_video_that_finds_no_room_is_told_and_not_kept(tmp_path):
    pytest.importorskip("resource")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", FULL], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert "full.mp4: the video cannot be written whole; free some space" in done.stdout, done.stderr
    assert list(tmp_path.iterdir()) == []
