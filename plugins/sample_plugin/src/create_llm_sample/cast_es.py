"""Chooses who and what a Spanish story is about, with the forms that must agree with them."""

from __future__ import annotations

from collections.abc import Sequence

from create_llm_sample import words_es as words
from create_llm_sample.gender import Gender, pair
from create_llm_sample.grammar_es import FORMS, agree
from create_llm_sample.template import Teller
from create_llm_sample.topics import preferred


def cast(teller: Teller, topic: str | None, breakable: bool) -> dict[str, str]:
    """What is bound for the whole story, drawn anew for each.

    ``topic`` is chosen where it fits; ``breakable`` asks for a thing that can break.
    """
    animals = teller.chance(0.4) or _animal_gender(topic) is not None
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
    things = (noun for noun, _, _ in words.THINGS)
    spots = (noun for _, noun, _ in words.SPOTS)
    return frozenset((*words.ANIMALS["f"], *words.ANIMALS["m"], *things, *spots))


def _animal_gender(topic: str | None) -> Gender | None:
    genders: tuple[Gender, ...] = ("f", "m")
    return next((gender for gender in genders if topic in words.ANIMALS[gender]), None)


def _forms(owner: str, gender: Gender) -> dict[str, str]:
    """The forms of a gender under the name of who has it: ``pal.o``, ``pal.lo`` and so on."""
    return {f"{owner}.{name}": form for name, form in FORMS[gender].items()}


def _hero_and_friend(teller: Teller, animals: bool, topic: str | None) -> dict[str, str]:
    gender, other = pair(teller, _animal_gender(topic))
    hero = _person(teller, animals, gender, (), topic)
    friend = _person(teller, animals, other, tuple(hero.values()), None)
    return {
        **FORMS[gender],
        **_forms("pal", other),
        "hero": hero["name"],
        "kind": hero["kind"],
        "trait": agree(hero["trait"], gender),
        "pal": friend["name"],
        "pal.kind": friend["kind"],
        "pal.trait": agree(friend["trait"], other),
        "os": "as" if gender == other == "f" else "os",
    }


def _person(
    teller: Teller, animals: bool, gender: Gender, taken: Sequence[str], topic: str | None
) -> dict[str, str]:
    """A name, a kind and a (masculine) trait, none of them among those ``taken``."""
    if animals:
        names = words.ANIMAL_GIRLS if gender == "f" else words.ANIMAL_BOYS
        kinds = preferred(words.ANIMALS[gender], topic, key=str)
    else:
        names = words.GIRLS if gender == "f" else words.BOYS
        kinds = ("niña",) if gender == "f" else ("niño",)
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
        **_forms("elder", gender),
        **_forms("giver", giver_gender),
        "elder": name,
        "giver": f"su {giver}",
    }


def _places(teller: Teller, topic: str | None) -> dict[str, str]:
    home, village = teller.pick(words.HOMES)
    at, spot, gender = teller.pick(preferred(words.SPOTS, topic, key=lambda entry: entry[1]))
    others = [entry for entry in words.SPOTS if entry[1] != spot]
    _, other, other_gender = teller.pick(others)
    place = f"{FORMS[gender]['el']} {spot}"
    elsewhere = f"{FORMS[other_gender]['el']} {other}"
    return {
        "home": home,
        "village": village,
        "spot": place,
        "at_spot": f"{at} {place}",
        "other": elsewhere,
    }


def _thing(teller: Teller, topic: str | None, breakable: bool) -> dict[str, str]:
    things = [t for t in words.THINGS if not breakable or t[0] not in words.SOFT]
    noun, gender, looks = teller.pick(preferred(things, topic, key=lambda entry: entry[0]))
    look = agree(teller.pick(looks), gender)
    return {**_forms("thing", gender), "thing": noun, "thing.full": f"{noun} {look}"}
