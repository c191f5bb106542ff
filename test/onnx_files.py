"""Writes ONNX files of detectors with known outputs, byte by byte, as onnx.proto has them."""

import numpy as np
from protobuf import sized, varint

TYPES = {'float32': 1, 'uint8': 2, 'int64': 7, 'text': 8, 'float16': 10}


def number(field, value):
    return varint(field << 3) + varint(value)


def read_kind(array):
    return 'text' if array.dtype.kind == 'U' else str(array.dtype)


def tensor(name, array):
    dims = b''.join(number(1, length) for length in array.shape)
    head = dims + number(2, TYPES[read_kind(array)]) + sized(8, name)
    if read_kind(array) == 'text':
        return head + b''.join(sized(6, str(text)) for text in array.flat)
    return head + sized(9, np.ascontiguousarray(array).tobytes())


def value(name, kind, shape):
    dims = b''.join(
        sized(1, number(1, length) if isinstance(length, int) else sized(2, length))
        for length in shape
    )
    return sized(1, name) + sized(2, sized(1, number(1, TYPES[kind]) + sized(2, dims)))


def node(kind, inputs, output, **attributes):
    fields = b''.join(sized(1, name) for name in inputs) + sized(2, output) + sized(4, kind)
    for name, given in attributes.items():
        if isinstance(given, int):
            content = sized(1, name) + number(3, given) + number(20, 2)
        else:
            content = sized(1, name) + b''.join(number(8, one) for one in given) + number(20, 7)
        fields += sized(5, content)
    return fields


def model(nodes, constants, inputs, outputs, metadata=(), opset=17, ir_version=8):
    """Return the bytes of a file.

    Args:
        nodes: of `node`.
        constants: name -> array.
        inputs: name -> type and shape.
        outputs: name -> type and shape.
        metadata: key -> text.
        opset: number in the file.
        ir_version: number in the file.
    """
    graph = b''.join(sized(1, one) for one in nodes) + sized(2, 'graph')
    graph += b''.join(sized(5, tensor(*one)) for one in constants.items())
    graph += b''.join(sized(11, value(name, *one)) for name, one in inputs.items())
    graph += b''.join(sized(12, value(name, *one)) for name, one in outputs.items())
    properties = b''.join(
        sized(14, sized(1, key) + sized(2, text)) for key, text in dict(metadata).items()
    )
    opsets = sized(8, sized(1, '') + number(2, opset))
    return number(1, ir_version) + sized(7, graph) + properties + opsets


def constant_outputs(arrays, shape=(1, 3, 64, 64), kind='float32', **options):
    """Return a file that gives these arrays for any image; name -> array."""
    names = [f'{name}_value' for name in arrays]
    constants = dict(zip(names, arrays.values(), strict=True))
    nodes = [
        node('Identity', [constant], name) for constant, name in zip(names, arrays, strict=True)
    ]
    outputs = {name: (read_kind(array), array.shape) for name, array in arrays.items()}
    return model(nodes, constants, {'images': (kind, shape)}, outputs, **options)


def channel_means(shape=(1, 3, 64, 64), kind='float32', **options):
    """Return a file with one box, whose scores of three classes are the means of the channels."""
    axes = [1, 2] if shape[-1] == 3 else [2, 3]
    box = np.array([[[8, 16, 24, 40]]], np.float32)
    nodes = [
        node('Cast', ['images'], 'values', to=1),
        node('ReduceMean', ['values'], 'means', axes=axes, keepdims=0),
        node('Unsqueeze', ['means', 'axis'], 'scores'),
        node('Identity', ['box'], 'boxes'),
    ]
    constants = {'axis': np.array([1], np.int64), 'box': box}
    outputs = {'boxes': ('float32', (1, 1, 4)), 'scores': ('float32', (1, 1, 3))}
    return model(nodes, constants, {'images': (kind, shape)}, outputs, **options)
