// How many threads a call uses: as many as are worth it, by its multiply-adds and by how often its members wait for
// each other. runtime/team.h has the threads themselves.
#pragma once
#include "engine/shares.h"

namespace gru_native {

struct LayerSpec;
struct DenseSpec;
struct OutputRnnSpec;
struct ReadoutSpec;
struct TreeSpec;

// For work that is shared out once.
int useful_threads(double macs);
// For work in steps with barriers between them, `step` of it from one barrier to the next, done by so many crews that
// do not wait for each other.
int useful_threads(double macs, double step, Index crews = 1);

// Multiply-adds of one sequence's step.
double macs_of_row(const LayerSpec& spec);
double macs_of_row(const DenseSpec& spec);

// `rows`: of all steps together.
int useful_threads(const LayerSpec& spec, Index rows, Index steps);
// What members share out of a layer's steps: units, so that each reads its weights alone, and waits for the others' h
// at every step; or the rows of the batch, so that nobody waits, and each reads all weights.
bool shares_rows(const LayerSpec& spec, Index batch, int members);
// Where rows are too few for that: whether one member goes through the steps alone, for units are so few that to wait
// at every step would take longer than it saves. The others then help with the products before and after.
bool recurs_alone(const LayerSpec& spec, Index rows, Index steps);
// Of units, in panels of so many blocks: those that are one member's, of which all have as many, and those that are
// over and shared out by rows. None are over where that does not pay: of few rows, weights would be read too often for
// it, and of many panels one more is little.
struct PanelShare {
  Share own, over;
};
PanelShare share_of_panels(Index blocks, Index granule, Index batch, int member, int members);
int useful_threads(const DenseSpec& spec, Index rows);
// With `forced` outputs no step waits for another; else each sequence is one member's.
int useful_threads(const OutputRnnSpec& spec, Index rows, Index batch, bool forced);
int useful_threads(const ReadoutSpec& spec, Index nodes);
int useful_threads(const TreeSpec& spec, Index nodes, Index leaves, Index edges, Index heights);

// For a copy of so many numbers.
int useful_threads_to_copy(Index numbers);

}  // namespace gru_native
