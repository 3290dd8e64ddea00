"""`litgpt pretrain` on a model of GPT-2's size, for throughput.py; in an environment of its own.

Calls `litgpt.pretrain.setup`, the function behind that command: its own loop, its torch.compile
(which it always applies), its loss over chunks, its AdamW (not fused on a CPU), its schedule and
logging. Set are only the model's size, the batch and the data; precision is LitGPT's choice unless
given (bf16-mixed on every CPU). Feed-forward, biases and norms are GPT-2's; positions are rotary
on a quarter of each head (LitGPT's default), since it has no learned ones. After the last step
that counts the data ends the run by an exception, so that nothing is saved.
"""

# LitGPT is not installed where types are checked: its numpy is older than this project's.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from litgpt.args import TrainArgs
from litgpt.config import Config
from litgpt.data import DataModule
from litgpt.model import GPT
from litgpt.pretrain import get_default_supported_precision, setup
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset
from workload import GPT2, Run, StepClock, Workload


class Enough(Exception):
    """The last step that counts has ended."""


class Sequences(IterableDataset[Tensor]):
    """Random tokens, one more than the context each, because LitGPT shifts the labels itself."""

    def __init__(self, shape: Workload) -> None:
        self._shape = shape

    def __iter__(self) -> Iterator[Tensor]:
        generator, size = torch.Generator().manual_seed(0), (self._shape.context + 1,)
        while True:
            yield torch.randint(self._shape.vocabulary, size, generator=generator)


class TimedSequences(Sequences):
    """Asking for the first sequence of the next batch is what ends a step.

    Raises:
        Enough: `steps` have ended.
    """

    def __init__(self, shape: Workload, clock: StepClock, steps: int) -> None:
        super().__init__(shape)
        self._clock, self._steps = clock, steps

    def __iter__(self) -> Iterator[Tensor]:
        for drawn, sequence in enumerate(super().__iter__()):
            step, place = divmod(drawn, self._shape.batch)
            if step and place == 0:
                self._clock.step_ended()
            if step == self._steps:
                raise Enough
            yield sequence


class RandomTokens(DataModule):
    def __init__(self, training: Sequences, validation: Sequences, batch: int) -> None:
        super().__init__()
        self.training, self.validation, self.batch = training, validation, batch

    def connect(self, *unused: object, **also_unused: object) -> None:
        """Nothing of the tokenizer or the lengths is needed."""

    def train_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(self.training, batch_size=self.batch)

    def val_dataloader(self) -> DataLoader[Tensor]:
        return DataLoader(self.validation, batch_size=self.batch)


def model_config(shape: Workload) -> Config:
    return Config(
        name="gpt-2-sized",
        block_size=shape.context,
        n_layer=shape.layers,
        n_embd=shape.width,
        n_head=shape.heads,
        intermediate_size=shape.feed_forward,
        padded_vocab_size=shape.vocabulary,
        vocab_size=shape.vocabulary,
        parallel_residual=False,
        attn_bias=True,
        gelu_approximate="tanh",
    )


def parameters(config: Config) -> int:
    """Of the model that LitGPT trains, in which head and embedding are one matrix."""
    with torch.device("meta"):
        model = GPT(config)
    counted: int = sum(p.numel() for p in model.parameters()) - model.lm_head.weight.numel()
    return counted


def train(shape: Workload, warmup: int, steps: int, precision: str | None) -> Run:
    clock, config = StepClock(warmup), model_config(shape)
    timed = TimedSequences(shape, clock, warmup + steps)
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        setup(
            config.name,
            model_config=config,
            out_dir=Path(folder),
            precision=precision,
            data=RandomTokens(timed, Sequences(shape), shape.batch),
            train=TrainArgs(
                global_batch_size=shape.batch,
                micro_batch_size=shape.batch,
                max_tokens=1_000_000 * shape.tokens_per_step,
                max_norm=1.0,
                tie_embeddings=True,
            ),
            logger_name="csv",
        )
    chosen = precision or get_default_supported_precision(training=True)
    return Run(clock.seconds, parameters(config), chosen)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--precision", choices=("32-true", "bf16-mixed", "bf16-true"))
    options = parser.parse_args()
    train(GPT2, options.warmup, options.steps, options.precision).report()


if __name__ == "__main__":
    main()
