"""The verdict on one step of the scenes world by the truth of the picture, whatever steps came before and however it is spaced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from cos.chain import Problem, Step
from cos.problems.claims import LARGEST, SMALLEST, normalise, read_claims, unread
from cos.problems.scenes_words import ALL_COLOURS, SHAPES, SIDE, Group, Thing, is_a, label, members, noun
from cos.problems.world import Verdict

Claim = tuple[bool, str]
"""Whether it is true, and why in one phrase."""

_N = "([0-9]{1,3})"
_AT = r"([0-9]{1,3})(?: ?, ?| )([0-9]{1,3})(?![0-9])"
_FORM = rf"(?:(?:{'|'.join(SHAPES)})(?:es|s)?|things?)"
_THING = rf"((?:{'|'.join(ALL_COLOURS)})(?: {_FORM})?|{_FORM})\b"
_LOCATED = re.compile(rf"\b(?:an?|the|one) {_THING} (?:is |are |lies )?at {_AT}")
_PLACES = re.compile(rf"\b(it is|they are) at ({_AT}(?:(?: ?,? and |; ){_AT})*)")
_SIDE = re.compile(r"\b(left|right) half|\b(top|bottom)\b")
_NONE = re.compile(rf"\bthere (?:is|are) no {_THING}")
_NONE_OF = re.compile(rf"\bnone of the {_N} things (?:is|are) (?:an? )?{_THING}")
_COUNT = re.compile(rf"\bthere (?:is|are) {_N} {_THING}")
_USES = re.compile(r"\b(?:uses|take) ([^.]*)")
_USED_THING = re.compile(rf"\bthe {_THING} {_N}(?![0-9])")
_USED_COUNT = re.compile(rf"\b{_N} {_THING}")
_EXTREME = re.compile(f"the (?:{LARGEST}|{SMALLEST}) of")
_ODD = re.compile(rf"\bonly the {_THING} differs")
_OTHERS = re.compile(rf"\bthe other {_N} things are (?:all )?{_THING}")
_OWN = (_LOCATED, _PLACES, _NONE, _NONE_OF, _COUNT, _ODD, _OTHERS)
_OPENER = re.compile(
    r"\b(?:is|are|lies) at\b|\bthere (?:is|are)\b|\b(?:more|less) than\b|\bequal to\b|\bnone of\b|\bother\b|\buses (?!(?:the )?#)"
)
"""Words after which a value comes."""


def check(problem: Problem, step: Step) -> Verdict:
    """The verdict on a step: right iff it claims something that can be checked and all that it claims is true. Never raises."""
    text = " . ".join(normalise(part)[:400] for part in (step.thought, step.reflection))
    things: Sequence[Thing] = problem.truth["content"]["things"]
    asked: Mapping[str, Any] = problem.truth["ask"]
    worked = [*_counted(things, text), *_reckoned(things, asked, text), *_odd(things, text)]
    claims = [*_located(things, text), *_sides(things, text, step.name.lower()), *_none(things, text), *worked]
    claims += _places(things, text, step.name.lower())
    if not claims:
        return Verdict(None, "nothing that can be checked")
    kind: Literal["see", "compute"] = "compute" if worked else "see"
    if (false := next((why for true, why in claims if not true), None)) is not None:
        return Verdict(0, false, kind)
    left = unread(_rest(text), _OPENER)
    return Verdict(None, f"not all of it can be checked: {left!r}", kind) if left else Verdict(1, claims[0][1], kind)


def _rest(text: str) -> str:
    """What is left of a text when all claims that are read in it are blotted out."""
    rest = _USES.sub(lambda clause: _USED_COUNT.sub("#", _USED_THING.sub("#", clause.group())), read_claims(text)[1])
    for pattern in _OWN:
        rest = pattern.sub("#", rest)
    return rest


def _group(text: str) -> Group:
    """The group that a text names: `red circles` -> `[red, circle]`."""
    words = text.split()
    colour = next((word for word in words if word in ALL_COLOURS), "")
    return [colour, next((shape for shape in SHAPES for word in words if word in (shape, shape + "s", shape + "es")), "")]


def _at(thing: Thing) -> str:
    return f"{thing['x']}, {thing['y']}"


def _located(things: Sequence[Thing], text: str) -> Iterator[Claim]:
    for name, x, y in _LOCATED.findall(text):
        group, place = _group(name), f"{int(x)}, {int(y)}"
        found = members(things, group)
        if place in map(_at, found):
            yield True, f"a {noun(group)} is at {place}"
        elif len(found) == 1:
            yield False, f"the {noun(group)} is at {_at(found[0])}, not {place}"
        else:
            yield False, f"no {noun(group)} is at {place}" if found else f"there is no {noun(group)}"


def _sides(things: Sequence[Thing], text: str, name: str) -> Iterator[Claim]:
    """`left half`, `near the top`: of the thing located in the text, else of what the step's name names."""
    said = {word for pair in _SIDE.findall(text) for word in pair if word}
    if not said:
        return
    spots = _LOCATED.findall(text)
    found = [thing for spot in spots for thing in members(things, _group(spot[0]))]
    exact = [thing for thing in found if any(_at(thing) == f"{int(x)}, {int(y)}" for _, x, y in spots)]
    found = exact or found or (members(things, _group(name)) if any(_group(name)) else [])
    for thing in found:
        if said <= {"left" if thing["x"] < SIDE / 2 else "right", "top" if thing["y"] < SIDE / 2 else "bottom"}:
            yield True, f"it is at {_at(thing)}"
            return
    if found:
        yield False, f"the {label(found[0])} is at {_at(found[0])}"


