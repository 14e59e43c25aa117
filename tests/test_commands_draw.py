"""`ablax draw`: a page that loads nothing, and what it refuses before any work."""

import hashlib
import json
import re
import shutil
import subprocess
from importlib import resources

import pytest

from ablax.commands import draw
from ablax.commands.options import parse
from ablax.core import Layers, Network
from ablax.errors import AblaxError
from ablax.inspection.page import network_graph, page
from ablax.layers import Convolution, ReLU
from ablax.layers.blocks import Residual, without_shortcuts
from ablax.zoo import find


def run(*words):
    parse(draw.draw, [str(word) for word in words], "draw")()


def data_of(text):
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return json.loads(found[1])


def named(nodes, *path):
    return [node for node in nodes if node["path"] == list(path)]


def test_page_holds_costs_shapes_and_receptive_fields(tmp_path, capsys):
    run("lenet5", "--out", tmp_path / "lenet.html")
    assert "open it in a browser" in capsys.readouterr().out
    data = data_of((tmp_path / "lenet.html").read_text())
    (network,) = data["networks"]
    (conv,) = named(network["nodes"], "c3", "conv")
    assert (conv["input"], conv["output"]) == ([14, 14, 6], [10, 10, 16])
    assert (conv["macs"], conv["parameters"]) == (10 * 10 * 16 * 5 * 5 * 6, 16 * (5 * 5 * 6 + 1))
    # two 5x5 convolutions with a pool of stride 2 between: 5, 6, 6 + 4 * 2
    assert conv["sees"] == {"size": "14x14", "stride": "2x2", "offset": "6.5, 6.5"}
    assert sum(node.get("parameters", 0) for node in network["nodes"]) == 61_706


def test_page_loads_nothing_and_names_no_machine(tmp_path):
    run("lenet5", "--out", tmp_path / "lenet.html")
    text = (tmp_path / "lenet.html").read_text()
    assert "Content-Security-Policy" in text
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|img|link|iframe|object|embed)[^>]*\s(src|href|data)=", text)
    assert "@import" not in text
    assert "url(http" not in text
    ours = text.split("<script id=")[0] + text.split("</script>", 3)[-1]
    assert "http" not in ours.replace("http-equiv", "")
    assert str(tmp_path) not in text
    assert len(text) < 3_000_000


def test_ablated_network_stands_beside_its_parent_with_its_removed_layers_marked(tmp_path):
    out = tmp_path / "pair.html"
    run("lenet5", "--remove", "f6", "--out", out)
    parent, child = data_of(out.read_text())["networks"]
    assert child["name"] == "lenet5, without f6"
    removed = {node["path"][0] for node in parent["nodes"] if node.get("mark") == "removed"}
    assert removed == {"f6"}
    assert not [node for node in child["nodes"] if node["path"][:1] == ["f6"]]
    for network in (parent, child):  # 120 features enter it now, not 84
        (output,) = [node for node in network["nodes"] if node["path"][:1] == ["output"]]
        assert output["mark"] == "changed"
    assert not [node for node in parent["nodes"] if node["path"][:1] == ["c1"] and "mark" in node]


def test_removed_shortcuts_are_marked_at_their_sums():
    block = Residual(residual=Layers(conv=Convolution(3, 3)), after=Layers(relu=ReLU()))
    network = Network(Layers(), Layers(res2a=block), Layers())
    graphs = [
        network_graph(name, each, (4, 4, 3))
        for name, each in {"deep": network, "plain": without_shortcuts(network)}.items()
    ]
    parent, child = data_of(page(*graphs))["networks"]
    marked = [(node["operation"], node["mark"]) for node in parent["nodes"] if "mark" in node]
    assert marked == [("add", "removed")]
    assert not any("mark" in node for node in child["nodes"])
    (add,) = named(parent["nodes"], "res2a")
    assert add["sees"]["size"] == "3x3"  # the hull of 3x3 and 1x1


