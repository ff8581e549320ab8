"""torch.hub gives a ready parser, also to a program that has a package of the name `utils` itself."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from dataloaders import toy

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = """
import json, sys
import numpy as np
import utils.files
import torch

parsers = [torch.hub.load(sys.argv[1], "one_shot_parser", source="local", device="cpu") for _ in range(2)]
areas = []
for parser in parsers:
    parser.set_reference("ref.png", np.load("label.npy"))
    parsing = parser.parse("photo.png")
    parsing.save("parsed", "photo")
    areas.append(np.bincount(parsing.labels.ravel()).tolist())
import utils.late
mine = [utils.files.NAME, utils.late.NAME, sys.modules["utils"] is utils]
left = [sys.argv[1] in sys.path, "networks" in sys.modules]
print(json.dumps({"areas": areas, "mine": mine, "left": left}))
"""


def test_a_program_with_its_own_utils_parses_and_uses_its_own_again(tmp_path):
    (tmp_path / "utils").mkdir()
    (tmp_path / "utils/__init__.py").write_text("")
    (tmp_path / "utils/files.py").write_text("NAME = 'my files'\n")
    (tmp_path / "utils/late.py").write_text("from .files import NAME\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    image, label = toy.draw(7, 0, (384, 256))
    Image.fromarray(image).save(tmp_path / "ref.png")
    np.save(tmp_path / "label.npy", label)
    Image.fromarray(toy.draw(7, 1, (384, 256))[0]).save(tmp_path / "photo.png")
    done = subprocess.run(
        [sys.executable, "program.py", str(ROOT)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["mine"] == ["my files", "my files", True] and result["left"] == [False, False]
    first, second = result["areas"]
    assert first == second and sum(first) == 384 * 256 and sum(first[1:]) > 1000
    assert list((tmp_path / "parsed").iterdir())


def test_a_program_in_a_folder_whose_name_begins_alike_keeps_its_own_utils():
    code = f"""
import sys, types
sys.modules["utils"] = mine = types.ModuleType("utils")
mine.__file__ = "{ROOT}-of-mine/utils.py"
sys.path.insert(0, "{ROOT}")
import hubconf
assert sys.modules["utils"] is mine
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
