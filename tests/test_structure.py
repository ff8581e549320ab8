"""The house stays as it is built: what stands where, who imports whom, how long it is, and that it is clean."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = {"networks", "dataloaders", "utils"}
MAY_IMPORT = {  # room -> rooms that it may import from
    "utils": {"utils"},
    "networks": {"networks", "utils"},
    "dataloaders": {"dataloaders", "utils"},
    "engine": {"engine", *ROOMS},
    "inference": {"inference", *ROOMS},
    "tools": {"tools", "engine", "inference", *ROOMS},
}
TOP_LEVEL = {
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "CITATION.bib", ".gitignore", ".github", ".ci"),
    *("requirements.txt", "requirements-demo.txt", "requirements-dev.txt", "requirements-scale.txt"),
    *("pyproject.toml", ".pre-commit-config.yaml"),
    *("train.py", "evaluate.py", "predict.py", "demo.py", "hubconf.py"),
    *("networks", "dataloaders", "engine", "inference", "utils", "tools", "scripts", "tests", "docs", "data"),
}
LONGEST_FILE, LONGEST_FUNCTION = 300, 60  # lines
FILE = re.compile(r"(?<![\w./<>{}*-])(?:[\w.-]+/)*[\w.-]+\.(?:py|md|sh|args|yml|toml)\b")
MODULE = re.compile(r"-m ((?:utils|networks|dataloaders|engine|inference|tools|scripts)(?:\.[a-z_]+)+)\b")
WRITTEN = {"comparison.md"}  # by a tool
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
STEPS = re.compile(r"method\.md`?,\s+steps?\s+([\d, toand]+)")
OWN = {*MAY_IMPORT, "train", "evaluate", "predict", "demo", "scripts", "tests"}


def imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }
    return {name.split(".")[0] for name in names} & OWN


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_run_one_way(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert imported(path) <= MAY_IMPORT[package], path


def test_no_network_names_a_device():
    for path in sorted((ROOT / "networks").rglob("*.py")):
        text = path.read_text()
        assert ".cuda(" not in text and '"cuda"' not in text, path


def test_the_code_is_clean():
    ruff = pytest.importorskip("ruff")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([ruff.find_ruff_bin(), *command, "."], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_mypy_finds_nothing():
    pytest.importorskip("mypy")
    done = subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def tracked(*suffixes: str) -> list[Path]:
    """The project's own files, by their ending; all of them without one."""
    if not (ROOT / ".git").exists():
        pytest.skip("only git knows which files are the project's own")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines() if name.endswith(suffixes or "")]


def programs() -> Iterator[tuple[Path, str]]:
    """Every Python file outside the tests, with its text."""
    for path in tracked(".py"):
        if ROOT / "tests" not in path.parents:
            yield path, path.read_text()


def test_at_the_top_level_stands_what_is_listed_and_no_more():
    assert {path.relative_to(ROOT).parts[0] for path in tracked()} == TOP_LEVEL


def test_files_and_functions_fit_their_length():
    for path, text in programs():
        assert len(text.splitlines()) <= LONGEST_FILE, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < LONGEST_FUNCTION, f"{path}: {node.name}"


EPISODE_KEY = re.compile(r"(query|support|)_(label|foreground)")
EPISODES_ARE_BUILT_IN = "dataloaders/oshp_loader.py"
MAY_USE_SPLITS = {  # beside the class's own file
    EPISODES_ARE_BUILT_IN: "builds the episodes",
    "tools/figure.py": "parses photos of the test list by their ids, each by itself",
    "dataloaders/training_photos.py": "loads photos one by one, of which a network makes pairs itself",
    "inference/page/example.py": "shows photos of the user's data on the page, each by itself",
    "tools/measure_strokes.py": "parses photos as tools/measuring.py does",
    "tools/measuring.py": "parses photos with others as the user's references, through the user's parser",
    "tools/simulate_labelling.py": "parses photos with others as the user's references, through the user's parser",
    "tools/measure_people.py": "composes pictures of photos, and parses them through the user's parser",
    "tools/measure_small.py": "sets people small into pictures, and parses these through the user's parser",
    "tools/measure_smoothing.py": "moves photos as a camera would, and parses the frames through the user's parser",
    "tools/score_own.py": "parses photos as tools/measuring.py does",
    "tools/score_user.py": "parses photos as tools/measuring.py does",
}
MAY_FILL_EPISODES = {
    EPISODES_ARE_BUILT_IN: "builds the episodes",
    "tools/benchmark_parts.py": "makes up episodes of noise, without any file",
}


