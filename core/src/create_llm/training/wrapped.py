"""What distributed wrappers wrap: the model and its loss in one forward pass."""

from __future__ import annotations

from torch import nn

from create_llm.models.objective import Batch, LossOutput, Objective


class WrappedModel(nn.Module):
    """Runs the objective inside `forward`, so that the hooks of DDP and FSDP2 see all of it."""

    def __init__(self, module: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.module = module
        self.objective = objective

    def forward(self, batch: Batch) -> LossOutput:
        return self.objective.loss(self.module(**batch.inputs), batch)
