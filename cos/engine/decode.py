"""The decode loop: many rows at once, each with a random stream of its own, through step ends where a whole chain is wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cos.engine.kv import SPARE, Node, Rows
from cos.engine.reader import Reader
from cos.protocols import Draw, Ending

ROWS = 256
"""Rows that are drawn together."""
STEP, ANSWER, CUT = 1, 2, 3
_ENDINGS: dict[int, Ending] = {STEP: "step", ANSWER: "answer", CUT: "cut"}


@dataclass(frozen=True)
class Drawn:
    """One new node with the sum of its log-probabilities and how it ended."""

    node: Node
    logprob: float
    ending: Ending


def stream(seed: int, path: Sequence[int]) -> int:
    """The key of a node's random stream: 64 bits of a hash of the search's seed and the node's place."""
    return int.from_bytes(hashlib.blake2b(repr((seed, tuple(path))).encode(), digest_size=8).digest(), "little")


def uniforms(keys: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Number `counts[i]` of stream `keys[i]`, in [0, 1): SplitMix64 (Steele et al., 2014) by counter, so any number can be had alone."""
    state = keys + (counts.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = ((state ^ (state >> np.uint64(31))) >> np.uint64(12)).astype(np.float64) * 2.0**-52
    return mixed


def pick(logits: torch.Tensor, uniform: np.ndarray, temperature: np.ndarray, top_p: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw one token a row by inverting the distribution function: (ids, log-probabilities at temperature 1), both (rows,).

    `logits`: (rows, vocabulary), -inf where a token is forbidden. Temperature 0 takes the likeliest token; `top_p` keeps the likeliest
    tokens that reach this mass (Holtzman et al., arXiv 1904.09751).
    """
    logp = torch.log_softmax(logits, dim=-1)
    best = logits.argmax(dim=-1)
    if not temperature.any():
        return best, logp.gather(1, best[:, None])[:, 0]
    device = logits.device
    heat = torch.from_numpy(np.where(temperature == 0, 1.0, temperature).astype(np.float32)).to(device)[:, None]
    weights = torch.softmax(logits / heat, dim=-1)
    if (top_p < 1).any():
        weights = _nucleus(weights, torch.from_numpy(top_p.astype(np.float32)).to(device)[:, None])
    reach = weights.cumsum(-1, dtype=torch.float64)
    drawn = torch.searchsorted(reach, torch.from_numpy(uniform).to(device)[:, None] * reach[:, -1:], right=True)[:, 0]
    ids = torch.where(torch.from_numpy(temperature == 0).to(device), best, drawn)
    return ids, logp.gather(1, ids[:, None])[:, 0]


def _nucleus(weights: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    ordered, order = weights.sort(dim=-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    outside[:, 0] = False
    return weights.masked_fill(torch.zeros_like(outside).scatter(1, order, outside), 0.0)


class Decoder:
    """Draws below nodes of a reader's tree. What may be sampled and what ends a piece is the encoder's word."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        encoder, head = reader.encoder, reader.vlm.head
        size = head.weight.shape[0]
        self.bias = torch.zeros(size, device=head.weight.device)
        self.bias[sorted(encoder.never_sampled)] = -torch.inf
        self.bias[max(encoder.vocabulary.values()) + 1 :] = -torch.inf
        self.kind = np.zeros(size, np.int8)
        for ids, kind in ((encoder.step_end_ids, STEP), (encoder.answer_end_ids, ANSWER), (encoder.end_ids, CUT)):
            self.kind[sorted(ids)] = kind

    def draw(self, parents: Sequence[Node], asks: Sequence[Draw]) -> list[list[Drawn]]:
        """New nodes for each ask, up to ROWS of them in a batch, or as many as there is room for. Nodes drawn one at a time keep their
        keys and values; those of chains drawn whole are kept as tokens (`Reader.warm` reads them again when one is gone on from)."""
        drawn: list[list[Drawn]] = []
        while len(drawn) < len(asks):
            first, size = len(drawn), self._fitting(parents[len(drawn) :], asks[len(drawn) :])
            drawn += self._batch(parents[first : first + size], asks[first : first + size])
            self.reader.room.use(row[-1].node for row in drawn[first:])
            self.reader.room.tidy()
        return drawn

    def _fitting(self, parents: Sequence[Node], asks: Sequence[Draw]) -> int:
        """How many rows from the first on are drawn together: keys and values stay within the room, whatever they will write."""
        longest, slots = 0, self.reader.room.size // self.reader.layout.bytes_per_token
        for row, (parent, ask) in enumerate(zip(parents[:ROWS], asks, strict=False)):
            written = ask.max_tokens * (ask.max_steps if ask.to == "answer" else 1)
            longest = max(longest, parent.end - parent.path()[0].end + written)
            if row and (row + 1) * longest > slots:
                return row
        return min(ROWS, len(asks))

    def choose(self, batch: Batch, live: np.ndarray, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The next token of each row in `live`, and its log-probability: drawn."""
        return pick(logits, *batch.randomness(live))

    def endings(self, batch: Batch) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """What says of each row in `live` and its new token how its piece ends with it (0: not yet). Here the token alone decides."""
        return lambda live, ids: self.kind[ids]

    def _batch(self, parents: Sequence[Node], asks: Sequence[Draw]) -> list[list[Drawn]]:
        self.reader.warm(parents)
        batch = Batch(parents, asks)
        endings = self.endings(batch)
        rows = Rows(parents, SPARE, self.reader.layout)
        hidden = torch.stack([_hidden(node) for node in parents])
        live = np.arange(len(asks))
        while len(live):
            logits = self.reader.vlm.head(hidden).float() + self.bias
            ids, logp = self.choose(batch, live, logits)
            starts = batch.ends[live]
            drawn = ids.cpu().numpy()
            batch.record(live, drawn, logp.cpu().numpy(), endings(live, drawn))
            hidden = self.reader.forward(rows, ids[:, None], starts)[:, 0]
            batch.keep_steps(live, rows, hidden)
            going = ~batch.finished[live]
            if 4 * going.sum() <= 3 * len(live):  # rows that have ended are carried along until a quarter has
                rows.keep(np.flatnonzero(going))
                hidden, live = hidden[torch.from_numpy(going).to(hidden.device)], live[going]
        self.reader.forwards["decode"] += int(batch.drawn.sum())
        return batch.results()


def _hidden(node: Node) -> torch.Tensor:
    assert node.hidden is not None
    return node.hidden


class Batch:
    """The state of a running batch, in arrays over its asks."""

    def __init__(self, parents: Sequence[Node], asks: Sequence[Draw]) -> None:
        self.asks, self.parents = asks, list(parents)
        self.paths = [tuple(ask.path) for ask in asks]
        self.keys = np.array([stream(ask.seed, ask.path) for ask in asks], np.uint64)
        self.heat, self.top_p = np.array([ask.temperature for ask in asks]), np.array([ask.top_p for ask in asks])
        self.limit = np.array([ask.max_tokens for ask in asks])
        self.ends = np.array([node.end for node in parents])  # the next free slot of each row
        self.count = np.zeros(len(asks), np.int64)  # tokens of the open piece
        self.drawn = np.zeros(len(asks), np.int64)  # tokens in all
        self.finished = np.zeros(len(asks), bool)
        self.columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.cuts: list[list[tuple[int, int]]] = [[] for _ in asks]  # (tokens up to the piece's end, how it ended)
        self.fresh: list[int] = []  # places in the last `live` of rows whose piece has just ended
        self.kept: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def randomness(self, live: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(uniform numbers, temperatures, top-p) of the next token."""
        return uniforms(self.keys[live], self.count[live]), self.heat[live], self.top_p[live]

    def record(self, live: np.ndarray, ids: np.ndarray, logp: np.ndarray, ended: np.ndarray) -> None:
        """Take up one token a row; close the pieces that end with it (`ended`: how, 0 where not yet)."""
        self.columns.append((live, ids, logp))
        self.ends[live] += 1  # of rows that have ended too: what they write lies beyond their end
        going = live[~self.finished[live]]
        self.count[going] += 1
        self.drawn[going] += 1
        ended[(ended == 0) & (self.count[live] >= self.limit[live])] = CUT
        self.fresh = [int(at) for at in np.flatnonzero(ended) if not self.finished[live[at]]]
        for at in self.fresh:
            self._close(int(live[at]), int(ended[at]))

    def _close(self, row: int, ended: int) -> None:
        ask, cuts = self.asks[row], self.cuts[row]
        cuts.append((int(self.drawn[row]), ended))
        if ended == STEP and ask.to == "answer" and len(cuts) < ask.max_steps:
            self.paths[row] = (*self.paths[row], 0)
            self.keys[row] = stream(ask.seed, self.paths[row])
            self.count[row] = 0
        else:
            self.finished[row] = True

    def keep_steps(self, live: np.ndarray, rows: Rows, hidden: torch.Tensor) -> None:
        """Keep keys, values and last hidden state of nodes drawn one at a time that have just ended."""
        for at in self.fresh:
            row = int(live[at])
            if self.asks[row].to == "step":
                start = self.parents[row].end
                self.kept[row] = rows.take(int(at), start, start + int(self.drawn[row])), hidden[at].clone()

    def results(self) -> list[list[Drawn]]:
        """The nodes of each ask in order."""
        ids, logp = np.zeros((2, len(self.asks), len(self.columns)))
        for column, (live, tokens, scores) in enumerate(self.columns):
            ids[live, column], logp[live, column] = tokens, scores
        results = []
        for row, cuts in enumerate(self.cuts):
            parent, first, drawn = self.parents[row], 0, []
            for end, ended in cuts:
                node = Node(parent, tuple(ids[row, first:end].astype(int).tolist()), *self.kept.get(row, (None, None)))
                drawn.append(Drawn(node, float(logp[row, first:end].sum()), _ENDINGS[ended]))
                parent, first = node, end
            results.append(drawn)
        return results
