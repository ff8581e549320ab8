"""demo.py: the page's actions, several sessions, bad input, and how a program calls it."""

import json
import socket
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("gradio", reason="the page needs gradio: pip install -r requirements-demo.txt")

import gradio as gr
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

import demo
from inference.annotations import IGNORED, read_names
from inference.page import actions, example, references, server, view
from inference.parser import OneShotParser
from utils.errors import UserError

from . import load_test
from .own_photos import picture, write_checkpoint

SIZE = (384, 256)
NAMES = ("hair", "skin", "coat")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    parser = OneShotParser(write_checkpoint(folder / "tiny.pt"), "cpu")
    return actions.Page(parser, folder, example.load(folder))


def parsed(page, taken, files, opacity=0.5, adapt=False) -> dict:
    """What the page shows when all photos are parsed, by what it is."""
    steps = list(page.parse(taken, files, opacity, adapt))
    assert len(steps) == 2 + len(steps[-1][0].files), "one before, one for each photo that can be read, and the end"
    assert steps[0][0] is None, "what was parsed before is not kept while others are shown"
    names = ("kept", "bars", "table", "archive", "visible", "which")
    sliders = [step[6 + number]["value"] for number, step in enumerate(steps[1:-1])]
    return {**dict(zip(names, steps[-1], strict=False)), "overlays": [after for _, after in sliders]}


@pytest.fixture
def photo(tmp_path):
    """Files of a photo and of its label map."""
    image, label = picture()
    Image.fromarray(image).save(tmp_path / "photo.png")
    Image.fromarray(label).save(tmp_path / "labels.png")
    return str(tmp_path / "photo.png"), str(tmp_path / "labels.png")


def painting(strokes: dict[int, np.ndarray], image: np.ndarray) -> dict:
    """What the canvas hands over: the photo, and one layer with the brushes' colours."""
    layer = np.zeros((*image.shape[:2], 4), dtype=np.uint8)
    for brush, mask in strokes.items():
        color = view.BRUSHES[brush]
        layer[mask] = [*(int(color[i : i + 2], 16) for i in (1, 3, 5)), 255]
    return {"background": np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]), "layers": [layer]}


def test_a_painting_is_the_same_as_masks(page):
    image, label = picture()
    strokes = {0: label == 1, 1: label == 2, 6: label == 3, 7: label == 0}
    names = ("hair", "skin", "", "", "", "", "skin", "background")
    taken, pictures, told = page.take_painted([], painting(strokes, image), False, *names)
    masks = {"hair": label == 1, "skin": (label == 2) | (label == 3)}
    support = references.support_of(page.parser, taken)
    assert [c.name for c in support.classes] == ["hair", "skin"] and "hair, skin" in told
    expected = page.parser.make_support(image, masks).prototypes.classes
    assert (support.prototypes.classes == expected).all()
    assert [c.color for c in support.classes] == [(230, 25, 75), (0, 130, 200)], "as painted"
    shown, caption = pictures[0]
    assert (shown[label == 0] == image[label == 0]).all() and caption == "Reference 1: hair, skin"
    taken, *_ = page.take_painted([], painting({7: label == 1}, image), False, *[""] * 8)
    assert list(taken[0].masks) == ["class 8", IGNORED]


def test_unpainted_pixels_of_the_person_do_not_count_unless_strokes_grow(page):
    image, label = picture()
    few = {brush: (label == brush + 1) & (np.arange(64)[None] % 16 == 0) for brush in range(3)}
    (alone,), *_ = page.take_painted([], painting(few, image), False, *NAMES, "", "", "", "", "")
    assert set(np.unique(alone.labels)) == {1, 2, 3, 255}, "this network takes all for a person"
    assert (alone.labels[few[1]] == 2).all()
    (grown,), *_ = page.take_painted([], painting(few, image), True, *NAMES, "", "", "", "", "")
    assert (grown.labels == label)[label > 0].mean() > 0.9 > (alone.labels == label)[label > 0].mean()
    assert (grown.labels[few[1]] == 2).all()


