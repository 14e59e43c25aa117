"""`repr` of a network fits a screen, of layers a line; nothing is initialized."""

import html.parser

import flax.linen as nn
import pytest

from ablax.core import Layers, Network, sequential
from ablax.layers import Convolution, Dense, Parallel, ReLU, Residual
from ablax.zoo import CATALOG, lenet5, resnet20, resnet1202


class Told(nn.Module):
    """A layer with a field of words."""

    text: str

    def __call__(self, x):
        return x


BLOCK = Residual(Layers(conv=Convolution(4, 3)), after=Layers(relu=ReLU()))


def test_a_network_is_written_a_line_a_layer_and_equal_neighbors_on_one():
    network = Network(
        tail=Layers(conv1=sequential(conv=Convolution(4, 3, stride=2), relu=ReLU())),
        body=Layers(res2a=BLOCK, res2b=BLOCK, res2c=BLOCK, relu=ReLU()),
        head=Layers(fc=Dense(2)),
    )
    assert repr(network).splitlines() == [
        "Network(",
        "  tail",
        "    conv1            Convolution(4, 3, stride=2), ReLU()",
        "  body",
        "    res2a ... res2c  3 x Residual(conv, relu)",
        "    relu             ReLU()",
        "  head",
        "    fc               Dense(2)",
        ")",
    ]


def test_blocks_that_look_alike_and_differ_inside_stand_on_lines_of_their_own():
    wider = Residual(Layers(conv=Convolution(8, 3)), after=Layers(relu=ReLU()))
    told = repr(Network(Layers(), Layers(a=BLOCK, b=wider), Layers()))
    assert told.count("Residual(conv, relu)") == 2
    assert " x " not in told


@pytest.mark.slow
@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.name)
def test_every_network_of_the_zoo_fits_a_screen(entry):
    network = entry.build()
    lines = repr(network).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 140
    for _, layer in network.layers.items():
        assert len(repr(layer).splitlines()) <= 40


def test_a_network_of_a_thousand_layers_names_the_first_and_the_last_of_equal_ones():
    assert "res2a ... res2b199   200 x Residual(" in repr(resnet1202())


def test_long_parts_leave_out_the_middle_and_short_ones_stay_whole():
    many = Layers({f"fc{i}": Dense(i) for i in range(1, 201)})
    lines = repr(Network(Layers(conv=Convolution(2, 3)), many, Layers(out=Dense(1)))).splitlines()
    assert len(lines) <= 40
    assert any("conv " in line for line in lines)
    assert any("fc200" in line for line in lines)
    (gap,) = [line for line in lines if "more lines" in line]
    shown = sum("fc" in line for line in lines)
    assert int(gap.split()[1]) + shown == 200
    assert len(repr(Network(many, many_named("a"), many_named("b"))).splitlines()) <= 40


def many_named(letter):
    return Layers({f"{letter}{i}": Dense(i) for i in range(1, 201)})


def test_few_layers_stay_on_one_line_as_code():
    assert repr(Layers()) == "Layers()"
    assert repr(Layers(fc1=Dense(8), relu1=ReLU())) == "Layers(fc1=Dense(8), relu1=ReLU())"
    block = Layers(fc=sequential(dense=Dense(8), relu=ReLU()))
    assert repr(block) == f"Layers(fc={type(block['fc']).__name__}(dense=Dense(8), relu=ReLU()))"


def test_many_layers_take_a_line_each():
    lines = repr(resnet20().body).splitlines()
    assert (lines[0], lines[-1]) == ("Layers(", ")")
    assert lines[1].split()[:4] == ["res2a", "...", "res2c", "3"]
    assert len(lines) == 7


def test_a_module_that_holds_layers_is_short():
    both = Parallel(Layers(left=BLOCK, right=sequential(fc1=Dense(2), fc2=Dense(2))))
    assert len(repr(both).splitlines()) <= 12


def test_a_layer_that_prints_long_is_cut():
    told = repr(Network(Layers(), Layers(a=Told("x\n" * 500)), Layers()))
    assert max(map(len, told.splitlines())) <= 120
    assert len(told.splitlines()) == 6


class Reader(html.parser.HTMLParser):
    """Tags that open and close, and the text between."""

    def __init__(self, text):
        super().__init__()
        self.open, self.told = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.told.append(data)


def test_a_notebook_shows_the_same_lines_as_a_table():
    page = lenet5()._repr_html_()
    reader = Reader(page)
    assert reader.open == []
    assert page.count("<tr>") == 8
    assert [cell for cell in reader.told if cell in ("tail", "body", "head")] == [
        *("tail", "body", "head")
    ]
    assert "Convolution(6, 5, padding=0), Tanh()" in reader.told


def test_a_notebook_is_shown_text_and_never_markup():
    network = Network(Layers(), Layers(a=Told("<b>&")), Layers())
    page = network._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "Told(<b>&)" in Reader(page).told


def test_a_notebook_keeps_its_own_colors():
    page = lenet5()._repr_html_()
    assert "background: none" in page
    assert "#" not in page
