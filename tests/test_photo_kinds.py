"""One function reads every kind of photo, so that training, prediction and the page see the same pixels."""

import io
import json
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from dataloaders import catalog
from dataloaders.layout import IMAGE_FOLDER
from dataloaders.prepare.__main__ import main as prepare
from dataloaders.prepare.repeats import repeat_shots
from dataloaders.split import Split
from inference.parser import OneShotParser
from tools import pack_photos
from utils.errors import UserError
from utils.heif import is_heif
from utils.imaging import is_blank, to_rgb
from utils.pictures import picture_size

from . import label_forms as forms
from .label_forms import label_map, photo
from .own_photos import picture, run, write_checkpoint

Way = Image.Transpose
RGB = photo()
GREY = np.asarray(Image.fromarray(RGB).convert("L"))
SHOWN = label_map() > 0  # what a cut-out keeps
CUT = np.where(SHOWN[..., None], RGB, 255)
ALPHA = (SHOWN * 255).astype(np.uint8)


def saved(pixels, **options):
    return lambda path: Image.fromarray(pixels).save(path, **options)


def palette_with_tag(path):
    ids = np.where(SHOWN, label_map() + 1, 0).astype(np.uint8)
    made = Image.fromarray(ids).convert("P")
    made.putpalette([9, 9, 9, 0, 0, 0, 192, 0, 0, 0, 0, 192])
    made.save(path, transparency=0)


def grey_and_alpha(path):
    Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(ALPHA)]).save(path)


def as_16_bits(pixels, factor=257):
    def write(path):
        cv2.imwrite(
            str(path),
            pixels[..., ::-1].astype(np.uint16) * factor if pixels.ndim == 3 else pixels.astype(np.uint16) * factor,
        )

    return write


def with_significant_bits(pixels, factor, bits):
    """A 16-bit PNG whose chunk sBIT says how many bits are in use."""

    def write(path):
        as_16_bits(pixels, factor)(path)
        content, chunk = path.read_bytes(), b"sBIT" + bytes([bits] * (3 if pixels.ndim == 3 else 1))
        made = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        path.write_bytes(content[:33] + made + content[33:])

    return write


def jpeg_2000_of_12_bits(path):
    """Colours of 12 bits, written as 16 and with the depth changed: half its range has been taken off each value."""
    content = bytearray(cv2.imencode(".jp2", RGB[..., ::-1].astype(np.uint16) * 16 + (1 << 15) - (1 << 11))[1])
    stream = content.index(b"\xff\x4f\xff\x51")
    for place in (content.index(b"ihdr") + 14, stream + 42, stream + 45, stream + 48):
        content[place] = 12 - 1
    path.write_bytes(content)


def swapped_profile():
    """An sRGB profile whose red and green have traded places: what it is put on is easy to check."""
    content = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", content[128:132])[0]
    for place in range(132, 132 + 12 * count, 12):
        name = bytes(content[place : place + 4])
        content[place : place + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(name, name)
    return bytes(content).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def pages(path):
    small = Image.fromarray(RGB).resize((12, 8))
    small.save(path, save_all=True, append_images=[Image.fromarray(RGB)])


def frames(path):
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(255 - RGB)], lossless=True)