def test_references_add_up_and_a_photo_painted_again_is_corrected(page):
    image, label = picture()
    other, _ = picture(seed=1)
    taken, *_ = page.take_painted([], painting({0: label == 1}, image), False, "hair", *[""] * 7)
    taken, pictures, told = page.take_painted(taken, painting({1: label == 2}, other), False, "", "skin", *[""] * 6)
    assert told.startswith("2 references ready: hair, skin") and len(pictures) == 2
    again, *_ = page.take_painted(taken, painting({0: label == 2}, other), False, "hair", *[""] * 7)
    assert len(again) == 2 and list(again[1].masks) == ["hair", IGNORED]
    support = references.support_of(page.parser, again)
    masks = [{"hair": label == 1, IGNORED: label != 1}, {"hair": label == 2, IGNORED: label != 2}]
    assert (support.prototypes.classes == page.parser.make_support([image, other], masks).prototypes.classes).all()
    for seed in range(2, actions.MAX_REFERENCES):
        taken, *_ = page.take_painted(taken, painting({0: label == 1}, picture(seed=seed)[0]), False, *NAMES)
    assert "references already" in refused(
        page.take_painted, taken, painting({0: label == 1}, picture(seed=9)[0]), False, *NAMES
    )


def test_two_classes_have_two_colours(page):
    image, label = picture()
    taken, *_ = page.take_painted([], painting({0: label == 1}, image), False, "hair", *[""] * 7)
    renamed = painting({0: label == 1}, picture(seed=1)[0])
    taken, *_ = page.take_painted(taken, renamed, False, "dress", *[""] * 7)
    hair, dress = (c.color for c in references.support_of(page.parser, taken).classes)
    assert hair == taken[0].colors["hair"] == taken[1].colors["dress"] != dress


def test_adapt_turns_the_prototypes(page):
    image, label = picture()
    taken = [references.Reference(image, label, {}, {})]
    plain, turned = (references.support_of(page.parser, taken, adapt).prototypes.classes for adapt in (False, True))
    assert not (plain == turned).all() and not page.parser.adapt


def test_soft_edges_of_strokes_belong_to_the_nearest_brush(page):
    image, label = picture()
    editor = painting({0: label == 1}, image)
    editor["layers"][0][..., :3] = np.clip(editor["layers"][0][..., :3].astype(int) - 9, 0, 255)
    editor["layers"][0][label == 2] = [230, 25, 75, 100]  # too faint to count
    found = view.painted(editor, ["hair"] + [""] * 7)
    assert found.names == {1: "hair"} and ((found.strokes == 1) == (label == 1)).all()


def test_classes_keep_the_ids_of_the_label_map(page, tmp_path):
    image, label = picture()
    Image.fromarray(image).save(tmp_path / "photo.png")
    Image.fromarray(np.array([0, 4, 2, 9], dtype=np.uint8)[label]).save(tmp_path / "labels.png")
    for names in ("", "9 hat"):
        taken, *_ = page.take_files([], str(tmp_path / "photo.png"), str(tmp_path / "labels.png"), names)
        support = references.support_of(page.parser, taken)
        assert {c.id: c.name for c in support.classes} == {2: "class 2", 4: "class 4", 9: "hat" if names else "class 9"}


def test_parse_shows_and_packs_what_the_parser_finds(page, photo):
    taken, _, told = page.take_files([], *photo, "1 hat, 2 <b>coat</b>")
    assert "hat" in told and page.parser.support is None, "a session's reference stays out of the shared parser"
    support = references.support_of(page.parser, taken)
    shown = parsed(page, taken, [photo[0]])
    kept, areas = shown["kept"], shown["table"]
    expected = page.parser.parse(photo[0], support)
    opacities = dict.fromkeys(("hat", "<b>coat</b>", "class 3"), 0.5)
    assert (shown["overlays"][0] == expected.overlay(opacities, legend=False)).all()
    assert "&lt;b&gt;coat" in areas and "<b>coat" not in areas and "photo.png" in areas
    assert shown["visible"]["value"] == list(opacities) and shown["which"]["choices"][0] == "all classes"
    assert shown["bars"] == "<p>1 of 1 photos parsed</p>"
    with zipfile.ZipFile(shown["archive"]) as packed:
        saved = [f"reference/{name}" for name in ("1.png", "1_labels.png", "names.json")]
        assert sorted(packed.namelist()) == ["01_photo.json", "01_photo.png", "01_photo_overlay.jpg", *saved]
        with packed.open("01_photo.png") as file:
            assert (np.array(Image.open(file)) == expected.labels).all()
        assert json.loads(packed.read("01_photo.json"))["classes"] == expected.areas()
    hidden = page.show(kept, ["hat"])[0]["value"][1]
    assert (hidden == expected.image)[expected.labels != 1].all()
    faded, first, *_ = page.fade(kept, ["hat", "class 3"], "class 3", 1.0)
    assert faded.opacities == {"hat": 0.5, "<b>coat</b>": 0.5, "class 3": 1.0}
    solid = first["value"][1][expected.labels == 3]
    assert len(solid) and (solid == support.classes[2].color).all()
    assert kept.opacities["class 3"] == 0.5, "the state of before is left alone"


