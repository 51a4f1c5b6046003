// Batch normalisation of columns, or of the channels of images, whose heights are rows: n = (x - mean) / sqrt(var +
// eps), y = weight n + bias. Mean and variance are the running ones, or in training those of all rows. A tape keeps n,
// and of each column 1 / sqrt(var + eps), mean and unbiased variance. Of N rows, where these are the batch's, dn =
// weight dy gives
//   dx = (dn - sum(dn) / N - n sum(dn n) / N) / sqrt(var + eps).
#include <cmath>

#include "engine/model/operation.h"
#include "spec/checks.h"

namespace gru_native {
namespace {

template <class T>
class PackedBatchNorm final : public PackedOperation<T> {
 public:
  PackedBatchNorm(const OperationSpec& spec, const BatchNorm1dSpec& own)
      : PackedOperation<T>(spec),
        own_(own),
        columns_(own.num_features),
        weight_(room()),
        bias_(room()),
        mean_(room()),
        var_(room()),
        scale_(room()),
        gain_(room()),
        shift_(room()) {
    std::fill_n(weight_.data(), columns_, T(1));
  }

  void fill(const std::vector<Weight<const T>>& weights) override {
    const auto each = [&](std::size_t i, const Buffer<T>& to) { std::copy_n(weights[i].data, columns_, to.data()); };
    if (own_.affine) each(0, weight_), each(1, bias_);
    each(weights.size() - 2, mean_);
    each(weights.size() - 1, var_);
    for (Index k = 0; k < columns_; ++k) {
      scale_.data()[k] = T(1) / std::sqrt(var_.data()[k] + static_cast<T>(own_.eps));
      gain_.data()[k] = weight_.data()[k] * scale_.data()[k];
      shift_.data()[k] = bias_.data()[k] - mean_.data()[k] * gain_.data()[k];
    }
  }
  void unpack(const std::vector<Weight<T>>& weights) const override {
    const auto each = [&](std::size_t i, const Buffer<T>& from) {
      std::copy_n(from.data(), columns_, weights[i].data);
    };
    if (own_.affine) each(0, weight_), each(1, bias_);
    each(weights.size() - 2, mean_);
    each(weights.size() - 1, var_);
  }

  void forward(const OperationRows& call, Rows<const T> x, Matrix<T> y, TeamLease& team, Kept<T>* kept) const override {
    const bool of_batch = kept && call.training;
    const Grid grid{call.in.rows, call.inputs / columns_};
    if (of_batch && grid.count() < 2)
      throw std::invalid_argument("x has 1 row; expected at least 2 in training, whose variance is that of the batch");
    if (kept) {
      kept->of_batch = of_batch;
      kept->rows = take_matrix<T>(kept->arena, call.in.rows, call.inputs);
      kept->numbers = kept->arena.template take<T>(3 * columns_);
      measure(grid, x, *kept, team);
    }
    const T* const gain = at_all_heights(of_batch ? weight_ : gain_, grid, call.arena);
    const T* const bias = at_all_heights(of_batch ? bias_ : shift_, grid, call.arena);
    each_share(team, call.in.rows, this->macs_of_row(call.inputs), [&](Index begin, Index end) {
      copy_rows(of_batch ? read_only(rows_of(kept->rows)) : x, call.inputs, y, begin, end);
      kernels_for<T>().affine_rows({begin, end, call.inputs, y, gain, bias});
    });
  }

  // Shares are of columns: each sum over rows is one member's.
  void backward(const OperationRows& call, const Kept<T>& kept, Matrix<T> d, Matrix<T> dx,
                const std::vector<T*>& dweights, Arena&, TeamLease& team) const override {
    T* const dweight = gradient_of(dweights, own_.affine ? 0 : -1);
    T* const dbias = gradient_of(dweights, own_.affine ? 1 : -1);
    const Grid grid{call.in.rows, call.inputs / columns_};
    each_columns(team, [&](Index begin, Index end, Progress& progress) {
      std::vector<double> sums(static_cast<std::size_t>(end - begin)), products(sums.size());
      each_row(grid, end - begin, progress, [&](Index row, Index at) {
        const T* const dy = d.base + row * d.stride + at + begin;
        const T* const n = kept.rows.base + row * kept.rows.stride + at + begin;
        GRU_NATIVE_EXECUTED(add, 2 * (end - begin));
        GRU_NATIVE_EXECUTED(multiply, end - begin);
        for (std::size_t k = 0; k < sums.size(); ++k) {
          sums[k] += static_cast<double>(dy[k]);
          products[k] += static_cast<double>(dy[k]) * static_cast<double>(n[k]);
        }
      });
      for (std::size_t k = 0; k < sums.size(); ++k) {
        if (dweight) dweight[begin + static_cast<Index>(k)] = static_cast<T>(products[k]);
        if (dbias) dbias[begin + static_cast<Index>(k)] = static_cast<T>(sums[k]);
      }
      if (!dx.base) return;
      const double share = kept.of_batch ? 1.0 / static_cast<double>(grid.count()) : 0.0;
      each_row(grid, end - begin, progress, [&](Index row, Index at) {
        GRU_NATIVE_EXECUTED(add, 2 * (end - begin));
        GRU_NATIVE_EXECUTED(multiply, 2 * (end - begin));
        const T *const dy = d.base + row * d.stride + at, *const n = kept.rows.base + row * kept.rows.stride + at;
        T* const to = dx.base + row * dx.stride + at;
        for (Index k = begin; k < end; ++k) {
          const std::size_t own = static_cast<std::size_t>(k - begin);
          const T rest = dy[k] - static_cast<T>(sums[own] * share) - n[k] * static_cast<T>(products[own] * share);
          to[k] = weight_.data()[k] * kept.numbers[k] * rest;
        }
      });
    });
  }

