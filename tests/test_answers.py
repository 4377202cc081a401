"""Answers: the normal form and each rule, against cases written by hand and properties of arbitrary text."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cos import answers
from cos.chain import REFUSAL

SAME = [
    ["3", "3.0", " 3. ", "+3", "03", "three", "Three", "(3)", "**3**", "3.", "3e0"],
    ["-5", "\u22125", "- 5", "\u20135", "-5.00"],
    ["0", "-0", "0.0", "zero", "-0.00"],
    ["0.5", ".5", "(.5)", "0.50", "5e-1"],
    ["1234", "1,234", "1,234.0", "1234.", "1.234e3"],
    ["1234567.5", "1,234,567.5"],
    ["60 %", "60%", "60 percent", "60.0 per cent", "sixty percent", "60 Per  Cent"],
    ["5 cm", "5cm", "5.0 centimeters", "five cm"],
    ["5 $", "$5", "$ 5", "5 dollars", "5.00 USD"],
    ["-5 $", "-$5", "$-5"],
    ["40 \u00b0", "40\u00b0", "forty degrees"],
    ["42", "forty-two", "forty two", "Forty\u2010Two"],
    ["100", "one hundred"],
    ["red", "Red", " RED!", '"red"', "\u201cRed\u201d", "red."],
    ["dark blue", "Dark\n  Blue", "dark\u00a0blue"],
    ["1, 234", "[1, 234]", "1 , 234"],
    ["2, red", "[2.0,Red]", "(two, red)"],
    ["3, 5", "3,5"],
    ["b", "(B)", "B.", "b)"],
    ["none"], ["no"], ["yes"], ["3 circles"], ["3 million"], ["5 m"], ["0.6"], ["60"], ["3-5"], ["2nd"], ["3x"], ["12:30"],
    [
        REFUSAL, "can\u2019t tell", "Cannot tell.", "can not tell", "I can't tell from the picture", "not shown", "It is not shown.",
        "It cannot be determined from the image", "Unknown", "Sorry, I can't help with images of people yet.",
        "I'm sorry, but I cannot see it",
        "not enough information", "I don't know", "sorry,_can't say", "Can't tell, there is no such bar",
    ],
]  # fmt: skip
CLUSTERS = [(text, i) for i, cluster in enumerate(SAME) for text in cluster]
PIECES = st.lists(
    st.sampled_from([*"-+.,;:'\"()[]{}%$ 0123479eabx_*", "1,234", "one", "twenty", "cm", "and", "can't tell", "unknown", "\u2212"])
)


def test_normal_forms_part_the_table_into_its_clusters() -> None:
    for (text, i), (other, j) in itertools.combinations(CLUSTERS, 2):
        assert (answers.normalise(text) == answers.normalise(other)) == (i == j), (text, other)
    for cluster in SAME:
        assert answers.normalise(cluster[0]) == cluster[0]


@pytest.mark.parametrize("text", ["the tall bar not shown in red", "unknown soldier", "telling", "is it"])
def test_what_only_looks_like_a_refusal_is_text(text: str) -> None:
    assert answers.normalise(text) == text


@pytest.mark.parametrize("text", ["", " ", "...", "()", "[]", ",", "?!"])
def test_punctuation_alone_is_empty_and_matches_nothing(text: str) -> None:
    assert answers.normalise(text) == ""
    assert not answers.match(text, text) and not answers.in_order(text, text)


@given(st.text() | PIECES.map("".join) | PIECES.map(" ".join))
def test_normal_forms_are_stable_and_no_rule_raises(text: str) -> None:
    form = answers.normalise(text)
    assert answers.normalise(form) == form
    assert answers.match(text, form) == (form != "")
    for rule in (answers.match, answers.exact, answers.number, answers.relaxed, answers.in_order):
        assert rule(None, text) is rule(text, None) is False
        assert rule(text, text) in (True, False)
        assert rule(text, "7") in (True, False)
    assert answers.letter(text, ["red", "7"]) in (None, "A", "B")
    assert not answers.choice(None, text, ["red"]) and not answers.choice(text, None, ["red"])


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", ["(x", "(", "1", "1,111", ".1", "one ", "can't ", "a,", "\u2212", " ", "$"])
def test_long_text_takes_no_long_time(piece: str) -> None:
    long = piece * 50_000 + "x1"
    assert answers.match(long, long)
    assert not answers.number(long, "1") and not answers.in_order(long, "1")
    assert answers.letter(long, ["red"]) in (None, "A")


@given(st.integers(-(10**12), 10**12))
def test_thousands_separators_do_not_change_a_number(value: int) -> None:
    assert answers.normalise(f"{value:,}") == answers.normalise(f"{value:.2f}") == str(value)


@given(st.floats(-1e15, 1e15))
def test_quantity_reads_back_a_float(value: float) -> None:
    assert answers.quantity(f"{value:.3f} cm") == (float(f"{value:.3f}"), "cm")


@pytest.mark.parametrize(
    ("text", "value"), [("5 apples", None), ("red", None), ("", None), ("1, 2", None), ("60%", (60.0, "%")), ("six", (6.0, ""))]
)
def test_quantity(text: str, value: tuple[float, str] | None) -> None:
    assert answers.quantity(text) == value


@pytest.mark.parametrize(
    ("mine", "gold", "right"),
    [
        ("5 cm", "5", True), ("5", "5 cm", True), ("5 cm", "5 m", False), ("60 %", "60", True), ("60%", "0.6", False), ("3.0", "3", True),
        ("3.01", "3", False), ("it is 5", "5", False), ("Cannot tell", REFUSAL, True), ("red", REFUSAL, False),
        ("red, blue", "red,blue", True), ("blue, red", "red, blue", False), ("$5", "5", True), ("$5", "5 euros", False),
        ("3 million", "3", False),
    ],
)  # fmt: skip
def test_match(mine: str, gold: str, right: bool) -> None:
    assert answers.match(mine, gold) is right
    assert answers.match(gold, mine) is right


@pytest.mark.parametrize(
    ("mine", "gold", "rule", "read"),
    [
        ("Three.", "3", "same normal form", "3"), ("5 cm", "5", "same number, one without its unit", "5 cm"),
        ("5 m", "5 cm", "another answer", "5 m"), ("it is 5", "5", "another answer", "it is 5"),
        ("...", "5", "no answer but punctuation", None),
        (None, "5", "no answer", None), ("5", None, "no gold answer", None),
    ],
)  # fmt: skip
def test_a_verdict_names_the_rule_that_decided(mine: str | None, gold: str | None, rule: str, read: str | None) -> None:
    found = answers.verdict(mine, gold)
    assert (found.rule, found.read, found.right) == (rule, read, rule.startswith("same") and answers.match(mine, gold))


@pytest.mark.parametrize(("mine", "gold", "right"), [(" b\n", "B", True), ("B.", "B", False), ("3.0", "3", False), ("", "", True)])
def test_exact(mine: str, gold: str, right: bool) -> None:
    assert answers.exact(mine, gold) is right


@pytest.mark.parametrize(
    ("mine", "gold", "absolute", "relative", "right"),
    [
        ("3.1", "3", 0.0, 0.0, False), ("3.1", "3", 0.1, 0.0, True), ("3.1", "3", 0.0, 0.05, True), ("2.8", "3", 0.0, 0.05, False),
        ("-3", "3", 0.0, 1.0, False), ("0.01", "0", 0.0, 0.5, False), ("0.01", "0", 0.01, 0.0, True), ("1,050", "1000", 0.0, 0.05, True),
        ("31 cm", "30", 1.0, 0.0, True), ("31 cm", "30 m", 1.0, 0.0, False), ("red", "3", 9.0, 9.0, False), ("3", "red", 9.0, 9.0, False),
        ("95", "100", 0.0, 0.05, True), ("100", "95", 0.0, 0.05, False),
    ],
)  # fmt: skip
def test_number(mine: str, gold: str, absolute: float, relative: float, right: bool) -> None:
    assert answers.number(mine, gold, absolute=absolute, relative=relative) is right


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("B", "B"), ("(b)", "B"), ("b.", "B"), ("B. blue", "B"), ("C) whatever", "C"), ("Blue!", "B"), ("first (A), no, then (C)", "C"),
        ("The answer is B", "B"), ("Option C is right", "C"), ("answer: A", "A"), ("A blue thing", None), ("D", None), ("(D)", None),
        ("red or blue", None), ("", None), ("a red one", None),
    ],
)  # fmt: skip
def test_letter(text: str, named: str | None) -> None:
    assert answers.letter(text, ["red", "blue", "green"]) == named


def test_choice_takes_letters_and_texts_as_gold() -> None:
    options = ["10", "twelve", "14 cm"]
    assert answers.choice("(B)", "12", options) and answers.choice("12", "B", options) and answers.choice("C", "14cm", options)
    assert not answers.choice("(A)", "B", options)
    assert not answers.choice("nothing", "no option", options)
    assert answers.letter("same", ["same", "Same"]) is None
    assert answers.letter("B", ["b", "a"]) == "B"


@pytest.mark.parametrize(
    ("mine", "gold", "right"),
    [
        ("105", "100", True), ("106", "100", False), ("95.0", "100", True), ("5%", "0.05", True), ("5%", "5", False), ("0.0", "0", False),
        ("0", "0", True), ("Yes", "yes", True), ("yes.", "yes", False), ("1,000", "1000", False), ("-100", "100", False),
        (" 3 ", "3", True), ("52%", "50%", True), ("ten", "10", False), ("-95", "-100", True),
    ],
)  # fmt: skip
def test_relaxed(mine: str, gold: str, right: bool) -> None:
    assert answers.relaxed(mine, gold) is right


@pytest.mark.parametrize(
    ("mine", "gold", "right"),
    [
        ("red, blue and green", "red, blue, green", True), ("red; blue; green", "[Red, Blue, Green]", True), ("a -> b", "a, b", True),
        ("a \u2192 b", "a then b", True), ("a\nb", "a, b", True), ("b, a", "a, b", False), ("a", "a, b", False), ("a, b, c", "a, b", False),
        ("1.0, 2", "[1, 2]", True), ("100,200", "100, 200", True), ("sand", "s", False), ("5 cm, 6 cm", "5, 6", True),
    ],
)  # fmt: skip
def test_in_order(mine: str, gold: str, right: bool) -> None:
    assert answers.in_order(mine, gold) is right
