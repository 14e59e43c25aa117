"""The unit of most networks since 2015: a convolution with batch normalization behind it."""

from __future__ import annotations

import flax.linen as nn

from ablax.core.network import Chain, Layers
from ablax.layers.convolution import Convolution
from ablax.layers.normalization import BatchNormalization


def normalized(
    features: int, window: int, stride: int = 1, groups: int = 1, **after: nn.Module
) -> Chain:
    """A convolution, batch normalization, then what is named: y = after(bn(conv(x))).

    The convolution has no bias, since the normalization would take it out again, and is padded by
    half its window on each side, as PyTorch's definitions are: an odd window with stride 1 keeps
    the size. Its h w (C / G) F weights and 2 F of the normalization are all the parameters.

    `groups` equal to the channels and to `features` makes it a depthwise convolution, one window a
    channel; a window of 1 a pointwise one.

    Args:
        features: Channels of the result, F.
        window: Height and width of the kernel.
        stride: Steps down and to the right.
        groups: Number of groups G.
        **after: Layers behind the normalization, as a rule `relu=ReLU()`; none makes it linear.

    Raises:
        FieldError: The groups do not divide the features, or a field is no positive integer.

    References:
        Ioffe, Szegedy 2015, Batch normalization, section 3.2.

    Example:
        >>> from ablax.layers import ReLU
        >>> list(normalized(8, 3, relu=ReLU()).layers)
        ['conv', 'bn', 'relu']
    """
    convolution = Convolution(
        features, window, stride, padding=window // 2, groups=groups, use_bias=False
    )
    return Chain(Layers(conv=convolution, bn=BatchNormalization(), **after))
