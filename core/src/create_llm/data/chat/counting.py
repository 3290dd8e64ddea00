"""What is added to a template so that the sandbox can count what it does."""

from __future__ import annotations

from typing import TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.visitor import NodeTransformer

from create_llm.data.chat.sizes import LARGEST

_SHORT = 64
"""Characters of a text, or items of a list, that are compared with anything in no time."""

_Repeated = TypeVar("_Repeated", nodes.For, nodes.Macro, nodes.CallBlock)


class Counting(NodeTransformer):
    """Has the environment count what a template does, and refuses large numbers in it.

    The environment has `turn`, `joined`, `weighed`, `looked_through` and `passed`.
    """

    def visit_For(self, node: nodes.For) -> nodes.For:
        if node.test is not None:  # what it leaves out takes no turn
            passed = _call("passed", [], node.lineno)
            node.test = nodes.And(passed, node.test, lineno=node.lineno)
        return self._counted(node)

    def visit_Macro(self, node: nodes.Macro) -> nodes.Macro:
        return self._counted(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.CallBlock:
        return self._counted(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _call("joined", node.nodes, node.lineno)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        # A slice is a copy; Jinja has it made by Python itself.
        is_slice = isinstance(node.arg, nodes.Slice)
        return _call("weighed", [node], node.lineno) if is_slice else node

    def visit_Const(self, node: nodes.Const) -> nodes.Const:
        if isinstance(node.value, int) and abs(node.value) > LARGEST:
            raise TemplateSyntaxError(f"the number {node.value} is too large", node.lineno)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        """Of what is compared, what may be long; a comparison with something short is soon over,
        unless that is looked for in something long."""
        self.generic_visit(node)
        sought = any(operand.op in ("in", "notin") for operand in node.ops)
        if sought or not any(map(_is_short, (node.expr, *(o.expr for o in node.ops)))):
            node.expr = _looked_through(node.expr)
            for operand in node.ops:
                operand.expr = _looked_through(operand.expr)
        return node

    def _counted(self, node: _Repeated) -> _Repeated:
        self.generic_visit(node)
        text = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
        turn = _call("turn", [nodes.Const(text, lineno=node.lineno)], node.lineno)
        node.body.insert(0, nodes.ExprStmt(turn, lineno=node.lineno))
        return node


def _call(method: str, arguments: list[nodes.Expr], line: int) -> nodes.Call:
    target = nodes.EnvironmentAttribute(method, lineno=line)
    return nodes.Call(target, arguments, [], None, None, lineno=line)


def _looked_through(node: nodes.Expr) -> nodes.Expr:
    return node if _is_short(node) else _call("looked_through", [node], node.lineno)


def _is_short(node: nodes.Expr) -> bool:
    """Whether the template itself says it, in a few signs."""
    if isinstance(node, (nodes.List, nodes.Tuple)):
        return len(node.items) <= _SHORT and all(map(_is_short, node.items))
    if not isinstance(node, nodes.Const):
        return False
    return not isinstance(node.value, str) or len(node.value) <= _SHORT
