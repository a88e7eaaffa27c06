"""A model's signature in words."""

from trihull_runtime.contract.manifest import Signature


def tensors(signature: Signature | None) -> dict[str, str]:
    """Return `input NAME` or `output NAME` -> its datatype and shape; a free size is `?`."""
    if signature is None:
        return {}
    sides = (("input", signature.inputs), ("output", signature.outputs))
    return {
        f"{side} {one.name}": f"{one.datatype} [{', '.join('?' if size < 0 else str(size) for size in one.shape)}]"
        for side, found in sides
        for one in found
    }
