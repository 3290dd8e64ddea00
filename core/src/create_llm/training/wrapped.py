"""What distributed wrappers wrap: the model and its loss in one forward pass."""

from __future__ import annotations

from torch import nn

from create_llm.errors import PluginError
from create_llm.models.architecture import ModelOutput
from create_llm.models.objective import Batch, LossOutput, Objective


class WrappedModel(nn.Module):
    """Runs the objective inside `forward`, so that the hooks of DDP and FSDP2 see all of it."""

    def __init__(self, module: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.module = module
        self.objective = objective

    def forward(self, batch: Batch) -> LossOutput:
        output = self.module(**batch.inputs)
        if not isinstance(output, ModelOutput):
            raise PluginError(
                f"the forward of {type(self.module).__name__} returns a {type(output).__name__}; "
                "it has to return ModelOutput(hidden, head)",
                where=type(self.module).__module__,
                fixes=("see docs/plugins/architectures.md", "check it: llm plugins test NAME"),
            )
        return self.objective.loss(output, batch)
