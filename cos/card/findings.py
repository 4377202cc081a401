"""A report card in words: what its figures say of the reward model, good or bad, and the table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Card = Mapping[str, Any]


def findings(card: Card) -> list[str]:
    """One sentence for every weakness that the figures show. The limits are ours, but for those of the image: a step that is read off the
    picture can't be judged without it, so there an AUC above 0.65 with another picture means that the text alone was judged."""
    return [text for judge in (_knows, _looks, _peeks, _trusts, _holds, _chooses) for text in judge(card)]


def table(card: Card) -> str:
    """The figures for people."""
    low, high = card["auc_ci95"]
    rows = [
        ("step AUC", f"{_show(card['auc'])} (95 %: {_show(low)} to {_show(high)}); inside a question {_show(card['auc_by_question'])}"),
        ("reading, computing, answers", ", ".join(_show(card[key]) for key in ("see_auc", "compute_auc", "answer_auc"))),
        ("reading, other and blank picture", f"{_show(card['see_auc_swapped'])}, {_show(card['see_auc_blank'])}"),
        ("right steps kept at 1, 5, 10 % wrong", ", ".join(map(_share, card["tpr_at_fpr"].values()))),
        (
            "first-error F1",
            f"{_show(card['first_error_f1'])} ({_of(card, 'first_error_wrong')} wrong, {_of(card, 'first_error_right')} right)",
        ),
        ("macro F1", f"{_show(card['macro_f1'])} (right steps {_show(card['f1_right'])}, wrong {_show(card['f1_wrong'])})"),
        ("Brier, ECE, bias", ", ".join(_show(card[key]) for key in ("brier", "ece", "signed_bias"))),
        ("... calibrated", ", ".join(_show(card.get(f"{key}_calibrated")) for key in ("brier", "ece", "signed_bias"))),
        ("lowest reward last", f"{_share(card['lowest_is_last'])} of chains; by chance {_share(card['lowest_is_last_by_chance'])}"),
    ]
    for name, row in card["edits"].items():
        rows.append((f"right chains {name}", f"{_share(row['accepted_before'])} accepted before, {_share(row['accepted_after'])} after"))
    rows += _selection(card["best_of_n"])
    for name in ("depth", "kind", "level", "group"):
        rows.append((f"AUC by {name}", ", ".join(f"{value} {_show(row['auc'])}" for value, row in card["by"][name].items())))
    head = f"{card['questions']} questions, {card['chains']} chains, {card['steps']} labelled steps, {_share(card['right_share'])} right"
    return "\n".join([head, *(f"{name:<38}{text}" for name, text in rows)])


def _selection(best: Card | None) -> list[tuple[str, str]]:
    if best is None:
        return []
    ranked = sorted(best["aggregators"].items(), key=lambda pair: -pair[1]["accuracy"])
    beside = [f"pass@1 {_share(best['pass_at_1'])}", f"pass@{best['n']} {_share(best['pass_at_n'])}"]
    beside += [f"{name.replace('_', ' ')} {_share(best[name]['accuracy'])}" for name in ("vote", "weighted_vote") if name in best]
    return [
        (f"best of {best['n']}", ", ".join(f"{name} {_share(row['accuracy'])}" for name, row in ranked)),
        ("... beside", ", ".join(beside)),
    ]


def _knows(card: Card) -> Iterator[str]:
    if card["auc"] is None:
        yield "there are no wrong steps, or no right ones: most figures are not defined"
    elif card["auc_ci95"][0] is not None and card["auc_ci95"][0] <= 0.5:
        yield f"step AUC {_show(card['auc'])} can't be told from chance ({_show(card['auc_ci95'][0])} to {_show(card['auc_ci95'][1])})"
    if card["calibration"] is None:
        yield "the threshold is 0.5, chosen on no data: name a validation set"


def _looks(card: Card) -> Iterator[str]:
    for view, what in (("swapped", "another picture"), ("blank", "a blank picture")):
        found = card[f"see_auc_{view}"]
        if found is not None and found > 0.65:
            yield f"it judges the text: with {what} AUC on reading steps is still {_show(found)} (true picture: {_show(card['see_auc'])})"
        if card[f"moved_{view}"] is not None and card[f"moved_{view}"] < 0.01:
            yield f"it does not look: {what} moves its rewards by {card[f'moved_{view}']:.4f} on average"


def _peeks(card: Card) -> Iterator[str]:
    for name, row in card["peeks"].items():
        follows, inside = row["rank_correlation"], row["auc_within"]
        if follows is not None and abs(follows) > 0.8:
            yield f"its rewards follow the {name} of steps (rank correlation {follows:+.2f}); at one {name} AUC is {_show(inside)}"
        elif inside is not None and card["auc"] is not None and card["auc"] - inside > 0.1:
            yield f"part of its AUC ({_show(card['auc'])}) is the {name} of steps: at one {name} it is {_show(inside)}"
    last, chance = card["lowest_is_last"], card["lowest_is_last_by_chance"]
    if last is not None and last > chance + 0.2:
        yield f"the lowest reward is the last in {_share(last)} of chains (by chance {_share(chance)}): it judges the outcome, not the step"


def _trusts(card: Card) -> Iterator[str]:
    error, bias = card.get("ece_calibrated"), card["signed_bias"]
    if error is not None and error > 0.05:
        yield f"calibration did not carry over: expected calibration error {_show(error)} on these questions"
    if bias is not None and abs(bias) > 0.1:
        yield f"its rewards promise too {'much' if bias > 0 else 'little'}: {bias:+.2f} on average before calibration"


def _holds(card: Card) -> Iterator[str]:
    for name, row in card["edits"].items():
        before, after = row["accepted_before"], row["accepted_after"]
        if before is not None and before - after > 0.1:
            yield f"right chains {name} are accepted in {_share(after)} of cases, {_share(before)} as they were: it does not hold"


def _chooses(card: Card) -> Iterator[str]:
    best = card["best_of_n"]
    if best is None:
        return
    name, row = max(best["aggregators"].items(), key=lambda pair: pair[1]["accuracy"])
    if "vote" in best and row["accuracy"] <= best["vote"]["accuracy"]:
        voted = _share(best["vote"]["accuracy"])
        yield f"best of {best['n']} ({name}, {_share(row['accuracy'])}) is no better than a majority vote ({voted})"
    if best["aggregators"]["cos"]["harmful"] > 0.1:
        yield f"in {_share(best['aggregators']['cos']['harmful'])} of questions the best reward is shared by different answers"


def _of(card: Card, name: str) -> str:
    return f"{_share(card[name])} of"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
