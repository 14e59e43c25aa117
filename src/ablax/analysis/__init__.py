"""What a network costs, sees and hides, for any JAX function; imports nothing of ours.

`ablax.analysis.cost` is the function, whoever imported the module of that name first, because all
of them are imported here; `from ablax.analysis.cost import ...` reaches the module.
"""

from ablax.analysis.cost import CONVENTIONS as CONVENTIONS
from ablax.analysis.cost import LECTURE as LECTURE
from ablax.analysis.cost import USUAL as USUAL
from ablax.analysis.cost import Convention as Convention
from ablax.analysis.cost import CostRow as CostRow
from ablax.analysis.cost import DataFlow as DataFlow
from ablax.analysis.cost import TrainingRow as TrainingRow
from ablax.analysis.cost import cost as cost
from ablax.analysis.cost import data_flow as data_flow
from ablax.analysis.cost import fold as fold
from ablax.analysis.cost import macs as macs
from ablax.analysis.cost import macs_by_scope as macs_by_scope
from ablax.analysis.cost import training_cost as training_cost
from ablax.analysis.features import FeatureStatistics as FeatureStatistics
from ablax.analysis.features import feature_statistics as feature_statistics
from ablax.analysis.gradient_check import GradientCheck as GradientCheck
from ablax.analysis.gradient_check import LeafPrecision as LeafPrecision
from ablax.analysis.gradient_check import check_gradient as check_gradient
from ablax.analysis.gradient_check import check_precision as check_precision
from ablax.analysis.maximization import Ascent as Ascent
from ablax.analysis.maximization import deep_dream as deep_dream
from ablax.analysis.maximization import maximize as maximize
from ablax.analysis.receptive_field import ReceptiveField as ReceptiveField
from ablax.analysis.receptive_field import chain_receptive_field as chain_receptive_field
from ablax.analysis.receptive_field import effective_receptive_field as effective_receptive_field
from ablax.analysis.receptive_field import receptive_fields as receptive_fields
from ablax.analysis.saliency import backward_pictures as backward_pictures
from ablax.analysis.saliency import occlusion_map as occlusion_map
from ablax.analysis.saliency import saliency_map as saliency_map
