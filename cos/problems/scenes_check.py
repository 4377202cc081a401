"""The verdict on one step of the scenes world by the truth of the picture, whatever steps came before and however it is spaced."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from cos.chain import Problem, Step
from cos.problems import tally
from cos.problems.claims import LARGEST, SMALLEST, normalise, read_claims, unread
from cos.problems.scenes_words import ALL_COLOURS, SHAPES, SIDE, Group, Thing, in_order, is_a, label, members, noun
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
_SEEN = re.compile(r"\bi see (?!that\b)([^.]*)")
_SEEN_ONE = re.compile(rf"\b({'|'.join(ALL_COLOURS)}) at {_AT}")
_NONE = re.compile(rf"\bthere (?:is|are) no {_THING}")
_NONE_OF = re.compile(rf"\bnone of the {_N} things (?:is|are) (?:an? )?{_THING}")
_COUNT = re.compile(rf"\bthere (?:is|are) {_N} {_THING}")
_USES = re.compile(r"\b(?:uses|take) ([^.]*)")
_USED_THING = re.compile(rf"\bthe {_THING} {_N}(?![0-9])")
_USED_COUNT = re.compile(rf"\b{_N} {_THING}")
_END = re.compile(rf"\bthe (?P<word>{LARGEST}|{SMALLEST}) is (?P<n>[0-9]{{1,3}})(?:, that of the (?P<name>[a-z]+ [a-z]+))?")
_EXTREME = re.compile(f"the (?:{LARGEST}|{SMALLEST}) of")
_ODD = re.compile(rf"\bonly the {_THING} differs")
_OTHERS = re.compile(rf"\bthe other {_N} things are (?:all )?{_THING}")
_OWN = (_LOCATED, _PLACES, _NONE, _NONE_OF, _COUNT, _ODD, _OTHERS, _END, _SEEN)
_OPENER = re.compile(
    r"\b(?:is|are|lies) at\b|\bthere (?:is|are)\b|\b(?:more|less) than\b|\bequal to\b|\bnone of\b|\bother\b|\buses (?!(?:the )?#)"
)
"""Words after which a value comes."""


def check(problem: Problem, step: Step) -> Verdict:
    """The verdict on a step: right iff it claims something that can be checked and all that it claims is true. Never raises."""
    text = " . ".join(normalise(part)[:600] for part in (step.thought, step.reflection))
    things: Sequence[Thing] = problem.truth["content"]["things"]
    asked: Mapping[str, Any] = problem.truth["ask"]
    told, text = tally.read(text)
    seen = [*_all_seen(things, text), *_located(things, text), *_sides(things, text, step.name.lower()), *_none(things, text)]
    seen += [*_places(things, text, step.name.lower()), *_odd(things, text)]
    tallied = [] if told is None else list(_one_by_one(things, asked, told, text))
    worked = [*_counted(things, text), *_reckoned(things, asked, text)]
    claims = [*seen, *tallied, *worked]
    if not claims:
        return Verdict(None, "nothing that can be checked")
    by_sight = _ODD.search(text) or (tallied and _names_a_shape(text))
    kind: Literal["see", "compute"] = "compute" if (worked or tallied) and not by_sight else "see"
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


def _all_seen(things: Sequence[Thing], text: str) -> Iterator[Claim]:
    """`I see red at 3, 7 and blue at 6, 2.`: all that is there, each once. `There are 2 things.`"""
    for number in (number for number, name in _COUNT.findall(text) if not any(_group(name))):
        yield int(number) == len(things), f"there are {len(things)} things"
    for listed in _SEEN.findall(text):
        said = Counter((colour, int(x), int(y)) for colour, x, y in _SEEN_ONE.findall(listed))
        true = Counter((thing["colour"], thing["x"], thing["y"]) for thing in things)
        rest = re.sub(r", |,? and ", "", _SEEN_ONE.sub("", listed)).strip()
        fault = "" if rest in ("", "nothing") else f"{rest!r} can't be read"
        for wrong, told in ((true - said, "{} at {}, {} is left out"), (said - true, "there is no {} at {}, {}, or not so often")):
            fault = next((told.format(*one) for one in wrong), fault)
        yield not fault, fault or "all that is there"


def _names_a_shape(text: str) -> bool:
    """Whether what a tally counts or comes to has a shape: no step before has said the shapes, so the picture is looked at for it."""
    names = [name for _, name in _COUNT.findall(text)] + [match["name"] or "" for match in _END.finditer(text)]
    return any(_group(name)[1] for name in names)


def _one_by_one(things: Sequence[Thing], asked: Mapping[str, Any], told: Sequence[tally.Told], text: str) -> Iterator[Claim]:
    """A tally of all things of the picture by their colours, in reading order (or, where colours tell them apart, in any): how many are in
    the group that is counted, or which is the first or last of it."""
    pairs = _matched(things, told)
    yield pairs is not None, "all things, each once: " + ", ".join(thing["colour"] for thing in in_order(things))
    counted = next(((int(number), _group(name)) for number, name in _COUNT.findall(text) if any(_group(name))), None)
    ends = _END.search(text)
    if pairs is None:
        return
    if counted:
        if counted[1] not in [list(group) for group in asked.get("groups", [])]:
            yield False, f"asked is not how many are {is_a(counted[1])}"
        fault = next(tally.faults(told, {"yes"}, counted[0]), None)
        yield fault is None, fault or f"it counts {counted[0]}"
        for thing, one in pairs:
            inside = thing in members(things, counted[1])
            yield one.word == ("yes" if inside else "no"), f"the {label(thing)} is {'' if inside else 'not '}{is_a(counted[1])}"
    elif ends and asked.get("axis") and asked.get("groups"):
        yield from _best_so_far(asked, pairs, ends)
    else:
        yield False, "it says not what is counted"


def _matched(things: Sequence[Thing], told: Sequence[tally.Told]) -> list[tuple[Thing, tally.Told]] | None:
    """Each thing told with the one that it is; None where it does not go through all of them, each once."""
    left, pairs = in_order(things), []
    for one in told:
        thing = next((thing for thing in left if thing["colour"] == one.thing.split()[0]), None)
        if thing is None:
            return None
        left.remove(thing)
        pairs.append((thing, one))
    return None if left else pairs


def _best_so_far(asked: Mapping[str, Any], pairs: Sequence[tuple[Thing, tally.Told]], ends: re.Match[str]) -> Iterator[Claim]:
    axis, (colour, shape), way = asked["axis"], asked["groups"][0], -1 if ends["word"] in SMALLEST.split("|") else 1
    best, bearer = None, ""
    for thing, one in pairs:
        inside = colour in ("", thing["colour"]) and shape in ("", thing["shape"])
        named = f"{thing['colour']} {thing[axis]}" if inside else thing["colour"]
        yield one.thing == named, f"the {label(thing)} is {'' if inside else 'not '}{is_a((colour, shape))} and at {thing[axis]}"
        better = inside and (best is None or way * (thing[axis] - best) > 0)
        best, bearer = (thing[axis], label(thing)) if better else (best, bearer)
        yield (one.word, one.so_far) == ("yes" if better else "no", best), f"after the {label(thing)} it is {best}"
    yield (best, bearer) == (int(ends["n"]), ends["name"] or bearer), f"the {ends['word']} is {best}, that of the {bearer}"


def _counted(things: Sequence[Thing], text: str) -> Iterator[Claim]:
    for number, name in _COUNT.findall(text):
        if not any(_group(name)):
            continue  # all things: `_all_seen`
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
