"""The page's layout, and which action each of its buttons calls."""

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from ..exports.project import FORMS
from . import view
from .actions import ALL_CLASSES, MAX_PHOTOS, MAX_REFERENCES, NO_PROJECT, NO_REFERENCE, Page

STATE_SECONDS = 15 * 60
SUGGESTED = ("hair", "skin", "upper-clothes", "pants", "shoes", "bag", "", "background")
GO_ON = "() => window.goTo('#parse')"  # page.js: brings the focus to what comes next
SHOW = "() => window.goTo('#results')"


class ReferencePart(NamedTuple):
    """What every way to a reference gives: the session's references, their pictures, and what is told."""

    references: gr.State
    pictures: gr.Gallery
    message: gr.Markdown


class Upload(NamedTuple):
    """The fields of an uploaded reference."""

    photo: gr.File
    labels: gr.File
    names: gr.Textbox


def build(page: Page, checkpoint: str) -> gr.Blocks:
    """The page. What a session owns, its references and its results, is forgotten after `STATE_SECONDS`."""
    cleaning = (300, STATE_SECONDS)  # how often the downloads are looked at, and how old they may be
    blocks = gr.Blocks(title="One-shot human parsing", analytics_enabled=False, delete_cache=cleaning)
    with blocks:
        references, kept = gr.State([], time_to_live=STATE_SECONDS), gr.State(None, time_to_live=STATE_SECONDS)
        facts = f"`{Path(checkpoint).name}` · photos seen at {page.parser.max_size} pixels · on {page.parser.device}"
        aim = "Mark the parts that you care about in one photo, and find them in others."
        gr.Markdown(f"# One-shot human parsing\n{aim}\n\nCheckpoint: {facts}")
        example = gr.Button("Try the example", variant="primary", elem_id="try-example")
        gr.Markdown(page.example.about, elem_id="example-about")
        with gr.Row():
            with gr.Column(min_width=300):
                reference, upload = _reference(page, references)
            with gr.Column(min_width=300):
                gr.Markdown("## 2 Photos")
                files = gr.File(
                    label=f"Photos, up to {MAX_PHOTOS}", file_count="multiple", file_types=["image"], elem_id="photos"
                )
                about = "Adapt: some seconds for classes whose names the checkpoint does not know"
                adapt = gr.Checkbox(label=about, elem_id="adapt", interactive=page.parser.network.way == "kway")
                go = gr.Button("Parse", variant="primary", elem_id="parse")
        took = example.click(page.take_example, None, [*reference], api_name="example", api_visibility="undocumented")
        took.success(lambda: page.example_files, None, files, api_visibility="private").success(js=GO_ON)
        _results(page, reference.references, kept, files, adapt, go)
        _for_programs(page, upload, files)
    return blocks


def _reference(page: Page, references: gr.State) -> tuple[ReferencePart, Upload]:
    gr.Markdown(f"## 1 Reference\nOne labelled photo, or up to {MAX_REFERENCES}.")
    with gr.Tabs():
        with gr.Tab("Paint"):
            editor, names = _canvas(page)
            about = "Let strokes grow: a few in each class are enough"
            growing = gr.Checkbox(True, label=about, elem_id="growing")
            paint = gr.Button("Use this painting", variant="primary", elem_id="use-painting")
        with gr.Tab("Upload"):
            photo = gr.File(label="Photo", file_types=["image"], elem_id="reference-photo")
            form = "Label map: PNG of class ids, 0 = background, 255 = ignore"
            labels = gr.File(label=form, file_types=[".png"], elem_id="label-map")
            ids = gr.Textbox(label="Names by id", placeholder="1 hat, 2 coat", max_length=2000)
            upload = gr.Button("Use these files", variant="primary", elem_id="use-files")
    message = gr.Markdown(NO_REFERENCE, elem_id="reference-ready")
    pictures = gr.Gallery(
        label="References with their labels; white does not count", height="auto", object_fit="contain", format="jpeg",
        columns=2, interactive=False, visible=True, elem_id="references", buttons=[],
    )  # fmt: skip
    clear = gr.Button("Remove all references", size="sm", elem_id="clear-references")
    taken, hidden = ReferencePart(references, pictures, message), "undocumented"
    paint.click(
        page.take_painted, [references, editor, growing, *names], [*taken], api_name="paint", api_visibility=hidden
    )
    upload.click(
        page.take_files, [references, photo, labels, ids], [*taken], api_name="reference", api_visibility=hidden
    )
    clear.click(lambda: ([], [], NO_REFERENCE), None, [*taken], api_visibility="private")
    return taken, Upload(photo, labels, ids)


