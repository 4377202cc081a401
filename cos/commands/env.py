"""`cos env`: versions and devices, for reports of faults.

example: cos env --json
"""

from __future__ import annotations

import argparse
import os
import platform
from typing import Any

from cos.commands.options import Outcome


def add(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace) -> Outcome:
    """Look around; loads torch to ask for the devices."""
    import torch

    from cos import models
    from cos.runs import git_revision, versions

    found: dict[str, Any] = {"system": platform.platform(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), **versions()}
    found["devices"] = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] or ["cpu"]
    found["git"] = git_revision()
    home = models.__path__[0].removesuffix("models") + "assets"
    found["embedded"] = {role: os.path.isdir(os.path.join(home, role)) for role in ("policy", "reward")}
    return Outcome(found, "\n".join(f"{key:<14}{value}" for key, value in found.items()))
