"""A model in Ollama beside the bundle that it was made of."""

from __future__ import annotations

from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.export import Finding
from create_llm.models.loaded import LoadedModel
from create_llm.models.proof import TOKENS, continued, prompts_of
from create_llm_export.ollama_api import OllamaService

_BEGINNING = 4
"""Characters that rounded weights, too, have to bring back."""


def compared(
    bundle: ModelBundle, service: OllamaService, name: str, *, exact: bool
) -> list[Finding]:
    """
    Args:
        exact: whether the weights were not rounded, so that texts have to be equal.

    Raises:
        NetworkError, ConfigError: Ollama does not answer.
    """
    loaded = LoadedModel.from_bundle(bundle, default_plugins().registry)
    decode = loaded.tokenizer.decode
    # The last leaves no room for an answer.
    prompts = prompts_of(loaded, loaded.context - TOKENS)[:-1]
    texts = [
        (decode(_until_end(loaded, ids)), service.generate(name, decode(ids), TOKENS))
        for ids in prompts
    ]
    equal = sum(ours == theirs for ours, theirs in texts)
    begun = sum(ours[:_BEGINNING] == theirs[:_BEGINNING] for ours, theirs in texts)
    same = equal == len(texts) if exact else begun * 2 > len(texts)
    near = same and equal < len(texts)
    told = f"equal behind {equal} of {len(texts)} prompts, to the end or for {TOKENS} tokens"
    sample = f"{decode(prompts[0])!r} goes on {texts[0][1]!r}"
    return [Finding("greedy text", same, told, near), Finding("sample", None, sample)]


def _until_end(loaded: LoadedModel, ids: list[int]) -> list[int]:
    found = continued(loaded, ids)
    ends = [place for place, token in enumerate(found) if token in loaded.stop_tokens]
    return found[: ends[0]] if ends else found
