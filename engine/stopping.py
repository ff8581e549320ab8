"""Stopping a run cleanly."""

from __future__ import annotations

import signal


class StopSignal:
    """Within `with`, SIGTERM and Ctrl-C only set `asked` and `number`, so that the step under way can finish."""

    def __init__(self) -> None:
        self.asked, self.number = False, signal.SIGTERM

    def __enter__(self) -> StopSignal:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, _: object) -> None:
        self.asked, self.number = True, signal.Signals(number)
