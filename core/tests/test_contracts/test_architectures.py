"""The contract of architectures against planted faults."""

from __future__ import annotations

import copy

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from create_llm.models.architecture import Architecture, CausalLM, ModelOutput, ParamGroups
from create_llm.testing import ArchitectureContract


class Config(BaseModel):
    model_config = ConfigDict(extra="forbid")

    max_length: int = Field(12, description="The longest sequence.")
    dim: int = Field(48, description="The width.")


class Block(nn.Module):
    """Mixes each place with the mean of those up to it."""

    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mix = nn.Linear(dim, dim, bias=False)
        self.up = nn.Linear(dim, 2 * dim, bias=False)
        self.down = nn.Linear(2 * dim, dim, bias=False)

    def past(self, x):
        counts = torch.arange(1, x.shape[1] + 1, dtype=x.dtype)
        return x.cumsum(1) / counts[:, None]

    def forward(self, x):
        x = x + self.mix(self.past(self.norm(x)))
        return x + self.down(torch.tanh(self.up(x)))


class Net(nn.Module):
    def __init__(self, config, vocab_size, block=Block):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.dim)
        self.layers = nn.ModuleList(block(config.dim) for _ in range(2))
        self.head = nn.Linear(config.dim, vocab_size, bias=False)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return ModelOutput(x, self.head)


class Sound(CausalLM):
    """A sound architecture."""

    config_class = Config
    net = Net
    block = Block

    def build(self, config, vocab_size):
        return self.net(config, vocab_size, self.block)

    def init(self, module, seed):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                if parameter.ndim < 2:
                    parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                else:
                    values = torch.empty(parameter.shape).normal_(0, 0.15, generator=generator)
                    parameter.copy_(values)


def test_a_sound_architecture_passes(failures):
    assert failures(ArchitectureContract, Sound, Config) == set()


def test_looking_ahead_is_caught(failures):
    class Ahead(Block):
        def past(self, x):
            return x.mean(1, keepdim=True).expand_as(x)

    class Looks(Sound):
        block = Ahead

    # A prefix has no future, so that piece by piece it also gives other logits.
    found = failures(ArchitectureContract, Looks, Config)
    assert found == {"causal", "cached_equals_uncached"}


def test_looking_ahead_by_one_is_caught_where_nothing_is_generated(failures):
    class Ahead(Block):
        def past(self, x):
            return super().past(x) + 0.1 * x.roll(-1, 1)

    class Looks(Architecture):
        config_class = Config
        capabilities = frozenset({"causal"})
        default_objective = "causal"
        init = Sound.init

        def build(self, config, vocab_size):
            return Net(config, vocab_size, Ahead)

    assert failures(ArchitectureContract, Looks, Config) == {"causal"}


def test_reading_only_the_last_token_is_caught(failures):
    class Blind(Block):
        def past(self, x):
            return x

    class Bigram(Sound):
        block = Blind

    found = failures(ArchitectureContract, Bigram, Config)
    assert "reads_every_token" in found
    assert found <= {"reads_every_token", "overfits_one_batch"}


def test_a_sequence_that_sees_its_neighbours_is_caught(failures):
    class Leaks(Block):
        def forward(self, x):
            return super().forward(x) + 0.1 * x.mean(0)

    class Batchwise(Sound):
        block = Leaks

    assert failures(ArchitectureContract, Batchwise, Config) == {"rows_do_not_see_each_other"}


def test_a_parameter_that_nothing_trains_is_caught(failures):
    class Idle(Block):
        def __init__(self, dim):
            super().__init__(dim)
            self.idle = nn.Linear(dim, dim, bias=False)

    class Carries(Sound):
        block = Idle

        def flops(self, config, vocab_size, length):
            return 1e9

    found = failures(ArchitectureContract, Carries, Config)
    assert found == {"gradients_reach_every_parameter"}


