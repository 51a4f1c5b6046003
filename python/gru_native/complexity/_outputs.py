"""The network that feeds back its output."""

from __future__ import annotations

from dataclasses import dataclass

from ..layers import OutputRNN
from ._cells import activation
from ._extent import Extent
from ._roofline import Weights
from ._work import Passes, Product, Tensor, Work, ops, times


@dataclass(frozen=True)
class OutputRecurrence:
    """A layer as it is counted."""

    input_size: int
    hidden_size: int
    output_size: int
    bias: bool
    activation: str
    output_activation: str

    @classmethod
    def of(cls, layer: OutputRNN) -> OutputRecurrence:
        return cls(
            layer.input_size,
            layer.hidden_size,
            layer.output_size,
            layer.bias,
            layer.activation,
            layer.output_activation,
        )

    @property
    def width(self) -> int:
        """Columns of the output."""
        return self.output_size

    def tensors(self) -> list[Tensor]:
        """All weights, in the order of ``layer.weights``."""
        w, n, out = self.input_size, self.hidden_size, self.output_size
        all_tensors = [
            Tensor("weight_ih", (n, w), "input"),
            Tensor("weight_oh", (n, out), "recurrent"),
            Tensor("bias_h", (n,), "bias"),
            Tensor("weight_ho", (out, n), "output"),
            Tensor("bias_o", (out,), "bias"),
        ]
        return [t for t in all_tensors if self.bias or t.role != "bias"]

    def passes(self, extent: Extent, *, taught: bool = False) -> Passes:
        """The work of one call; no step is spared. ``taught``: with targets."""
        w, n, out, rows = self.input_size, self.hidden_size, self.output_size, extent.rows
        shapes = {"input": (n, w), "recurrent": (n, out), "output": (out, n)}
        products = tuple(Product(role, a, b, rows) for role, (a, b) in shapes.items())
        back = tuple(Product(role, b, a, rows) for role, (a, b) in shapes.items())
        phi, psi = self.activation, self.output_activation
        # What a step was fed goes back to the output before, if that was the network's own.
        fed_back = 0 if taught else rows - extent.rows_at_first_step(reverse=False)
        return Passes(
            Work(
                products,
                times(rows * n, activation(phi).forward)
                + times(rows * out, activation(psi).forward),
            ),
            Work(
                back,
                times(rows * n, activation(phi).backward)
                + times(rows * out, activation(psi).backward)
                + ops(add=fed_back * out),
            ),
            Work(products, ops(add=rows * (n + out) if self.bias else 0)),
        )

    def reads(self) -> list[Weights]:
        """W_ih, for all steps at once, and what every step needs."""
        n, out = self.hidden_size, self.output_size
        return [Weights(n * self.input_size, 2 * n * out)]

    def kept(self, extent: Extent) -> dict[str, int]:
        """Numbers that a tape holds for backward, without padding."""
        return {
            "inputs": extent.rows * self.input_size,
            "fed": extent.rows * self.output_size,
            "h": extent.rows * self.hidden_size,
            "outputs": extent.rows * self.output_size,
        }

    def state_numbers(self, batch: int) -> int:
        """Numbers that go from step to step."""
        return batch * self.output_size
