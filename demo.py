"""A web page: label one reference, parse photos with it. Works offline, on the CPU.

    pip install -r requirements-demo.txt
    python demo.py                                  # http://127.0.0.1:7860
    python demo.py --checkpoint runs/ccp_eop_kway_f1/last.pt --port 8000

Every visitor has references and results of their own, forgotten when they leave or after a quarter of an hour.
"""

from collections.abc import Sequence

from dataloaders.catalog import DATA_ROOT
from inference.settings import DEFAULT_CHECKPOINT
from utils.config import ArgumentParser
from utils.errors import run_cli


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line: open the checkpoint, serve the page."""
    options = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--checkpoint", default=DEFAULT_CHECKPOINT, help="weights (default: %(default)s)")
    options.add_argument("--device", default="auto", help="cuda, mps, cpu, or auto for the best there is")
    options.add_argument("--host", default="127.0.0.1", help="address; 0.0.0.0 lets others in (default: %(default)s)")
    options.add_argument("--port", type=int, default=7860, help="port (default: %(default)s)")
    options.add_argument("--data-root", default=DATA_ROOT, help="CCP_OS in it gives the example (default: %(default)s)")
    chosen = options.parse_args(arguments)

    from inference.parser import OneShotParser  # late: torch takes seconds, a mistake above none

    parser = OneShotParser(chosen.checkpoint, chosen.device)

    from inference.page.server import serve  # Gradio takes more

    serve(parser, chosen.checkpoint, chosen.data_root, chosen.host, chosen.port)


if __name__ == "__main__":
    run_cli(main)
