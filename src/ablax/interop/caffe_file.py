"""Caffe's files of weights, `.caffemodel`: protocol buffers, read without Caffe.

Layout, which is PyTorch's too: a convolution is (features, channels of a group, height, width), a
dense layer (outputs, inputs) with the maps laid out channel by channel. Caffe's `BatchNorm` keeps
sums of means and variances and the number they have to be divided by; the learned scale and bias
stand in a `Scale` layer behind it, and are put under the name of the `BatchNorm` here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ablax.errors import WeightsError

# The messages of caffe.proto as far as weights need them: name -> (number, type, repeated).
_MESSAGES: dict[str, dict[str, tuple[int, str, bool]]] = {
    "BlobShape": {"dim": (1, "int64", True)},
    "BlobProto": {
        **{"num": (1, "int32", False), "channels": (2, "int32", False)},
        **{"height": (3, "int32", False), "width": (4, "int32", False)},
        **{"data": (5, "float", True), "shape": (7, "BlobShape", False)},
        "double_data": (8, "double", True),
    },
    "LayerParameter": {
        **{"name": (1, "string", False), "type": (2, "string", False)},
        **{"bottom": (3, "string", True), "top": (4, "string", True)},
        "blobs": (7, "BlobProto", True),
    },
    "V1LayerParameter": {
        **{"bottom": (2, "string", True), "top": (3, "string", True)},
        **{"name": (4, "string", False), "type": (5, "int32", False)},
        "blobs": (6, "BlobProto", True),
    },
    "NetParameter": {
        "name": (1, "string", False),
        "layers": (2, "V1LayerParameter", True),
        "layer": (100, "LayerParameter", True),
    },
}


def read_caffe(path: Path) -> dict[str, np.ndarray]:
    """The blobs of a `.caffemodel` as tensors named like PyTorch's: `conv1.weight`, `conv1.bias`.

    Args:
        path: The file; the first version of its format (2013) too.

    Returns:
        Arrays; for a `BatchNorm`, `running_mean` and `running_var`, divided by their factor, with
        the `weight` and `bias` of the `Scale` behind it.

    Raises:
        WeightsError: It is no such file, or holds no weights.
    """
    from google.protobuf.message import DecodeError

    message = _net_message()()
    try:
        message.ParseFromString(path.read_bytes())
    except (DecodeError, OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as a file of Caffe's: {error}") from error
    tensors: dict[str, np.ndarray] = {}
    normalized: dict[str, str] = {}  # what a BatchNorm gives -> its name
    for layer in [*message.layer, *message.layers]:
        try:
            blobs = [_array(blob) for blob in layer.blobs]
            if blobs:
                tensors |= _tensors(layer, blobs, normalized)
        except (ValueError, IndexError) as error:
            raise WeightsError(f"{path} is damaged at layer {layer.name!r}: {error}") from error
    if not tensors:
        raise WeightsError(f"{path} holds no weights of Caffe's")
    return tensors


def _tensors(
    layer: Any, blobs: list[np.ndarray], normalized: dict[str, str]
) -> dict[str, np.ndarray]:
    if layer.type == "BatchNorm":
        normalized[layer.top[0]] = layer.name
        factor = float(blobs[2].ravel()[0])
        mean, var = (blob.ravel() / factor if factor else blob.ravel() for blob in blobs[:2])
        return {f"{layer.name}.running_mean": mean, f"{layer.name}.running_var": var}
    name = layer.name
    if layer.type == "Scale":
        name = normalized.pop(layer.bottom[0], name)
    flat = [blob if index == 0 else blob.ravel() for index, blob in enumerate(blobs)]
    return {f"{name}.{kind}": blob for kind, blob in zip(("weight", "bias"), flat, strict=False)}


def _array(blob: Any) -> np.ndarray:
    """The blob in its shape; the old format has four axes for everything."""
    data = np.array(blob.data or blob.double_data, np.float32)
    if blob.HasField("shape"):
        return data.reshape(tuple(blob.shape.dim))
    shape = (blob.num, blob.channels, blob.height, blob.width)
    array = data.reshape(shape)
    return array[0, 0] if shape[:2] == (1, 1) and shape[2] > 1 else array


def _net_message() -> Any:
    """The class of `NetParameter`, made from the table above."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="caffe_weights.proto", package="caffe")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind, repeated) in fields.items():
            field = message.field.add(name=field_name, number=number)
            field.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in _MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                field.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))