def _canvas(page: Page) -> tuple[gr.ImageEditor, list[gr.Textbox]]:
    gr.Markdown(
        "Drop a photo, choose the brush and a colour, and draw a stroke on each part. To correct the labels, draw more "
        "strokes and use the painting again. What each colour stands for:"
    )
    with gr.Row(elem_id="names"):
        names = [_brush_name(i, name) for i, name in enumerate(SUGGESTED)]
    brush = gr.Brush(default_size=14, colors=[*view.BRUSHES], default_color=view.BRUSHES[0], color_mode="fixed")
    editor = gr.ImageEditor(
        label="Canvas", type="numpy", format="png", transforms=(), layers=False, sources=("upload", "clipboard"),
        brush=brush, height=480, elem_id="canvas",
    )  # fmt: skip
    fill = gr.Button("Put the example's photo on the canvas", size="sm", elem_id="example-canvas")
    fill.click(lambda: page.example.reference.photo, None, editor, api_visibility="private")
    return editor, names


def _brush_name(number: int, name: str) -> gr.Textbox:
    return gr.Textbox(
        name, label=f"Class of brush {number + 1}", show_label=False, placeholder="not used",
        elem_classes=f"brush{number}", min_width=110, max_lines=1, max_length=40, container=False,
    )  # fmt: skip


def _results(
    page: Page, references: gr.State, kept: gr.State, files: gr.File, adapt: gr.Checkbox, go: gr.Button
) -> None:
    gr.Markdown("## 3 Result", elem_id="results")
    bars = gr.HTML(elem_id="bars")
    with gr.Row(elem_id="overlays"):
        sliders = [
            gr.ImageSlider(
                visible=False,
                interactive=False,
                format="jpeg",
                slider_position=25,
                buttons=["fullscreen"],
                min_width=240,
            )
            for _ in range(MAX_PHOTOS)
        ]
    with gr.Row():
        visible = gr.CheckboxGroup(label="Visible classes", choices=[], min_width=240, elem_id="visible")
        which = gr.Dropdown([ALL_CLASSES], value=ALL_CLASSES, label="Opacity of", min_width=140, elem_id="opacity-of")
        opacity = gr.Slider(0, 1, 0.6, step=0.05, label="Opacity", min_width=200, elem_id="opacity")
    areas = gr.HTML(elem_id="areas")
    archive = gr.DownloadButton("Download label maps (zip)", interactive=False, elem_id="download")
    shown, hidden = [kept, bars, areas, archive, visible, which, *sliders], "undocumented"
    go.click(js=SHOW)
    parsed = go.click(
        page.parse, [references, files, opacity, adapt], shown, api_name="parse", api_visibility=hidden,
        show_progress_on=[bars],
    )  # fmt: skip
    parsed.success(lambda: gr.update(interactive=True), None, archive, show_progress="hidden", api_visibility="private")
    visible.input(page.show, [kept, visible], sliders, api_name="show", api_visibility=hidden, show_progress="hidden")
    # Not `release`, which the keyboard does not trigger; of many steps of a drag the last one counts.
    opacity.input(
        page.fade, [kept, visible, which, opacity], [kept, *sliders], api_name="fade", api_visibility=hidden,
        show_progress="hidden", trigger_mode="always_last",
    )  # fmt: skip
    _more_downloads(page, kept)


def _more_downloads(page: Page, kept: gr.State) -> None:
    with gr.Accordion("More downloads", open=False, elem_id="more"):
        recipes = gr.Textbox(
            "person = foreground", label="Masks by recipe, one a line: name = classes | steps", lines=2,
            max_length=2000, elem_id="recipes",
            placeholder="clothes = foreground - hair - skin | drop 0.5% | fill | grow 2%",
        )  # fmt: skip
        cutout = gr.Checkbox(True, label="Cut-outs: what each mask shows of the photo", elem_id="cutout")
        form = gr.Dropdown(
            [NO_PROJECT, *FORMS], value=NO_PROJECT, label="Annotation project, to correct the results in"
        )
        make = gr.Button("Make these files", elem_id="make")
        made = gr.DownloadButton("Download masks (zip)", interactive=False, elem_id="download-masks")
    done = make.click(page.pack, [kept, recipes, cutout, form], made, api_visibility="private")
    done.success(lambda: gr.update(interactive=True), None, made, show_progress="hidden", api_visibility="private")


def _for_programs(page: Page, upload: Upload, files: gr.File) -> None:
    """The one call that programs need (docs/own-photos.md)."""
    call = gr.Button(visible=False)
    areas, archive = gr.JSON(visible=False), gr.File(visible=False)
    call.click(page.parse_files, [*upload, files], [areas, archive], api_name="parse_files")
