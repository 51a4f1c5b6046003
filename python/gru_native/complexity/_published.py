"""Parameter counts that papers print, and what is counted here for the same networks.

Sak, Senior and Beaufays (2014), arXiv 1402.1128 and Interspeech; Graves, Mohamed and Hinton (2013);
Tai, Socher and Manning (2015). Every figure comes from a description of the network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..layers import LSTM as Lstm
from ..layers import RNN as Rnn
from ..layers import Chain
from ._calls import count
from ._count import Count
from ._describing import LSTM, RNN, ChildSumTreeLSTM, Dense, NaryTreeLSTM
from ._parts import tensors_of

UNITS = {"": 1, "K": 10**3, "M": 10**6}


@dataclass(frozen=True)
class Published:
    """One row of a paper's table, counted again.

    Attributes
    ----------
    paper : str
        Authors and year.
    network : str
        The row.
    printed : str
        What the paper prints, such as "13M", "350K" or "203,400".
    exact : int
        What is counted here.
    counted : str
        What the paper counts, such as "without biases".
    note : str
        What is special about the row.
    """

    paper: str
    network: str
    printed: str
    exact: int
    counted: str
    note: str = ""

    @property
    def agrees(self) -> str:
        """Whether both agree: "yes", "nearly" or "NO".

        "yes": the exact count rounds to the printed figure. "nearly": it is less than one off in
        the figure's last digit.
        """
        digits, decimals, unit = re.fullmatch(r"([\d,]+)(\.\d+)?([KM]?)", self.printed).groups()  # type: ignore[union-attr]
        last = UNITS[unit] / 10 ** max(len(decimals or "") - 1, 0)
        if unit == "K" and digits.endswith("0"):
            last *= 10  # 350K is printed to two digits
        off = abs(self.exact - float(digits.replace(",", "") + (decimals or "")) * UNITS[unit])
        return "yes" if off <= last / 2 and (unit or off == 0) else "nearly" if off < last else "NO"

    def to_dict(self) -> dict[str, str | int]:
        """Return plain numbers and texts by name, for JSON.

        Returns
        -------
        dict of str to str or int
            The attributes, and ``agrees``.
        """
        return {**vars(self), "agrees": self.agrees}


SAK = "Sak et al. 2014, arXiv"
INTERSPEECH = "Sak et al. 2014, Interspeech"
GRAVES = "Graves et al. 2013"
TAI = "Tai et al. 2015"
NO_BIASES, ONE_BIAS = "without biases", "one bias a gate, peepholes"
AUTHORS = "two biases a gate, as the authors' code"


def _lstm(cells: int, r: int = 0, p: int = 0, layers: int = 1) -> Lstm:
    return LSTM(40, cells, layers, proj_size=r, nonrecurrent_proj_size=p, peephole=True)


def _with_biases(c: Count) -> str:
    return f"{c.parameters_with_one_bias:,} with biases"


def _sak() -> Iterator[Published]:
    networks = {
        "LSTM_c512": (_lstm(512), ("1.2M", "2.2M", "5.2M")),
        "LSTM_c1024_r256": (_lstm(1024, 256), ("1.5M", "2M", "3.5M")),
        "LSTM_c2048_r256": (_lstm(2048, 256), ("3M", "3.5M", "5M")),
        "LSTM_c2048_r256_p256": (_lstm(2048, 256, 256), ("3.6M", "4.5M", "7.6M")),
        "LSTM_c2048_r512": (_lstm(2048, 512), ("5.6M", "6.6M", "9.7M")),
    }
    for name, (layer, figures) in networks.items():
        for outputs, printed in zip((126, 2000, 8000), figures, strict=True):
            c = count(layer, outputs=outputs)
            row = f"{name}, {outputs} outputs"
            yield Published(
                SAK, row, printed, c.parameters_without_biases, NO_BIASES, _with_biases(c)
            )
    for cells, r, printed in ((512, 0, "350K"), (1024, 128, "320K"), (2048, 512, "2.3M")):
        name = f"RNN_c{cells}" + (f"_r{r}" if r else "")
        exact = _rnn(cells, r, 126)
        yield Published(SAK, f"{name}, 126 outputs", printed, exact, NO_BIASES)
    for outputs, names in DNNS.items():
        for name, printed in names.items():
            exact = _dnn(name, outputs).parameters_without_biases
            note = "a slip of the paper: text 15w5, figure 16w5" if name in SLIPS else ""
            yield Published(SAK, f"DNN_{name}, {outputs} outputs", printed, exact, NO_BIASES, note)


def _rnn(cells: int, r: int, outputs: int) -> int:
    """An RNN; with r, h is projected before it goes back and out, which gru_native's is not."""
    if not r:
        return count(RNN(40, cells), outputs=outputs).parameters_without_biases
    recurrent = count(Dense(r, cells)), count(Dense(cells, r)), count(Dense(r, outputs))
    inputs = count(RNN(40, cells)).parameters_by_role["input"]
    return inputs + sum(c.parameters_without_biases for c in recurrent)


