"""Classes as codes: the class whose code is nearest has the largest score."""

from __future__ import annotations

from dataclasses import dataclass

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from ablax.layers.windows import FieldError, ShapeError, takes


@dataclass(frozen=True, repr=False)
class Codes:
    """A code a class: constants that a layer can hold, since they compare and hash by value.

    Args:
        rows: The code of each class; at least one, all of one length.

    Raises:
        FieldError: No code, or codes of several lengths.

    Example:
        >>> Codes(((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0)))
        3 codes of 2
    """

    rows: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        lengths = sorted({len(code) for code in self.rows})
        if len(lengths) != 1 or not lengths[0]:
            raise FieldError(
                f"{len(self.rows)} codes of the lengths {lengths} were given: expected at least "
                "one, all of one length"
            )

    def __repr__(self) -> str:
        return f"{len(self.rows)} codes of {len(self.rows[0])}"


@takes("N C")
def code_scores(x: Float[Array, "N C"], codes: Float[Array, "K L"]) -> Float[Array, "N K"]:
    """Minus the squared distance of each vector to the code of each class.

    s_k = - sum over j of (x_j - w_kj)^2

    It is at most 0, and 0 where x is the code. exp(s_k) is, up to a factor, the density of a
    Gaussian around code k, so the cross-entropy of softmax(s) asks that x be likelier under its
    own class than under the others: the discriminative loss of section II.C without its rubbish
    class. The part |x|^2 is common to all classes and drops out of the softmax; where all codes
    are equally long, softmax(s) = softmax(2 x . w). What the distances keep is how far x is from
    every code, by which an image of none of the classes can be refused.

    Differences and sum are taken in float32 at least.

    Args:
        x: Vectors.
        codes: The code of each class, of as many numbers as the vectors.

    Returns:
        A score a class.

    Raises:
        ShapeError: The codes are longer or shorter than the vectors.

    References:
        LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document
        recognition, section II.B (output layer) and II.C.

    Example:
        >>> codes = jnp.array([[1.0, 1.0], [1.0, -1.0]])
        >>> code_scores(jnp.array([[1.0, 0.5]]), codes)
        Array([[-0.25, -2.25]], dtype=float32)
    """
    if codes.shape[1] != x.shape[1]:
        raise ShapeError(
            f"code_scores was given {x.shape} and codes of shape {codes.shape}: expected vectors "
            f"of {codes.shape[1]} numbers"
        )
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    distances = jnp.square(wide[:, None, :] - codes.astype(wide.dtype)).sum(axis=-1)
    return -distances.astype(x.dtype)


class CodeScores(nn.Module):
    """The module of `code_scores`: the codes are constants, no parameters.

    Attributes:
        codes: A code a class.

    Example:
        >>> layer = CodeScores(Codes(((1.0, 1.0), (1.0, -1.0))))
        >>> layer.apply({}, jnp.array([[1.0, 0.5]]))
        Array([[-0.25, -2.25]], dtype=float32)
    """

    codes: Codes

    @takes("N C")
    def __call__(self, x: Float[Array, "N C"]) -> Float[Array, "N K"]:
        """Apply `code_scores`."""
        return code_scores(x, jnp.asarray(self.codes.rows, jnp.float32))
