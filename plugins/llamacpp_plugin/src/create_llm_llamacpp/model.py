"""A bundle as llama.cpp runs it."""

from __future__ import annotations

from pathlib import Path

from create_llm.data.chat.template import ChatTemplate
from create_llm.data.tokenizer import Tokenizer
from create_llm.models.engine import Notice
from create_llm_llamacpp.cached import Facts
from create_llm_llamacpp.server import LlamaServer
from create_llm_llamacpp.writer import LlamaWriter


class LlamaModel:
    """Its tokenizer and its template are the bundle's own: llama.cpp sees ids only."""

    generates = True

    def __init__(
        self, path: Path, facts: Facts, tokenizer: Tokenizer, template: ChatTemplate | None
    ) -> None:
        """
        Raises:
            CannotRun: llama.cpp cannot read the file.
        """
        self.tokenizer, self.template = tokenizer, template
        self.context, self.longest_prompt = facts.context, facts.longest_prompt
        self.stop_tokens = frozenset(facts.stop_tokens)
        self._path, self._exact = path, facts.precision == "f32"
        self._server = self._serving(1)

    def writer(self, notice: Notice, at_once: int = 1) -> LlamaWriter:
        if self._server.slots < at_once:
            self._server = self._serving(at_once)
        return LlamaWriter(self._server, self.context, notice)

    def _serving(self, slots: int) -> LlamaServer:
        return LlamaServer(self._path, self.context + 1, slots, exact=self._exact)
