"""The app as the browser tests see it: scripted models with a pause before each batch, so that a run lasts long enough to be watched.

python tests/browser/served.py PORT PAUSE
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from cos.models.scripted import ScriptedPolicy
from cos.protocols import Draw, Piece
from workbench import session, ui


class SlowPolicy(ScriptedPolicy):
    """A scripted policy that takes its time."""

    def draw(self, requests: Sequence[Draw]) -> list[list[Piece]]:
        time.sleep(float(sys.argv[2]))
        return super().draw(requests)


def slowly(name: str) -> Any:
    """In place of `cos.loading.load_policy`."""
    return SlowPolicy()


if __name__ == "__main__":
    setattr(session, "load_policy", slowly)  # noqa: B010  (what follows it in the module looks it up there)
    home = session.Session()
    ui.serve(ui.build(home), home, port=int(sys.argv[1]))