def test_paintings_are_packed_as_the_command_takes_them(page, photo, tmp_path):
    image, label = picture()
    taken, *_ = page.take_painted([], painting({0: label == 1, 1: label == 2}, image), True, "hat", "coat", *[""] * 6)
    taken, *_ = page.take_painted(taken, painting({1: label == 3}, picture(seed=1)[0]), True, "", "hat", *[""] * 6)
    with zipfile.ZipFile(parsed(page, taken, [photo[0]])["archive"]) as packed:
        packed.extractall(tmp_path)
    folder, expected = tmp_path / "reference", references.support_of(page.parser, taken)
    names = read_names(folder / "names.json")
    photos = [folder / f"{number}.png" for number in (1, 2)]
    support = page.parser.make_support(photos, [folder / f"{number}_labels.png" for number in (1, 2)], names)
    assert [(c.id, c.name) for c in support.classes] == [(c.id, c.name) for c in expected.classes]
    assert torch.equal(support.prototypes.classes, expected.prototypes.classes)


def test_masks_and_cut_outs_are_packed_at_the_photos_size(page, photo, tmp_path):
    large = str(tmp_path / "large.png")
    Image.fromarray(picture((1600, 400))[0]).save(large)
    taken, *_ = page.take_files([], *photo, "1 hat, 2 coat")
    kept = parsed(page, taken, [large])["kept"]
    with zipfile.ZipFile(page.pack(kept, "top = hat + coat | grow 2\n\nall = foreground", True, "coco")) as packed:
        wanted = {"01_large_top.png", "01_large_all_cutout.png", "01_large.png", "coco/images/01_large.png"}
        assert wanted <= set(packed.namelist()) and any(
            name.startswith("coco/annotations") for name in packed.namelist()
        )
        assert json.loads(packed.read("01_large.json"))["photo"] == "large.png", "without the server's folders"
        mask, cutout = (np.array(Image.open(packed.open(f"01_large_top{end}.png"))) for end in ("", "_cutout"))
    expected = page.parser.parse(large, kept.support).mask("hat + coat | grow 2")
    assert mask.shape == (1600, 400) and (mask == expected).all() and (cutout[..., 3] == expected).all()
    assert "hut" in refused(page.pack, kept, "top = hut", True, "none")
    assert "nothing is parsed" in refused(page.pack, None, "top = hat", True, "none")


def test_the_drawn_example(page):
    taken, *_ = page.take_example()
    shown = parsed(page, taken, page.example_files)
    assert len(shown["overlays"]) == len(page.example_files) == len(page.example.photos)
    assert {"hair", "skin"} <= set(taken[0].masks)


def test_every_photo_has_a_bar_until_all_are_parsed():
    bars = view.progress(["a<b>.png", "c.png", "d.png"], 1)
    states = ("a&lt;b&gt;.png: parsed", "c.png: is being parsed", "d.png: waits")
    assert bars.count("<progress") == 3 and all(f'aria-label="{state}"' in bars for state in states)
    assert "<progress" not in view.progress(["a.png"], 1)


def test_large_photos_are_kept_small(page, tmp_path):
    image, label = picture((1600, 400))
    Image.fromarray(image).save(tmp_path / "large.png")
    Image.fromarray(label).save(tmp_path / "labels.png")
    taken, *_ = page.take_files([], str(tmp_path / "large.png"), str(tmp_path / "labels.png"), "")
    assert taken[0].labels.shape == taken[0].photo.shape[:2] == (references.KEPT_SIDE, 160)
    shown = parsed(page, taken, [str(tmp_path / "large.png")])
    kept = shown["kept"].parsings[0]
    assert kept.labels.shape == kept.image.shape[:2] == (view.SHOWN_SIDE, 320)
    with zipfile.ZipFile(shown["archive"]) as packed, packed.open("01_large.png") as file:
        assert Image.open(file).size == (400, 1600)


