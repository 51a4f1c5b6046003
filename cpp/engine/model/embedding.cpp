// Rows of a table by their numbers.
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>
#include <string>

#include "engine/matrix/panels.h"
#include "engine/model/operation.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

template <class T>
class PackedEmbedding final : public PackedOperation<T> {
 public:
  PackedEmbedding(const OperationSpec& spec, const EmbeddingSpec& own)
      : PackedOperation<T>(spec), own_(own), table_(own.num_embeddings * own.embedding_dim) {}

  void fill(const std::vector<Weight<const T>>& weights) override {
    copy_shared(weights[0].data, weights[0].size(), table_.data());
  }
  void unpack(const std::vector<Weight<T>>& weights) const override {
    std::copy_n(table_.data(), weights[0].size(), weights[0].data);
  }

  double macs_of_row(Index) const override { return macs_of_copy * static_cast<double>(own_.embedding_dim); }

  void check(const Sequences<const T>& x, Index seq_len, Index batch, const std::int64_t* lengths) const override {
    for (Index b = 0; b < batch; ++b)
      for (Index t = 0, end = lengths ? lengths[b] : seq_len; t < end; ++t) {
        const T id = x.data[t * x.step_stride + b * x.batch_stride];
        if (!has(id))
          refuse("x of sequence " + std::to_string(b) + " at step " + std::to_string(t), text_of(id),
                 "an id, " + between(0, own_.num_embeddings - 1));
      }
  }

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override {
    const Index columns = own_.embedding_dim;
    each_share(team, call.in.rows, macs_of_row(1), [&](Index begin, Index end) {
      for (Index row = begin; row < end; ++row) {
        const T id = *row_at(x, row);
        T* const to = y.base + row * y.stride;
        if (has(id)) std::copy_n(table_.data() + static_cast<Index>(id) * columns, columns, to);
        else std::fill_n(to, columns, std::numeric_limits<T>::quiet_NaN());
      }
    });
    if (kept) keep(call.in.rows, x, *kept);
  }

  // A row's sum runs over its occurrences in their order, and is one member's.
  void backward(const OperationRows&, const Kept<T>& kept, Matrix<T> d, Matrix<T>, const std::vector<T*>& dweights,
                Arena&, TeamLease& team) const override {
    if (dweights.empty()) return;
    const Index columns = own_.embedding_dim, ids = static_cast<Index>(kept.ids.size());
    const Index* const begins = kept.places.data() + kept.places.size() - static_cast<std::size_t>(ids + 1);
    each_share(team, ids, macs_of_row(1), [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        T* const sum = dweights[0] + i * columns;
        std::fill_n(sum, columns, T(0));
        for (Index at = begins[i]; at < begins[i + 1]; ++at) {
          const T* const row = d.base + kept.places[static_cast<std::size_t>(at)] * d.stride;
          GRU_NATIVE_EXECUTED(add, columns);
          for (Index k = 0; k < columns; ++k) sum[k] += row[k];
        }
      }
    });
  }

 private:
  static std::string text_of(T id) {
    char text[400];  // for all digits of the largest numbers
    std::snprintf(text, sizeof text, id == std::floor(id) ? "%.0f" : "%g", static_cast<double>(id));
    return text;
  }
  bool has(T id) const { return id >= 0 && id < static_cast<T>(own_.num_embeddings) && id == std::floor(id); }

  // Rows sorted by id, those of one id in their order; then where each id begins among them, and where the last ends.
  void keep(Index rows, Rows<const T> x, Kept<T>& kept) const {
    std::vector<Index> ids(static_cast<std::size_t>(rows)), sorted;
    for (Index row = 0; row < rows; ++row) ids[static_cast<std::size_t>(row)] = static_cast<Index>(*row_at(x, row));
    for (Index row = 0; row < rows; ++row)
      if (ids[static_cast<std::size_t>(row)] != own_.padding_idx) sorted.push_back(row);
    const auto id_of = [&](Index row) { return ids[static_cast<std::size_t>(row)]; };
    std::stable_sort(sorted.begin(), sorted.end(), [&](Index a, Index b) { return id_of(a) < id_of(b); });
    std::vector<Index> begins;
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      if (i > 0 && id_of(sorted[i]) == id_of(sorted[i - 1])) continue;
      kept.ids.push_back(id_of(sorted[i]));
      begins.push_back(static_cast<Index>(i));
    }
    begins.push_back(static_cast<Index>(sorted.size()));
    kept.places = std::move(sorted);
    kept.places.insert(kept.places.end(), begins.begin(), begins.end());
  }

  const EmbeddingSpec own_;
  const Buffer<T> table_;
};

}  // namespace

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const EmbeddingSpec& own) {
  return std::make_shared<PackedEmbedding<T>>(spec, own);
}
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const EmbeddingSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const EmbeddingSpec&);

}  // namespace gru_native
