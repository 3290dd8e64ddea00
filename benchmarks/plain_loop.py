"""A hand-written training loop at its best setting: the frozen reference of throughput.py.

    python benchmarks/plain_loop.py --warmup 3 --steps 10 [--attention matmul|sdpa]

One file of torch and nothing else, as one writes it for one machine: GPT-2's blocks, bf16
autocast over fp32 weights, fused AdamW, the model with its loss compiled whole. throughput.py
also tells the allocator, through the environment, to keep the memory that it has.

Attention written as two matrix products and a softmax, which the compiler fuses, beats the fused
kernel of scaled_dot_product_attention at this length. docs/benchmarks.md lists what else was tried.
A loss over chunks of the logits, kernels of one's own and 16-bit weights are no plain loop.
"""

from __future__ import annotations

import argparse
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from workload import GPT2, Run, StepClock, Workload

PEAK_RATE, LOWEST_RATE, RISING_STEPS, ALL_STEPS = 1e-3, 1e-4, 100, 10_000


class Block(nn.Module):
    def __init__(self, shape: Workload, attention: str) -> None:
        super().__init__()
        width = shape.width
        self.heads, self.attention = shape.heads, attention
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up = nn.Linear(width, shape.feed_forward)
        self.down = nn.Linear(shape.feed_forward, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [batch, length, width]; mask [length, length], 0 or -inf, added to the scores."""
        x = x + self.out(self.attend(self.qkv(self.first_norm(x)), mask))
        update: Tensor = self.down(F.gelu(self.up(self.second_norm(x)), approximate="tanh"))
        return x + update

    def attend(self, qkv: Tensor, mask: Tensor) -> Tensor:
        batch, length, _ = qkv.shape
        parts = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = parts.unbind()
        if self.attention == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]) + mask
            mixed = F.softmax(scores, dim=-1).to(v.dtype) @ v
        return mixed.transpose(1, 2).reshape(batch, length, -1)


class Model(nn.Module):
    """Tokens and the tokens that follow them to the mean loss."""

    mask: Tensor

    def __init__(self, shape: Workload, attention: str) -> None:
        super().__init__()
        self.tokens = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Embedding(shape.context, shape.width)
        self.blocks = nn.ModuleList(Block(shape, attention) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width)
        future = torch.full((shape.context, shape.context), -math.inf).triu(1)
        self.register_buffer("mask", future.bfloat16())
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        x = self.tokens(inputs) + self.positions.weight
        for block in self.blocks:
            x = block(x, self.mask)
        logits = F.linear(self.norm(x), self.tokens.weight)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def learning_rate(step: int) -> float:
    if step < RISING_STEPS:
        return PEAK_RATE * (step + 1) / RISING_STEPS
    done = (step - RISING_STEPS) / (ALL_STEPS - RISING_STEPS)
    return LOWEST_RATE + (PEAK_RATE - LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def adamw(model: Model) -> torch.optim.Optimizer:
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.95), fused=True)


def draw(data: Tensor, shape: Workload) -> tuple[Tensor, Tensor]:
    """Windows of a text and the same a token later: two of int64 [batch, context]."""
    starts = torch.randint(len(data) - shape.context - 1, (shape.batch, 1))
    windows = data[starts + torch.arange(shape.context + 1)]
    return windows[:, :-1].contiguous(), windows[:, 1:].contiguous()


def train(shape: Workload, attention: str, warmup: int, steps: int) -> Run:
    torch.manual_seed(0)
    data = torch.randint(shape.vocabulary, (1_000_000,))
    model, clock = Model(shape, attention), StepClock(warmup)
    optimizer, compiled = adamw(model), torch.compile(model)
    for step in range(warmup + steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = compiled(*draw(data, shape))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        clock.step_ended()
    return Run(clock.seconds, sum(p.numel() for p in model.parameters()), "bf16")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--attention", choices=("matmul", "sdpa"), default="matmul")
    options = parser.parse_args()
    train(GPT2, options.attention, options.warmup, options.steps).report()


if __name__ == "__main__":
    main()