def _none(things: Sequence[Thing], text: str) -> Iterator[Claim]:
    for name in _NONE.findall(text):
        count = len(members(things, _group(name)))
        yield count == 0, f"{count} {noun(_group(name), count)} there"
    for total, name in _NONE_OF.findall(text):
        count = len(members(things, _group(name)))
        yield count == 0, f"{count} of the things is {is_a(_group(name)) or 'there'}"
        yield int(total) == len(things), f"there are {len(things)} things"


def _counted(things: Sequence[Thing], text: str) -> Iterator[Claim]:
    for number, name in _COUNT.findall(text):
        count = len(members(things, _group(name)))
        yield int(number) == count, f"there are {count} {noun(_group(name), count)}"


def _places(things: Sequence[Thing], text: str, name: str) -> Iterator[Claim]:
    """`They are at 3, 7 and 1, 2.`: all the places of what was counted, or of what the step's name names."""
    counted = _COUNT.findall(text) or _LOCATED.findall(text)
    group = _group(counted[0][1 if _COUNT.search(text) else 0] if counted else name)
    true = Counter(_at(thing) for thing in members(things, group))
    for match in _PLACES.finditer(text):
        said = Counter(f"{int(x)}, {int(y)}" for x, y in re.findall(_AT, match[2]))
        whole = match[1] == "they are" and (any(group) or counted)
        yield (said == true if whole else not said - true), f"{noun(group, 2)} are at {' and '.join(true) or 'no place'}"


def _reckoned(things: Sequence[Thing], asked: Mapping[str, Any], text: str) -> Iterator[Claim]:
    """Arithmetic and comparisons: right in themselves, and done on the values that the picture and the question give."""
    used = list(_used(things, asked, text))
    yield from (claim for _, claim in used)
    given = Counter(value for value, _ in used)
    needed = _operands(things, asked)
    for claim in read_claims(text)[0]:
        yield claim.true, claim.why
        operands, extreme = Counter(claim.used), _EXTREME.match(claim.why)
        if given and operands != given:
            yield False, f"it works on {_list(claim.used)}, but names {_list(given.elements())}"
        wanted = needed and (Counter((min(needed), max(needed))) if asked["kind"] == "spread" and not extreme else needed)
        if wanted and (operands != wanted if extreme else operands - wanted):
            yield False, f"the values are {_list(wanted.elements())}"
        for name, x, y in _LOCATED.findall(text) if extreme and asked.get("axis") else ():
            here = int(x if asked["axis"] == "x" else y)
            yield here == claim.result, f"the {noun(_group(name))} has {here}, not {claim.result}"


def _used(things: Sequence[Thing], asked: Mapping[str, Any], text: str) -> Iterator[tuple[int, Claim]]:
    """The operands named after `uses`, each with the claim that it has this value."""
    for clause in _USES.findall(text):
        named: Counter[str] = Counter()
        for name, number in _USED_THING.findall(clause):
            found = members(things, _group(name))
            values = [thing[axis] for thing in found for axis in asked.get("axis", "xy")]
            named[name] += 1
            if named[name] > max(1, len(found)):
                yield int(number), (False, f"the {noun(_group(name))} is taken twice")
            is_true = int(number) in values
            yield int(number), (is_true, f"the {noun(_group(name))} has {_list(values)}" if values else f"there is no {noun(_group(name))}")
        for number, name in _USED_COUNT.findall(_USED_THING.sub("", clause)):
            group = _group(name)
            named[noun(group)] += 1
            if named[noun(group)] > 1:
                yield int(number), (False, f"the {noun(group, 2)} are taken twice")
            count = len(members(things, group))
            yield int(number), (int(number) == count, f"there are {count} {noun(group, count)}")


def _operands(things: Sequence[Thing], asked: Mapping[str, Any]) -> Counter[int] | None:
    """The values that the question works on; None where it asks for no reckoning."""
    groups = [members(things, group) for group in asked.get("groups", ())]
    if "a" in asked:
        return Counter(found[asked["axis"]] for part in "ab" for found in members(things, asked[part])[:1])
    if "axis" in asked:
        return Counter(thing[asked["axis"]] for thing in groups[0])
    return Counter(len(group) for group in groups) if len(groups) == 2 else None


def _odd(things: Sequence[Thing], text: str) -> Iterator[Claim]:
    for name in _ODD.findall(text):
        found = members(things, _group(name))
        tallies = [Counter(thing[same] for thing in things) for same in ("colour", "shape")]
        odd = [
            t for t in things for same, tally in zip(("colour", "shape"), tallies, strict=True) if len(tally) == 2 and tally[t[same]] == 1
        ]
        told = f"the {label(odd[0])} differs" if odd else "no single thing differs"
        yield len(found) == 1 and found[0] in odd, told
    for number, name in _OTHERS.findall(text):
        count = len(members(things, _group(name)))
        yield count == int(number) == len(things) - 1, f"{count} of {len(things)} things are {is_a(_group(name)) or 'there'}"


def _list(values: Any) -> str:
    return " and ".join(str(value) for value in values)
