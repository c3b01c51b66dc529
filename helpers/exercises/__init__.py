"""The checks behind the exercises: cases and known mistakes stand in one module per notebook.

What they share, from the call of the reader's function to the sentence shown, is in `verdict`.
"""

# ruff: noqa: F401  (notebooks call them as exercises.check_…)
from helpers.exercises.nb01 import check_forward_any_depth, check_two_sided_slope
from helpers.exercises.nb02 import check_backprop_1d, check_error_one_layer_back
from helpers.exercises.nb03 import check_collapse, check_layer
from helpers.exercises.nb04 import check_backprop_linear_output, check_backprop_loops
from helpers.exercises.nb05 import check_mystery_bug
from helpers.exercises.nb06 import check_errors_back, check_gradient_norms, check_subscripts
from helpers.exercises.nb07 import check_binary_cross_entropy, check_softmax_back
from helpers.exercises.nb08 import check_nesterov_step, check_two_class_probabilities
from helpers.exercises.nb09 import check_calibration_error, check_leaky_errors, check_posterior
from helpers.exercises.nb10 import check_dropout, check_l2_gradients
from helpers.exercises.nb11 import (
    check_log_sum_exp_pullback,
    check_slopes_of_graph,
    check_tanh_pullback,
    check_trained_on_tape,
)
from helpers.exercises.nb12 import check_step_flops
from helpers.exercises.nb13 import check_accumulated
from helpers.exercises.nb14 import check_interpolate
from helpers.exercises.verdict import Verdict
