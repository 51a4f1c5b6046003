"""What comes next in a series: a linear model, networks with a window, and recurrent ones.

Each method is to say a value of the future from all that came before. One series is computed,
chaotic and without noise: Mackey and Glass's equation [1]_, 24 steps ahead. The other one is
measured: the highest temperature of each day of four years in Seattle, a day ahead (`pip install
vega_datasets`). All learn from the first seven tenths, and are measured on the last two. An error
is a root of the mean square, as a share of the series' standard deviation (NRMSE): 1 is what the
mean alone would reach.

- same: the value of now
- AR: linear in the last 32 values, by least squares
- TDNN: two layers of convolution over time, which see the last 28 values
- NARX: a network of the last 32 values that says the next one, and then goes on from what it said
- RNN, LSTM, GRU: recurrent layers, which see all of the past

    python forecast.py --minutes 3

.. [1] M. C. Mackey and L. Glass, "Oscillation and Chaos in Physiological Control Systems",
   Science 197, 1977: dx/dt = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x(t).
"""

from __future__ import annotations

import csv
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import common
from gru_native import GRU, LSTM, RNN, Chain, Conv1d, Dense

NAME, MINUTES = "forecast", 3.0
LAGS = 32
WINDOW, WARM = 160, 48  # steps of a training sequence; those at its begin that are not judged
BATCH = 32

Series = NDArray[np.float32]


def mackey_glass(steps: int, skipped: int = 300) -> Series:
    """Runge and Kutta's method of fourth order at steps of 0.1; a value for each unit of time."""
    delay, parts = 170, 10
    x = np.full(delay + (steps + skipped) * parts + 1, 1.2)

    def slope(now: float, before: float) -> float:
        return float(0.2 * before / (1 + before**10) - 0.1 * now)

    for i in range(delay, len(x) - 1):
        old, new, now = x[i - delay], x[i - delay + 1], x[i]
        half = (old + new) / 2
        a = slope(now, old)
        b = slope(now + 0.05 * a, half)
        c = slope(now + 0.05 * b, half)
        d = slope(now + 0.1 * c, new)
        x[i + 1] = now + 0.1 / 6 * (a + 2 * b + 2 * c + d)
    return normalised(x[delay + skipped * parts :: parts][:steps])


def temperatures() -> Series:
    """The highest of each day of 2012 to 2015."""
    package = importlib.util.find_spec("vega_datasets")
    if package is None or package.origin is None:
        raise SystemExit("this needs the weather of Seattle: pip install vega_datasets")
    path = Path(package.origin).parent / "_data" / "seattle-weather.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return normalised(np.array([float(row["temp_max"]) for row in csv.DictReader(file)]))


