"""Weights into a module, with words for when they do not fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from create_llm.errors import DataError

_NAMED = 3


class Undrawn(TorchFunctionMode):
    """Modules built under it leave out their random initialisation, which takes a good part of a
    second for a hundred million parameters, where weights are loaded next."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        given = dict(kwargs or {})
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def load_weights(module: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy a state dict into a module.

    Raises:
        DataError: the module has other parameters, which is so where the code of its
            architecture has changed since the weights were written.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    stored = {name: tuple(tensor.shape) for name, tensor in state.items()}
    differ = sorted(n for n in wanted.keys() | stored.keys() if wanted.get(n) != stored.get(n))
    if differ:
        told = "; ".join(_difference(name, wanted, stored) for name in differ[:_NAMED])
        more = f"; and {len(differ) - _NAMED} more" if len(differ) > _NAMED else ""
        raise DataError(
            f"these weights do not fit the architecture as it is now: {told}{more}",
            where=where,
            fixes=(
                "train a new model with it: llm train --resume never",
                "or take back what changed in the architecture since they were written",
            ),
        )
    module.load_state_dict(state)


def _difference(
    name: str, wanted: Mapping[str, tuple[int, ...]], stored: Mapping[str, tuple[int, ...]]
) -> str:
    if name not in stored:
        return f"{name} is missing"
    if name not in wanted:
        return f"{name} has no place"
    return f"{name} is {list(stored[name])}, not {list(wanted[name])}"
