"""Export a checkpoint as two ONNX graphs, reference.onnx and parser.onnx, and check them against PyTorch.

    python -m tools.export_onnx --checkpoint data/released/aopnet_lite2_3.2.safetensors --out exported
    python -m tools.run_onnx --graphs exported --reference ref.jpg --labels ref.png photo.jpg --out parsed

Sizes of photos and labels and the number of classes are free. tools/run_onnx.py uses the graphs without
PyTorch.
"""

import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.onnx import symbolic_helper

from dataloaders import catalog
from inference.references import remembered_classes
from inference.settings import defaults_of
from networks.base import OneShotNetwork
from networks.checkpoints import open_checkpoint
from networks.export import ParserGraph, ReferenceGraph
from utils.config import ArgumentParser
from utils.errors import UserError, run_cli
from utils.files import replacing, write_json

OPSET = 18  # of ONNX: the first whose Resize has antialiasing
NEEDED = ("onnx", "onnxruntime")
CHECKS = (((160, 112), 3), ((97, 131), 7))  # photo sizes and numbers of classes that the export is checked at
AGREEMENT = 0.999  # share of pixels that must agree: ties fall either way in the last digits
FREE = {  # axes of any length, by input and output
    "image": {1: "height", 2: "width"},
    "labels": {0: "label_height", 1: "label_width"},
    "class_ids": {0: "classes"},
    "prototypes": {0: "classes"},
    "rivals": {0: "rivals"},
    "min_score": {0: "classes"},
    "canvas": {0: "photo_height", 1: "photo_width"},
    "scores": {0: "classes"},
}


def main(arguments: Sequence[str] | None = None) -> None:
    options = ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--checkpoint", required=True, help="released file, own or authors' checkpoint")
    options.add_argument("--out", default="exported", help="folder for the two graphs (default: %(default)s)")
    options.add_argument("--dataset", default="", help="data set of an authors' checkpoint")
    options.add_argument("--way", default="", choices=("", "kway", "1way"), help="kind of an authors' checkpoint")
    chosen = options.parse_args(arguments)
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise UserError(f"{absent[0]} is not installed: pip install {' '.join(NEEDED)}")
    slots = catalog.load(chosen.dataset).num_slots if chosen.dataset else None
    checkpoint = open_checkpoint(chosen.checkpoint, num_slots=slots, way=chosen.way)
    network = checkpoint.build()
    folder = Path(chosen.out)
    export(network, folder)
    defaults = defaults_of(checkpoint.test_size, checkpoint.min_score, network.min_presence)
    facts: dict[str, Any] = {**defaults._asdict(), "closer": network.looks_closer}
    if network.takes_rivals:
        known = remembered_classes(network, checkpoint.class_names)
        bank = {name: network.bank.rows[row].tolist() for name, row in known.items()}
        facts |= {"bank": bank, "bank_share": network.bank_share}
    write_json(folder / "graphs.json", facts)
    for size, classes in CHECKS:
        agreement = check(network, folder, size, classes)
        print(f"checked at {size[1]}x{size[0]}, {classes} classes: {agreement:.2%} of pixels agree")
    print(f"written: {folder}/reference.onnx, parser.onnx, graphs.json")


def export(network: OneShotNetwork, folder: Path) -> None:
    """Write reference.onnx and parser.onnx into `folder`; `networks.export` says what they take and give."""
    image, labels, ids = example((64, 48), 2)
    prototypes, foreground = ReferenceGraph(network)(image, labels, ids)
    _write(
        ReferenceGraph(network),
        {"image": image, "labels": labels, "class_ids": ids},
        ("prototypes", "foreground"),
        folder / "reference.onnx",
    )
    _write(
        ParserGraph(network),
        {
            "image": image,
            "prototypes": prototypes,
            "foreground": foreground,
            "rivals": torch.zeros_like(prototypes),
            "min_score": torch.zeros(len(prototypes)),
            "canvas": canvas_of((90, 70)),
        },
        ("labels", "scores", "person"),
        folder / "parser.onnx",
    )


