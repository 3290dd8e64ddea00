"""transformers' Trainer on its GPT-2, for throughput.py; runs in an environment of its own.

`Trainer(model, TrainingArguments(…)).train()` with the defaults of TrainingArguments: fp32, fused
AdamW, gradients clipped at 1.0, a linear schedule, no compilation. Set are only the batch, the
number of steps, bf16 where asked for, and that nothing is saved or reported. Dropout is 0 as for
every contender; GPT-2's own default of 0.1 makes it slower still.
"""

from __future__ import annotations

import argparse
import tempfile

import torch
from torch import Tensor
from torch.utils.data import Dataset
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from workload import GPT2, Run, StepClock, Workload


class RandomTokens(Dataset[dict[str, Tensor]]):
    """Sequences of random tokens, a new one for every index."""

    def __init__(self, shape: Workload, length: int) -> None:
        self._shape, self._length = shape, length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(index)
        size = (self._shape.context,)
        tokens = torch.randint(self._shape.vocabulary, size, generator=generator)
        return {"input_ids": tokens, "labels": tokens}


class Clock(TrainerCallback):
    def __init__(self, clock: StepClock) -> None:
        self._clock = clock

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **others: object,
    ) -> None:
        self._clock.step_ended()


def train(shape: Workload, warmup: int, steps: int, *, bf16: bool, dropout: float) -> Run:
    config = GPT2Config(
        vocab_size=shape.vocabulary,
        n_positions=shape.context,
        n_embd=shape.width,
        n_layer=shape.layers,
        n_head=shape.heads,
        n_inner=shape.feed_forward,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
    )
    model, clock = GPT2LMHeadModel(config), StepClock(warmup)
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=warmup + steps,
            per_device_train_batch_size=shape.batch,
            bf16=bf16,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
        )
        data = RandomTokens(shape, (warmup + steps) * shape.batch)
        Trainer(model, arguments, train_dataset=data, callbacks=[Clock(clock)]).train()
    return Run(clock.seconds, model.num_parameters(), "bf16" if bf16 else "fp32")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.0)
    options = parser.parse_args()
    run = train(GPT2, options.warmup, options.steps, bf16=options.bf16, dropout=options.dropout)
    run.report()


if __name__ == "__main__":
    main()
