"""Training and inference on many machines, by Ray. Needs the package ray (extra ``[ray]``).

>>> model, history = gru_native.ray.train_async(
...     model, loss, batches, optimizer, steps=1000, workers=8, servers=2, staleness=4
... )  # doctest: +SKIP
"""

try:
    import ray.data as _ray  # noqa: F401
except ImportError as error:
    raise ImportError(
        "gru_native.ray needs the package ray: pip install 'gru-native[ray]'"
    ) from error

from ._asynchronous import train_async
from ._history import History
from ._predict import predict
from ._synchronous import train_sync

__all__ = ["History", "predict", "train_async", "train_sync"]
