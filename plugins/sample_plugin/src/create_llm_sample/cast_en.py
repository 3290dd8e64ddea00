"""Chooses who and what an English story is about."""

from __future__ import annotations

from collections.abc import Sequence

from create_llm_sample import words_en as words
from create_llm_sample.gender import Gender, pair
from create_llm_sample.grammar_en import PRONOUNS
from create_llm_sample.template import Teller
from create_llm_sample.topics import preferred


def cast(teller: Teller, topic: str | None, breakable: bool) -> dict[str, str]:
    """What is bound for the whole story, drawn anew for each.

    ``topic`` is chosen where it fits; ``breakable`` asks for a thing that can break.
    """
    animals = teller.chance(0.4) or topic in words.ANIMALS
    return {
        **_hero_and_friend(teller, animals, topic),
        **_elder(teller, animals),
        **_places(teller, topic),
        **_thing(teller, topic, breakable),
        "hobby": teller.pick(words.HOBBIES),
        "food": teller.pick(words.FOODS),
    }


def known_topics() -> frozenset[str]:
    """The words that ``cast`` can put at the centre of a story."""
    things = (noun for noun, _ in words.THINGS)
    spots = (noun for _, noun in words.SPOTS)
    return frozenset((*words.ANIMALS, *things, *spots))


def _hero_and_friend(teller: Teller, animals: bool, topic: str | None) -> dict[str, str]:
    gender, other = pair(teller)
    hero = _person(teller, animals, gender, (), topic)
    friend = _person(teller, animals, other, tuple(hero.values()), None)
    return {
        "hero": hero["name"],
        **PRONOUNS[gender],
        "kind": hero["kind"],
        "trait": hero["trait"],
        "pal": friend["name"],
        **{f"pal.{key}": value for key, value in (PRONOUNS[other] | friend).items()},
    }


def _person(
    teller: Teller, animals: bool, gender: Gender, taken: Sequence[str], topic: str | None
) -> dict[str, str]:
    """A name, a kind and a trait, none of them among those ``taken``."""
    if animals:
        names = words.ANIMAL_GIRLS if gender == "f" else words.ANIMAL_BOYS
        kinds = preferred(words.ANIMALS, topic, key=str)
    else:
        names = words.GIRLS if gender == "f" else words.BOYS
        kinds = ("girl",) if gender == "f" else ("boy",)
    free = [kind for kind in kinds if kind not in taken] or kinds
    return {
        "name": teller.pick([name for name in names if name not in taken]),
        "kind": teller.pick(free),
        "trait": teller.pick([trait for trait in words.TRAITS if trait not in taken]),
    }


def _elder(teller: Teller, animals: bool) -> dict[str, str]:
    name, gender = teller.pick(words.ANIMAL_ELDERS if animals else words.ELDERS)
    giver, giver_gender = teller.pick(words.GIVERS)
    return {
        "elder": name,
        **{f"elder.{key}": value for key, value in PRONOUNS[gender].items()},
        "giver": f"<his> {giver}",
        **{f"giver.{key}": value for key, value in PRONOUNS[giver_gender].items()},
    }


def _places(teller: Teller, topic: str | None) -> dict[str, str]:
    home, village = teller.pick(words.HOMES)
    at, spot = teller.pick(preferred(words.SPOTS, topic, key=lambda entry: entry[1]))
    _, other = teller.pick([entry for entry in words.SPOTS if entry[1] != spot])
    return {
        "home": home,
        "village": village,
        "spot": f"the {spot}",
        "at_spot": f"{at} the {spot}",
        "other": f"the {other}",
    }


def _thing(teller: Teller, topic: str | None, breakable: bool) -> dict[str, str]:
    things = [t for t in words.THINGS if not breakable or t[0] not in words.SOFT]
    noun, looks = teller.pick(preferred(things, topic, key=lambda entry: entry[0]))
    look = teller.pick(looks)
    return {"thing": noun, "thing.full": f"{look} {noun}"}
