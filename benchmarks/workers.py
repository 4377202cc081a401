"""What more actors are worth: chains drawn by the embedded policy, in blocks a second, by one Ray actor and by several.

    python benchmarks/workers.py --workers 1,2 --blocks 24

Each actor has one thread. Starting Ray and loading models is not counted: its clock starts when each actor may have done one block.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cos.problems import draw, problems
from cos.sample import Sampling, samples
from cos.scale import Team, cut, spread

SIZE = 8
"""Problems a block."""


class Drawing:
    """Block -> 16 chains for each of its problems."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks

    def load(self) -> None:
        """Load the embedded policy."""
        from cos.loading import load_policy

        self.policy, self.problems = load_policy("embedded"), problems("all:train", self.blocks * SIZE)

    def rows(self, number: int) -> list[dict[str, Any]]:
        """The chains."""
        block = self.problems[number * SIZE : (number + 1) * SIZE]
        return [one.to_json() for own in samples(self.policy, block, draw, Sampling(), 0) for one in own]


def main() -> None:
    """Print a line for each number of workers, and the ratio to the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2", help="numbers of actors, with commas between (1,2)")
    parser.add_argument("--blocks", type=int, default=24, help=f"blocks of {SIZE} problems (24)")
    parser.add_argument("--ray", metavar="ADDRESS", help="of a cluster (one is started on this machine)")
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    first, blocks = 0.0, cut([str(number) for number in range(args.blocks * SIZE)], SIZE)
    for workers in map(int, args.workers.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            began, done = time.monotonic(), list[float]()
            for _ in spread(Drawing(args.blocks), blocks, Team(workers, args.ray), Path(folder) / "ahead"):
                done.append(time.monotonic())
        rate = (len(done) - workers) / (done[-1] - done[workers - 1])
        first = first or rate
        found = {"workers": workers, "blocks_per_second": round(rate, 3), "ratio": round(rate / first, 2)}
        sys.stdout.write(json.dumps({**found, "seconds_in_all": round(done[-1] - began, 1), "cores": os.cpu_count()}) + "\n")


if __name__ == "__main__":
    main()
