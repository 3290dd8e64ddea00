"""What Ollama is told of a model beside its GGUF file.

https://github.com/ollama/ollama/blob/main/docs/modelfile.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from create_llm.data.chat.encoding import ChatEncoder
from create_llm.data.chat.template import ChatTemplate, load_chat_template
from create_llm.models.bundle import ModelBundle
from create_llm_export.go_template import go_template
from create_llm_export.words import tokenizer_of

_PLAIN = "{{ .Prompt }}"
_PARAMETERS = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
    "max_new_tokens": "num_predict",
}


@dataclass(frozen=True, slots=True)
class Modelfile:
    """
    Attributes:
        template: Go; None leaves it to the Jinja in the GGUF file.
        parameters: by Ollama's names.
        stop: strings that end an answer.
    """

    template: str | None
    system: str | None
    parameters: Mapping[str, float]
    stop: Sequence[str]

    def text(self, file: str) -> str:
        lines = [f"FROM ./{file}"]
        if self.template is not None:
            lines.append(f'TEMPLATE """{self.template}"""')
        if self.system is not None:
            lines.append(f'SYSTEM """{self.system}"""')
        lines += [f"PARAMETER {name} {value}" for name, value in self.parameters.items()]
        lines += [f'PARAMETER stop "{stop}"' for stop in self.stop]
        return "".join(f"{line}\n" for line in lines)

    def request(self) -> dict[str, object]:
        """The same, as /api/create takes it."""
        said = {"template": self.template, "system": self.system}
        stop = {"stop": list(self.stop)} if self.stop else {}
        return {
            **{key: value for key, value in said.items() if value is not None},
            "parameters": {**self.parameters, **stop},
        }


def modelfile_of(bundle: ModelBundle, system: str | None) -> Modelfile:
    """
    Raises:
        ConfigError: the tokenizer lacks control tokens of the template.
        DataError: the template cannot be read.
        PluginError: the package of the tokenizer is not installed.
    """
    template = load_chat_template(bundle.path)
    return Modelfile(
        _PLAIN if template is None else go_template(template, tokenizer_of(bundle)),
        system,
        _parameters(bundle),
        () if template is None else _stops(bundle, template),
    )


def _parameters(bundle: ModelBundle) -> dict[str, float]:
    defaults, hf = bundle.sampling_defaults(), bundle.hf_config()
    found: dict[str, float] = {
        theirs: defaults[ours]
        for ours, theirs in _PARAMETERS.items()
        if defaults.get(ours) is not None
    }
    if defaults.get("do_sample") is False:
        found["temperature"] = 0
    context = hf.get("max_position_embeddings") or hf.get("n_positions")
    return found if context is None else {"num_ctx": context, **found}


def _stops(bundle: ModelBundle, template: ChatTemplate) -> list[str]:
    """What stands behind an answer; the end of a text the file says already."""
    tokenizer = tokenizer_of(bundle)
    end = ChatEncoder(tokenizer, template).end_of_turn()
    spelt = end.text if end.token is None else tokenizer.token(end.token)
    # A Modelfile has no way to write the others.
    writable = spelt and not any(sign in spelt for sign in '\n\r"')
    return [spelt] if writable and end.token != tokenizer.special.eos else []
