"""Whether the text of a project is still the one that a model was made from."""

from __future__ import annotations

from create_llm.config import Config
from create_llm.data.pipeline import data_source
from create_llm.data.preparation.ingredients import division_key
from create_llm.data.source import identity_of, validation_source
from create_llm.models.bundle import ModelBundle
from create_llm.project.folder import Project


def has_seen_this_text(bundle: ModelBundle, project: Project, config: Config) -> bool:
    """Whether the model was made from the project's text as it is, divided as it is divided now.

    By which tokenizer and template that text became tokens does not matter. The text is read once.

    Raises:
        DataError: the text cannot be read.
    """
    source = data_source(project, config)
    separate = validation_source(source)
    apart = identity_of(separate) if separate else None
    now = division_key(identity_of(source), apart, config.data.val_split)
    return bool(now == bundle.info["data"].get("division"))
