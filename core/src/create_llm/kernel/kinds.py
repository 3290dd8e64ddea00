"""The kinds of parts that the core knows, each with the hook that registers it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of part.

    Attributes:
        name: plural, as in `llm plugins list` and `requires=("tokenizers/bpe",)`.
        singular: as error messages say it.
        protocol: `module:attribute` of what a part of this kind satisfies.
    """

    name: str
    singular: str
    protocol: str

    @property
    def hook(self) -> str:
        return f"register_{self.name}"


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("tokenizers", "tokenizer", "create_llm.data.tokenizer:TokenizerType"),
        Kind("architectures", "architecture", "create_llm.models.architecture:Architecture"),
        Kind("data_sources", "data source", "create_llm.data.source:DataSource"),
        Kind("callbacks", "callback", "create_llm.training.callbacks:Callback"),
        Kind("deploy_targets", "deploy target", "create_llm.models.deploy:DeployTarget"),
        Kind("objectives", "objective", "create_llm.models.objective:Objective"),
        Kind("templates", "template", "create_llm.project.templates:Template"),
        Kind("synthesizers", "synthesizer", "create_llm.data.source:Synthesizer"),
        Kind("commands", "command", "click:Command"),
    )
}
