// What an operation is to the engine: its weights at one moment, and what it does with rows. A new kind is a class on
// PackedOperation in a file of its own here, and its line in each list: OperationSpec::kind, pack() below, names in
// spec/options.cpp, options in spec/options.h, tensors in spec/tensors.h and checks in spec/check_operation.cpp.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "engine/matrix/matrices.h"
#include "engine/matrix/weights.h"
#include "engine/model/image_parts.h"
#include "engine/sequence/timeline.h"
#include "gru_native/operation.h"
#include "runtime/denormals.h"
#include "runtime/team.h"

namespace gru_native {

// The rows of a call: compact, x by `in` and y by `out`.
struct OperationRows {
  const Timeline& in;
  const Timeline& out;
  Index inputs, outputs;  // columns
  Index channels;         // of images; 0: x has none
  Arena* arena;           // room for this call; null where nothing may be allocated: in streams
  bool training = false;  // of a call with a tape
  bool swish = false;     // see forward_swish
  const void* bias = nullptr;  // numbers of the operation's type in place of a convolution's own; null: none
  const void* parts = nullptr;  // ImageParts of the operation's type in place of x; null: none
};
// What a call of a convolution has of its own.
template <class T>
struct Ending {
  bool swish = false;
  const T* bias = nullptr;  // of each channel
  const ImageParts<T>* parts = nullptr;  // read in place of x
};

// What backward needs of a forward call; each kind says what it keeps where. Memory comes from the tape's arena.
template <class T>
struct Kept {
  Arena& arena;
  Matrix<T> rows{}, outputs{};
  T* numbers = nullptr;
  bool of_batch = false;  // a batch normalisation's statistics
  const Index* offset = nullptr;
  std::vector<std::int64_t> ids;  // see OperationTape::rows
  std::vector<Index> places;
};

// What an operation keeps from one step to the next, in a stream, and its steps.
template <class T>
class OperationStream {
 public:
  virtual ~OperationStream() = default;
  virtual Index output_len(Index steps) const = 0;  // of the next so many steps
  // x: compact rows of the next steps, as many at all of them. Returns the steps of y.
  virtual Index run(Rows<const T> x, Index steps, Matrix<T> y, TeamLease& team) = 0;
  // OperationSpec::state_size numbers of each sequence; null: zeros.
  virtual void store(T* to) const = 0;
  virtual void load(const T* from) = 0;
};

template <class T>
class PackedOperation {
 public:
  explicit PackedOperation(const OperationSpec& own) : spec(own) {}
  virtual ~PackedOperation() = default;
  const OperationSpec spec;

  // Takes the weights of now, in each_name's order, into memory that it has: it must neither throw nor ask for any.
  virtual void fill(const std::vector<Weight<const T>>&) {}
  virtual void unpack(const std::vector<Weight<T>>&) const {}  // the other way round

  // What a row costs, in multiply-adds.
  virtual double macs_of_row(Index inputs) const { return macs_of_function * static_cast<double>(inputs); }
  // Throws std::invalid_argument for an x that makes no sense.
  virtual void check(const Sequences<const T>&, Index, Index, const std::int64_t*) const {}

  // Of a row of y: those behind `outputs` are nobody's.
  virtual Index columns_written(Index outputs) const { return outputs; }
  // Whether forward leaves these alone, so that rows of y need no room for them.
  virtual bool writes_only_outputs() const { return false; }
  // Whether backward reads no others of d, changes none, and writes all numbers of dx, whatever they were.
  virtual bool keeps_to_rows() const { return false; }
  // For x of so many columns and sequences, and at most so many steps at once. Null: rows of a stream go through
  // forward.
  virtual std::unique_ptr<OperationStream<T>> stream(Index, Index, Index, Arena&) const { return nullptr; }

  // The running statistics after a call's batch; see Operation::statistics.
  virtual void statistics(const Kept<T>&, T*, T*) const {
    throw std::invalid_argument("this operation has no running statistics; expected a batch normalisation");
  }