KINDS = {  # name -> (file, how it is written, its pixels, and by how much they may differ)
    "RGB": ("a.png", saved(RGB), RGB, 0),
    "JPEG of another suffix": ("a.jfif", saved(RGB, quality=98, format="JPEG", subsampling=0), RGB, 40),
    "AVIF": ("a.avif", saved(RGB, quality=98, subsampling="4:4:4"), RGB, 60),
    "RGB and alpha": ("a.png", saved(np.dstack([RGB, ALPHA])), CUT, 0),
    "grey and alpha": ("a.png", grey_and_alpha, np.where(SHOWN, GREY, 255), 0),
    "palette with a transparent colour": ("a.png", palette_with_tag, CUT, 0),
    "RGB with a transparent colour": ("a.png", saved(RGB, transparency=(90, 90, 90)), CUT, 0),
    "16-bit grey": ("a.png", as_16_bits(GREY), GREY, 0),
    "16-bit grey TIFF": ("a.tif", as_16_bits(GREY), GREY, 0),
    "16-bit colours": ("a.png", as_16_bits(RGB), RGB, 0),
    "16-bit colours TIFF": ("a.tif", as_16_bits(RGB), RGB, 0),
    "dark 16-bit grey": ("a.png", as_16_bits(GREY, 100), GREY * (100 / 257), 1),
    "12 bits, said by sBIT": ("a.png", with_significant_bits(GREY, 16, 12), GREY, 1),
    "12-bit colours, said by sBIT": ("a.png", with_significant_bits(RGB, 16, 12), RGB, 1),
    "16-bit colours in a JPEG 2000": ("a.jp2", as_16_bits(RGB), RGB, 0),
    "12-bit colours in a JPEG 2000": ("a.jp2", jpeg_2000_of_12_bits, RGB, 1),
    "a profile": ("a.png", saved(RGB, icc_profile=swapped_profile()), RGB[..., [1, 0, 2]], 2),
    "a profile and alpha": (
        "a.png", saved(np.dstack([RGB, ALPHA]), icc_profile=swapped_profile()), CUT[..., [1, 0, 2]], 2,
    ),
    "a profile in a JPEG": (
        "a.jpg", saved(RGB, quality=98, subsampling=0, icc_profile=swapped_profile()), RGB[..., [1, 0, 2]], 40,
    ),
    "a broken profile": ("a.png", saved(RGB, icc_profile=b"nothing of the sort" * 9), RGB, 0),
    "CMYK": ("a.jpg", lambda p: Image.fromarray(RGB).convert("CMYK").save(p, quality=98), RGB, 40),
    "BMP": ("a.bmp", saved(RGB), RGB, 0),
    "GIF": ("a.gif", saved(RGB), RGB, 0),
    "JPEG 2000": ("a.jp2", saved(RGB), RGB, 0),
    "an animated GIF": ("a.gif", saved(RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)]), RGB, 0),
    "several pages": ("a.tif", pages, RGB, 0),
    "an animation": ("a.webp", frames, RGB, 0),
    "an animated PNG": ("a.png", saved(RGB, save_all=True, append_images=[Image.fromarray(255 - RGB)]), RGB, 0),
}  # fmt: skip


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    made = OneShotParser(write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny.pt"), "cpu")
    made.set_reference(RGB, label_map())
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_photo_is_read_alike_everywhere(kind, tmp_path, parser, capsys):
    name, write, expected, tolerance = KINDS[kind]
    suffix = name[1:]
    for i in range(8):
        (tmp_path / "source/images").mkdir(parents=True, exist_ok=True)
        write(tmp_path / f"source/images/p{i}{suffix}")
        forms.save(tmp_path / f"source/labels/p{i}.png", label_map())
    assert prepare(["custom", "--source", str(tmp_path / "source"), "--data-root", str(tmp_path / "data")]) == 0
    spec = catalog.load(tmp_path / "data/source/dataset.json")
    trained = Split(spec, tmp_path / "data/source", "train").load(0).image.permute(1, 2, 0).numpy()
    expected = np.broadcast_to(expected[..., None] if expected.ndim == 2 else expected, RGB.shape)
    assert np.abs(trained.astype(int) - expected).max() <= tolerance
    photo_file = tmp_path / f"source/images/p0{suffix}"
    assert np.array_equal(parser.parse(photo_file).image, trained)
    if kind in ("several pages", "an animation", "an animated PNG", "an animated GIF"):
        page = 2 if kind == "several pages" else 1
        assert f"8 photos (p0, p1, p2 ...): page {page} of 2 is taken" in capsys.readouterr().out


def test_the_page_and_memory_read_as_files_do(tmp_path):
    pytest.importorskip("gradio", reason="the page needs gradio: pip install -r requirements-demo.txt")
    from inference.page import view

    with_alpha = np.dstack([RGB, ALPHA])
    Image.fromarray(with_alpha).save(tmp_path / "a.png")
    assert np.array_equal(to_rgb(with_alpha), CUT) and np.array_equal(to_rgb(Image.fromarray(with_alpha)), CUT)
    stroke = np.zeros((*forms.SIZE, 4), np.uint8)
    stroke[:9, :9] = (*bytes.fromhex(view.BRUSHES[0][1:]), 255)
    painting = view.painted({"background": with_alpha, "layers": [stroke]}, ["hat"])
    assert np.array_equal(painting.photo, CUT)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("orientation", [3, 5, 6, 7, 8])
def test_a_turned_tiff_is_turned_in_every_mode(mode, orientation, tmp_path):
    upright = Image.fromarray(GREY).convert("I;16") if mode == "I;16" else Image.fromarray(RGB).convert(mode)
    upright.save(tmp_path / "upright.tif")
    back = (Way.TRANSPOSE, Way.ROTATE_90, Way.TRANSVERSE, Way.ROTATE_270) if orientation > 3 else (Way.ROTATE_180,)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright.transpose(back[max(0, orientation - 5)]).save(tmp_path / "turned.tif", exif=exif)
    assert np.array_equal(to_rgb(tmp_path / "turned.tif"), to_rgb(tmp_path / "upright.tif"))


def tiff_of_16_bits(path, pixels, **changed):
    """Pixels (H, W, C) or, in planes, (C, H, W), as an uncompressed TIFF file with these numbers in its tags."""
    tags = {256: forms.SIZE[1], 257: forms.SIZE[0], 258: 0, 259: 1, 262: 2, 273: 0, 277: 3, 278: forms.SIZE[0], 279: 0}
    tags |= {int(tag[1:]): value for tag, value in changed.items()}
    planes = pixels.shape[0] if tags.get(284) == 2 else 1
    bits, content = (16,) * tags[277], pixels.astype("<u2").tobytes()
    start, behind = 8, b""
    where = 8 + len(content) + 2 + 12 * len(tags) + 4
    entries = b""
    for tag, value in sorted(tags.items()):
        values = {
            258: bits,
            273: tuple(start + i * len(content) // planes for i in range(planes)),
            279: (len(content) // planes,) * planes,
        }.get(tag, (value,))
        packed = struct.pack(f"<{len(values)}I", *values)
        entries += struct.pack("<HHI", tag, 4, len(values))
        entries += packed if len(values) == 1 else struct.pack("<I", where + len(behind))
        behind += packed if len(values) > 1 else b""
    head = b"II*\0" + struct.pack("<I", 8 + len(content))
    path.write_bytes(head + content + struct.pack("<H", len(tags)) + entries + bytes(4) + behind)


def test_a_selection_that_was_saved_in_a_tiff_is_no_opacity(tmp_path):
    """As its extra channel says: 0 is something, 2 is opacity. Of 8 bits Pillow tells them apart by itself."""
    four = np.dstack([RGB, ALPHA]).astype(np.uint16) * 257
    for kind, expected in ((0, RGB), (2, CUT)):
        tiff_of_16_bits(tmp_path / "a.tif", four, t277=4, t338=kind)
        assert np.array_equal(to_rgb(tmp_path / "a.tif"), expected)


def test_a_tiff_of_16_bits_in_planes_is_refused(tmp_path):
    tiff_of_16_bits(tmp_path / "a.tif", RGB.astype(np.uint16) * 257)
    assert np.array_equal(to_rgb(tmp_path / "a.tif"), RGB)
    tiff_of_16_bits(tmp_path / "a.tif", RGB.transpose(2, 0, 1).astype(np.uint16) * 257, t284=2)
    with pytest.raises(UserError, match="save it with interleaved channels"):
        to_rgb(tmp_path / "a.tif")


def test_16_bit_greys_whose_white_is_zero_or_that_have_a_sign(tmp_path):
    grey, grey_rgb = GREY.astype(np.uint16) * 257, np.repeat(GREY[..., None], 3, axis=2)
    for white, pixels in ((0, 65535 - grey), (1, grey)):
        tiff_of_16_bits(tmp_path / "a.tif", pixels[..., None], t262=white, t277=1)
        assert np.array_equal(to_rgb(tmp_path / "a.tif"), grey_rgb)
    Image.fromarray(-GREY.astype(np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(UserError, match="holds values below zero; save it with 0 as black"):
        to_rgb(tmp_path / "a.tif")


@pytest.mark.parametrize("tags", [{50706: b"\1\4\0\0"}, {254: 1, 330: 8}], ids=["DNG", "NEF"])
def test_the_preview_in_a_raw_photo_is_not_taken_for_it(tags, tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.nef", "TIFF", tiffinfo=tags)
    with pytest.raises(UserError, match="is a raw photo, of which only its preview can be read; export it"):
        to_rgb(tmp_path / "a.nef")


def test_a_damaged_tiff_or_a_whole_psd_ends_no_run(tmp_path):
    pages = [Image.fromarray(RGB), Image.fromarray(RGB)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    whole = (tmp_path / "a.tif").read_bytes()
    for length in range(8, len(whole), len(whole) // 50):
        (tmp_path / "a.tif").write_bytes(whole[:length])
        for read in (to_rgb, picture_size):
            try:
                read(tmp_path / "a.tif")
            except UserError as error:
                assert "a.tif: " in str(error)
    size = struct.pack(">II", *RGB.shape[:2])
    head = b"8BPS" + struct.pack(">H6xH", 1, 3) + size + struct.pack(">HH", 8, 3) + bytes(12) + bytes(2)
    (tmp_path / "a.psd").write_bytes(head + RGB.transpose(2, 0, 1).tobytes())
    assert np.array_equal(to_rgb(tmp_path / "a.psd"), RGB) and picture_size(tmp_path / "a.psd")[0] == RGB.shape[:2]


def test_a_heic_photo_is_known_by_its_content(tmp_path):
    """Phones and messengers call some .jpg."""
    for brand in (b"heic", b"mif1"):
        (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(40))
        assert is_heif(tmp_path / "a.jpg") and is_heif(io.BytesIO((tmp_path / "a.jpg").read_bytes()))
        with pytest.raises(UserError, match=r"HEIC photos need a further package|damaged"):
            to_rgb(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(b"nothing of the sort")
    assert not is_heif(tmp_path / "a.jpg")


DEPTH = {"grey": GREY, "colours": RGB}


@pytest.mark.parametrize("kind", DEPTH)
def test_12_bits_are_told_and_read_on_request(kind, place, capsys):
    as_16_bits(DEPTH[kind], 16)(place / "deep.png")
    assert run(place, "deep.png") == 0
    assert "deep.png: its 16-bit values all lie below 4096, so it looks black; for 12 bits: --depth 12" in (
        capsys.readouterr().out
    )
    dark = json.loads((place / "out/deep.json").read_text())
    assert run(place, "deep.png", more=("--depth", 12)) == 0
    assert "--depth" not in capsys.readouterr().out
    overlay = np.asarray(Image.open(place / "out/deep_overlay.jpg").convert("RGB"))
    assert overlay[: forms.SIZE[0]].mean() > 60 and dark["photo"].endswith("deep.png")
    assert run(place, "deep.png", more=("--depth", 7)) == 2


def deep_grey(kind):
    """A grey photo of 12 bits in more, which nothing but its values tells."""

    def write(path):
        Image.fromarray((GREY * 16.0).astype(kind)).save(path)

    return write


def colours_and_opacity(path):
    """Colours of 12 bits, and an opacity of all 16."""
    cv2.imwrite(str(path), np.dstack([RGB[..., ::-1].astype(np.uint16) * 16, SHOWN.astype(np.uint16) * 65535]))


SAID_BY_THEIR_VALUES = {
    "colours and alpha": ("a.png", colours_and_opacity, CUT),
    "colours in a PPM": ("a.ppm", as_16_bits(RGB, 16), RGB),
    "greys in a PGM": ("a.pgm", as_16_bits(GREY, 16), GREY),
    "colours in a JPEG 2000": ("a.jp2", as_16_bits(RGB, 16), RGB),
    "greys in a JPEG 2000": ("a.jp2", as_16_bits(GREY, 16), GREY),
    "floats": ("a.tif", deep_grey(np.float32), GREY),
    "32 bits": ("a.tif", deep_grey(np.int32), GREY),
}


@pytest.mark.parametrize("kind", SAID_BY_THEIR_VALUES)
def test_12_bits_are_told_in_every_form(kind, tmp_path):
    name, write, expected = SAID_BY_THEIR_VALUES[kind]
    write(tmp_path / name)
    told = []
    assert to_rgb(tmp_path / name, tell=told.append)[SHOWN].max() < 20, "as 16 bits it is nearly black"
    assert len(told) == 1 and told[0].endswith("for 12 bits: --depth 12")
    expected = np.broadcast_to(expected[..., None] if expected.ndim == 2 else expected, RGB.shape)
    assert np.abs(to_rgb(tmp_path / name, depth=12, tell=told.append).astype(int) - expected).max() <= 1
    assert len(told) == 1


def test_floats_somewhat_above_1_are_still_0_to_1():
    """Resizing brings some there; and the depth is that of whole numbers."""
    floats = RGB.astype(np.float32) / 255
    floats[0, 0] = 1.2
    expected = RGB.copy()
    expected[0, 0] = 255
    assert np.array_equal(to_rgb(floats), expected) and np.array_equal(to_rgb(floats, depth=12), expected)
    assert np.array_equal(to_rgb(RGB.astype(np.float32)), RGB)


def test_arrays_from_minus_1_on_are_refused():
    """As networks take them: half of each photo would be black."""
    for pixels in (RGB / 127.5 - 1, RGB.astype(np.int16) - 128):
        with pytest.raises(UserError, match=r"values from -\S+ to \S+; give 0 to 1, or 0 to 255"):
            to_rgb(pixels)
    floats = RGB / 255
    floats[0, 0], floats[0, 1] = -0.1, np.nan
    assert np.array_equal(to_rgb(floats)[1:], RGB[1:]) and not to_rgb(floats)[0, :2].any()


def test_the_page_of_16_bits_that_is_told_is_the_one_taken(tmp_path):
    pages = [cv2.resize(RGB, (24, 16)), RGB]
    cv2.imwritemulti(str(tmp_path / "a.tif"), [page[..., ::-1].astype(np.uint16) * 257 for page in pages])
    told = []
    assert np.array_equal(to_rgb(tmp_path / "a.tif", tell=told.append), RGB)
    assert told[0].endswith("page 2 of 2 is taken")


def test_own_data_of_12_bits_is_kept_as_8(tmp_path):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat", ends=("png", "png"))
    for path in (tmp_path / "source/images").iterdir():
        as_16_bits(GREY, 16)(path)
    prepare(["custom", "--source", str(tmp_path / "source"), "--data-root", str(tmp_path / "data"), "--depth", "12"])
    spec = catalog.load(tmp_path / "data/source/dataset.json")
    image = Split(spec, tmp_path / "data/source", "train").load(0).image.numpy()
    assert np.abs(image.astype(int) - GREY).max() <= 1


def damaged_exif(kind):
    """A JPEG whose EXIF says orientation 6 in an entry that is whole, beside one that is not."""
    count = 2 if kind == "two values" else 1
    entry = struct.pack("<HHIHH", 0x0112, 3, count, 6, 6 if count == 2 else 0)
    beyond = struct.pack("<HHII", 0x011A, 5, 1, 26 if kind == "cut" else 10**9)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + entry + beyond
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, "JPEG")
    content = buffer.getvalue()
    return content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]


@pytest.mark.parametrize("kind", ["cut", "long", "two values"])
def test_damaged_exif_costs_nothing(kind, place):
    (place / "a.jpg").write_bytes(damaged_exif(kind))
    assert run(place, "a.jpg") == 0
    assert Image.open(place / "out/a.png").size == forms.SIZE, "turned by a quarter, as its tag says"


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (200, 150, 3)).astype(np.uint8)


NOTHING = {
    "black": np.zeros((200, 150, 3), np.uint8),
    "white": np.full((200, 150, 3), 255, np.uint8),
    "a dark sensor": noise() // 24,
    "noise": noise(),
    "grey noise": np.repeat(noise()[..., :1], 3, axis=2),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_where_nothing_is_to_be_seen_nobody_is_found(kind, parser):
    parsing = parser.parse(NOTHING[kind])
    assert not parsing.labels.any() and not parsing.foreground.any() and not any(parsing.scores.values())


def test_dark_photos_are_still_photos():
    assert not is_blank(picture()[0]) and not is_blank(picture()[0] // 8) and not is_blank(RGB)


def test_black_frames_do_not_count_in_the_means(place):
    frames = [picture(seed=seed)[0] for seed in range(3)]
    for name, shown in (("plain", frames), ("faded", [*frames, *[np.zeros_like(frames[0])] * 3])):
        clip = cv2.VideoWriter(str(place / f"{name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 96))
        for frame in shown:
            clip.write(np.ascontiguousarray(frame[..., ::-1]))
        clip.release()
    assert run(place, "plain.avi", "faded.avi") == 0
    plain, faded = (json.loads((place / f"out/{name}.json").read_text()) for name in ("plain", "faded"))
    assert plain["mean_share"] == faded["mean_share"] and faded["blank_frames"] == 3 and faded["frames"] == 6


def test_a_narrow_strip_names_the_option(place, capsys):
    Image.fromarray(picture((96, 900))[0]).save(place / "wide.png")
    assert run(place, "wide.png") == 0
    assert "wide.png: the network sees 96x16 pixels of 900x96; --tile" in capsys.readouterr().out
    assert run(place, "wide.png", more=("--tile",)) == 0
    assert "--tile" not in capsys.readouterr().out


def test_repeat_shots_of_16_bits_are_found(tmp_path):
    """Their greys must not be cut off at 8 bits."""
    for name, values in (("a", GREY), ("b", GREY), ("c", GREY[::-1])):
        as_16_bits(values, 257)(tmp_path / f"{name}.png")
    assert repeat_shots([tmp_path / f"{name}.png" for name in "abc"]) == [(0, 1)]


def test_a_turned_photo_is_packed_as_its_label_map_stands(tmp_path):
    forms.index_png(tmp_path / "source", "background\nshirt\nhat", ends=("png", "png"))
    prepare(["custom", "--source", str(tmp_path / "source"), "--data-root", str(tmp_path / "data")])
    spec, root = catalog.load(tmp_path / "data/source/dataset.json"), tmp_path / "data/source"
    before = Split(spec, root, "train").load(0)
    path = next((root / IMAGE_FOLDER).glob(f"{Split(spec, root, 'train').ids[0]}.*"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(to_rgb(path)).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    pack_photos.pack(spec, root, tmp_path / "packed", 1000, 95)
    packed = Split(spec, tmp_path / "packed/source", "train").load(0)
    assert torch.equal(packed.label, before.label) and packed.image.shape == before.image.shape
    assert (packed.image.float() - before.image.float()).abs().mean() < 4
