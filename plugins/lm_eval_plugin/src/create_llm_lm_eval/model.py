"""The harness's model `create_llm`: a bundle, with its own tokenizer and context."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.api.model import LM  # type: ignore[import-untyped, import-not-found, unused-ignore]
from lm_eval.api.registry import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    register_model,
)
from lm_eval.models.utils import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
    normalize_gen_kwargs,
)
from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

from create_llm.api import Model, load, sampling_of
from create_llm.data.chat.rendering import common_prefix
from create_llm.errors import ConfigError
from create_llm.models.generation import Prompt, Sampling, TextBatch
from create_llm_lm_eval.likelihood import Pair, cut, likelihoods, sequences

if TYPE_CHECKING:
    from lm_eval.api.instance import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
        Instance,
    )

NAME = "create_llm"
BATCH = 16

_log = logging.getLogger(__name__)


@register_model(NAME)  # type: ignore[untyped-decorator, unused-ignore]
class CreateLLM(LM):  # type: ignore[misc, unused-ignore]
    """A create-llm model that predicts the next token.

    A text without a context begins a document, as in training: the end-of-text token stands
    before it. Text never becomes a control token.
    """

    def __init__(
        self,
        path: str | Model,
        device: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        """
        Args:
            path: a bundle's folder, a project's for its active version, or a loaded model.
            device: "cpu" (the default), "cuda" or "auto". The harness says "cuda:0" unless told
                otherwise: without a GPU, that is the CPU.
            batch_size: sequences to read at once; "auto" means 16.
            max_batch_size: what the harness passes beside "auto".

        Raises:
            DataError: no bundle, or a damaged one.
            ConfigError: the model does not predict the next token.
        """
        super().__init__()
        self.model = path if isinstance(path, Model) else load(path, _device(device))
        self._loaded = self.model.loaded
        self._device = self._loaded.device
        self.batch_size = _batch(batch_size, max_batch_size)
        if "causal" not in self._loaded.architecture.capabilities:
            raise ConfigError(
                f"a model of the kind {type(self._loaded.architecture).__name__} does not predict "
                "the next token, which the harness scores by",
                where=str(self.model.bundle.path),
                fixes=("score it on text instead: llm evaluate",),
            )

    def loglikelihood(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """ln P(continuation | context) in nats, and whether the model would write just that."""
        pairs = [self._pair(*request.args) for request in requests]
        found = self._score(pairs, "loglikelihood", disable_tqdm)
        for request, answer in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return found

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """ln P(text) in nats; texts longer than the context are read window by window."""
        texts = [request.args[0] for request in requests]
        pairs = [Pair([self._eos], ids) for ids in self._loaded.tokenizer.encode_batch(texts)]
        found = [logprob for logprob, _ in self._score(pairs, "rolling", disable_tqdm)]
        for request, answer in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answer)
        return found

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """What the model writes behind each context, up to the first of the task's stop strings.

        Where prompt and answer outgrow the context, the beginning is forgotten, as by
        `llm generate`. Request *i* is drawn with the seed *i*, where the task asks for sampling.
        """
        # What is asked in one way is written at once; a mistake shows before the first of them.
        alike: dict[Sampling, list[int]] = {}
        for number, request in enumerate(requests):
            alike.setdefault(self._sampling(request.args[1], number), []).append(number)
        texts = [""] * len(requests)
        with tqdm(total=len(requests), desc="generate_until", disable=disable_tqdm) as bar:
            for sampling, numbers in self._batches(alike):
                contexts = [requests[number].args[0] for number in numbers]
                for number, text in zip(numbers, self._written(contexts, sampling), strict=True):
                    texts[number] = text
                    self.cache_hook.add_partial("generate_until", requests[number].args, text)
                bar.update(len(numbers))
        return texts

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """
        Raises:
            ConfigError: one is asked for; the harness hands templated texts on as plain ones, in
                which control tokens would be mere characters.
        """
        if chat_template:
            raise ConfigError(
                "chat templates are not applied to create-llm's models in the harness",
                where="--apply_chat_template",
                fixes=("leave it out: the tasks' own texts are asked",),
            )
        return None

    def get_model_info(self) -> dict[str, object]:
        """What the harness writes into its report."""
        bundle = self.model.bundle
        return {
            "model_path": str(bundle.path),
            "model_sha256": bundle.weights_sha256(),
            "model_num_parameters": bundle.info["parameters"],
        }

    @property
    def _eos(self) -> int:
        return self._loaded.tokenizer.special.eos

    def _pair(self, context: str, continuation: str) -> Pair:
        """The tokens of both as they are when the two are one text.

        Spaces at the context's end belong to the continuation, as in all models of the harness.
        Where a token would straddle the border, it is the continuation's: cutting the whole behind
        as many tokens as the context has alone would leave a text that nobody wrote.
        """
        stripped = context.rstrip()
        whole, before = self._loaded.tokenizer.encode_batch([context + continuation, stripped])
        border = common_prefix(whole, before)
        return Pair(whole[:border] or [self._eos], whole[border:])

    def _batches(
        self, alike: Mapping[Sampling, Sequence[int]]
    ) -> Iterator[tuple[Sampling, Sequence[int]]]:
        for sampling, numbers in alike.items():
            for start in range(0, len(numbers), self.batch_size):
                yield sampling, numbers[start : start + self.batch_size]

    def _written(self, contexts: Sequence[str], sampling: Sampling) -> list[str]:
        notices: list[str] = []
        prompts = [Prompt.end_of(context, self._loaded, notices.append) for context in contexts]
        batch = TextBatch(self._loaded, prompts, sampling, notices.append)
        for _ in batch:
            continue
        for notice in dict.fromkeys(notices):
            _log.warning(notice)
        return [completion.text for completion in batch.results()]

    def _sampling(self, task: dict[str, Any], number: int) -> Sampling:
        """A task's generation settings; greedy where it does not sample."""
        given = dict(normalize_gen_kwargs(task, default_max_gen_toks=256))
        sampled = given.pop("do_sample")
        # Not the bundle's own defaults: two models are compared under the task's conditions.
        settings = {
            "temperature": 0.0,
            "top_k": 0,
            "top_p": 1.0,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "seed": number if sampled else 0,
            "max_new_tokens": given.pop("max_gen_toks"),
            "stop": tuple(text for text in given.pop("until") if text),
        }
        return sampling_of(self.model.bundle, **{**settings, **given})

    def _score(self, pairs: Sequence[Pair], task: str, silent: bool) -> list[tuple[float, bool]]:
        context = self._loaded.context
        if shortened := cut(pairs, context):
            _log.warning(
                "%d of %d requests have more tokens than the %d that the model reads: "
                "their beginning is left out",
                shortened,
                len(pairs),
                context,
            )
        with tqdm(total=sequences(pairs, context), desc=task, disable=silent) as bar:
            found = likelihoods(self._loaded, pairs, self.batch_size, bar.update)
        return [(one.logprob, one.greedy) for one in found]


def _device(name: str | None) -> str:
    if name and name.startswith("cuda") and not torch.cuda.is_available():
        _log.warning("there is no usable GPU here: the model runs on the CPU")
        return "cpu"
    return name or "cpu"


def _batch(size: int | str | None, largest: int | None) -> int:
    if size is None or str(size).startswith("auto"):
        return min(BATCH, largest or BATCH)
    if not str(size).isdigit() or int(size) < 1:
        raise ConfigError(f"the batch size must be a number from 1 or 'auto', got '{size}'")
    return int(size)
