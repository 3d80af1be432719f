"""Optimizers: torch.optim's, each with its options and torch's defaults (sgd's lr of 0.01 is Keras's).

Every rule is elementwise, so the update of a stacked parameter [R, ...] is that of its R slices, to the bit. No rule
may use a norm over a parameter, because that would mix the replicas.
"""

# Microseconds an update of an LSTM's parameters in one tensor (H 50, one core): adam 67, fused 35; sgd 22, fused 27;
# rmsprop 50. The fused CPU kernels round the last few elements of a tensor differently from the others, and so keep the
# property above only where every row is a whole number of vectors, as `flat.Layout` makes it. sgd gains nothing and is
# not fused.

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, model_validator

from rnnlab.parts import Part, Table, table
from rnnlab.torch_optim import eager, fused_step, sgd_step, whole_step

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer


LARGEST = 1e9
"""Largest value of options that torch multiplies with float32 weights; beyond 1e38 torch raises an error of its own."""


class OptimizerPart(Part):
    """A rule that turns gradients into an update of the parameters."""

    lr: float = Field(default=1e-3, gt=0, le=LARGEST, description="Learning rate.")
    weight_decay: float = Field(
        default=0.0, ge=0, le=LARGEST, description="L2 penalty, added to the gradient as weight_decay * W."
    )

    def build(self, parameters: list[Tensor]) -> Optimizer:
        """The torch optimizer of these parameters: rows [R, P] of replicas, P as `flat.Layout` has it."""
        raise NotImplementedError

    def step(self, optimizer: Optimizer, rows: Tensor, gradients: Tensor) -> None:
        """One update of the rows [R, P] that the optimizer was built with, alone."""
        whole_step(optimizer, rows, gradients)


class Sgd(OptimizerPart):
    """Stochastic gradient descent, with momentum where asked.

    v <- momentum * v + g,  W <- W - lr * v; with nesterov W <- W - lr * (g + momentum * v).

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = Sgd(lr=0.1).build([W])
    >>> W.grad = torch.tensor([[1.0, -1.0]])
    >>> optimizer.step()
    >>> W
    tensor([[0.9000, 2.1000]])
    """

    source = (
        "Robbins and Monro, A stochastic approximation method, 1951, doi:10.1214/aoms/1177729586; "
        "momentum: Sutskever, Martens, Dahl and Hinton, On the importance of initialization and momentum in deep "
        "learning, 2013, https://proceedings.mlr.press/v28/sutskever13.html"
    )

    name: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.01, gt=0, le=LARGEST, description="Learning rate.")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="Share of the last update's direction that is kept.")
    nesterov: bool = Field(default=False, description="Nesterov's form of momentum.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0")
        return self

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import SGD

        return eager(SGD)(
            parameters, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov, weight_decay=self.weight_decay
        )

    def step(self, optimizer: Optimizer, rows: Tensor, gradients: Tensor) -> None:
        sgd_step(optimizer, rows, gradients)


class _Moments(OptimizerPart):
    beta1: float = Field(default=0.9, ge=0, lt=1, description="Decay of the running mean of the gradient.")
    beta2: float = Field(default=0.999, ge=0, lt=1, description="Decay of the running mean of its square.")
    eps: float = Field(
        default=1e-8, gt=0, le=LARGEST, description="Added to the root of the mean square; Keras has 1e-7."
    )
    amsgrad: bool = Field(default=False, description="Divide by the largest mean square so far (Reddi et al. 2018).")

    def _options(self) -> dict[str, Any]:
        """The options by the names that torch has for them."""
        options = {name: getattr(self, name) for name in ("lr", "eps", "weight_decay", "amsgrad")}
        return options | {"betas": (self.beta1, self.beta2), "fused": True}

    def step(self, optimizer: Optimizer, rows: Tensor, gradients: Tensor) -> None:
        fused_step(optimizer, rows, gradients)


class Adam(_Moments):
    """Adam: momentum, divided by the root of the running mean square.

    m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,
    W <- W - lr * (m / (1 - beta1^k)) / (sqrt(v / (1 - beta2^k)) + eps) at update k.

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = Adam(lr=0.1).build([W])
    >>> W.grad = torch.tensor([[1.0, -1.0]])
    >>> optimizer.step()
    >>> W
    tensor([[0.9000, 2.1000]])
    """

    source = (
        "Kingma and Ba, Adam: a method for stochastic optimization, 2015, arXiv:1412.6980; "
        "amsgrad: Reddi, Kale and Kumar, On the convergence of Adam and beyond, 2018, arXiv:1904.09237"
    )

    name: Literal["adam"] = "adam"

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import Adam as TorchAdam

        return eager(TorchAdam)(parameters, **self._options())


