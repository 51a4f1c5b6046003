"""The rows that Sak et al., Graves et al. and Tai et al. print, and one that does not agree."""

from gru_native.complexity import published

# Printed, and exact by hand from the papers' own formulas.
SAK = {
    "LSTM_c512, 126 outputs": ("1.2M", 1_196_544),
    "LSTM_c512, 2000 outputs": ("2.2M", 2_156_032),
    "LSTM_c512, 8000 outputs": ("5.2M", 5_228_032),
    "LSTM_c1024_r256, 126 outputs": ("1.5M", 1_509_888),
    "LSTM_c1024_r256, 2000 outputs": ("2M", 1_989_632),
    "LSTM_c1024_r256, 8000 outputs": ("3.5M", 3_525_632),
    "LSTM_c2048_r256, 126 outputs": ("3M", 2_987_520),
    "LSTM_c2048_r256, 2000 outputs": ("3.5M", 3_467_264),
    "LSTM_c2048_r256, 8000 outputs": ("5M", 5_003_264),
    "LSTM_c2048_r256_p256, 126 outputs": ("3.6M", 3_544_064),
    "LSTM_c2048_r256_p256, 2000 outputs": ("4.5M", 4_503_552),
    "LSTM_c2048_r256_p256, 8000 outputs": ("7.6M", 7_575_552),
    "LSTM_c2048_r512, 126 outputs": ("5.6M", 5_641_216),
    "LSTM_c2048_r512, 2000 outputs": ("6.6M", 6_600_704),
    "LSTM_c2048_r512, 8000 outputs": ("9.7M", 9_672_704),
    "RNN_c512, 126 outputs": ("350K", 347_136),
    "RNN_c1024_r128, 126 outputs": ("320K", 319_232),
    "RNN_c2048_r512, 126 outputs": ("2.3M", 2_243_584),
    "DNN_10w5_6_704, 126 outputs": ("3M", 3_017_344),
    "DNN_10w5_6_1024, 126 outputs": ("6M", 6_027_264),
    "DNN_10w5_6_2176, 126 outputs": ("25M", 25_341_696),
    "DNN_10w5_2_864_lr256, 2000 outputs": ("2M", 2_032_640),
    "DNN_10w5_5_512_lr256, 2000 outputs": ("2M", 2_019_328),
    "DNN_10w5_6_1024_lr256, 2000 outputs": ("6.7M", 6_672_384),
    "DNN_10w5_6_1024, 2000 outputs": ("8M", 7_946_240),
    "DNN_10w5_6_704_lr256, 8000 outputs": ("5.2M", 5_156_864),
    "DNN_10w5_6_480, 8000 outputs": ("5.3M", 5_299_200),
    "DNN_10w5_6_1024_lr256, 8000 outputs": ("8.2M", 8_208_384),
    "DNN_16w5_6_1024_lr256, 8000 outputs": ("8.5M", 8_454_144),
    "DNN_16w5_6_704_lr256, 8000 outputs": ("5.6M", 5_325_824),
    "table 1: C=840 P=- depth=5": ("37M", 37_516_080),
    "table 1: C=440 P=- depth=5": ("13M", 13_315_280),
    "table 1: C=600 P=- depth=2": ("13M", 12_967_800),
    "table 1: C=385 P=- depth=7": ("13M", 13_262_480),
    "table 1: C=750 P=- depth=1": ("13M", 13_057_500),
    "table 1: C=6000 P=800 depth=1": ("36M", 36_375_600),
    "table 1: C=2048 P=512 depth=2": ("22M", 22_314_496),
    "table 1: C=1024 P=512 depth=3": ("20M", 19_526_144),
    "table 1: C=1024 P=512 depth=2": ("15M", 14_804_480),
    "table 1: C=800 P=512 depth=2": ("13M", 13_161_664),
    "table 1: C=2048 P=512 depth=1": ("13M", 12_871_168),
    "table 2: C=700 P=400 depth=2": ("10M", 9_735_000),
    "table 2: C=600 P=350 depth=2": ("8M", 8_026_050),
}
GRAVES = {
    "CTC-3l-500h-tanh": ("3.7M", 3_688_062),
    "CTC-1l-250h": ("0.8M", 780_562),
    "CTC-1l-622h": ("3.8M", 3_793_018),
    "CTC-2l-250h": ("2.3M", 2_284_062),
    "CTC-3l-421h-uni": ("3.8M", 3_786_957),
    "CTC-3l-250h": ("3.8M", 3_787_562),
    "CTC-5l-250h": ("6.8M", 6_794_562),
    "Trans-3l-250h": ("4.3M", 4_335_312),
    "PreTrans-3l-250h": ("4.3M", 4_335_312),
}
TAI = {
    "LSTM, SICK, d=150": 203_400,
    "BiLSTM, SICK, d=150": 203_400,
    "2-layer LSTM, SICK, d=108": 203_472,
    "2-layer BiLSTM, SICK, d=108": 203_472,
    "Dependency Tree-LSTM, SICK, d=150": 203_400,
    "Constituency Tree-LSTM, SICK, d=142": 205_190,
    "LSTM, SST, d=168": 315_840,
    "BiLSTM, SST, d=168": 315_840,
    "2-layer LSTM, SST, d=120": 318_720,
    "2-layer BiLSTM, SST, d=120": 318_720,
    "Dependency Tree-LSTM, SST, d=168": 315_840,
    "Constituency Tree-LSTM, SST, d=150": 316_800,
}


def test_every_row():
    found = {row.network: (row.printed, row.exact) for row in published()}
    assert found == {**SAK, **GRAVES, **{name: (f"{n:,}", n) for name, n in TAI.items()}}


def test_one_row_does_not_agree():
    refused = [row.network for row in published() if row.agrees == "NO"]
    assert refused == ["DNN_16w5_6_704_lr256, 8000 outputs"]
    nearly = {row.network for row in published() if row.agrees == "nearly"}
    assert nearly == {
        "LSTM_c2048_r256_p256, 126 outputs",  # 3.55M with its biases
        "RNN_c2048_r512, 126 outputs",
        "table 1: C=840 P=- depth=5",  # cut off, not rounded
    }
