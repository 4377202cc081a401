"""Small computations in the words in which the worlds' chains state them: what computing drills ask for (`cos.train.drills`)."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sum:
    """One computation: `17 + 16 =`, whose result is the word 33; `others` are what it may be taken for."""

    opening: str
    result: str
    others: tuple[str, ...]


def sums(rng: random.Random, count: int) -> list[Sum]:
    """`count` computations of all kinds; numbers as the worlds have them, bars up to 20 and sums of two of them."""
    return [kind(rng) for kind in rng.choices(_KINDS, _WEIGHTS, k=count)]


def _number(result: int, rng: random.Random, among: Sequence[int] = ()) -> tuple[str, ...]:
    """Near misses twice as often as anything else; of `among`, where the result is one of some numbers."""
    near = [result + by for by in (-2, -1, 1, 2, -10, 10) if result + by >= 0]
    return tuple(str(other) for other in (*near, *(number for number in among if number != result)))


def _range(rng: random.Random) -> int:
    """The largest number: a digit or place, a bar, a sum of bars."""
    return rng.choice((9, 20, 20, 40))


def _add(rng: random.Random) -> Sum:
    top = rng.choice((9, 20, 20))
    a, b = rng.randint(0, top + (top if rng.random() < 0.3 else 0)), rng.randint(0, top)
    return Sum(f"{a} + {b} =", str(a + b), _number(a + b, rng, (abs(a - b),)))


def _subtract(rng: random.Random) -> Sum:
    top = rng.choice((9, 20, 20))
    b, a = sorted(rng.randint(0, top) for _ in range(2))
    return Sum(f"{a} - {b} =", str(a - b), _number(a - b, rng, (a + b,)))


def _compare(rng: random.Random) -> Sum:
    """Both numbers come first: before the word nothing else would say which one is more."""
    top = _range(rng)
    a = rng.randint(0, top)
    b = max(0, a + rng.randint(-4, 4)) if rng.random() < 0.6 else rng.randint(0, top)
    word = "more" if a > b else "less" if a < b else "equal"
    if word == "equal":
        return Sum(f"{a} and {b}: {a} is", f"equal to {b}", (f"more than {b}", f"less than {b}"))
    return Sum(f"{a} and {b}: {a} is", f"{word} than {b}", (f"{'less' if word == 'more' else 'more'} than {b}",))


def _extreme(rng: random.Random) -> Sum:
    top = _range(rng)
    numbers = [rng.randint(0, top) for _ in range(rng.randint(2, 5))]
    word = rng.choice(("largest", "smallest"))
    best = max(numbers) if word == "largest" else min(numbers)
    return Sum(f"The {word} of {_and([str(number) for number in numbers])} is", str(best), _number(best, rng, numbers))


def _count(rng: random.Random) -> Sum:
    top = _range(rng)
    numbers = [rng.randint(0, top) for _ in range(rng.randint(2, 5))]
    line, side = rng.randint(1, top - 1), rng.choice(("above", "below"))
    inside = [number for number in numbers if (number > line if side == "above" else number < line)]
    return Sum(f"{side.capitalize()} {line}, of {_and([str(number) for number in numbers])}:", str(len(inside)), _number(len(inside), rng))


def _and(items: Sequence[str]) -> str:
    return ", ".join(items[:-1]) + (" and " if len(items) > 1 else "") + items[-1]


_KINDS: tuple[Callable[[random.Random], Sum], ...] = (_add, _subtract, _compare, _extreme, _count)
_WEIGHTS = (4, 3, 3, 3, 1)
