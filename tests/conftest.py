"""Fixtures that several tests share."""

from __future__ import annotations

import gc
import multiprocessing
from pathlib import Path

import pytest
import torch

from dataloaders.prepare.toy_set import prepare_toy


@pytest.fixture(scope="session")
def toy_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with a small toy data set, for reading only."""
    root = tmp_path_factory.mktemp("datasets")
    found = prepare_toy(root, images=60).findings
    assert {kind for kind, _ in found} <= {"count"}, found  # fewer pictures than the full set has
    return root


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """One thread: small tensors gain nothing from more, and tests that run side by side lose."""
    torch.set_num_threads(1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No process may outlive the tests: it would hold up their exit."""
    gc.collect()
    left = multiprocessing.active_children()
    for process in left:
        process.kill()
    if left:
        print(f"\n{len(left)} processes were left behind by tests and are killed: {left}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
