"""`ablax import NETWORK FILE`: weights of another library, as a checkpoint of orbax."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from ablax.commands import options


def import_weights(
    network: Positional[options.NetworkName],
    file: Positional[options.ExistingFile | None] = None,
    out: options.OutFolder | None = None,
    library: options.Library = None,
    key: options.Word | None = None,
    prefix: options.Word | None = None,
    preprocessing: options.Preprocessing = options.PreprocessingFields(),  # noqa: B008 - frozen
) -> None:
    """Import pretrained weights of another library; without a file, print where there are some.

    Args:
        network: A network of the zoo (ablax list shows whose weights it takes).
        file: The weights: .pth, .safetensors, .caffemodel or .h5.
        out: The folder to write; weights/NETWORK by default.
        library: Whose file it is, if its names fit several.
        key: Where the weights are in a checkpoint of a training, such as state_dict or ema.model.
        prefix: What the names of the tensors begin with, such as module.; it is taken off.
        preprocessing: Preparation of the images, where it is not that of the weights' source.
    """
    from ablax.weights.files import short
    from ablax.weights.load import import_file, write_weights

    if file is None:
        print(_whose(network))
        return
    found = import_file(network, file, library, key, prefix)
    found = found._replace(model=preprocessing.applied(found.model))
    folder = out or Path("weights") / network
    write_weights(folder, found, file)
    numbers = sum(leaf.size for leaf in found.model.parameters().values())
    print(f"{network}: {numbers:,} parameters of {found.source.title} in {folder}")
    if found.taken:
        print(f"  {found.taken}")
    for word, names in (("left out", found.left_out), ("not run", found.skipped)):
        more = f", and {len(names) - 3:,} more" if len(names) > 3 else ""
        if names:
            print(f"  {word}: {', '.join(map(short, names[:3]))}{more}")
    print(f"  images: {found.model.preprocessing}")
    print(f"next: ablax predict {folder} PICTURE ...")


def _whose(network: str) -> str:
    """Whose weights the network takes, and where their files are."""
    from ablax.weights.sources import sources_of

    sources = sources_of(network)
    if not sources:
        return f"{network}: nobody publishes weights that it takes"
    lines = [f"{network} takes weights of:"]
    for source in sources:
        lines.append(f"  {source.title} (--from {source.library})")
        for file in source.files:
            errors = f"error {file.top1:.2f} / {file.top5:.2f} %" if file.top1 else ""
            lines.append(f"    {source.home}{file.name}  {errors}")
    return "\n".join([*lines, f"download one, then: ablax import {network} FILE"])
