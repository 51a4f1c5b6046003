"""RNN, LSTM and GRU: from a node to a layer, and its calls."""
