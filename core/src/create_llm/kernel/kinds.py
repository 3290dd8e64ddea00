"""The kinds of parts that the core knows, each with the hook that registers it.

A plugin owns a kind of its own by saying so in its module: `KINDS = (Kind(…),)`. Every plugin may
then register parts of that kind, under the hook of its name; one that also works without the owner
marks it `@hookimpl(optionalhook=True)`. The owner finds the parts in the registry.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of part.

    Attributes:
        name: plural, as in `llm plugins list` and `requires=("tokenizers/bpe",)`.
        singular: as error messages say it.
        protocol: `module:attribute` of what a part of this kind satisfies.
        contract: `module:attribute` of the test class that a part of this kind must pass.
    """

    name: str
    singular: str
    protocol: str
    contract: str

    @property
    def hook(self) -> str:
        return f"register_{self.name}"

    @property
    def written(self) -> str:
        """As `--kind` takes it: the singular, in one word."""
        return self.singular.replace(" ", "-")


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "tokenizers",
            "tokenizer",
            "create_llm.data.tokenizer:TokenizerType",
            "create_llm.testing:TokenizerContract",
        ),
        Kind(
            "architectures",
            "architecture",
            "create_llm.models.architecture:Architecture",
            "create_llm.testing:ArchitectureContract",
        ),
        Kind(
            "data_sources",
            "data source",
            "create_llm.data.source:DataSource",
            "create_llm.testing:DataSourceContract",
        ),
        Kind(
            "callbacks",
            "callback",
            "create_llm.training.callbacks:Callback",
            "create_llm.testing:CallbackContract",
        ),
        Kind(
            "deploy_targets",
            "deploy target",
            "create_llm.models.deploy:DeployTarget",
            "create_llm.testing:DeployTargetContract",
        ),
        Kind(
            "objectives",
            "objective",
            "create_llm.models.objective:Objective",
            "create_llm.testing:ObjectiveContract",
        ),
        Kind(
            "templates",
            "template",
            "create_llm.project.templates:Template",
            "create_llm.testing:TemplateContract",
        ),
        Kind(
            "presets",
            "preset",
            "create_llm.project.presets:Preset",
            "create_llm.testing:PresetContract",
        ),
        Kind(
            "synthesizers",
            "synthesizer",
            "create_llm.data.source:Synthesizer",
            "create_llm.testing:SynthesizerContract",
        ),
        Kind(
            "exporters",
            "exporter",
            "create_llm.models.export:Exporter",
            "create_llm.testing:ExporterContract",
        ),
        Kind(
            "importers",
            "importer",
            "create_llm.models.importing:Importer",
            "create_llm.testing:ImporterContract",
        ),
        Kind(
            "engines",
            "engine",
            "create_llm.models.engine:Engine",
            "create_llm.testing:EngineContract",
        ),
        Kind(
            "commands",
            "command",
            "click:Command",
            "create_llm.testing:CommandContract",
        ),
    )
}


def singular_of(kind: str) -> str:
    """As messages call one part, also where nobody who knows the kind is at hand."""
    return KINDS[kind].singular if kind in KINDS else f"part of {kind}"
