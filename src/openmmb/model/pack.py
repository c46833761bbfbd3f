"""Linear layers made ready for inference: the one place where another kind of product comes in.

Sizes: N outputs, K inputs.
"""

import torch
from torch import Tensor, nn

from openmmb.model.seq2seq import Seq2Seq

ROWS = 10
"""Rows that the layout is chosen for: the beams of one reply. With more rows it is as quick as an
unpacked weight, or quicker."""


class PackedLinear(nn.Module):
    """A linear layer whose weight lies as oneDNN's kernels read it.

    A plain product lays the weight out anew at every call, which for the few rows of a search
    takes longer than the product itself. The result is that of ``nn.Linear`` but for the order of
    its sums. There is no gradient.

    Args:
        weight: (N, K), on the CPU.
        bias: (N,), or None.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        super().__init__()
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.register_buffer("weight", packed, persistent=False)
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., K) -> (..., N)."""
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self.weight, self.bias, "none", [], ""
        )
        return product


def can_pack(model: Seq2Seq) -> bool:
    """Whether there are such kernels here, for where the weights are and how precise they are."""
    weight = model.embeddings.weight
    packable = weight.dtype in (torch.float32, torch.bfloat16) and weight.device.type == "cpu"
    return packable and torch._C._has_mkldnn


def pack(model: Seq2Seq) -> None:
    """Pack every linear layer and the output of ``model`` for inference, where that can be done.

    Afterwards the model can neither learn nor be saved, copied or moved. Weights are packed one
    by one, so memory never holds them twice; the embeddings, which are input and output, are
    kept in both forms.
    """
    if not can_pack(model):
        return
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Linear):
                setattr(module, name, PackedLinear(child.weight, child.bias))
    model.head = PackedLinear(model.embeddings.weight)