  // y: its numbers are written, all of them. Rows are panel_stride<T>(outputs) apart or more, but where
  // writes_only_outputs() they may lie as the user has them. kept: of a call with a tape, else null.
  virtual void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team,
                       Kept<T>* kept) const = 0;
  // d: the gradient of y, which may be changed. dx: zeros, or its base is null if it is not wanted; dweights: as in
  // OperationBackwardCall.
  virtual void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                        const std::vector<T*>& dweights, Arena& arena, TeamLease& team) const = 0;
};

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const ActivationSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const LayerNormSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const BatchNorm1dSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const EmbeddingSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const Conv1dSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const PoolSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const MaxPool1dSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const AvgPool1dSpec& own);

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const BranchSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const ImageSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const ColumnsSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const Conv2dSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const MaxPool2dSpec& own);
template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const AvgPool2dSpec& own);

template <class T>
ChosenActivation<T> chosen(const ActivationFunction& f) {
  return {f.kind, false, 0, static_cast<T>(f.alpha), static_cast<T>(f.beta)};
}

// f(begin, end) for the rows of each member.
template <class F>
void each_share(TeamLease& team, Index rows, double macs_of_row, const F& f) {
  team.run([&](int rank) {
    const FlushDenormals flush;
    const Share mine = share_of(rows, 1, rank, team.size());
    in_parts(mine.begin, mine.end, macs_of_row, 1, f);
  });
}

template <class T>
void copy_rows(Rows<const T> from, Index columns, Matrix<T> to, Index begin, Index end) {
  for (Index row = begin; row < end; ++row) std::copy_n(row_at(from, row), columns, to.base + row * to.stride);
}

// f(x, y, n) for n numbers, and for no others, of an f that computes whole vectors.
template <class T, class F>
void exactly(const T* x, T* y, Index n, const F& f) {
  const Index whole = n / most_lanes * most_lanes;
  if (whole > 0) f(x, y, whole);
  if (whole == n) return;
  T last[most_lanes] = {};
  std::copy_n(x + whole, n - whole, last);
  f(last, last, n - whole);
  std::copy_n(last, n - whole, y + whole);
}
template <class T>
void activate_exactly(const ChosenActivation<T>& f, const T* x, T* y, Index n) {
  exactly(x, y, n, [&](const T* a, T* to, Index count) { kernels_for<T>().function.forward(f, a, to, count); });
}

// The same as Operation::forward, of a convolution of images, but each y times its logistic function. There is no such
// spec: what has no slope that follows from y cannot be trained.
template <class T>
void forward_swish(const Operation<T>& convolution, const OperationForwardCall<T>& call);

// The same as Operation::forward, of a convolution of images, whose x is these side by side; `call.x` says where the
// first one begins, and is not read.
template <class T>
void forward_of_parts(const Operation<T>& convolution, const OperationForwardCall<T>& call, const ImageParts<T>& parts,
                      bool swish);

template <class T>
struct Operation<T>::Impl {
  explicit Impl(const OperationSpec& spec);

  OperationSpec spec;
  WeightStore<T, PackedOperation<T>> store;
  std::shared_ptr<PackedOperation<T>> reserve() const;
  void fill(PackedOperation<T>& packed) const { packed.fill(store.list()); }
  std::shared_ptr<const PackedOperation<T>> current() const { return store.packed(); }
  void forward(const OperationForwardCall<T>& call, const Ending<T>& ending) const;
};

template <class T>
struct OperationTape<T>::Impl : TapeOf<PackedOperation<T>> {
  Impl(TapeOf<PackedOperation<T>> base, Timeline in, Timeline out, Index inputs, Index outputs, Index channels)
      : TapeOf<PackedOperation<T>>(std::move(base)),
        in(std::move(in)),
        out(std::move(out)),
        inputs(inputs),
        outputs(outputs),
        channels(channels),
        kept{*this->arena, {}, {}, nullptr, false, nullptr, {}, {}} {}
  OperationRows rows() const { return {in, out, inputs, outputs, channels, this->arena.get()}; }

  Timeline in, out;
  Index inputs, outputs, channels;
  Kept<T> kept;
};

}  // namespace gru_native