def uses_split(tree: ast.AST) -> bool:
    """Whether code takes the class `Split` by whatever import, or loads a sample from one."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in imports for alias in node.names}
    modules = {(node.module or "").split(".")[-1] for node in imports}
    loads = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr in ("load", "Split"))
    holders = {ast.unparse(node.value).split(".")[-1] for node in loads}
    return "Split" in names or "split" in modules or "split" in names or "split" in holders


def fills_episode(tree: ast.AST) -> bool:
    """Whether code writes an entry that only an episode has, in a literal, by a keyword or by assignment."""
    keys: list[ast.AST | str | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            keys += node.keys
        elif isinstance(node, ast.DictComp):
            keys.append(node.key)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("dict", "Episode"):
            keys += [keyword.arg for keyword in node.keywords]
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            keys.append(node.slice)
    written = [ast.unparse(key) for key in keys if isinstance(key, ast.Constant | ast.JoinedStr)]
    written += [key for key in keys if isinstance(key, str)]
    return any(EPISODE_KEY.search(text) for text in written)


def test_episodes_are_built_in_one_place():
    """`dataloaders/oshp_loader.py` alone makes episodes of the split's files; the others that come near are named."""
    users, fillers = set(), set()
    for path, text in programs():
        tree, name = ast.parse(text), str(path.relative_to(ROOT))
        users |= {name} if uses_split(tree) and name != "dataloaders/split.py" else set()
        fillers |= {name} if fills_episode(tree) else set()
    assert users == set(MAY_USE_SPLITS)
    assert fillers == set(MAY_FILL_EPISODES)


@pytest.mark.parametrize(
    "code",
    [
        "from dataloaders.split import Split",
        "from dataloaders.oshp_loader import Split as S",
        "from dataloaders import split",
        "sample = episodes.split.load(3)",
        "episode = {'query': a, 'query_label': b}",
        "episode = dict(support_foreground=a)",
        "episode[f'{who}_label'] = a",
        "episode = {f'{who}_label': a for who in roles}",
    ],
)
def test_other_code_that_builds_episodes_is_found(code):
    tree = ast.parse(code)
    assert uses_split(tree) or fills_episode(tree)


def there(name: str, near: Path) -> bool:
    """Whether a text in the folder `near` may call a file so: by its path from the root or from there, or its name."""
    places = (ROOT, near, near.parent)
    return any((place / name).is_file() for place in places) or ("/" not in name and any(ROOT.glob(f"*/**/{name}")))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    }


def current(path: Path) -> str:
    """A file's text; of the change log's tables the last column alone, since the others name what was."""
    lines = path.read_text().splitlines()
    if path.name == "CHANGELOG.md":
        lines = [line.strip("| ").split("|")[-1] if line.startswith("|") else line for line in lines]
    return "\n".join(lines)


def test_no_text_refers_to_a_file_that_is_not_here():
    for path in tracked(".py", ".md", ".sh", ".args", ".yml", ".yaml", ".toml", "requirements.txt", "-dev.txt"):
        text, is_test = current(path), ROOT / "tests" in path.parents
        assert is_test or "../shared" not in text, path
        for name in set(FILE.findall(text)) - WRITTEN:  # tests name files that they make
            assert there(name, path.parent) or (is_test and not name.startswith("docs/")), f"{path}: {name}"
        for name in MODULE.findall(text):
            module = ROOT / name.replace(".", "/")
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), f"{path}: -m {name}"


def test_links_and_steps_lead_somewhere():
    for path in tracked(".md"):
        for name, anchor in LINK.findall(path.read_text()):
            page = path.parent / name if name else path
            assert page.exists() and (not anchor or anchor in anchors(page)), f"{path}: {name}#{anchor}"
    steps = set(re.findall(r"^\*\*Step (\d+)", (ROOT / "docs/method.md").read_text(), re.M))
    cited = {number for _, text in programs() for found in STEPS.findall(text) for number in re.findall(r"\d+", found)}
    assert cited and cited <= steps
