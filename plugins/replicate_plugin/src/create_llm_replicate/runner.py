"""run.py of a Cog package: what the deployed model is asked for, and what it does then."""

from __future__ import annotations

from importlib.resources import files as resources
from string import Template

from create_llm.data.chat.template import load_chat_template
from create_llm.models.bundle import ModelBundle
from create_llm.models.sampling import Sampling

_KINDS = {"max_new_tokens": int, "temperature": float, "top_k": int, "top_p": float}
_CONTINUES = "continues.py.tmpl"
_ANSWERS = "answers.py.tmpl"


def runner_of(bundle: ModelBundle, fingerprint: str) -> str:
    """The runner: one that answers, where the model has learnt conversations, else one that goes
    on from a text.

    Args:
        fingerprint: stands in the description of an input.

    Raises:
        DataError: the chat template cannot be read.
    """
    defaults, told = Sampling(), bundle.sampling_defaults()
    values = {
        name: repr(kind(told.get(name, getattr(defaults, name)))) for name, kind in _KINDS.items()
    }
    chats = load_chat_template(bundle.path) is not None
    inputs, body = _text(_ANSWERS if chats else _CONTINUES).split("---\n")
    whole = Template(_text("run.py.tmpl").replace("$inputs\n", inputs).replace("$body\n", body))
    return whole.substitute(values, fingerprint=fingerprint)


def _text(name: str) -> str:
    return (resources("create_llm_replicate") / name).read_text(encoding="utf-8")