def test_a_detached_branch_is_caught(failures):
    class Detached(Block):
        def forward(self, x):
            return x + self.mix(self.past(self.norm(x))).detach() + self.down(self.up(x).tanh())

    class Cuts(Sound):
        block = Detached

    found = failures(ArchitectureContract, Cuts, Config)
    assert "gradients_reach_every_parameter" in found
    assert found <= {"gradients_reach_every_parameter", "overfits_one_batch"}


def test_allocating_on_the_meta_device_is_caught(failures):
    class Placed(Block):
        def __init__(self, dim):
            super().__init__(dim)
            self.norm.weight = nn.Parameter(torch.ones(dim, device="cpu"))

    class Allocates(Sound):
        block = Placed

    assert failures(ArchitectureContract, Allocates, Config) == {"builds_on_the_meta_device"}


def test_leaving_parameters_unset_is_caught(failures):
    class Leaves(Sound):
        def init(self, module, seed):
            kept = {n: p.clone() for n, p in module.named_parameters() if p.ndim < 2}
            CausalLM.init(self, module, seed)
            module.load_state_dict(kept, strict=False)  # the vectors stay as they were allocated
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.mul_(8.0 if parameter.ndim >= 2 else 1.0)

    assert failures(ArchitectureContract, Leaves, Config) == {"init_fills_everything"}


def test_a_table_that_only_the_constructor_fills_is_caught(failures):
    class Tabled(Block):
        def __init__(self, dim):
            super().__init__(dim)
            self.register_buffer("table", torch.ones(dim), persistent=False)

        def forward(self, x):
            return super().forward(x * self.table)

    class Stale(Sound):
        block = Tabled

    assert failures(ArchitectureContract, Stale, Config) == {"init_fills_everything"}


def test_drawing_from_the_global_generator_is_caught(failures):
    class Global(Sound):
        def init(self, module, seed):
            super().init(module, int(torch.randint(0, 2**31, ())))

    assert failures(ArchitectureContract, Global, Config) == {"init_is_a_function_of_the_seed"}


def test_ignoring_the_seed_is_caught(failures):
    class Fixed(Sound):
        def init(self, module, seed):
            super().init(module, 0)

    assert failures(ArchitectureContract, Fixed, Config) == {"init_is_a_function_of_the_seed"}


def test_being_unable_to_learn_is_caught(failures):
    class Faint(Net):
        def forward(self, tokens):
            output = super().forward(tokens)
            return ModelOutput(torch.tanh(output.hidden) * 1e-3, output.head)

    class Cannot(Sound):
        net = Faint

    assert failures(ArchitectureContract, Cannot, Config) == {"overfits_one_batch"}


def test_forgetting_what_is_cached_is_caught(failures):
    class Forgets(Sound):
        def decode(self, module, tokens, cache):
            super().decode(module, tokens, cache)
            output = module(tokens)
            return output.head(output.hidden[:, -1])

    assert failures(ArchitectureContract, Forgets, Config) == {"cached_equals_uncached"}


def test_rounding_on_the_way_to_disk_is_caught(failures):
    class Rounds(Sound):
        def to_hf(self, config, vocab_size, state):
            hf, tensors = super().to_hf(config, vocab_size, state)
            return hf, {name: tensor.bfloat16() for name, tensor in tensors.items()}

        def from_hf(self, hf_config, tensors):
            return super().from_hf(hf_config, {n: tensor.float() for n, tensor in tensors.items()})

    assert failures(ArchitectureContract, Rounds, Config) == {"hugging_face_form_and_back"}


def test_swapping_matrices_on_the_way_back_is_caught(failures):
    class Swaps(Sound):
        def from_hf(self, hf_config, tensors):
            config, size, state = super().from_hf(hf_config, tensors)
            state["embedding.weight"], state["head.weight"] = (
                state["head.weight"],
                state["embedding.weight"],
            )
            return config, size, state

    assert failures(ArchitectureContract, Swaps, Config) == {"hugging_face_form_and_back"}


