"""Try values of a field of the recipe for variants of an experiment, as its `Grid` shows them.

    python docs/scripts/tune_field.py nonlinearity mean_train_error optimizer.rate \
        0.005,0.01,0.02 relu,tanh RESULTS

Each is trained from two seeds on four fifths of the training images, under the experiment's own
budget; the quantity is one of a run (`ablax.report.study.QUANTITIES`) or of the experiment's
measurements, never of test images. What is printed stands in the experiment's file. The same
command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import pprint
from pathlib import Path

import ablax
from ablax.report.statistics import mean

EXPERIMENT = '''"""Values of {field} for {name}.

Question: Which value of {field} is best for each variant?

Source: docs/scripts/tune_field.py

Prediction: None.
"""

from dataclasses import replace

from ablax.experiment import Experiment, Treatment
from ablax.study.discovery import experiment

_, OF = experiment("{name}")


def treated(name: str, value: float) -> Treatment:
    """The variant with a value of its own."""
    found = OF.treatment(name) or Treatment(fields={{"{field}": value}})
    return replace(found, fields={{**found.fields, "{field}": value}})


EXPERIMENT = Experiment(
    about=__doc__,
    network=OF.network,
    baseline=OF.baseline,
    variants={{
        f"{{name}}_at_{{place}}": treated(name, value)
        for name in {names}
        for place, value in enumerate({values})
    }},
    measurements=tuple(one for one in OF.measurements if "{by}" in one.quantities),
    budgets={{name: replace(each, only=()) for name, each in OF.budgets.items()}},
)
'''


def main() -> None:
    """Run what is not run yet, and print the grid."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="of the experiment")
    parser.add_argument("by", help="the quantity that is to be small")
    parser.add_argument("field", help="such as optimizer.rate")
    parser.add_argument("values", help="numbers, with commas between")
    parser.add_argument("variants", help="names, with commas between")
    parser.add_argument("folder", type=Path, help="where the results go")
    parser.add_argument("--recipe", default="digits")
    asked = parser.parse_args()
    values = tuple(float(value) for value in asked.values.split(","))
    names = tuple(asked.variants.split(","))
    asked.folder.mkdir(parents=True, exist_ok=True)
    file = asked.folder / f"tune_{asked.name}.py"
    file.write_text(
        EXPERIMENT.format(
            name=asked.name, by=asked.by, field=asked.field, names=names, values=values
        )
    )
    study = ablax.run(
        str(file), asked.recipe, folder=asked.folder / "runs", seeds=2, data={"held_out": 0.2},
        conclusions=False,
    )  # fmt: skip
    found = {
        name: {
            value: round(mean(list(study.values(f"{name}_at_{place}:{asked.by}").values())), 4)
            for place, value in enumerate(values)
        }
        for name in names
    }
    print(pprint.pformat(found, sort_dicts=False, width=96))


if __name__ == "__main__":
    main()
