"""`make parity`: our networks beside those of torchvision, timm and Keras, live.

Puts the same drawn weights into both, compares our float32 scores with theirs in float64, and
writes theirs to `tests/parity/reference/`, where the ordinary tests find them without PyTorch.

    python tests/parity/write_reference.py [NAME ...] [--compare]

needs torch, torchvision, timm and Keras (`pip install .[parity]`, see the Makefile).
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cases import CASES
from drawn_weights import cotangent, drawn, images
from keras_side import keras_scores
from our_side import our_gradient_norms, our_scores, worst, worst_norm
from parity_case import Case

REFERENCE = Path(__file__).parent / "reference"
TOLERANCE = 1e-4
NORM_TOLERANCE = 1e-3


def torch_network(case: Case):
    """PyTorch's network in float64 with the drawn weights, in evaluation mode."""
    import torch

    if not hasattr(torch_network, "library"):  # torchvision's own build lacks them on a CPU
        torch_network.library = torch.library.Library("torchvision", "DEF")
        torch_network.library.define("nms(Tensor dets, Tensor scores, float iou) -> Tensor")
        torch_network.library.define("qnms(Tensor dets, Tensor scores, float iou) -> Tensor")
    if case.source.startswith("timm:"):
        model = importlib.import_module("timm").create_model(case.source.removeprefix("timm:"))
    else:
        importlib.import_module("torchvision.models")
        module, _, function = case.source.rpartition(".")
        model = getattr(importlib.import_module(module), function)(weights=None)
    if case.change is not None:
        model = case.change(model)
    weights = {
        name: torch.from_numpy(drawn(name, tuple(tensor.shape), case.gain))
        for name, tensor in model.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    found = model.load_state_dict(weights, strict=False)
    assert not found.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in found.missing_keys)
    return model.double().eval()


def torch_side(case: Case) -> dict[str, np.ndarray]:
    """Their scores, and the norms of their gradients where the case asks for them."""
    if case.source.startswith("keras:"):
        return {"scores": keras_scores(case)}
    import torch

    model = torch_network(case)
    pixels = torch.from_numpy(images(case.image_shape).transpose(0, 3, 1, 2)).double()
    with torch.set_grad_enabled(case.gradients):
        scores = model(pixels)
    arrays = {"scores": scores.detach().numpy()[0]}
    if case.gradients:
        (scores * torch.from_numpy(cotangent(scores.shape[1])).double()).sum().backward()
        norms = {name: float(p.grad.norm()) for name, p in model.named_parameters()}
        arrays["gradient_names"] = np.array(list(norms))
        arrays["gradient_norms"] = np.array(list(norms.values()))
    return arrays


def compare(case: Case, *, write: bool) -> bool:
    """Print one line of the table; write the reference where the two agree."""
    start = time.monotonic()
    theirs = torch_side(case)
    difference = worst(our_scores(case), theirs["scores"])
    good, line = difference <= TOLERANCE, f"{case.name:<24}{case.source:<44}{difference:>10.1e}"
    if case.gradients:
        norms = dict(zip(theirs["gradient_names"].tolist(), theirs["gradient_norms"], strict=True))
        gradient = worst_norm(our_gradient_norms(case), norms)
        good, line = good and gradient <= NORM_TOLERANCE, f"{line}{gradient:>12.1e}"
    print(line, "" if good else "  DIFFERS", f"({time.monotonic() - start:.0f} s)", flush=True)
    if good and write:
        REFERENCE.mkdir(exist_ok=True)
        np.savez_compressed(REFERENCE / f"{case.name}.npz", **theirs)
    return good


def main() -> int:
    """Compare the named networks, or all; 1 when one differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="networks of the zoo; all when left out")
    parser.add_argument("--compare", action="store_true", help="write nothing")
    options = parser.parse_args()
    names = options.names or [case.name for case in CASES]
    if unknown := set(names) - {case.name for case in CASES}:
        parser.error(f"no case for {', '.join(sorted(unknown))}")
    print(f"{'network':<24}{'beside':<44}{'scores':>10}{'gradients':>12}")
    results = [compare(case, write=not options.compare) for case in CASES if case.name in names]
    print(
        f"{sum(results)} of {len(results)} agree: scores to {TOLERANCE:g} of the largest, "
        f"norms of gradients to {NORM_TOLERANCE:g}"
    )
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