def test_a_config_that_is_no_json_is_caught(failures):
    class Objects(Sound):
        def to_hf(self, config, vocab_size, state):
            hf, tensors = super().to_hf(config, vocab_size, state)
            return {**hf, "torch_dtype": torch.float32}, tensors

    assert failures(ArchitectureContract, Objects, Config) == {"safetensors_and_back"}


def test_a_parameter_in_two_groups_is_caught(failures):
    class Twice(Sound):
        def param_groups(self, module):
            groups = super().param_groups(module)
            return ParamGroups(groups.matrices, groups.embeddings, (*groups.norms, groups.norms[0]))

    assert failures(ArchitectureContract, Twice, Config) == {"param_groups_divide_the_parameters"}


def test_blocks_that_are_copies_are_caught(failures):
    class Copies(Sound):
        def blocks(self, module):
            return copy.deepcopy(super().blocks(module))

    assert failures(ArchitectureContract, Copies, Config) == {"blocks_are_parts_of_the_module"}


def test_a_plan_that_is_too_low_is_caught(failures):
    class Low(Sound):
        def flops(self, config, vocab_size, length):
            return super().flops(config, vocab_size, length) / 3  # forgets the backward pass

    assert failures(ArchitectureContract, Low, Config) == {"estimates_are_sensible"}


def test_logits_of_the_last_place_only_are_caught(failures):
    class Last(Net):
        def forward(self, tokens):
            output = super().forward(tokens)
            return ModelOutput(output.hidden[:, -1:], self.head)

    class Cuts(Sound):
        net = Last

    assert "shapes" in failures(ArchitectureContract, Cuts, Config)


def test_an_unknown_capability_is_caught(failures):
    class Flies(Sound):
        capabilities = frozenset({"causal", "generate", "flies"})

    assert failures(ArchitectureContract, Flies, Config) == {"says_what_it_can"}


def test_generating_by_claim_alone_is_caught(failures):
    class Silent(Sound):
        capabilities = frozenset({"causal"})

    assert failures(ArchitectureContract, Silent, Config) == {"says_what_it_can"}


LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 61,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}


class Claims(Sound):
    """Says that it is a Llama, and keeps its own tensors beside so that it can be read back."""

    def to_hf(self, config, vocab_size, state):
        return LLAMA, dict(state)

    def from_hf(self, hf_config, tensors):
        return Config(), 61, {name: tensors[name] for name in tensors if "model." not in name}


def test_a_form_whose_tensors_transformers_does_not_find_is_caught(failures):
    assert failures(ArchitectureContract, Claims, Config) == {"equal_logits_in_transformers"}


def test_a_form_that_transformers_computes_otherwise_is_caught(failures):
    import transformers

    class Renames(Claims):
        def to_hf(self, config, vocab_size, state):
            torch.manual_seed(3)
            theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(**LLAMA)).state_dict()
            return LLAMA, theirs

    assert "equal_logits_in_transformers" in failures(ArchitectureContract, Renames, Config)


def test_looking_ahead_while_training_is_caught(failures):
    class Ahead(Block):
        def past(self, x):
            return super().past(x) + (0.1 * x.roll(-1, 1) if self.training else 0.0)

    class Looks(Sound):
        block = Ahead

    assert failures(ArchitectureContract, Looks, Config) == {"causal"}


def test_looking_ahead_in_long_texts_is_caught(failures):
    class Long(BaseModel):
        model_config = ConfigDict(extra="forbid")
        max_length: int = Field(40, description="Tokens at once.")
        width: int = Field(24, description="Width.")

    class Ahead(Block):
        def past(self, x):
            return super().past(x) + (0.1 * x.roll(-1, 1) if x.shape[1] > 20 else 0.0)

    class Looks(Sound):
        config_class = Long
        block = Ahead

    assert "causal" in failures(ArchitectureContract, Looks, Long)
