"""What a GGUF file says of a tokenizer, its control tokens and its chat template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from create_llm.data.chat.encoding import ChatEncoder
from create_llm.data.chat.template import ChatTemplate, load_chat_template
from create_llm.data.tokenizer import Tokenizer
from create_llm.kernel.plugins import default_plugins
from create_llm.models.bundle import ModelBundle
from create_llm_export.vocabulary import Vocabulary, vocabulary_of

if TYPE_CHECKING:
    import gguf


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a tokenizer.

    Attributes:
        special: kind ("eos", "bos", "eot" …) → id.
        template: Jinja.
    """

    vocabulary: Vocabulary
    special: Mapping[str, int]
    template: str | None

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        known = self.vocabulary
        writer.add_tokenizer_model(known.model)
        writer.add_tokenizer_pre(known.pre)
        writer.add_token_list(list(known.tokens))
        writer.add_token_types([int(each) for each in known.types])
        if known.scores:
            writer.add_token_scores(list(known.scores))
        if known.merges:
            writer.add_token_merges(list(known.merges))
        writer.add_add_space_prefix(known.space_prefix)
        # Nothing in front or behind that the model was not trained with.
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(False)
        if known.model == "t5":
            writer.add_remove_extra_whitespaces(False)
        for kind, token in self.special.items():
            getattr(writer, f"add_{kind}_token_id")(token)
        if self.template is not None:
            writer.add_chat_template(self.template)


def words_of(bundle: ModelBundle) -> Words:
    """
    Raises:
        ConfigError: GGUF has nothing like the tokenizer.
        PluginError: the package of the tokenizer is not installed.
    """
    tokenizer, template = tokenizer_of(bundle), load_chat_template(bundle.path)
    size = int(bundle.hf_config()["vocab_size"])
    return Words(
        vocabulary_of(bundle.path, size),
        _special(tokenizer, template),
        None if template is None else template.source,
    )


def tokenizer_of(bundle: ModelBundle) -> Tokenizer:
    """
    Raises:
        PluginError: the package that brings it is not installed.
    """
    part = bundle.part("tokenizers", bundle.info["tokenizer"], default_plugins().registry)
    tokenizer: Tokenizer = part.load().load(bundle.path)
    return tokenizer


def _special(tokenizer: Tokenizer, template: ChatTemplate | None) -> dict[str, int]:
    special = tokenizer.special
    kinds = {
        "eos": special.eos,
        "bos": special.bos,
        "pad": special.pad,
        "unk": special.unk,
        "eot": _end_of_turn(tokenizer, template),
    }
    return {kind: token for kind, token in kinds.items() if token is not None}


def _end_of_turn(tokenizer: Tokenizer, template: ChatTemplate | None) -> int | None:
    if template is None:
        return None
    token = ChatEncoder(tokenizer, template).end_of_turn().token
    return None if token == tokenizer.special.eos else token
