"""All studies by name. To add one: a module with a Config, `cost` and `run`, and a line here and in `cos.commands.study.QUESTIONS`."""

from __future__ import annotations

from typing import Any

from cos.study import labels, preferences, selectors, shift, sizes, stepwise, weights
from cos.study.work import Study

STUDIES: dict[str, Study[Any]] = {
    "selectors": selectors.STUDY,
    "search": stepwise.STUDY,
    "labels": labels.STUDY,
    "weights": weights.STUDY,
    "rewards": preferences.REWARDS,
    "length": preferences.LENGTH,
    "sizes": sizes.STUDY,
    "shift": shift.STUDY,
}
