// The whole public API.
#pragma once
#include "gru_native/dense.h"
#include "gru_native/graph.h"
#include "gru_native/grconv.h"
#include "gru_native/layer.h"
#include "gru_native/model.h"
#include "gru_native/output_rnn.h"
#include "gru_native/readout.h"
#include "gru_native/rtrl.h"
#include "gru_native/runtime.h"
#include "gru_native/stream.h"
#include "gru_native/tree.h"
