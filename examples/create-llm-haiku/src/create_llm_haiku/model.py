"""An architecture: gated convolutions (Dauphin et al. 2016, arXiv 1612.08083)."""

from torch import Tensor, nn

from create_llm.models.architecture import CausalLM, ModelOutput
from create_llm_haiku.config import GatedConvConfig


class Layer(nn.Module):
    def __init__(self, config: GatedConvConfig) -> None:
        super().__init__()
        self.before = config.kernel - 1
        self.norm = nn.LayerNorm(config.dim)
        self.conv = nn.Conv1d(config.dim, 2 * config.dim, config.kernel)

    def forward(self, x: Tensor) -> Tensor:  # [batch, length, dim] to the same
        past = nn.functional.pad(self.norm(x).mT, (self.before, 0))  # none sees a later one
        return x + nn.functional.glu(self.conv(past), dim=1).mT


class GatedConvModel(nn.Module):
    def __init__(self, config: GatedConvConfig, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.head = nn.Linear(config.dim, vocab_size)

    def forward(self, tokens: Tensor) -> ModelOutput:  # int64 [batch, length]
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return ModelOutput(x, self.head)


class GatedConv(CausalLM):
    config_class = GatedConvConfig

    def build(self, config: GatedConvConfig, vocab_size: int) -> nn.Module:
        return GatedConvModel(config, vocab_size)