  void statistics(const Kept<T>& kept, T* mean, T* var) const override {
    if (!kept.of_batch)
      throw std::invalid_argument("tape has no statistics of a batch; expected that of a training call");
    const T own = static_cast<T>(own_.momentum), old = T(1) - own;
    for (Index k = 0; k < columns_; ++k) {
      mean[k] = old * mean_.data()[k] + own * kept.numbers[columns_ + k];
      var[k] = old * var_.data()[k] + own * kept.numbers[2 * columns_ + k];
    }
  }

 private:
  // Rows as they lie, each of so many rows of columns.
  struct Grid {
    Index rows, high;
    Index count() const { return rows * high; }
  };
  // Numbers of the columns for whole rows. arena: may be null where these are one row of columns.
  const T* at_all_heights(const Buffer<T>& numbers, const Grid& grid, Arena* arena) const {
    if (grid.high == 1) return numbers.data();
    T* const all = arena->template take_zeroed<T>(round_up(grid.high * columns_, kernels_for<T>().lanes));
    for (Index h = 0; h < grid.high; ++h) std::copy_n(numbers.data(), columns_, all + h * columns_);
    return all;
  }
  Index room() const { return round_up(own_.num_features, kernels_for<T>().lanes); }

  // f(begin, end, progress) for the columns of each member.
  template <class F>
  void each_columns(TeamLease& team, const F& f) const {
    team.run([&](int rank) {
      const FlushDenormals flush;
      const Share mine = share_of(columns_, 16, rank, team.size());
      Progress progress;
      if (mine.begin < mine.end) f(mine.begin, mine.end, progress);
    });
  }
  // f(row, where the columns begin in it)
  template <class F>
  void each_row(const Grid& grid, Index columns, Progress& progress, const F& f) const {
    for (Index row = 0; row < grid.rows; ++row)
      for (Index h = 0; h < grid.high; ++h) {
        f(row, h * columns_);
        progress.add(macs_of_copy * static_cast<double>(columns));
      }
  }

  // n of all rows, and the numbers of each column.
  void measure(const Grid& grid, Rows<const T> x, Kept<T>& kept, TeamLease& team) const {
    each_columns(team, [&](Index begin, Index end, Progress& progress) {
      std::vector<double> mean(static_cast<std::size_t>(end - begin)), var(mean.size());
      const auto column = [&](std::size_t k) { return begin + static_cast<Index>(k); };
      if (kept.of_batch) {
        const double n = static_cast<double>(grid.count());
        each_row(grid, end - begin, progress, [&](Index row, Index at) {
          const T* const from = row_at(x, row) + at + begin;
          GRU_NATIVE_EXECUTED(add, end - begin);
          for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += static_cast<double>(from[k]);
        });
        for (double& m : mean) m /= n;
        each_row(grid, end - begin, progress, [&](Index row, Index at) {
          const T* const from = row_at(x, row) + at + begin;
          GRU_NATIVE_EXECUTED(add, 2 * (end - begin));
          GRU_NATIVE_EXECUTED(multiply, end - begin);
          for (std::size_t k = 0; k < mean.size(); ++k) {
            const double apart = static_cast<double>(from[k]) - mean[k];
            var[k] += apart * apart;
          }
        });
        for (std::size_t k = 0; k < mean.size(); ++k) {
          kept.numbers[column(k)] = static_cast<T>(1.0 / std::sqrt(var[k] / n + own_.eps));
          kept.numbers[columns_ + column(k)] = static_cast<T>(mean[k]);
          kept.numbers[2 * columns_ + column(k)] = static_cast<T>(var[k] / (n - 1));
        }
      } else {
        for (std::size_t k = 0; k < mean.size(); ++k) {
          mean[k] = static_cast<double>(mean_.data()[column(k)]);
          kept.numbers[column(k)] = scale_.data()[column(k)];
        }
      }
      each_row(grid, end - begin, progress, [&](Index row, Index at) {
        const T* const from = row_at(x, row) + at + begin;
        T* const to = kept.rows.base + row * kept.rows.stride + at + begin;
        GRU_NATIVE_EXECUTED(add, end - begin);
        GRU_NATIVE_EXECUTED(multiply, end - begin);
        for (std::size_t k = 0; k < mean.size(); ++k)
          to[k] = static_cast<T>(static_cast<double>(from[k]) - mean[k]) * kept.numbers[column(k)];
      });
    });
  }

  const BatchNorm1dSpec own_;
  const Index columns_;
  // Of each column: the weights, 1 / sqrt(running_var + eps), and what inference multiplies x by and adds.
  const Buffer<T> weight_, bias_, mean_, var_, scale_, gain_, shift_;
};

}  // namespace

template <class T>
std::shared_ptr<PackedOperation<T>> pack(const OperationSpec& spec, const BatchNorm1dSpec& own) {
  return std::make_shared<PackedBatchNorm<T>>(spec, own);
}
template std::shared_ptr<PackedOperation<float>> pack(const OperationSpec&, const BatchNorm1dSpec&);
template std::shared_ptr<PackedOperation<double>> pack(const OperationSpec&, const BatchNorm1dSpec&);

}  // namespace gru_native