def test_a_photo_that_cannot_be_read_is_left_out_and_told(page, photo, tmp_path, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(gr, "Info", told.append)
    text = tmp_path / "text.png"
    text.write_text("no picture")
    taken, *_ = page.take_example()
    shown = parsed(page, taken, [photo[0], str(text), photo[0]])
    assert told == [line for line in told if line.startswith("left out: text.png: not an image")] and len(told) == 1
    assert shown["kept"].files == [photo[0]] * 2 and len(shown["overlays"]) == 2
    assert "2 of 2 photos parsed" in shown["bars"]


def test_a_class_that_is_lost_when_a_reference_is_made_smaller_is_told(page):
    photo = np.random.default_rng(0).integers(0, 255, (900, 3000, 3), dtype=np.uint8)
    labels = np.zeros(photo.shape[:2], np.uint8)
    labels[100:800, 200:700], labels[500, 2000:2008:2] = 1, [2, 3, 4, 5]
    names = {1: "coat", 2: "ring", 3: "ring", 4: "ring", 5: "ring"}
    new = references.Reference(photo, labels, names, {})
    assert "ring: too small to be seen at" in refused(page._add, [], new)


def refused(action, *arguments) -> str:
    with pytest.raises(gr.Error) as raised:
        action(*arguments)
    message = str(raised.value.message)
    assert "\n" not in message and "/" not in message.replace("and/or", ""), "no folder of the server is told"
    return message


def test_bad_input_is_told_on_the_page(page, photo, tmp_path):
    image, label = picture()
    image_file, label_file = photo
    empty, text, other, bomb = (str(tmp_path / name) for name in ("empty.png", "text.png", "other.png", "bomb.png"))
    Image.fromarray(np.zeros_like(label)).save(empty)
    Path(text).write_text("no picture")
    Image.new("L", (7, 5), 1).save(other)
    Image.new("1", (20000, 20000)).save(bomb)
    assert "no reference photo" in refused(page.take_painted, [], None, True, *NAMES)
    assert "no reference photo" in refused(page.take_painted, [], {"background": None, "layers": []}, True, *NAMES)
    assert "nothing is painted" in refused(page.take_painted, [], painting({}, image), True, *NAMES)
    shifted = {**painting({0: label == 1}, image), "layers": [np.full((3, 3, 4), 255, np.uint8)]}
    assert "another size" in refused(page.take_painted, [], shifted, True, *NAMES)
    assert "both needed" in refused(page.take_files, [], image_file, None, "")
    assert "no class" in refused(page.take_files, [], image_file, empty, "")
    assert "text.png: not an image" in refused(page.take_files, [], text, label_file, "")
    assert "text.png: not an image" in refused(page.take_files, [], image_file, text, "")
    assert "7x5" in refused(page.take_files, [], image_file, other, "")
    scaled = str(tmp_path / "scaled.png")
    Image.fromarray(np.array([0, 85, 170, 255], np.uint8)[label]).save(scaled)
    assert "scaled.png: its labels hold 85, 170 and 255, so they look" in refused(
        page.take_files, [], image_file, scaled, ""
    )
    assert "but the background is 0" in refused(page.take_files, [], image_file, label_file, "1 background")
    assert "'hat 1'" in refused(page.take_files, [], image_file, label_file, "hat 1")
    taken, *_ = page.take_files([], image_file, label_file, "")
    assert "no reference yet" in refused(parsed, page, [], [image_file])
    assert "no photos yet" in refused(parsed, page, taken, None)
    assert "none of these photos can be read" in refused(parsed, page, taken, [bomb, text])
    assert "at most" in refused(parsed, page, taken, [image_file] * (actions.MAX_PHOTOS + 1))


def test_mistakes_of_visitors_are_quiet_in_the_terminal(page):
    with pytest.raises(gr.Error) as caught:
        parsed(page, [], [])
    assert caught.value.print_exception is False


FORM, HAS, TWICE = "not of the form", "the label map has the classes 1, 2, 3", "the id or the name stands twice"
UNFIT = {
    "² hair": FORM, f"{'9' * 5000} hair": FORM, "1": FORM, "1 hat 2 hair": FORM, "99999 hair": HAS, "0 hat": HAS,
    "1 hat, 2 hat": TWICE, "1 hat, 1 hair": TWICE,
}  # fmt: skip


@pytest.mark.parametrize("names, told", UNFIT.items())
def test_ids_that_cannot_be_are_refused(names, told, page, photo):
    assert told in refused(page.take_files, [], *photo, names)


def test_a_label_map_of_too_many_pixels_names_the_pages_own_limit(page, photo, tmp_path):
    Image.new("L", (6000, 7000)).save(tmp_path / "large.png")
    assert "more than the 24 million" in refused(page.take_files, [], photo[0], str(tmp_path / "large.png"), "")


def test_long_names_of_photos_are_packed(page, tmp_path):
    name = str(tmp_path / ("n" * 240 + ".png"))
    Image.fromarray(picture()[0]).save(name)
    taken, *_ = page.take_example()
    assert zipfile.is_zipfile(parsed(page, taken, [name])["archive"])


def test_what_killed_servers_left_is_removed_at_the_start(tmp_path, monkeypatch):
    """A server that runs holds its folder; what is called alike and is no server's stays."""
    killed, running, other = (tmp_path / f"{server.FOLDER}{name}" for name in ("killed", "running", "other"))
    for folder in (killed, running, other):
        folder.mkdir()
    (killed / "run.lock").touch()
    monkeypatch.setattr(server.tempfile, "gettempdir", lambda: str(tmp_path))
    hold = f"from utils.locks import locked\nwith locked({str(running)!r}): print('held', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline().strip() == b"held"
        server.sweep()
        holder.communicate(b"\n")
    assert sorted(tmp_path.iterdir()) == sorted([running, other])


@pytest.mark.parametrize("port", [99999, -1])
def test_a_port_that_cannot_be_is_refused(port, page):
    with pytest.raises(UserError, match="must lie between 0 and 65535"):
        server.serve(page.parser, "tiny.pt", "data", "127.0.0.1", port)


def test_many_classes_and_pixels_are_refused(page, photo, tmp_path, capsys):
    many, large = str(tmp_path / "many.png"), str(tmp_path / "large.png")
    Image.fromarray(
        np.kron(np.arange(32 * 21, dtype=np.uint16).reshape(32, 21) % 200, np.ones((3, 3), np.uint16))
    ).save(many)
    Image.new("L", (6000, 4001)).save(large)
    assert "more than 64 classes" in refused(page.take_files, [], photo[0], many, "")
    taken, *_ = page.take_files([], *photo, "")
    assert "none of these photos can be read" in refused(parsed, page, taken, [large])
    assert "24 million" in capsys.readouterr().out


def test_a_missing_checkpoint_is_told(tmp_path):
    with pytest.raises(UserError, match=r"gone\.pt"):
        demo.main(["--checkpoint", str(tmp_path / "gone.pt")])


def test_a_port_in_use_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # main sets both, for its process
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with pytest.raises(UserError, match=f"--port {port}: no page can be served"):
            demo.main(["--checkpoint", str(write_checkpoint(tmp_path / "tiny.pt")), "--port", port])


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A started demo.py with the tiny checkpoint, on a free port of this machine."""
    folder = tmp_path_factory.mktemp("server")
    with load_test.serving(write_checkpoint(folder / "tiny.pt")) as running:
        yield running


@pytest.mark.slow
def test_a_program_parses_photos_in_one_call(started, photo, tmp_path):
    """The call of docs/own-photos.md."""
    client = Client(started.address, verbose=False, download_files=str(tmp_path / "got"))
    files = [handle_file(photo[0])]
    areas, archive = client.predict(*map(handle_file, photo), "1 hat, 2 coat", files, api_name="/parse_files")
    assert list(areas["01_photo"]) == ["hat", "coat", "class 3"]
    with zipfile.ZipFile(archive) as packed, packed.open("01_photo.png") as file:
        found = np.array(Image.open(file))
    assert found.shape == picture()[1].shape and (found == 1).sum() == areas["01_photo"]["hat"]["pixels"]
    with pytest.raises(AppError, match="'hat 1' is not of the form"):
        client.predict(*map(handle_file, photo), "hat 1", files, api_name="/parse_files")
    assert list(client.view_api(return_format="dict")["named_endpoints"]) == ["/parse_files"]


@pytest.mark.slow
def test_the_browser_is_told_to_load_nothing_from_elsewhere(started):
    with urllib.request.urlopen(started.address, timeout=60) as answer:
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self' ") and "http" not in policy and "*" not in policy


@pytest.mark.slow
def test_users_at_once_see_their_own_reference(started):
    outcome = load_test.work(started, users=3, parses=2, seconds=120)
    assert outcome.failures == [] and len(outcome.seconds) == 6


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told(tmp_path):
    with pytest.raises(UserError, match=r"did not start: error: .*gone\.pt"), load_test.serving(tmp_path / "gone.pt"):
        pass
