"""Check of notebook 12: the operations of a training step."""

from itertools import pairwise

from helpers.exercises.verdict import check, slips

COUNT_SLIPS = {  # sentence -> the count from the operations c of the products W A of the layers
    "the error of the inputs is not needed: layer 1 sends none back.": lambda c, N: 3 * sum(c),
    "a multiplication and an addition are two operations: the factor 2 is missing.": (
        lambda c, N: (3 * sum(c) - c[0]) / 2
    ),
    "this is the way forward alone.": lambda c, N: sum(c),
    "the products that give the weights' gradients are missing.": lambda c, N: 2 * sum(c) - c[0],
    "errors go back through products, too, in every layer but the first.": lambda c, N: 2 * sum(c),
    "it is layer 1 that sends no error back, not the last one.": lambda c, N: 3 * sum(c) - c[-1],
    "this is for one sample; a batch has N of them.": lambda c, N: (3 * sum(c) - c[0]) / N,
}


def _count(rule, sizes, N):
    return rule([2 * N * n * m for n, m in pairwise(sizes)], N)


@check(slips(_count, COUNT_SLIPS))
def check_step_flops():
    """Check ``step_flops(sizes, N)``: operations in the matrix products of one training step."""
    for sizes, N in (([784, 256, 10], 64), ([3, 5], 7), ([6, 4, 5, 2], 3)):
        truth = 0
        for layer, (n, m) in enumerate(pairwise(sizes), start=1):
            ways = 2 if layer == 1 else 3  # forward, for the weights, and back but for layer 1
            truth += ways * 2 * N * n * m
        yield (sizes, N), truth, f"for sizes {sizes} and N = {N},"
    yield "Correct: three networks agree with a count product by product."