def test_a_name_cannot_leave_the_data(tmp_path):
    network = Network(Layers(), Layers(conv=Convolution(3, 3)), Layers())
    graph = network_graph("</script><b>", network, (4, 4, 3))
    text = page(graph)
    assert "</script><b>" not in text
    assert data_of(text)["networks"][0]["name"] == "</script><b>"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lenet6", "--out", "x.html"), "no network 'lenet6': did you mean 'lenet5'"),
        (("lenet5", "--out", "x.png"), "must end in .html"),
        (("lenet5", "--out", "nowhere/x.html"), "there is no folder nowhere"),
        (("lenet5", "--image-size", "0", "--out", "x.html"), "--image-size 0"),
        (("lenet5", "--remove", "f7", "--out", "x.html"), "no layer 'f7': choose from: c1"),
        (("alexnet", "--ablation", "without_8", "--out", "x.html"), "no ablation of that name"),
        (("alexnet", "--ablation", "nowhere:cut", "--out", "x.html"), "cannot import 'nowhere'"),
        (("alexnet", "--ablation", "remove", "--out", "x.html"), "no ablation of that name"),
        (("lenet5", "--ablation", "without_3_4", "--out", "x.html"), "no layer 'conv3'"),
        (("lenet5", "--ablation", "relu", "--out", "x.html"), "choose from: without_groups, "),
    ],
)
def test_refusals_name_what_to_mend_before_anything_is_traced(
    tmp_path, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ablax.inspection.page.network_graph", None)
    with pytest.raises(AblaxError, match=re.escape(message)):
        run(*words)
    assert not list(tmp_path.iterdir())


def test_libraries_are_those_whose_checksums_are_written_down():
    folder = resources.files("ablax.inspection").joinpath("drawing")
    readme = (folder / "README.md").read_text("utf-8")
    for name in ("elk.bundled.js", "d3.min.js"):
        content = (folder / "vendored" / name).read_bytes()
        assert f"`{hashlib.sha256(content).hexdigest()}`" in readme


SUMS = """
const fs = require("fs"), vm = require("vm");
const [d3, graph, data] = process.argv.slice(1).map((file) => fs.readFileSync(file, "utf8"));
const document = { getElementById: () => ({ textContent: data }) };
const sums = `
  const sums = DATA.networks.map((described, i) => {
    const net = new Net(described, i);
    const each = (part) => ["macs", "parameters", "memory"].map((cost) => part.total(cost));
    return {
      nodes: net.nodes.map(each),
      root: each(net.root),
      blocks: [net.root, ...net.blocks].map((block) =>
        ({ own: each(block), inside: [...block.inside.values()].map(each) })),
    };
  });
  JSON.stringify(sums)`;
console.log(vm.runInNewContext([d3, graph, sums].join(";"), { document }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node to run the page's script with")
@pytest.mark.parametrize("name", ["lenet5", pytest.param("alexnet", marks=pytest.mark.slow)])
def test_costs_of_the_parts_sum_to_those_of_the_whole(name, tmp_path):
    entry = find(name)
    graph = network_graph(name, entry.build(), entry.image_shape)
    (tmp_path / "data.json").write_text(json.dumps(data_of(page(graph))))
    folder = resources.files("ablax.inspection").joinpath("drawing")
    files = [folder / "vendored" / "d3.min.js", folder / "graph.js", tmp_path / "data.json"]
    command = ["node", "-e", SUMS, *map(str, files)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    (found,) = json.loads(said)
    rows = {n: [row.macs, row.parameters, row.memory] for n, row in graph.costs.items()}
    assert found["nodes"] == [rows.get(n, [0, 0, 0]) for n in range(len(graph.flow.nodes))]
    assert found["root"] == [sum(each) for each in zip(*rows.values(), strict=True)]
    for block in found["blocks"]:
        assert block["own"] == [sum(each) for each in zip(*block["inside"], strict=True)]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium to look with")
def test_a_browser_draws_every_visible_node(tmp_path):
    out = tmp_path / "resnet.html"
    run("resnet20", "--out", out)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1600,1200"]
    command += ["--virtual-time-budget=20000", f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--dump-dom", out.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert 'data-ready="true"' in found.stdout
    drawn = re.findall(r'class="box[^"]*"[^>]*aria-label="([^,]*),', found.stdout)
    assert {"res2a", "res4c", "classifier", "input", "output"} <= set(drawn)