# {context}_{layers}_{units}[_lr{units of a linear layer before the outputs}]; 10w5: 10 frames
# before and 5 after.
DNNS = {
    126: {"10w5_6_704": "3M", "10w5_6_1024": "6M", "10w5_6_2176": "25M"},
    2000: {
        "10w5_2_864_lr256": "2M",
        "10w5_5_512_lr256": "2M",
        "10w5_6_1024_lr256": "6.7M",
        "10w5_6_1024": "8M",
    },
    8000: {
        "10w5_6_704_lr256": "5.2M",
        "10w5_6_480": "5.3M",
        "10w5_6_1024_lr256": "8.2M",
        "16w5_6_1024_lr256": "8.5M",
        "16w5_6_704_lr256": "5.6M",
    },
}
SLIPS = ("16w5_6_704_lr256",)


def _dnn(name: str, outputs: int) -> Count:
    context, layers, units, *low_rank = name.split("_")
    before, after = map(int, context.split("w"))
    sizes = [40 * (before + 1 + after)] + [int(units)] * int(layers)
    sizes += [int(text.removeprefix("lr")) for text in low_rank]
    sizes.append(outputs)
    return count(Chain([Dense(a, b) for a, b in pairwise(sizes)]))


def _interspeech() -> Iterator[Published]:
    table_1 = [
        (840, 0, 5, "37M"),
        (440, 0, 5, "13M"),
        (600, 0, 2, "13M"),
        (385, 0, 7, "13M"),
        (750, 0, 1, "13M"),
        (6000, 800, 1, "36M"),
        (2048, 512, 2, "22M"),
        (1024, 512, 3, "20M"),
        (1024, 512, 2, "15M"),
        (800, 512, 2, "13M"),
        (2048, 512, 1, "13M"),
    ]
    table_2 = [(700, 400, 2, "10M"), (600, 350, 2, "8M")]
    for table, rows in (("1", table_1), ("2", table_2)):
        for cells, r, depth, printed in rows:
            c = count(_lstm(cells, r, 0, depth), outputs=14247)
            name = f"table {table}: C={cells} P={r or '-'} depth={depth}"
            exact = c.parameters_without_biases
            yield Published(INTERSPEECH, name, printed, exact, NO_BIASES, _with_biases(c))