def example(size: tuple[int, int], classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """A random photo (3, H, W), its label map (H, W) of stripes, and the class ids (K,)."""
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, *size), generator=generator).float()
    labels = (torch.arange(size[0]) * (classes + 1) // size[0])[:, None].expand(size).contiguous()
    return image, labels, torch.arange(1, classes + 1)


def canvas_of(size: tuple[int, int]) -> Tensor:
    """What tells the parser's graph the size (H, W) of the label map."""
    return torch.zeros(size, dtype=torch.uint8)


def check(network: OneShotNetwork, folder: Path, size: tuple[int, int], classes: int) -> float:
    """Share of pixels on which onnxruntime and PyTorch agree. Raises `UserError` when they differ."""
    import onnxruntime

    image, labels, ids = example(size, classes)
    with torch.inference_mode():
        expected = ReferenceGraph(network)(image, labels, ids)
        own = (size[0] * 3 // 2, size[1] * 2)
        rivals = torch.randn(2, expected[0].shape[1], generator=torch.Generator().manual_seed(1))
        parsed, scores, _ = ParserGraph(network)(image, *expected, rivals, torch.zeros(classes), canvas_of(own))
    reference, parser = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("reference", "parser"))
    inputs = {"image": image.numpy(), "labels": labels.numpy(), "class_ids": ids.numpy()}
    prototypes, foreground = reference.run(None, inputs)
    made = {"prototypes": prototypes, "foreground": foreground, "min_score": np.zeros(classes, np.float32)}
    made["rivals"] = rivals.numpy()
    made["canvas"] = canvas_of(own).numpy()
    graph_labels, graph_scores, _ = parser.run(None, {"image": image.numpy(), **made})
    agreement = float((graph_labels == parsed.numpy()).mean())
    pairs = ((prototypes, expected[0]), (foreground, expected[1]), (graph_scores, scores))
    close = all(np.allclose(a, b.numpy(), rtol=1e-3, atol=1e-3) for a, b in pairs)
    if agreement < AGREEMENT or not close:
        raise UserError(f"{folder}: the graphs and PyTorch differ ({agreement:.2%} of pixels agree); do not use them")
    return agreement


def _write(graph: nn.Module, inputs: dict[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    with warnings.catch_warnings(), torch.inference_mode(), replacing(path) as temporary:
        warnings.simplefilter("ignore")  # that tracing holds for this input alone, which `check` disproves
        # The exporter that traces: the newer one needs minutes for the encoder's padding at free sizes.
        torch.onnx.export(
            graph.eval(), tuple(inputs.values()), str(temporary), input_names=list(inputs), output_names=list(outputs),
            dynamic_axes={name: axes for name, axes in FREE.items() if name in (*inputs, *outputs)},
            dynamo=False, opset_version=OPSET,
        )  # fmt: skip


@symbolic_helper.parse_args("v", "v", "b", "v")
def _resize_positions(graph: Any, positions: Any, size: Any, align_corners: bool, _scales: Any) -> Any:
    """torch's bicubic resizing with antialiasing, which transformers bring their positions to the grid with."""
    shape = graph.op("Shape", positions)
    fixed, sides = graph.op("Constant", value_t=torch.tensor([0, 1])), graph.op("Constant", value_t=torch.tensor([-1]))
    parts = [graph.op("Reshape", side, sides) for side in symbolic_helper._unpack_list(size)]
    sizes = graph.op("Concat", graph.op("Gather", shape, fixed, axis_i=0), *parts, axis_i=0)
    none = graph.op("Constant", value_t=torch.tensor([], dtype=torch.float32))
    resized = graph.op(
        "Resize", positions, none, none, sizes, mode_s="cubic", cubic_coeff_a_f=-0.5, antialias_i=1,
        exclude_outside_i=1, coordinate_transformation_mode_s="align_corners" if align_corners else "half_pixel",
    )  # fmt: skip
    resized.setType(positions.type().with_sizes([None] * 4))
    return resized


torch.onnx.register_custom_op_symbolic("aten::_upsample_bicubic2d_aa", _resize_positions, OPSET)


if __name__ == "__main__":
    run_cli(main)
