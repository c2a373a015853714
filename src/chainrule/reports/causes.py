"""Which finding explains which: of a chain of causes, the first is told, and the others in its words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from chainrule.reports.symptom import Symptom

_LEARNED_LITTLE = {"chance", "standstill", "small updates", "unfinished", "baseline", "missed class"}
_OF_LAYERS = {"dead", "saturated", "vanishing", "exploding"}
_OF_THE_RATE = {"diverged", "first update", "large updates", "oscillation", "spike", "not finite"}
_ALL = _OF_THE_RATE | _OF_LAYERS | _LEARNED_LITTLE

#: What each cause explains, the first causes first. A finding explains others of its own code, too.
EXPLAINED: dict[str, set[str]] = {
    "contradiction": set(),
    "running": set(),
    "not ended": set(),
    "gradient check": _ALL | {"overfitting"},
    "output activation": _ALL | {"overfitting"},
    "scale": _ALL,
    "exploding at the start": _ALL,
    "diverged": _ALL | {"overfitting"},
    "failed": set(),
    "not finite": _ALL | {"overfitting"},
    "large updates": _ALL | {"overfitting"},
    "first update": _ALL | {"overfitting"},
    "oscillation": _ALL,
    "spike": _ALL,
    "dead": {"vanishing"} | _LEARNED_LITTLE,
    "resting": {"vanishing"} | _LEARNED_LITTLE,
    "saturated": {"vanishing"} | _LEARNED_LITTLE,
    "vanishing": _LEARNED_LITTLE,
    "exploding": _LEARNED_LITTLE,
    "small updates": _LEARNED_LITTLE,
    "chance": _LEARNED_LITTLE,
    "standstill": _LEARNED_LITTLE,
    "overfitting": {"baseline"},
    "unfinished": {"baseline", "missed class"},
    "baseline": {"missed class"},
    "missed class": set(),
    "before": set(),
}
ONLY_AS_CAUSES = {"scale", "first update", "resting"}
"""These are no harm by themselves: they are told where they explain one."""
MOST_EFFECTS = 3
_ORDER = {"error": 0, "warning": 1, "note": 2}


def first_causes(found: Sequence[Symptom]) -> tuple[Symptom, ...]:
    """The findings that no other explains, the worst first, each with what it explains."""
    places = {cause: k for k, cause in enumerate(EXPLAINED)}
    waiting = sorted(found, key=lambda each: places.get(each.cause or each.code, len(places)))
    causes = []
    while waiting:
        cause, *rest = waiting
        explained = EXPLAINED.get(cause.cause or cause.code, set())
        alike = [each for each in rest if each.code == cause.code]
        effects = [each for each in rest if each.code in explained and each not in alike]
        if effects or cause.cause not in ONLY_AS_CAUSES:
            causes.append(_told(cause, alike, effects))
            waiting = [each for each in rest if each not in alike and each not in effects]
        else:
            waiting = rest
    return tuple(sorted(causes, key=lambda each: _ORDER[each.severity]))


def _told(cause: Symptom, alike: list[Symptom], effects: list[Symptom]) -> Symptom:
    """The cause in words that name what it explains, as severe as the worst of it."""
    text = cause.text
    for words, findings in (("; likewise", alike), ("; that is also why", effects)):
        told = list(dict.fromkeys(each.effect for each in findings if each.effect))[:MOST_EFFECTS]
        if told:
            text += f"{words} {' and '.join([', '.join(told[:-1]), told[-1]] if len(told) > 1 else told)}"
    worst = min((cause, *alike, *effects), key=lambda each: _ORDER[each.severity])
    return replace(cause, text=text, severity=worst.severity)