class AdamW(_Moments):
    """Adam with weight decay kept out of the gradient.

    W <- (1 - lr * weight_decay) W, then as adam.

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = AdamW(lr=0.1, weight_decay=0.5).build([W])
    >>> W.grad = torch.tensor([[1.0, -1.0]])
    >>> optimizer.step()
    >>> W
    tensor([[0.8500, 2.0000]])
    """

    source = "Loshchilov and Hutter, Decoupled weight decay regularization, 2019, arXiv:1711.05101"

    name: Literal["adamw"] = "adamw"
    weight_decay: float = Field(
        default=0.01, ge=0, le=LARGEST, description="Share of the weights, times lr, lost at each update."
    )

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import AdamW as TorchAdamW

        return eager(TorchAdamW)(parameters, **self._options())


class Rmsprop(OptimizerPart):
    """RMSprop: the gradient divided by the root of its running mean square.

    v <- alpha v + (1 - alpha) g^2,  W <- W - lr * g / (sqrt(v) + eps); centered takes the squared mean of g from v.

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = Rmsprop(lr=0.01).build([W])
    >>> W.grad = torch.tensor([[1.0, -1.0]])
    >>> optimizer.step()
    >>> W
    tensor([[0.9000, 2.1000]])
    """

    source = (
        "Tieleman and Hinton, Neural networks for machine learning, lecture 6, 2012; "
        "centered: Graves, Generating sequences with recurrent neural networks, 2013, arXiv:1308.0850"
    )

    name: Literal["rmsprop"] = "rmsprop"
    lr: float = Field(default=0.01, gt=0, le=LARGEST, description="Learning rate; Keras has 0.001.")
    alpha: float = Field(default=0.99, ge=0, lt=1, description="Decay of the mean square; Keras has 0.9.")
    eps: float = Field(
        default=1e-8, gt=0, le=LARGEST, description="Added to the root of the mean square; Keras has 1e-7."
    )
    momentum: float = Field(default=0.0, ge=0, lt=1, description="Share of the last update's direction that is kept.")
    centered: bool = Field(default=False, description="Divide by the standard deviation, not the root mean square.")

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import RMSprop

        return eager(RMSprop)(
            parameters,
            lr=self.lr,
            alpha=self.alpha,
            eps=self.eps,
            momentum=self.momentum,
            centered=self.centered,
            weight_decay=self.weight_decay,
        )


class Adagrad(OptimizerPart):
    """Adagrad: the gradient divided by the root of the sum of its squares so far.

    s <- s + g^2,  W <- W - lr * g / (sqrt(s) + eps).

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = Adagrad(lr=0.1).build([W])
    >>> W.grad = torch.tensor([[1.0, -1.0]])
    >>> optimizer.step()
    >>> W
    tensor([[0.9000, 2.1000]])
    """

    source = (
        "Duchi, Hazan and Singer, Adaptive subgradient methods for online learning and stochastic optimization, 2011, "
        "https://jmlr.org/papers/v12/duchi11a.html"
    )

    name: Literal["adagrad"] = "adagrad"
    lr: float = Field(default=0.01, gt=0, le=LARGEST, description="Learning rate.")
    eps: float = Field(default=1e-10, gt=0, le=LARGEST, description="Added to the root of the sum.")

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import Adagrad as TorchAdagrad

        return eager(TorchAdagrad)(parameters, lr=self.lr, eps=self.eps, weight_decay=self.weight_decay)


class Adadelta(OptimizerPart):
    """Adadelta: as rmsprop, with the running mean square of the updates in place of a learning rate.

    v <- rho v + (1 - rho) g^2,  d = g * sqrt(u + eps) / sqrt(v + eps),  u <- rho u + (1 - rho) d^2,  W <- W - lr * d.

    >>> import torch
    >>> W = torch.tensor([[1.0, 2.0]])
    >>> optimizer = Adadelta().build([W])
    >>> W.grad = torch.tensor([[1.0, -1.0]])
    >>> optimizer.step()
    >>> W
    tensor([[0.9968, 2.0032]])
    """

    source = "Zeiler, ADADELTA: an adaptive learning rate method, 2012, arXiv:1212.5701"

    name: Literal["adadelta"] = "adadelta"
    lr: float = Field(default=1.0, gt=0, le=LARGEST, description="Factor on the update; 1 is the paper's.")
    rho: float = Field(default=0.9, ge=0, lt=1, description="Decay of both mean squares.")
    eps: float = Field(
        default=1e-6, gt=0, le=LARGEST, description="Added to both mean squares; sets the size of the first updates."
    )

    def build(self, parameters: list[Tensor]) -> Optimizer:
        from torch.optim import Adadelta as TorchAdadelta

        return eager(TorchAdadelta)(parameters, lr=self.lr, rho=self.rho, eps=self.eps, weight_decay=self.weight_decay)


OPTIMIZERS: Table[OptimizerPart] = table(Sgd, Adam, AdamW, Rmsprop, Adagrad, Adadelta)
