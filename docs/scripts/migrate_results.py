"""Bring `experiments/results` to the format of today, and its fingerprints up to date.

    python docs/scripts/migrate_results.py
    python docs/scripts/migrate_results.py --recompute

Of format 1, each network's fingerprint is held against the network as its experiment builds it now,
by the algorithm of format 1, which is kept here alone. One that agrees is replaced by the
fingerprint of today; one that does not is dropped and listed. Fields that recipes had not yet get
their default. Of format 2, `recipe.json` and `answer.json` get the checksums that they had not; of
which pixels and labels they are, nobody wrote down. No figure of any run is touched.

`--recompute` replaces the fingerprints of folders of format 3: for a class or a field that was
renamed while the networks stayed what they were. It also puts the words of today into `answer.json`
and the headings of `measurements/`; `report.md` stays as it was printed, but for its first
sentence. What was kept without `study.json` is of experiments that have changed since, and stays
what it was. Doing either again changes nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import flax.linen as nn

from ablax.config import Recipe, flat, unflat
from ablax.core import Layers, Network, parameter_shapes, paths
from ablax.errors import AblaxError
from ablax.experiment import Experiment, Inputs
from ablax.files import SEAL, compressed, sealed, write_atomic
from ablax.report.study import QUANTITIES, Claim, operand
from ablax.report.tables import escape_markdown, signed
from ablax.study.discovery import experiment
from ablax.study.folder import FACTS, FORMAT, NETWORKS, Identity, identity

IMAGES = {
    **dict.fromkeys(("digits", "digits:distorted"), (32, 1, 10)),
    "tfds:cifar10": (32, 3, 10),
    **dict.fromkeys(("clothes", "tfds:fashion_mnist"), (28, 1, 10)),
}
"""Source of the data to size in pixels, channels and classes, so that no data need be there."""
HEAD = ("format", "experiment", "recipe", "networks", "data", "keys", SEAL)


def old_repr(network: Network) -> str:
    """The network as Linen writes any module, and layers one behind the other."""

    def written(layers: Layers) -> str:
        return f"Layers({', '.join(f'{name}={layer!r}' for name, layer in layers.items())})"

    with (
        mock.patch.object(Network, "__repr__", nn.Module.__repr__),
        mock.patch.object(Layers, "__repr__", written),
    ):
        return repr(network)


def old_fingerprint(network: Network, image_shape: tuple[int, int, int]) -> str:
    """What format 1 called a network: a hash of what its `repr` was, every field of every layer."""
    layers = re.sub(r" at 0x[0-9a-f]+", "", old_repr(network))
    told = f"{paths(network)} {layers} {parameter_shapes(network, image_shape)}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def built(question: Experiment, variant: str, recipe: Recipe) -> tuple[Network, Inputs]:
    """A variant's network as its experiment builds it now, and what for."""
    recipe = question.recipe_of(variant, recipe)
    size, channels, classes = IMAGES[recipe.data.source]
    classes = len(recipe.data.classes) or classes
    inputs = Inputs(recipe.data.image_size or size, channels, classes, recipe.width)
    return question.network_of(variant, inputs), inputs


def migrated(held: dict[str, Any], recompute: bool) -> tuple[dict[str, Any], dict[str, Any], str]:
    """A `recipe.json` of today, the networks' trees, and what became of the fingerprints."""
    first = held.get("format", 1) == 1
    if not first and not recompute:
        said = "sealed" if held["format"] < FORMAT else f"of format {FORMAT} already"
        known = {name: held.get(name, {}) for name in ("data", "keys")}
        return {**held, "format": FORMAT, **known}, {}, said
    fields = {name: value for name, value in held.items() if name not in HEAD}
    added = [name for name in flat(Recipe()) if name not in fields]
    recipe = unflat({**flat(Recipe()), **fields})
    _, question = experiment(held["experiment"])
    networks: dict[str, str] = {}
    trees: dict[str, Any] = {}
    dropped = []
    for variant, told in held.get("networks", {}).items():
        before, *words = told.split("; ")
        found = _identity(question, variant, recipe, before if first else None)
        if isinstance(found, str):
            dropped.append(f"{variant} ({found})")
            continue
        networks[variant] = "; ".join([found.fingerprint, *words])
        trees[variant] = found.tree
    head = {"format": FORMAT, "experiment": held["experiment"], "recipe": held["recipe"]}
    said = f"{len(networks)} {'verified' if first else 'recomputed'}"
    said += f", unverifiable and dropped: {', '.join(dropped)}" * bool(dropped)
    said += f"; fields added: {', '.join(added)}" * bool(added)
    known = {name: held.get(name, {}) for name in ("data", "keys")}
    return {**head, **flat(recipe), "networks": networks, **known}, trees, said


