"""timm's weights of an encoder: from the caches of this machine, or fetched; at once told where neither can be."""

import contextlib
import logging
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import timm
import torch
from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError

FILES = ("model.safetensors", "pytorch_model.bin")  # names of a hub's weights, the first that is there is taken
PATIENCE = 5.0  # seconds that a host may take to answer


def weights_file(name: str) -> Path:
    """The file of timm's weights for the model `name`, fetched where the caches lack it.

    Raises `OSError` where timm has none or they cannot be fetched: the host is asked once, where the hub's client would
    try for a minute.
    """
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    config = timm.models.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise OSError(f"timm has no weights for {name}")
    if config.hf_hub_id:
        repository, _, revision = config.hf_hub_id.partition("@")
        return _from_hub(repository, revision or None, (config.hf_hub_filename,) if config.hf_hub_filename else FILES)
    url = str(config.url)
    path = Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])
    if not path.is_file():
        _ask(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path))
    return path


def _from_hub(repository: str, revision: str | None, files: tuple[str, ...]) -> Path:
    for file in files:
        if isinstance(path := try_to_load_from_cache(repository, file, revision=revision), str):
            return Path(path)
    _ask(hf_hub_url(repository, files[0], revision=revision))
    for file in files:
        try:
            return Path(hf_hub_download(repository, file, revision=revision))
        except EntryNotFoundError:
            continue
        except Exception as error:  # the client raises kinds of several libraries
            raise OSError(str(error)) from error
    raise OSError(f"{repository} holds neither {' nor '.join(files)}")


def _ask(url: str) -> None:
    """Raise `OSError` unless the host answers; what it answers, the client judges better."""
    try:
        with contextlib.suppress(HTTPError):
            urlopen(Request(url, method="HEAD"), timeout=PATIENCE).close()
    except URLError as error:
        raise OSError(f"{urlsplit(url).hostname}: {error.reason}") from error
