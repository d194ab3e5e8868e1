"""Inside the sandbox: evaluate what a question asks, and say what came of it in plain data."""

import sys
from typing import Any

import plain
from cellrun import in_words


class Missing(Exception):
    """A name the notebook does not define."""


def answer(check: Any, namespace: dict[str, Any]) -> dict[str, Any]:
    """`{"value": …}`, or `{"problem": kind, "text": …}`: missing, raised, or odd (a value that may not cross)."""
    try:
        value = _evaluate(plain.decode(check, lambda key, body, inner: _Expr(key, body)), namespace, {})
    except Missing as missing:
        named = [name for name in namespace if type(name) is str and not name.startswith("_")]
        return {
            "problem": "missing",
            "text": str(missing)[:80],
            "names": [name[:80] for name in named[-200:]],
        }
    except BaseException as error:
        return {"problem": "raised", "text": in_words(error)}
    try:
        return {"value": plain.encode(value)}
    except plain.NotPlain as error:
        return {"problem": "odd", "text": str(error)[:200]}
    except BaseException as error:
        return {"problem": "odd", "text": in_words(error)}


class _Expr:
    """One expression as it crossed: evaluated only when its turn comes."""

    def __init__(self, key: str, body: Any) -> None:
        self.key, self.body = key, body


def _evaluate(value: Any, names: dict[str, Any], bound: dict[str, Any]) -> Any:
    if type(value) is list:
        return [_evaluate(item, names, bound) for item in value]
    if type(value) is tuple:
        return tuple(_evaluate(item, names, bound) for item in value)
    if type(value) is dict:
        return {key: _evaluate(item, names, bound) for key, item in value.items()}
    if type(value) is not _Expr:
        return value

    def inner(data: Any) -> Any:
        return _evaluate(plain.decode(data, lambda key, body, _: _Expr(key, body)), names, bound)

    body = value.body
    match value.key:
        case "name":
            if body in bound:
                return bound[body]
            if body not in names:
                raise Missing(body)
            return names[body]
        case "call":
            function, args, kwargs = body
            return inner(function)(*inner(args), **inner(kwargs))
        case "attr":
            return getattr(inner(body[0]), body[1])
        case "item":
            return inner(body[0])[inner(body[1])]
        case "let":
            for name, data in body[0]:
                bound = {**bound, name: inner(data)}
            return inner(body[1])
        case "try":
            try:
                value = inner(body)
                plain.encode(value)
            except BaseException:
                return None
            return value
        case "tensor":
            return _torch().from_numpy(inner(body[0])).requires_grad_(body[1])
        case "generator":
            return _torch().Generator().manual_seed(body)
        case "grads":
            return _grads(inner(body[0]), inner(body[1]), inner(body[2]))
    raise ValueError(f"unknown expression {value.key}")


def _grads(loss: Any, wrt: dict[str, Any], weight: Any) -> dict[str, Any]:
    """The gradient of sum(loss * weight) with respect to each tensor; None where none reaches it."""
    torch = _torch()
    if not isinstance(loss, torch.Tensor):
        raise TypeError(f"expected a tensor to take the gradient of, got {type(loss).__name__}")
    if not loss.requires_grad:
        return dict.fromkeys(wrt)
    total = loss.sum() if weight is None else (loss * weight).sum()
    grads = torch.autograd.grad(total, list(wrt.values()), allow_unused=True)
    return dict(zip(wrt, grads, strict=True))


def _torch() -> Any:
    import torch

    return sys.modules.get("torch", torch)
