"""The kinds of SAE: for each, its equation, how its weights are rescaled, and how it is trained.

With z = (x - centre) @ W_enc + b_enc, every kind gives activations f of 0 or more and
x_hat = f @ W_dec + b_dec; the centre is b_dec, or a transcoder's b_in. The losses below write R for
the reconstruction error (`SAEConfig`), mean_i for a mean over residues, and `sparsity` for the
term's weight at a step.

To add a kind, write a class and put it in `ARCHITECTURES`; give it a recipe in `config`, and say in
`exporters` whether other projects' formats have it. Importing this module does not import torch.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from interplm_nb.sae.weights import Terms, Weights

if TYPE_CHECKING:
    from torch import Tensor

    from interplm_nb.sae.training.choice import DenseCode, Entries, Kept
    from interplm_nb.sae.training.distributed import World
    from interplm_nb.sae.training.reconstruct import Reconstruction


@dataclass(frozen=True)
class OwnWeight:
    """A weight [d_sae] that only some architectures have."""

    first: float = 0.0
    """Its value when training starts, and when a dead feature starts again."""
    trained: bool = True
    """Does it get gradients?"""
    minimum: float | None = None
    """It is clamped to this after each step."""


@dataclass(frozen=True)
class Architecture(ABC):
    """One kind of SAE. Methods take the SAE whose architecture this is."""

    name: ClassVar[str]
    own_weights: ClassVar[Mapping[str, OwnWeight]] = {}
    has_sparsity_term: ClassVar[bool] = True
    """False where the number of active features is given."""
    fires_by: ClassVar[str] = "b_enc"
    """The bias b for which a feature is active only where (x - centre) @ W_enc + b is large."""

    @property
    def calibrated_k(self) -> int | None:
        """Mean active features per residue for which `threshold` is calibrated after training; None
        where nothing is calibrated."""
        return None

    def check_size(self, d_sae: int) -> None:
        """Refuse a number of features that does not fit (ValueError)."""
        if d_sae < 1:
            raise ValueError(f"d_sae must be at least 1; got {d_sae}")

    def record(self) -> dict[str, Any]:
        """A JSON record, such as {"name": "topk", "k": 32}."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {"name": self.name, **values}

    @abstractmethod
    def sparsity_label(self, terms: Terms) -> str:
        """The setting that decides how sparse it is: "k32", "l0.1" or "t32"."""

    def pre_activation(
        self, sae: Weights, x: "Tensor", features: "Tensor | None" = None
    ) -> "Tensor":
        """z [..., d_sae], or [..., n] for `features` (int64 [n])."""
        flat = (x - sae.centre).reshape(-1, x.shape[-1])
        z = _of(sae.b_enc, features).addmm(flat, _columns(sae.W_enc, features))
        return z.reshape(*x.shape[:-1], z.shape[-1])

    @abstractmethod
    def encode(self, sae: Weights, x: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """f [..., d_sae], or its columns `features`."""

    def choice(self, sae: Weights, x: "Tensor") -> "tuple[Tensor, Tensor] | None":
        """Values (0 or more) and features, both [..., n], that hold all non-zero activations; None
        where only a dense code has them."""
        return None

    @abstractmethod
    def rescale(self, sae: Weights, scale: "Tensor") -> None:
        """Make f into f * scale (scale [d_sae], above 0), in place; W_dec does not change."""

    def silence(self, sae: Weights, features: "Tensor") -> None:
        """Make features (bool [d_sae]) 0 everywhere, in place."""
        sae.W_enc[:, features] = 0
        for name in ("b_enc", *self.own_weights):
            getattr(sae, name)[features] = 0

    def shifted(self, weights: "Mapping[str, Tensor]", shift: "Tensor") -> "dict[str, Tensor]":
        """The weights that change so that `shift` [d_sae] is added to (x - centre) @ W_enc."""
        return {"b_enc": weights["b_enc"] + shift}

    @abstractmethod
    def training_pass(
        self, sae: Weights, x: "Tensor", target: "Tensor", terms: Terms, world: "World"
    ) -> "Reconstruction":
        """The forward pass on a batch x [B, d_in], differentiable in the weights, with the parts
        that the loss has besides R. `target` [B, d_out]: what x_hat is compared to."""


class _Elementwise(Architecture):
    """Each activation depends only on its own z."""

    @abstractmethod
    def activated(self, sae: Weights, z: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """f from `pre_activation`."""

    def encode(self, sae: Weights, x: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """f [..., d_sae], or its columns `features`: `activated` of `pre_activation`."""
        return self.activated(sae, self.pre_activation(sae, x, features), features)

    def rescale(self, sae: Weights, scale: "Tensor") -> None:
        """W_enc and b_enc are scaled, and z with them."""
        sae.W_enc.mul_(scale)
        sae.b_enc.mul_(scale)


class _Thresholded(_Elementwise):
    """f = z where z > theta, 0 elsewhere; theta of 0 or more is the weight `threshold`."""

    def activated(self, sae: Weights, z: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """z where it is above the threshold, 0 elsewhere."""
        return z.where(z > _of(sae.threshold, features), 0).relu()

    def rescale(self, sae: Weights, scale: "Tensor") -> None:
        """The threshold is scaled like z."""
        super().rescale(sae, scale)
        sae.threshold.mul_(scale)


class _Listed(Architecture):
    """The kept z of a batch can be listed, and training runs over the list (`training.reconstruct`)
    instead of over a dense code."""

    def prefix_sizes(self, d_sae: int) -> tuple[int, ...]:
        """Numbers of first features, ascending, from which the loss decodes; the last is d_sae."""
        return (d_sae,)

    @abstractmethod
    def code(self, sae: Weights, x: "Tensor", world: "World") -> "Entries | DenseCode":
        """The activations of a batch x [B, d_in] in training, on a CPU."""

    @abstractmethod
    def kept(self, z: "Tensor", world: "World") -> "Kept | None":
        """Where z [B, d_sae] is kept in training; None for a dense pass."""

    def reconstruct(self, sae: Weights, x: "Tensor", world: "World") -> "Reconstruction":
        """`decode(encode(x))` as it is trained, differentiable in all its weights."""
        from interplm_nb.sae.training.reconstruct import decode_code

        if x.device.type != "cpu":
            return self.by_autograd(sae, x, world)
        return decode_code(sae, x, self.code(sae, x, world), self.prefix_sizes(sae.d_sae))

    def by_autograd(self, sae: Weights, x: "Tensor", world: "World") -> "Reconstruction":
        """`reconstruct` by torch's own gradients, for every device."""
        from interplm_nb.sae.training.reconstruct import decode_dense, decode_kept

        z = self.pre_activation(sae, x)
        kept = self.kept(z.detach(), world)
        if kept is None:
            return decode_dense(sae, z.relu())
        return decode_kept(sae, z, kept, self.prefix_sizes(sae.d_sae))

    def training_pass(
        self, sae: Weights, x: "Tensor", target: "Tensor", terms: Terms, world: "World"
    ) -> "Reconstruction":
        """`reconstruct`: no part besides R."""
        return self.reconstruct(sae, x, world)


@dataclass(frozen=True)
class _GivenK(_Listed):
    """The number of active features is given: there is no sparsity term."""

    has_sparsity_term: ClassVar[bool] = False
    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"{type(self).__name__} needs k of at least 1; got {self.k}")

    def check_size(self, d_sae: int) -> None:
        """As `Architecture.check_size`, and refuse k above d_sae."""
        super().check_size(d_sae)
        if self.k > d_sae:
            raise ValueError(
                f"{type(self).__name__} cannot keep k={self.k} of {d_sae} features; take k of at "
                f"most {d_sae}"
            )

    def sparsity_label(self, terms: Terms) -> str:
        """Such as "k32"."""
        return f"k{self.k}"


@dataclass(frozen=True)
class ReLU(_Elementwise, _Listed):
    """f = max(z, 0), kept sparse by an L1 term in the loss (Bricken et al. 2023; InterPLM).

    Loss: R + sparsity * mean_i ||f_i||_1.
    """

    name: ClassVar[str] = "relu"

    def sparsity_label(self, terms: Terms) -> str:
        """Such as "l0.1"."""
        return f"l{terms.sparsity:g}"

    def activated(self, sae: Weights, z: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """max(z, 0)."""
        return z.relu()

    def code(self, sae: Weights, x: "Tensor", world: "World") -> "Entries | DenseCode":
        """max(z, 0) of x [B, d_in], listed where few are above 0."""
        from interplm_nb.sae.training.choice import relu_code

        return relu_code(sae, x)

    def kept(self, z: "Tensor", world: "World") -> None:
        """None: autograd takes the dense pass."""

    def training_pass(
        self, sae: Weights, x: "Tensor", target: "Tensor", terms: Terms, world: "World"
    ) -> "Reconstruction":
        """`reconstruct`, and the mean L1 norm of f as the sparsity part unless its weight is 0."""
        output = self.reconstruct(sae, x, world)
        if terms.sparsity == 0:
            return output
        return output._replace(parts={"sparsity": output.activity / len(x)})


@dataclass(frozen=True)
class TopK(_GivenK):
    """f = max(z, 0) on the `k` largest z of a residue, 0 elsewhere (Gao et al. 2024, arXiv
    2406.04093).

    Loss: R.
    """

    name: ClassVar[str] = "topk"

    def encode(self, sae: Weights, x: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """The values of `choice` in their places, [..., d_sae], or columns `features` of that."""
        values, chosen = self.choice(sae, x)
        f = values.new_zeros((*values.shape[:-1], sae.d_sae)).scatter(-1, chosen, values)
        return f if features is None else f[..., features]

    def choice(self, sae: Weights, x: "Tensor") -> "tuple[Tensor, Tensor]":
        """Values and features [..., k] of the k largest z, or z * rank after rescaling."""
        z = self.pre_activation(sae, x)
        if sae.rank is None:
            values, chosen = z.topk(self.k, dim=-1, sorted=False)
        else:
            # Chosen as in training, by dead features too: rescaling must not change the choice.
            chosen = (z * sae.rank).topk(self.k, dim=-1, sorted=False).indices
            values = z.gather(-1, chosen)
        if sae.maxima is not None:
            values = values.where(sae.maxima[chosen] != 0, 0)
        return values.relu(), chosen

    def rescale(self, sae: Weights, scale: "Tensor") -> None:
        """`rank` undoes a scale that differs between features, so that the choice stays."""
        sae.W_enc.mul_(scale)
        sae.b_enc.mul_(scale)
        if sae.rank is not None or not bool((scale == scale[0]).all()):
            sae.rank = (1 if sae.rank is None else sae.rank) / scale

    def silence(self, sae: Weights, features: "Tensor") -> None:
        """The encoder stays: silent features are still ranked, and their maxima of 0 zero them."""

    def code(self, sae: Weights, x: "Tensor", world: "World") -> "Entries | DenseCode":
        """The k largest z of each row that are above 0, listed where k is small beside d_sae."""
        from interplm_nb.sae.training.choice import SPARSE_BELOW, DenseCode, top_k_entries

        if self.k < SPARSE_BELOW * sae.d_sae:
            return top_k_entries(sae, x, self.k)
        f = self.encode(sae, x).detach()
        return DenseCode(f, (f > 0).sum(0))

    def kept(self, z: "Tensor", world: "World") -> "Kept":
        """Places of the k largest z of each row that are above 0."""
        from interplm_nb.sae.training.choice import Kept

        values, features = z.topk(self.k, dim=1, sorted=False)
        positive = values > 0
        return Kept(positive.nonzero(as_tuple=True)[0], features[positive])


@dataclass(frozen=True)
class BatchTopK(_Thresholded, _GivenK):
    """f = z where z > theta, 0 elsewhere, with one theta of 0 or more for all features (Bussmann et
    al. 2024, arXiv 2412.06410).

    In training, f = max(z, 0) on the k * B largest z of a batch of B residues. theta, in the weight
    `threshold` [d_sae], is calibrated afterwards so that a residue has k active features on
    average: a residue's features never depend on the batch that it comes in.

    Loss: R.
    """

    name: ClassVar[str] = "batchtopk"
    own_weights: ClassVar[Mapping[str, OwnWeight]] = {"threshold": OwnWeight(trained=False)}

    @property
    def calibrated_k(self) -> int:
        """k: the threshold is calibrated to it."""
        return self.k

    def code(self, sae: Weights, x: "Tensor", world: "World") -> "Entries":
        """The k * B largest z of the whole batch that are above 0."""
        from interplm_nb.sae.training.choice import batch_top_k_entries

        return batch_top_k_entries(sae, x, self.k, world)

    def kept(self, z: "Tensor", world: "World") -> "Kept":
        """Places of the k * B largest z of the whole batch that are above 0, and the threshold."""
        from interplm_nb.sae.training.choice import Kept, batch_top_k_threshold

        threshold = batch_top_k_threshold(z, self.k * len(z), world)
        rows, features = ((z >= threshold) & (z > 0)).nonzero(as_tuple=True)
        return Kept(rows, features, threshold)


@dataclass(frozen=True)
class Matryoshka(BatchTopK):
    """BatchTopK whose first features alone must reconstruct too (Bussmann et al. 2025, arXiv
    2503.17547).

    `prefixes` are the numbers of features, ascending, that the loss decodes from; the last is
    d_sae.

    Loss: the mean over prefixes m of R for x_hat = f[:m] @ W_dec[:m] + b_dec.
    """

    name: ClassVar[str] = "matryoshka"
    prefixes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        # JSON gives a list.
        object.__setattr__(self, "prefixes", tuple(int(m) for m in self.prefixes))
        if (
            not self.prefixes
            or self.prefixes[0] < 1
            or any(a >= b for a, b in zip(self.prefixes, self.prefixes[1:], strict=False))
        ):
            raise ValueError(
                "Matryoshka's prefixes must be numbers of features, ascending, with d_sae last; "
                "got "
                f"{list(self.prefixes)}"
            )

    def check_size(self, d_sae: int) -> None:
        """As `BatchTopK.check_size`, and refuse prefixes whose last is not d_sae."""
        super().check_size(d_sae)
        if self.prefixes[-1] != d_sae:
            raise ValueError(
                f"Matryoshka's last prefix must be all {d_sae} features; got {self.prefixes[-1]}"
            )

    def prefix_sizes(self, d_sae: int) -> tuple[int, ...]:
        """The prefixes as they were given."""
        return self.prefixes


@dataclass(frozen=True)
class JumpReLU(_Thresholded):
    """f = z where z > theta, 0 elsewhere, with one theta of 0 or more per feature, the weight
    `threshold` [d_sae] (Rajamanoharan et al. 2024b, arXiv 2407.14435).

    Loss: R + sparsity * (L0 / target_l0 - 1)^2, with L0 straight-through.
    """

    name: ClassVar[str] = "jumprelu"
    # The first value is that of InterPLM's and dictionary_learning's code.
    own_weights: ClassVar[Mapping[str, OwnWeight]] = {
        "threshold": OwnWeight(first=0.001, minimum=0.0)
    }

    def sparsity_label(self, terms: Terms) -> str:
        """Such as "t32"."""
        return f"t{terms.target_l0:g}"

    def training_pass(
        self, sae: Weights, x: "Tensor", target: "Tensor", terms: Terms, world: "World"
    ) -> "Reconstruction":
        """f decoded; the sparsity part is (L0 / target_l0 - 1)^2, L0 over all processes."""
        from interplm_nb.sae.training.reconstruct import decode_dense, jump

        f, on = jump(self.pre_activation(sae, x).relu(), sae.threshold, terms.bandwidth)
        l0 = world.agreed(on.sum(1).mean())
        parts = {"sparsity": (l0 / terms.target_l0 - 1).square()}
        return decode_dense(sae, f)._replace(parts=parts)


@dataclass(frozen=True)
class Gated(_Elementwise):
    """f = max(exp(r_mag) * u + b_enc, 0) where u + b_gate > 0, 0 elsewhere, with
    u = (x - centre) @ W_enc (Rajamanoharan et al. 2024a, arXiv 2404.16014).

    `r_mag` and `b_gate` are weights [d_sae]; b_enc is the paper's b_mag. `pre_activation` gives u.

    Loss: R + sparsity * mean_i ||relu(pi_i)||_1 + R for x_hat = relu(pi) @ W_dec + b_dec, with
    pi = u + b_gate and, in the last term, no gradient through W_dec and b_dec.
    """

    name: ClassVar[str] = "gated"
    own_weights: ClassVar[Mapping[str, OwnWeight]] = {"r_mag": OwnWeight(), "b_gate": OwnWeight()}
    fires_by: ClassVar[str] = "b_gate"

    def sparsity_label(self, terms: Terms) -> str:
        """Such as "l0.1"."""
        return f"l{terms.sparsity:g}"

    def pre_activation(
        self, sae: Weights, x: "Tensor", features: "Tensor | None" = None
    ) -> "Tensor":
        """u [..., d_sae], or [..., n] for `features`: without a bias of the encoder."""
        u = (x - sae.centre).reshape(-1, x.shape[-1]) @ _columns(sae.W_enc, features)
        return u.reshape(*x.shape[:-1], u.shape[-1])

    def activated(self, sae: Weights, z: "Tensor", features: "Tensor | None" = None) -> "Tensor":
        """max(exp(r_mag) * u + b_enc, 0) where u + b_gate > 0, 0 elsewhere; z is u."""
        f = (_of(sae.r_mag, features).exp() * z + _of(sae.b_enc, features)).relu()
        return f.where(z + _of(sae.b_gate, features) > 0, 0)

    def rescale(self, sae: Weights, scale: "Tensor") -> None:
        """W_enc and b_gate stay, and with them the gate."""
        sae.b_enc.mul_(scale)
        sae.r_mag.add_(scale.log())

    def shifted(self, weights: "Mapping[str, Tensor]", shift: "Tensor") -> "dict[str, Tensor]":
        """b_gate gets the shift; b_enc gets it times exp(r_mag)."""
        return {
            "b_gate": weights["b_gate"] + shift,
            "b_enc": weights["b_enc"] + shift * weights["r_mag"].exp(),
        }

    def training_pass(
        self, sae: Weights, x: "Tensor", target: "Tensor", terms: Terms, world: "World"
    ) -> "Reconstruction":
        """f decoded; the parts are the mean L1 norm of relu(pi) and R from it, W_dec frozen."""
        from interplm_nb.sae.training.reconstruct import decode_dense, reconstruction_error

        u = self.pre_activation(sae, x)
        f, gate = self.activated(sae, u), (u + sae.b_gate).relu()
        frozen = gate @ sae.W_dec.detach() + sae.b_dec.detach()
        parts = {
            "sparsity": gate.sum(1).mean(),
            "gate": reconstruction_error(terms.reconstruction, target, frozen[None]),
        }
        return decode_dense(sae, f)._replace(parts=parts)


ARCHITECTURES: dict[str, type[Architecture]] = {
    kind.name: kind for kind in (ReLU, TopK, BatchTopK, Matryoshka, JumpReLU, Gated)
}
"""Each kind by its name."""


def from_record(values: Mapping[str, Any], where: object) -> Architecture:
    """The architecture that a record (`Architecture.record`) names.

    `where` (a file) is named in the ValueError for a record that does not fit.

    >>> from_record({"name": "topk", "k": 32}, "config.json")
    TopK(k=32)
    """
    try:
        fields = {key: value for key, value in values.items() if key != "name"}
        return ARCHITECTURES[values["name"]](**fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{where}: unknown architecture {dict(values)!r} ({error}); take one of "
            f"{', '.join(ARCHITECTURES)}"
        ) from None


def _of(weight: "Tensor", features: "Tensor | None") -> "Tensor":
    return weight if features is None else weight[features]


def _columns(weight: "Tensor", features: "Tensor | None") -> "Tensor":
    return weight if features is None else weight[:, features]
