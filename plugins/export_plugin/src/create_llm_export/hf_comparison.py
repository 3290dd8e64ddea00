"""An exported folder in transformers, beside the bundle that it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from create_llm.errors import ConfigError, PluginError
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm.models.export import Finding
from create_llm.models.loaded import LoadedModel
from create_llm.models.proof import TOKENS, continued, prompts_of, writes_the_same
from create_llm.models.quiet import quiet_transformers
from create_llm_export.hf import class_of
from create_llm_export.torture import same_ids

_ROUNDING = 1e-4
"""Of the range of the logits: sums in another order."""
_NAMES = {"tokens": "input_ids", "decoder_tokens": "decoder_input_ids"}


def compared(bundle: ModelBundle, folder: Path) -> list[Finding]:
    """
    Raises:
        PluginError: transformers is not installed.
        ConfigError: it cannot open the folder.
    """
    tokenizer, peer = _opened(bundle, folder)
    loaded = LoadedModel.from_bundle(bundle, default_plugins().registry)

    def encode(text: str) -> list[int]:
        # It would read the spelling of a control token as that token, which training never did.
        asked = {"add_special_tokens": False, "split_special_tokens": True}
        return list(tokenizer(text, **asked)["input_ids"])

    findings = [same_ids(loaded.tokenizer, encode), _logits(loaded, peer)]
    if not loaded.generates:
        return findings
    inputs = _inputs(loaded, prompts_of(loaded, loaded.context)[0])
    if list(inputs) == ["tokens"]:
        findings.append(_text(loaded, peer))
    return [*findings, _sample(loaded)]


def _opened(bundle: ModelBundle, folder: Path) -> tuple[Any, Any]:
    """Its tokenizer, and its model in fp32."""
    try:
        import transformers
    except ImportError as error:
        raise PluginError(
            f"to try the folder, transformers is needed: {error}",
            fixes=("install it: pip install 'create-llm-export[test]'",),
        ) from error
    quiet_transformers()
    model = getattr(transformers, class_of(bundle), None)
    if model is None:
        raise ConfigError(
            f"transformers {transformers.__version__} has no {class_of(bundle)}",
            where=str(folder / "config.json"),
            fixes=("update it: pip install --upgrade transformers",),
        )
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    opened = model.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return tokenizer, opened.eval()


def _inputs(loaded: LoadedModel, ids: list[int]) -> Mapping[str, Tensor]:
    return loaded.objective.prompt(ids)


@torch.inference_mode()
def _logits(loaded: LoadedModel, peer: Any) -> Finding:
    most = 0.0
    prompts = prompts_of(loaded, loaded.context)
    for ids in prompts:
        inputs = _inputs(loaded, ids)
        ours = loaded.module(**inputs).logits().float()
        theirs = peer(**{_NAMES[name]: tensor for name, tensor in inputs.items()}).logits
        away = (ours - theirs.view_as(ours)).abs().max() / (ours.max() - ours.min())
        most = max(most, float(away))
    told = f"at most {most:.1g} of their range apart, behind {len(prompts)} prompts"
    return Finding("logits", most < _ROUNDING, told)


@torch.inference_mode()
def _text(loaded: LoadedModel, peer: Any) -> Finding:
    def continue_(ids: Any) -> list[int]:
        count = min(TOKENS, loaded.context - len(ids) + 1)
        inputs = torch.tensor([list(ids)])
        made = peer.generate(
            inputs,
            attention_mask=torch.ones_like(inputs),
            max_new_tokens=count,
            do_sample=False,
            repetition_penalty=1.0,
        )
        found: list[int] = made[0, len(ids) :].tolist()
        return found

    same = writes_the_same(continue_, loaded, loaded.context)
    prompts = len(prompts_of(loaded, loaded.context))
    return Finding("greedy text", same, f"up to {TOKENS} tokens behind each of {prompts} prompts")


def _sample(loaded: LoadedModel) -> Finding:
    prompt, decode = prompts_of(loaded, loaded.context)[0], loaded.tokenizer.decode
    return Finding(
        "sample", None, f"{decode(prompt)!r} goes on {decode(continued(loaded, prompt))!r}"
    )
