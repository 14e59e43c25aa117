"""The graph of a function: the laws of chains, residual blocks, branches and loops."""

import jax
import jax.numpy as jnp
import pytest

from ablax.analysis.cost import cost, data_flow
from ablax.core import Layers, abstract_variables, sequential
from ablax.layers import Convolution, MaxPool, Parallel, ReLU
from ablax.layers.blocks import Residual
from ablax.layers.loops import Repeat
from ablax.zoo import find

SHAPE = (8, 8, 4)


def graph(module, shape=SHAPE):
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    return data_flow(module.apply, variables, images)


def operations(flow, numbers):
    return [flow.nodes[number].operation for number in numbers]


def test_a_chain_is_a_path():
    flow = graph(sequential(conv=Convolution(4, 3), relu=ReLU(), pool=MaxPool(2, 2)))
    names = [node.operation for node in flow.nodes]
    assert names == ["input", "convolution 3x3", "ReLU", "max pool 2x2/2", "output"]
    assert [(edge.source, edge.target) for edge in flow.edges] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [edge.shape for edge in flow.edges] == [(1, 8, 8, 4)] * 3 + [(1, 4, 4, 4)]


def test_the_sum_of_a_residual_block_reads_the_blocks_input():
    block = Residual(residual=Layers(conv1=Convolution(4, 3), relu=ReLU(), conv2=Convolution(4, 3)))
    flow = graph(block)
    (add,) = [number for number in flow.layers if flow.nodes[number].operation == "add"]
    assert sorted(operations(flow, flow.into(add))) == ["convolution 3x3", "input"]


def test_parallel_branches_run_from_one_node_to_the_concatenation():
    branches = Layers(
        one=Convolution(2, 1),
        three=Convolution(2, 3),
        large=Convolution(2, 5),
        pool=MaxPool(3, 1, "SAME"),
    )
    flow = graph(sequential(relu=ReLU(), mixed=Parallel(branches)))
    (join,) = [n for n in flow.layers if flow.nodes[n].operation == "concatenate"]
    (relu,) = [n for n in flow.layers if flow.nodes[n].operation == "ReLU"]
    heads = flow.into(join)
    assert len(set(heads)) == 4
    assert all(flow.into(head) == (relu,) for head in heads)
    assert flow.nodes[join].path == ("mixed",)


def test_a_function_without_names_has_a_graph_too():
    def fn(x):
        y = jnp.tanh(x)
        return y + jnp.exp(x), y

    flow = data_flow(fn, jax.ShapeDtypeStruct((1, 3), jnp.float32), parameters=None)
    assert [node.family for node in flow.nodes].count("output") == 2
    assert flow.nodes[0].operation == "input"


def test_a_loop_takes_slices_from_what_was_before_it_and_hands_on_its_result():
    def fn(x):
        with jax.named_scope("before"):
            rows = jnp.tanh(x)
        with jax.named_scope("loop"):
            total, _ = jax.lax.scan(lambda sum_, row: (sum_ + row, None), jnp.zeros(3), rows)
        with jax.named_scope("after"):
            return jnp.exp(total)

    flow = data_flow(fn, jax.ShapeDtypeStruct((5, 3), jnp.float32), parameters=None)
    places = {node.path: number for number, node in enumerate(flow.nodes) if node.path}
    before, loop, after = (places[name,] for name in ("before", "loop", "after"))
    assert before in flow.into(loop)
    assert flow.into(after) == (loop,)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("inception_small", "dpn_small")]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "resnet20", *SLOW])
def test_every_layer_with_parameters_is_one_node_and_edges_go_forward(name):
    entry = find(name)
    variables = abstract_variables(entry.build(), entry.image_shape)
    images = jax.ShapeDtypeStruct((1, *entry.image_shape), jnp.float32)
    flow = data_flow(entry.build().apply, variables, images)
    readers = {}
    for number in flow.layers:
        for leaf in flow.nodes[number].leaves:
            readers.setdefault(leaf, []).append(number)
    paths = jax.tree.leaves_with_path(variables["params"])
    assert len([leaf for leaf in readers if leaf.startswith("params/")]) == len(paths)
    assert all(len(numbers) == 1 for numbers in readers.values())
    assert all(edge.source < edge.target for edge in flow.edges)
    sources = {edge.source for edge in flow.edges}
    assert all(flow.into(number) and number in sources for number in flow.layers)
    rows = cost(entry.build().apply, variables, images)
    assert [node.operation for node in map(flow.nodes.__getitem__, flow.layers)] == [
        row.operation.name for row in rows
    ]


def test_parameters_out_of_reach_are_refused():
    with pytest.raises(ValueError, match=r"parameters=1, and the function is given 1 arguments"):
        data_flow(jnp.tanh, jnp.ones(3), parameters=1)


def test_what_a_loop_carries_comes_from_before_it():
    deep = Repeat(Layers(conv=Convolution(4, 3), relu=ReLU()), 3)
    flow = graph(sequential(relu=ReLU(), deep=deep), (8, 8, 4))
    assert [(edge.source, edge.target) for edge in flow.edges] == [(0, 1), (1, 2), (2, 3), (3, 4)]