def normalised(x: NDArray[np.float64]) -> Series:
    learnt = x[: 7 * len(x) // 10]
    return ((x - learnt.mean()) / learnt.std()).astype(np.float32)


def tdnn(seed: int) -> Chain:
    return Chain(
        [
            Conv1d(1, 32, 4, padding="causal", activation="tanh", seed=seed),
            Conv1d(32, 32, 9, dilation=3, padding="causal", activation="tanh", seed=seed + 1),
            Dense(32, 1, seed=seed + 2),
        ]
    )


def narx(seed: int) -> Chain:
    window = Conv1d(1, 64, LAGS, padding="causal", activation="tanh", seed=seed)
    return Chain([window, Dense(64, 1, seed=seed + 1)])


def recurrent(kind: type[Any], seed: int) -> Chain:
    return Chain([kind(1, 48, seed=seed), Dense(48, 1, seed=seed + 1)])


def lessons(x: Series, ahead: int, seed: int) -> Callable[[], common.Lesson]:
    """Mean squares of what is said of x(t + ahead)."""
    rng = np.random.default_rng(seed)
    places = np.arange(WINDOW)[:, None]

    def lesson() -> common.Lesson:
        at = places + rng.integers(0, len(x) - WINDOW - ahead, BATCH)

        def mean_square(said: Series) -> tuple[float, Series]:
            error = said - x[at + ahead][..., None]
            error[:WARM] = 0
            judged = error[WARM:].size
            return float((error**2).sum()) / judged, error * (2 / judged)

        return x[at][..., None], None, mean_square

    return lesson


def nrmse(said: Series, right: Series) -> float:
    return float(np.sqrt(np.mean((said - right) ** 2)) / right.std())


def windows(x: Series, begin: int, ahead: int) -> Series:
    """(LAGS, times): the last values at each time from ``begin`` on, the newest last."""
    times = np.arange(begin, len(x) - ahead)
    return x[times + np.arange(1 - LAGS, 1)[:, None]]


def linear(x: Series, learnt: int, begin: int, ahead: int) -> Series:
    """AR of LAGS values and a constant."""
    past = windows(x[:learnt], LAGS, ahead)
    columns = np.vstack([past, np.ones(past.shape[1])]).T
    weights, *_ = np.linalg.lstsq(columns, x[LAGS + ahead : learnt], rcond=None)
    now = windows(x, begin, ahead)
    return np.asarray(np.vstack([now, np.ones(now.shape[1])]).T @ weights, np.float32)


def step_by_step(chain: Chain, x: Series, begin: int, ahead: int) -> Series:
    """What says the next value, so many times, each time from what it said before."""
    past = windows(x, begin, ahead)
    for _ in range(ahead):
        said, _ = chain(past[..., None])
        past = np.vstack([past[1:], said[-1:, :, 0]])
    return past[-1]


def run(options: common.Options) -> common.Result:
    seconds = 12.0 if options.quick else 60 * options.minutes
    networks: dict[str, Any] = {
        "TDNN": tdnn,
        "NARX": narx,
        **{
            kind.__name__: lambda seed, kind=kind: recurrent(kind, seed)
            for kind in (RNN, LSTM, GRU)
        },
    }
    series = {"Mackey-Glass": (mackey_glass(6000), 24), "temperature": (temperatures(), 1)}
    each = seconds / len(networks) / len(series)
    print(f"{len(networks)} networks on {len(series)} series, {each:.1f} s of training for each")
    rows: list[dict[str, Any]] = []
    forecasts: dict[str, dict[str, Series]] = {}
    for name, (x, ahead) in series.items():
        learnt, begin = 7 * len(x) // 10, 8 * len(x) // 10
        right = x[begin + ahead :]
        said = {"same": x[begin:-ahead], "AR": linear(x, learnt, begin, ahead)}
        for method, make in networks.items():
            print(f"{method} on {name}", file=sys.stderr)
            chain = make(options.seed)
            lesson = lessons(x[:learnt], 1 if method == "NARX" else ahead, options.seed)
            common.learn(chain, lesson, common.Course(each), 3e-3)
            file = options.out / f"{method.lower()}-{name.lower()}.safetensors"
            again = common.read_again(chain, file)
            if method == "NARX":
                said[method] = step_by_step(again, x, begin, ahead)
            else:
                said[method] = again(x[:-ahead, None, None])[0][begin:, 0, 0]
        forecasts[name] = {**said, "": right}
        rows += [{"series": name, "method": m, "NRMSE": nrmse(s, right)} for m, s in said.items()]
    common.picture(options.out / "forecast.png", lambda axes: draw(axes, forecasts["Mackey-Glass"]))
    found = {(row["series"], row["method"]): row["NRMSE"] for row in rows}
    score, baseline = found["Mackey-Glass", "GRU"], found["Mackey-Glass", "AR"]
    return common.Result(score, baseline, False, rows)


def draw(axes: Any, forecasts: dict[str, Series]) -> None:
    axes.plot(forecasts[""][:300], "k", lw=3, alpha=0.3, label="what came")
    for method in ("AR", "TDNN", "NARX", "GRU"):
        axes.plot(forecasts[method][:300], lw=1, label=method)
    axes.set(xlabel="step", ylabel="said 24 steps before", title="Mackey-Glass")
    axes.legend(ncols=5)


if __name__ == "__main__":
    sys.exit(common.main(run, NAME, MINUTES))
