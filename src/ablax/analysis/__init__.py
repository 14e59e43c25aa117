"""What a network costs, sees and hides, for any JAX function; imports nothing of ours.

`ablax.analysis.cost` is the function, whoever imported the module of that name first, because all
of them are imported here; `from ablax.analysis.cost import ...` reaches the module.
"""

from ablax.analysis.cost import (
    CONVENTIONS,
    LECTURE,
    USUAL,
    Convention,
    CostRow,
    TrainingRow,
    cost,
    fold,
    fold_training,
    macs,
    macs_by_scope,
    training_cost,
)
from ablax.analysis.features import FeatureStatistics, feature_statistics
from ablax.analysis.gradient_check import (
    GradientCheck,
    LeafPrecision,
    check_gradient,
    check_precision,
)
from ablax.analysis.graph import DataFlow, data_flow
from ablax.analysis.maximization import Ascent, deep_dream, maximize
from ablax.analysis.receptive_field import (
    ReceptiveField,
    chain_receptive_field,
    effective_receptive_field,
    receptive_fields,
)
from ablax.analysis.saliency import backward_pictures, occlusion_map, saliency_map

__all__ = [
    "CONVENTIONS",
    "LECTURE",
    "USUAL",
    "Ascent",
    "Convention",
    "CostRow",
    "DataFlow",
    "FeatureStatistics",
    "GradientCheck",
    "LeafPrecision",
    "ReceptiveField",
    "TrainingRow",
    "backward_pictures",
    "chain_receptive_field",
    "check_gradient",
    "check_precision",
    "cost",
    "data_flow",
    "deep_dream",
    "effective_receptive_field",
    "feature_statistics",
    "fold",
    "fold_training",
    "macs",
    "macs_by_scope",
    "maximize",
    "occlusion_map",
    "receptive_fields",
    "saliency_map",
    "training_cost",
]
