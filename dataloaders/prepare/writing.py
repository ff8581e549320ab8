"""Put files into a folder, all of them or none, and none in the place of another."""

import filecmp
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from utils.errors import UserError


def write_folder(root: Path, files: Mapping[Path, Path | bytes], *, copy: bool, title: str) -> None:
    """Bring `files` into the folder `root`: target below `root` -> a file to be linked, or copied, or new content.

    A target that stands is kept when it is what would be put there, so that a second run finds its work done; any
    other raises `UserError` before anything is written. The rest gathers in `<root>.partial`, or in `root/.partial`
    where `root` stands, and moves to its place at the end: a run that fails or is stopped takes back what it made, and
    what a killed run left is removed by the next. Raises `UserError` where nothing can be written.
    """
    beside, inside = root.with_name(f"{root.name}.partial"), root / ".partial"
    for stale in (beside, inside):
        shutil.rmtree(stale, ignore_errors=True)
    files = {target: what for target, what in files.items() if not _is_done(target, what, root)}
    if not files:
        return
    partial = inside if os.path.lexists(root) else beside
    made = [folder for folder in partial.parents if not folder.exists()]
    moved: list[Path] = []
    try:
        for target, what in tqdm(files.items(), title, unit="file", disable=None):
            _put(what, partial / target.relative_to(root), copy)
        for path, target in list(_moves(partial, root)):
            moved.append(target)
            shutil.move(path, target)
        moved.clear()
    except OSError as error:
        remedy = "choose another --data-root" if copy else "use --copy or choose another --data-root"
        raise UserError(f"{root}: cannot be made ({error}); {remedy}") from error
    finally:
        for path in (*moved, partial):
            path.unlink(missing_ok=True) if path.is_symlink() or path.is_file() else shutil.rmtree(path, True)
        for folder in made:
            with suppress(OSError):  # it has been filled
                folder.rmdir()


def _is_done(target: Path, what: Path | bytes, root: Path) -> bool:
    """Whether `target` holds what belongs there. Raises `UserError` where it holds something else."""
    if not os.path.lexists(target):
        return False
    if isinstance(what, bytes):
        same = target.is_file() and target.read_bytes() == what
    else:
        same = target.exists() and (target.samefile(what) or filecmp.cmp(what, target, shallow=False))
    if not same:
        raise UserError(f"{target}: already stands and differs; move {root} away or choose another --data-root")
    return True


def _put(what: Path | bytes, target: Path, copy: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(what, bytes):
        target.write_bytes(what)
    elif copy:
        shutil.copyfile(what, target)
    else:
        os.symlink(what.resolve(), target)


def _moves(path: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """What to move where, so that all of `path` comes to `target`: whole folders where they do not stand yet."""
    if path.is_dir() and os.path.lexists(target):
        for child in path.iterdir():
            yield from _moves(child, target / child.name)
    else:
        yield path, target
