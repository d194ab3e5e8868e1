"""Measure what a network does, never draw: gradients, states, the text it writes, how it does against others.

Every function returns numbers; `unrolled.figures` draws them.
"""

from unrolled.probes.gradients import (
    cosine_to_full,
    gradient_by_time,
    influence,
    jacobian,
    largest_singular_value,
    saturated_share,
    spectral_radius,
    step_jacobians,
    weight_gradient_terms,
)
from unrolled.probes.highway import GateStatistics, direct_path, gate_statistics, total_derivative
from unrolled.probes.league import (
    CONTENDERS,
    TASKS,
    LastOutput,
    Outcome,
    Rules,
    Task,
    build,
    compete,
    equal_sizes,
)
from unrolled.probes.reading import ByContext, by_context, connectivity, correlations, surprise, unit_values
from unrolled.probes.results import stored_result
from unrolled.probes.texts import (
    PythonFeatures,
    compiles,
    copied_share,
    first_definition,
    longest_copy,
    python_features,
    repetition,
)

__all__ = [
    "CONTENDERS",
    "TASKS",
    "ByContext",
    "GateStatistics",
    "LastOutput",
    "Outcome",
    "PythonFeatures",
    "Rules",
    "Task",
    "build",
    "by_context",
    "compete",
    "compiles",
    "connectivity",
    "copied_share",
    "correlations",
    "cosine_to_full",
    "direct_path",
    "equal_sizes",
    "first_definition",
    "gate_statistics",
    "gradient_by_time",
    "influence",
    "jacobian",
    "largest_singular_value",
    "longest_copy",
    "python_features",
    "repetition",
    "saturated_share",
    "spectral_radius",
    "step_jacobians",
    "stored_result",
    "surprise",
    "total_derivative",
    "unit_values",
    "weight_gradient_terms",
]