def _identity(
    question: Experiment, variant: str, recipe: Recipe, before: str | None
) -> Identity | str:
    """What a variant is now, or why nobody can say that it is what was trained."""
    if variant not in question.names:
        return "the experiment has no such variant now"
    network, inputs = built(question, variant, recipe)
    if before is not None and old_fingerprint(network, inputs.image_shape) != before:
        return "another network was trained, or one that was written otherwise"
    return identity(network, inputs.image_shape)


def migrate(results: Path, recompute: bool) -> Iterator[str]:
    """Bring every kept folder up to date; gives a line for each."""
    for path in sorted(results.glob("*/*/recipe.json")):
        held = json.loads(path.read_text())
        if recompute and not path.with_name(FACTS).exists():
            yield f"{path.parent.relative_to(results)}: of an older form, as it was"
            continue
        new, trees, said = migrated(held, recompute)
        if trees:
            text = json.dumps(trees, sort_keys=True, separators=(",", ":"))
            _replace(path.with_name(NETWORKS), compressed(text.encode()))
        _replace(path, sealed(new).encode())
        if recompute:
            reword(path.parent)
        answer = path.with_name("answer.json")
        if answer.exists():
            _replace(answer, sealed(json.loads(answer.read_text())).encode())
        yield f"{path.parent.relative_to(results)}: {said}"


def reword(folder: Path) -> None:
    """The words of today for what a kept folder says; its figures stay."""
    for path in folder.glob("measurements/*/metrics.csv"):
        heading, _, rows = path.read_text().partition("\n")
        columns = [COLUMNS.get(name, name) for name in heading.split(",")]
        _replace(path, (",".join(columns) + "\n" + rows).encode())
    path = folder / "answer.json"
    if path.exists():
        facts = json.loads(path.read_text())
        new = reworded(facts)
        _replace(path, sealed(new).encode())
        report = folder / "report.md"
        lines = report.read_text().split("\n")
        lines[2] = escape_markdown(new["answer"])  # the headline; the rest stays as printed
        _replace(report, "\n".join(lines).encode())


COLUMNS = {"pull": "sensitivity"}
"""Columns of measurements: their former names and those of today."""


def reworded(facts: dict[str, Any]) -> dict[str, Any]:
    """The facts of an `answer.json` with the sentence of today, made of the same figures."""
    among = re.search(r", (\d+) claims at once, n = \d+\)", facts["answer"])
    if "interval" not in facts["answer"]:
        return facts  # of today, or without a figure
    _, question = experiment(facts["experiment"])
    claim = question.decides or next(iter((*question.claims, *question.expectations)))
    outcome = {"cannot be told": "inconclusive"}.get(facts["outcome"], facts["outcome"])
    unit = {"points": "percentage points"}.get(facts["unit"], facts["unit"])
    digits = question.quantities[name].digits if (name := _quantity(claim)) else 2
    shown, low, high = (signed(facts[key], digits) for key in ("difference", "low", "high"))
    shown = f"{shown} {unit}".strip()
    interval = f"95 % CI {low} to {high}"
    interval += f", Bonferroni over {among[1]} comparisons" if among else ""
    interval += f", {facts['n']} seeds"
    sentence = {
        "reproduced": f"Yes: {claim.text} by {shown} ({interval}).".replace("+", ""),
        "contradicted": "No: the measurements contradict the hypothesis that "
        f"{claim.text}; the difference is {shown} ({interval}).",
        "inconclusive": "Inconclusive: the measurements do not show whether "
        f"{claim.text}; the difference is {shown} ({interval}).",
    }[outcome]
    return {**facts, "answer": sentence, "outcome": outcome, "unit": unit}


def _quantity(claim: Claim) -> str | None:
    """The measurement's quantity that a claim compares; None of the test and training error."""
    name = operand(claim.worse)[1]
    return None if name in QUANTITIES else name


def _replace(path: Path, content: bytes) -> None:
    if not path.exists() or path.read_bytes() != content:
        write_atomic(path, content)


def main() -> None:
    """Migrate the folder that the command names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("experiments/results"))
    parser.add_argument("--recompute", action="store_true", help="of folders of format 3")
    options = parser.parse_args()
    try:
        for line in migrate(options.results, options.recompute):
            print(line)
    except AblaxError as error:
        raise SystemExit(f"migrate_results: {error}") from error


if __name__ == "__main__":
    main()
