#include "engine/sequence/stack_backward.h"

#include <algorithm>

#include "engine/matrix/matrices.h"
#include "runtime/denormals.h"

namespace gru_native {

template <class T>
StackBackward<T>::StackBackward(const LayerSpec& spec, const PackedWeights<T>& weights, const Timeline& time,
                                const std::vector<LayerTape<T>>& tape, Dropout dropout, Draw draw, Arena& arena)
    : spec_(spec),
      time_(time),
      tape_(tape),
      dropout_(dropout),
      directions_(arena, spec.num_layers * spec.directions()),
      arena_(arena) {
  const bool inner = spec.num_layers > 1;
  const Index widest = std::max(input_size(0), inner ? input_size(1) : 0);
  dx_[0] = take_matrix<T>(arena, time.rows, widest);
  if (inner) dx_[1] = take_matrix<T>(arena, time.rows, widest);
  for (Index i = 0; i < spec.num_layers * spec.directions(); ++i) {
    const Index layer = i / spec.directions(), d = i % spec.directions();
    directions_.emplace_back(spec, weights, i, time, d == 1, tape[layer].direction[d], arena,
                             zoneout_of(spec, i, draw));
  }
}

template <class T>
Index StackBackward<T>::input_size(Index layer) const {
  return layer == 0 ? spec_.input_size : spec_.directions() * spec_.output_size();
}

// Back through all steps of a layer. Two directions on two or more threads are two crews, as forward.
template <class T>
void StackBackward<T>::through_time(Index layer, StepRows<const T> dy, const States<const T>& dfinal,
                                    const States<T>& dinitial, int rank, Crews& crews) {
  if (layer + 1 < spec_.num_layers) dy = StepRows<const T>::compact(read_only(dx_of(layer + 1)));
  for (int d = 0; d < spec_.directions(); ++d) {
    const Index i = layer * spec_.directions() + d;
    const auto state = [&](auto* of_all, Index columns) {
      return of_all ? of_all + i * time_.batch * columns : nullptr;
    };
    typename DirectionBackward<T>::Io io{};
    io.dy = dy.from_column(d * spec_.output_size());
    io.dh_final = state(dfinal.h, spec_.state_size());
    io.dc_final = state(dfinal.c, spec_.hidden_size);
    io.dh_initial = state(dinitial.h, spec_.state_size());
    io.dc_initial = state(dinitial.c, spec_.hidden_size);
    if (spec_.directions() == 1 || crews.all.size() == 1) directions_[i].run(io, rank, crews.all);
    else if ((rank >= crews.halves[0].size()) == (d == 1))
      directions_[i].run(io, d == 1 ? rank - crews.halves[0].size() : rank, crews.halves[d]);
  }
}

// The gradients of a layer's inputs and weights, from those of its pre-activations at all steps.
template <class T>
void StackBackward<T>::through_products(Index layer, const Wanted& wanted, T* scratch, int rank, int members) {
  for (int d = 0; d < spec_.directions(); ++d) {
    const Index i = layer * spec_.directions() + d;
    if (layer > 0 || wanted.dx) directions_[i].input_gradient(dx_of(layer), d > 0, rank, members);
    if (!wanted.weights.empty())
      directions_[i].weight_gradients(tape_[layer].x, input_size(layer), wanted.weights[i], scratch, rank, members);
  }
}

template <class T>
void StackBackward<T>::run(StepRows<const T> dy, const States<const T>& dfinal, const Wanted& wanted, TeamLease& team) {
  std::vector<T*> scratch(static_cast<std::size_t>(team.size()));
  if (!wanted.weights.empty()) {
    const Index widest = std::max(input_size(0), spec_.num_layers > 1 ? input_size(1) : 0);
    Index sums = 0;
    for (const DirectionBackward<T>& d : directions_) sums = std::max(sums, d.gradient_scratch(widest, team.size()));
    for (T*& of_member : scratch) of_member = arena_.take<T>(sums);
  }
  Crews crews(team);
  Crew& all = crews.all;
  team.run([&](int rank) {
    const FlushDenormals flush;
    for (Index l = spec_.num_layers - 1; l >= 0; --l) {
      through_time(l, dy, dfinal, wanted.initial, rank, crews);
      all.barrier(rank);
      through_products(l, wanted, scratch[static_cast<std::size_t>(rank)], rank, all.size());
      all.barrier(rank);
      if (l > 0 && dropout_.active()) {
        const Share mine = share_of(time_.rows, 1, rank, all.size());
        dropout_.apply(dx_of(l), input_size(l), time_, l - 1, mine.begin, mine.end);
        all.barrier(rank);
      }
    }
  });
}

template class StackBackward<float>;
template class StackBackward<double>;

}  // namespace gru_native
