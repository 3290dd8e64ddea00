"""Tables of parts that commands use, one for each part: [deployment.NAME], [export.NAME]."""

from __future__ import annotations

import re

from create_llm.config.draft import Draft
from create_llm.config.keys import fields_of
from create_llm.config.schema import PART_TABLES
from create_llm.config.sections import has_part, unknown_keys
from create_llm.config.values import KeyPath, nest, under
from create_llm.errors import nearest
from create_llm.kernel.catalogue import providers_of
from create_llm.kernel.kinds import KINDS

_SECRET = re.compile(r"(^|_)(token|key|secret|password)$", re.IGNORECASE)


def tables_of(draft: Draft, section: str) -> dict[str, dict[str, object]]:
    """Part → its table as written; validated where the part is installed.

    A missing key is left to the command, whose options may supply it.
    """
    names = dict.fromkeys(path[1] for path in under(draft.entries, section))
    return {name: _table(draft, section, name) for name in names}


def _table(draft: Draft, section: str, name: str) -> dict[str, object]:
    prefix, kind = (section, name), PART_TABLES[section]
    entries = under(draft.entries, *prefix)
    if has_part(draft.plugins.registry, kind, name):
        _validate(draft, kind, prefix)
    else:
        _check_unknown(draft, kind, prefix)
    return nest(entries, len(prefix))


def _validate(draft: Draft, kind: str, prefix: KeyPath) -> None:
    registry, place, before = draft.plugins.registry, draft.place(prefix), len(draft.problems)
    part = draft.attempt(registry.get, kind, prefix[1], where=place)
    model = draft.attempt(part.config_model) if part else None
    if len(draft.problems) > before:
        return
    known = fields_of(model)
    entries = unknown_keys(draft, prefix, under(draft.entries, *prefix), known, known)
    if model:
        draft.validate(model, prefix, entries, partial=True)


def _check_unknown(draft: Draft, kind: str, prefix: KeyPath) -> None:
    """Keep the table of a part that is not installed, unless its name or a key looks wrong."""
    names = draft.plugins.registry.names(kind)
    match = nearest(prefix[1], names)
    if match and not providers_of(kind, prefix[1]):
        draft.problem(
            f"there is no {KINDS[kind].singular} called '{prefix[1]}'",
            draft.file.place(prefix) or draft.place(prefix),
            f"did you mean '{match}'?",
            f"choose one of: {', '.join(names)}",
        )
    for path in under(draft.entries, *prefix):
        if _SECRET.search(path[-1]):
            draft.problem(
                f"{'.'.join(path)} looks like a secret, and llm.toml is no place for one",
                draft.place(path),
                "move it to .env, which is kept out of git and out of every file we write",
                "take it back at the service if the file was ever shared",
            )