def _graves() -> Iterator[Published]:
    def ctc(layer: Lstm | Rnn, printed: str, name: str) -> Published:
        exact = count(layer, outputs=62).parameters_with_one_bias
        return Published(GRAVES, name, printed, exact, ONE_BIAS)

    def lstm(units: int, layers: int, bidirectional: bool = True) -> Lstm:
        return LSTM(123, units, layers, bidirectional=bidirectional, peephole=True)

    yield ctc(RNN(123, 500, 3, bidirectional=True), "3.7M", "CTC-3l-500h-tanh")
    for layers, units, printed in ((1, 250, "0.8M"), (1, 622, "3.8M"), (2, 250, "2.3M")):
        yield ctc(lstm(units, layers), printed, f"CTC-{layers}l-{units}h")
    yield ctc(lstm(421, 3, bidirectional=False), "3.8M", "CTC-3l-421h-uni")
    for layers, printed in ((3, "3.8M"), (5, "6.8M")):
        yield ctc(lstm(250, layers), printed, f"CTC-{layers}l-250h")
    # The transducer: an encoder, an LSTM over the phones said so far, and layers that join them.
    lstms = lstm(250, 3), LSTM(61, 250, peephole=True)
    joining = Dense(500, 250), Dense(500, 250), Dense(250, 62)
    transducer = sum(count(p).parameters_with_one_bias for p in (*lstms, *joining))
    for name in ("Trans-3l-250h", "PreTrans-3l-250h"):
        note = "if 250 units join the two networks"
        yield Published(GRAVES, name, "4.3M", transducer, ONE_BIAS, note)


def _tai() -> Iterator[Published]:
    """On SICK the authors' networks have no output gate; their gates have two biases each."""
    for task, gate, d, d2, d_tree, figures in (
        ("SICK", False, 150, 108, 142, ("203,400", "203,472", "205,190")),
        ("SST", True, 168, 120, 150, ("315,840", "318,720", "316,800")),
    ):
        one = count(LSTM(300, d, output_gate=gate)).parameters
        two = count(LSTM(300, d2, 2, output_gate=gate)).parameters
        note = "" if gate else "without output gates"
        tied = f"{note}; both directions have the same weights".removeprefix("; ")
        yield Published(TAI, f"LSTM, {task}, d={d}", figures[0], one, AUTHORS, note)
        yield Published(TAI, f"BiLSTM, {task}, d={d}", figures[0], one, AUTHORS, tied)
        yield Published(TAI, f"2-layer LSTM, {task}, d={d2}", figures[1], two, AUTHORS, note)
        yield Published(TAI, f"2-layer BiLSTM, {task}, d={d2}", figures[1], two, AUTHORS, tied)
        gates = 3 + gate  # of all four: W, U and the bias have as many rows for each
        child_sum = ChildSumTreeLSTM(300, d).num_parameters * gates // 4 + gates * d
        yield Published(
            TAI, f"Dependency Tree-LSTM, {task}, d={d}", figures[0], child_sum, AUTHORS, note
        )
        leaf = Dense(300, d_tree).num_parameters * (2 if gate else 1)
        inner = sum(t.size for t in tensors_of(NaryTreeLSTM(300, d_tree, 2)) if t.role != "input")
        recurrent = inner - 4 * d_tree  # i, two f, o and u
        constituency = leaf + (recurrent + 10 * d_tree) * (4 + gate) // 5
        yield Published(
            TAI,
            f"Constituency Tree-LSTM, {task}, d={d_tree}",
            figures[2],
            constituency,
            AUTHORS,
            "; ".join(filter(None, (note, "words at leaves only"))),
        )


def published() -> list[Published]:
    """Count the networks in tables of papers again.

    The papers are those of Sak et al. [1]_ [2]_, Graves et al. [3]_ and Tai et al. [4]_.

    Returns
    -------
    list of Published
        Every row, in the order of the papers.

    References
    ----------
    .. [1] H. Sak, A. Senior and F. Beaufays, "Long Short-Term Memory Based Recurrent Neural Network
       Architectures for Large Vocabulary Speech Recognition", 2014, arXiv:1402.1128.
    .. [2] H. Sak, A. Senior and F. Beaufays, "Long Short-Term Memory Recurrent Neural Network
       Architectures for Large Scale Acoustic Modeling", Interspeech 2014.
    .. [3] A. Graves, A. Mohamed and G. Hinton, "Speech Recognition with Deep Recurrent Neural
       Networks", ICASSP 2013, arXiv:1303.5778.
    .. [4] K. S. Tai, R. Socher and C. D. Manning, "Improved Semantic Representations From
       Tree-Structured Long Short-Term Memory Networks", ACL 2015, arXiv:1503.00075.
    """
    return [*_sak(), *_interspeech(), *_graves(), *_tai()]
