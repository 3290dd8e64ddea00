"""Whether the text of a project is still the one that a model was made from."""

from __future__ import annotations

from create_llm.config import Config
from create_llm.data.pipeline import conversation_template, data_source
from create_llm.data.preparation.ingredients import data_key
from create_llm.data.source import validation_source
from create_llm.kernel.registry import Registry
from create_llm.models.bundle import ModelBundle
from create_llm.project.folder import Project


def has_seen_this_text(
    bundle: ModelBundle, project: Project, config: Config, registry: Registry
) -> bool:
    """Whether the model was made from the project's text as it is, divided as it is divided now.

    What the project's tokenizer is does not matter: the model's own is asked. The text is read
    once.

    Raises:
        DataError: the text or the model's tokenizer cannot be read.
        PluginError: the tokenizer it needs is not installed.
    """
    part = bundle.part("tokenizers", bundle.info["tokenizer"], registry)
    source = data_source(project, config)
    now = data_key(
        source,
        part.load().load(bundle.path),
        config.data.val_split,
        validation_source(source),
        config.data.deduplicate,
        conversation_template(project, config),
    )
    return bool(now == bundle.info["data"]["key"])
