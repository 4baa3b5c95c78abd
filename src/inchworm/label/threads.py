"""One BLAS thread for small matrices.

The matrices of this room are small and many: on a busy machine BLAS threads wait for each other (a
decomposition of 0.12 s was seen to take 7 s), and their number would change the last bit of a sum.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block with one BLAS thread, whatever the machine has."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
